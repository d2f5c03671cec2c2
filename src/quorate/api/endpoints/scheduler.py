"""`/v1/operator/scheduler/configuration` (http-api 4), with the fields of 1.0 and 2.0."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final

import msgspec

from quorate.api.codec import body
from quorate.api.codec.body import BodyError, Field, Shape
from quorate.api.codec.encode import json_response
from quorate.api.codec.go_text import quote
from quorate.api.codec.meta import read_headers, write_headers
from quorate.api.codec.params import parse_cas
from quorate.api.consistency import Replicating
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.errors import NotWritten
from quorate.state import scheduler
from quorate.state.commands import encode
from quorate.state.scheduler import ALGORITHMS, SchedulerConfiguration, SetSchedulerConfiguration

_PREEMPTION: Final = Shape(
    Field("SystemSchedulerEnabled", "preempt_system", body.a_bool),
    Field("SysBatchSchedulerEnabled", "preempt_sysbatch", body.a_bool),
    Field("BatchSchedulerEnabled", "preempt_batch", body.a_bool),
    Field("ServiceSchedulerEnabled", "preempt_service", body.a_bool),
)

_BODY: Final = Shape(
    Field("SchedulerAlgorithm", "scheduler_algorithm", body.a_string),
    Field("PreemptionConfig", "preemption", _PREEMPTION),
    Field("MemoryOversubscriptionEnabled", "memory_oversubscription_enabled", body.a_bool),
    Field("RejectJobRegistration", "reject_job_registration", body.a_bool),
    Field("PauseEvalBroker", "pause_eval_broker", body.a_bool),
    Field("NodeLimitForFeasibilityChecks", "node_limit_for_feasibility_checks", body.an_int64),
)

# A PUT replaces the whole object: what it leaves out is zero, not the default.
_ZERO: Final = {"scheduler_algorithm": "", "preempt_system": False}


class _PreemptionJson(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    batch_scheduler_enabled: bool
    service_scheduler_enabled: bool
    sys_batch_scheduler_enabled: bool
    system_scheduler_enabled: bool


class _ConfigurationJson(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    create_index: int
    memory_oversubscription_enabled: bool
    modify_index: int
    node_limit_for_feasibility_checks: int
    pause_eval_broker: bool
    preemption_config: _PreemptionJson
    reject_job_registration: bool
    scheduler_algorithm: str


class _AnswerJson(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    index: int
    known_leader: bool
    last_contact: int  # nanoseconds
    next_token: str
    scheduler_config: _ConfigurationJson


class _WrittenJson(msgspec.Struct, frozen=True, rename="pascal"):
    index: int
    updated: bool


class SchedulerEndpoint:
    """GET, PUT and POST `configuration`."""

    def __init__(self, context: Context) -> None:
        self._leadership = context.parts.leadership
        self._state = context.parts.state
        self._authority = context.authority

    def get(self, call: Call) -> Response | Awaitable[Response]:
        """The configuration, with the meta data of the read in headers and body."""
        return self._authority.read(call, self._answer)

    def _answer(self, call: Call) -> Response:
        state, leadership = self._state.readable(), self._leadership
        configuration = scheduler.current(state)
        if configuration is None:
            raise NotWritten("scheduler config not initialized yet")
        index = state.table_index(scheduler.TABLE.name)
        value = _AnswerJson(
            index=index,
            known_leader=bool(leadership.leader_address()),
            last_contact=leadership.last_contact_ms() * 1_000_000,
            next_token="",
            scheduler_config=_json(configuration),
        )
        headers = read_headers(leadership, index)
        return json_response(value, pretty=call.query.pretty, headers=headers)

    def put(self, call: Call) -> Replicating | Awaitable[Response]:
        """Replace the configuration; `Updated` is false if `cas` is not its modify index."""
        configuration = _read(call.request.body)
        command = encode(
            SetSchedulerConfiguration(configuration=configuration, cas=parse_cas(call.query))
        )

        def answer(index: int, written: Any) -> Response:
            return json_response(
                _WrittenJson(index, written),
                pretty=call.query.pretty,
                headers=write_headers(index),
            )

        return self._authority.replicate(call, command, answer)


def _read(raw: bytes) -> SchedulerConfiguration:
    try:
        fields = _BODY.read(raw)
    except BodyError as error:
        raise RequestError(f"Error parsing scheduler config: {error}") from error
    configuration = SchedulerConfiguration(**{**_ZERO, **fields})
    algorithm = configuration.scheduler_algorithm
    if algorithm not in ALGORITHMS:
        raise RequestError(f"invalid scheduler algorithm: {quote(algorithm)[1:-1]}")
    return configuration


def _json(configuration: SchedulerConfiguration) -> _ConfigurationJson:
    return _ConfigurationJson(
        create_index=configuration.create_index,
        memory_oversubscription_enabled=configuration.memory_oversubscription_enabled,
        modify_index=configuration.modify_index,
        node_limit_for_feasibility_checks=configuration.node_limit_for_feasibility_checks,
        pause_eval_broker=configuration.pause_eval_broker,
        preemption_config=_PreemptionJson(
            batch_scheduler_enabled=configuration.preempt_batch,
            service_scheduler_enabled=configuration.preempt_service,
            sys_batch_scheduler_enabled=configuration.preempt_sysbatch,
            system_scheduler_enabled=configuration.preempt_system,
        ),
        reject_job_registration=configuration.reject_job_registration,
        scheduler_algorithm=configuration.scheduler_algorithm,
    )
