"""Files and folders, and SIGHUP."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_hosts import HOST

from quorate.config import load, reload
from quorate.config.load import files_of
from quorate.errors import ConfigError

BASE = (
    'data_dir = "/x"\nbind_addr = "10.0.0.1"\nserver {\n enabled = true\n bootstrap_expect = 3\n}\n'
)


def test_a_folder_is_read_in_order_of_names_without_temporaries(tmp_path: Path) -> None:
    for name in ("b.json", "a.hcl", "c.hcl~", ".#d.hcl", "#e.hcl#", "f.txt", "#g.hcl"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "h.hcl").touch()
    assert files_of(tmp_path) == (f"{tmp_path}/a.hcl", f"{tmp_path}/b.json")


def test_a_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    for name, content in (("a.json", BASE), ("b.txt", '{"name": "n"}')):
        (tmp_path / name).write_text(content)
    config, notes = load([tmp_path / "a.json", tmp_path / "b.txt"], host=HOST)
    assert config.name == "n"
    assert config.files == notes.files == (f"{tmp_path}/a.json", f"{tmp_path}/b.txt")


def test_paths_that_are_none() -> None:
    with pytest.raises(ConfigError, match="Error loading configuration from a\0b: stat a\0b: emb"):
        load(["a\0b"], host=HOST)


def test_reload_applies_what_it_can_and_names_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "a.hcl"
    file.write_text(BASE)
    old, _ = load([file], host=HOST)
    assert reload(old, [file], {}, host=HOST)[1:] == ((), ())
    extra = (
        'log_level = "debug"\nname = "other"\nports { http = 1 }\n'
        'server { raft_trailing_logs = 5\n num_schedulers = 3 }\nacl { role_ttl = "1s" }\n'
    )
    file.write_text(BASE + extra)
    config, live, restart = reload(old, [file], {}, host=HOST)
    assert live == ("log_level", "server.raft_trailing_logs")
    assert restart == ("advertise.http", "name", "ports.http")
    assert (config.log_level, config.server.raft_trailing_logs) == ("DEBUG", 5)
    assert (config.name, config.ports.http) == (old.name, 4646)
    assert config.acl.role_ttl_ns == old.acl.role_ttl_ns
    again = reload(config, [file], {}, host=HOST)
    assert (again.live, again.restart) == ((), restart)
    file.write_text(BASE)
    back = reload(config, [file], {}, host=HOST)
    assert (back.config.log_level, back.live, back.restart) == (
        "INFO",
        ("log_level", "server.raft_trailing_logs"),
        (),
    )


def test_reload_keeps_the_flags(tmp_path: Path) -> None:
    file = tmp_path / "a.hcl"
    file.write_text(BASE)
    flags: dict[str, object] = {"log-level": "WARN"}
    old, _ = load([file], flags, host=HOST)
    file.write_text(BASE + 'log_level = "DEBUG"\n')
    assert reload(old, [file], flags, host=HOST).config.log_level == "WARN"


def test_reload_in_dev_mode() -> None:
    old, _ = load([], {}, dev=True, host=HOST)
    assert reload(old, [], {}, host=HOST) == (old, (), ())
