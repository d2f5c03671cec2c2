"""The block `audit`, in the forms that files have it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from config_hosts import HOST

from quorate.agent.sinks.audit import sink_options, tail_of
from quorate.config import AgentConfig, load
from quorate.errors import ConfigError
from quorate.server.audit.sink import Filter, SinkOptions

SERVER = "server {\n enabled = true\n bootstrap_expect = 3\n}\n"
BASE = f'data_dir = "/x"\nbind_addr = "10.0.0.1"\n{SERVER}'

WHOLE = """
audit {
  enabled = true
  sink "audit" {
    type               = "file"
    delivery_guarantee = "enforced"
    format             = "json"
    path               = "PATH"
    rotate_bytes       = 500
    rotate_duration    = "24h"
    rotate_max_files   = 2
  }
  filter "default" {
    type       = "HTTPEvent"
    endpoints  = ["/v1/metrics"]
    stages     = ["*"]
    operations = ["*"]
  }
  filter "gets" {
    type       = "HTTPEvent"
    endpoints  = ["*"]
    operations = ["GET"]
    stages     = ["OperationReceived"]
  }
}
"""


def loaded(folder: Path, text: str, name: str = "a.hcl") -> AgentConfig:
    file = folder / name
    file.write_text(text)
    config, notes = load([file], host=HOST)
    assert not any("audit" in line for line in notes.error_lines())
    return config


def of(folder: Path, block: str) -> AgentConfig:
    return loaded(folder, BASE + f"audit {{\n{block}\n}}\n")


def options(config: AgentConfig, folder: Path) -> SinkOptions:
    found = sink_options(config, folder)
    assert found is not None
    return found


def test_the_whole_form_in_hcl_and_in_json(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.log"
    config = loaded(tmp_path, BASE + WHOLE.replace("PATH", str(path)))
    found = options(config, tmp_path)
    assert (found.name, found.enforced) == (str(path), True)
    assert found.filters == (
        Filter(endpoints=("/v1/metrics",)),
        Filter(endpoints=("*",), operations=("GET",), stages=("OperationReceived",)),
    )
    sink: dict[str, Any] = {"type": "file", "delivery_guarantee": "enforced", "path": str(path)}
    events = {"type": "HTTPEvent", "endpoints": ["/v1/metrics"]}
    value = {
        "data_dir": "/x",
        "bind_addr": "10.0.0.1",
        "server": {"enabled": True, "bootstrap_expect": 3},
        "audit": {"enabled": True, "sink": {"audit": sink}, "filter": [{"a": events}]},
    }
    found = options(loaded(tmp_path, json.dumps(value), "a.json"), tmp_path)
    assert (found.name, found.enforced) == (str(path), True)
    assert found.filters == (Filter(endpoints=("/v1/metrics",)),)


def test_it_is_off_and_then_best_effort_beside_the_data(tmp_path: Path) -> None:
    assert sink_options(loaded(tmp_path, BASE), tmp_path) is None
    assert sink_options(of(tmp_path, "enabled = false"), tmp_path) is None
    found = options(of(tmp_path, "enabled = true"), tmp_path)
    assert found.name == str(tmp_path / "audit" / "audit.log")
    assert not found.enforced


def test_the_file_is_rotated_by_size_and_its_end_is_read_over_it(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.log"
    config = loaded(tmp_path, BASE + WHOLE.replace("PATH", str(path)))
    troubles: list[str] = []
    file = options(config, tmp_path).opened(troubles.append)
    for number in range(5):
        file.write(f"{number}" * 300 + "\n")
    file.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(list(path.parent.iterdir())) == 3  # the file, and two old ones
    assert tail_of(path) == b"3" * 300 + b"\n\n" + b"4" * 300 + b"\n"
    assert troubles == []


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ('sink "a" {\n type = "syslog"\n}', "audit.sink.type must be \"file\", got 'syslog'"),
        ('sink "a" {\n format = "xml"\n}', 'audit.sink.format must be "json"'),
        ('sink "a" {\n delivery_guarantee = "sure"\n}', '"best-effort" or "enforced"'),
        ('sink "a" {\n mode = "rw"\n}', "audit.sink.mode must be an octal mode"),
        ('sink "a" {\n path = "/var/log/"\n}', "audit.sink.path must name a file"),
        ('sink "a" {\n rotate_duration = "1ms"\n}', "audit.sink.rotate_duration must be at least"),
        ('sink "a" {\n what = "x"\n}', "audit.sink unexpected keys what"),
        ('sink "a" {\n}\nsink "b" {\n}', 'audit.sink: there is one only, got "a" and "b"'),
        ('filter "f" {\n type = "Other"\n endpoints = ["*"]\n}', 'type must be "HTTPEvent"'),
        ('filter "f" {\n type = "HTTPEvent"\n}', "endpoints must name paths"),
        (
            'filter "f" {\n type = "HTTPEvent"\n endpoints = ["*"]\n stages = ["Later"]\n}',
            'got "Later"',
        ),
        ('filter "f" {\n type = "HTTPEvent"\n nope = 1\n}', '"f" has no key nope'),
        ('filter {\n type = "HTTPEvent"\n}', "needs a label"),
        ("filter = 3", "must be a block"),
        ("enabled = 7", "audit.enabled must be true or false"),
    ],
)
def test_a_mistake_names_the_key_and_the_line(tmp_path: Path, block: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        of(tmp_path, block)
    assert says in refused.value.text
    assert "a.hcl" in refused.value.text
