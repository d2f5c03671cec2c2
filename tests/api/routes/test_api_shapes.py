"""One declaration of a field makes the body, the record and the answer: none is lost between."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from quorate.api.codec.body import Shape
from quorate.client.calls import models
from quorate.shapes import settings
from quorate.shapes.shape import DURATION, INDEX, kind_of, made
from quorate.state.engine.commands import encode
from quorate.state.engine.table import Record
from quorate.state.tables.autopilot import AutopilotConfiguration
from quorate.state.tables.scheduler import SchedulerConfiguration, SetSchedulerConfiguration

PAIRS: list[tuple[type[msgspec.Struct], type[Record]]] = [
    (settings.SchedulerConfiguration, SchedulerConfiguration),
    (settings.AutopilotConfiguration, AutopilotConfiguration),
]


def leaves(shape: type[msgspec.Struct], *above: str) -> list[tuple[tuple[str, ...], Any]]:
    """The path of each field that a body may have, with a value that is not its zero."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for field in msgspec.structs.fields(shape):
        kind = kind_of(field)
        path = (*above, field.encode_name)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            found += leaves(kind, *path)
        elif kind is not INDEX:
            values = {bool: True, str: "spread", DURATION: "1m30s"}
            found.append((path, values.get(kind, 7)))
    return found


@pytest.mark.parametrize(
    ("shape", "record", "path", "value"),
    [(s, r, path, value) for s, r in PAIRS for path, value in leaves(s)],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_a_field_of_a_body_comes_back_in_the_answer(
    shape: type[msgspec.Struct], record: type[Record], path: tuple[str, ...], value: Any
) -> None:
    body: dict[str, Any] = {}
    place = body
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value
    reader = Shape.of_struct(shape)
    kept = record(**reader.read_whole(msgspec.json.encode(body)))
    answer = msgspec.to_builtins(made(shape, kept))
    for name in path:
        answer = answer[name]
    assert answer == value


@pytest.mark.parametrize(("shape", "record"), PAIRS)
def test_an_empty_body_is_all_zeros(shape: type[msgspec.Struct], record: type[Record]) -> None:
    reader = Shape.of_struct(shape)
    assert made(shape, record(**reader.read_whole(b"{}"))) == shape()
    assert made(shape, record(**reader.read_whole(b"null"))) == shape()  # read the slow way


def test_a_field_without_a_source_is_a_mistake() -> None:
    with pytest.raises(AttributeError, match="nothing has last_contact_threshold_ns"):
        made(settings.AutopilotConfiguration, msgspec.structs.replace)


def test_the_log_keeps_its_own_names() -> None:
    """Servers of every version read them; only the API and Python speak of the schedulers so."""
    configuration = SchedulerConfiguration(
        system_scheduler_enabled=False,
        sysbatch_scheduler_enabled=True,
        batch_scheduler_enabled=True,
        service_scheduler_enabled=True,
    )
    written = encode(SetSchedulerConfiguration(configuration=configuration))
    for name in (b"preempt_system", b"preempt_sysbatch", b"preempt_batch", b"preempt_service"):
        assert name in written


def test_the_client_reads_what_the_server_answers() -> None:
    answer = made(settings.SchedulerConfiguration, SchedulerConfiguration(pause_eval_broker=True))
    read = models.from_json(msgspec.to_builtins(answer), models.SchedulerConfiguration)
    assert read.pause_eval_broker
    assert read.preemption_config.system_scheduler_enabled
    assert models.to_json(read) == msgspec.to_builtins(answer)
