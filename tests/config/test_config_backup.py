"""The block `backup`: what it makes, what is refused, and what is warned about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config_hosts import HOST

from quorate.agent.options import backup_options
from quorate.config import AgentConfig, Notes, config_view, load
from quorate.errors import ConfigError

TARGET = "file:///mnt/backups"


def loaded(folder: Path, block: str) -> tuple[AgentConfig, Notes]:
    file = folder / "a.hcl"
    server = "server {\n enabled = true\n bootstrap_expect = 3\n}"
    file.write_text(f'data_dir = "/x"\nbind_addr = "10.0.0.1"\n{server}\nbackup {{\n{block}\n}}\n')
    return load([file], host=HOST)


def test_the_block_makes_the_options(tmp_path: Path) -> None:
    config, _ = loaded(
        tmp_path,
        f'schedule = "0 3 * * *"\ntarget = "{TARGET}"\nretain = 14\ndeadline = "5m"\n'
        f'restore_from = "{TARGET}"',
    )
    options = backup_options(config)
    assert options.schedule is not None
    assert options.target is not None
    assert options.restore_from is not None
    assert (options.schedule.text, options.target.url) == ("0 3 * * *", TARGET)
    assert (options.retain, options.deadline_s, options.restore_from.url) == (14, 300.0, TARGET)
    shown = config_view(config)["Backup"]
    assert (shown["Target"], shown["Retain"], shown["Deadline"]) == (TARGET, 14, "5m0s")


def test_without_the_block_there_is_nothing(tmp_path: Path) -> None:
    options = backup_options(loaded(tmp_path, "")[0])
    assert (options.target, options.schedule, options.restore_from) == (None, None, None)


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ('schedule = "6h"', "backup.schedule has no effect without backup.target"),
        (f'schedule = "soon"\ntarget = "{TARGET}"', "backup.schedule: the schedule cannot be read"),
        ('target = "/mnt/backups"', "backup.target: the target '/mnt/backups' is neither"),
        ('target = "s3://key:secret@bucket"', "backup.target: the target holds more than a place"),
        ('restore_from = "http://a/b"', "backup.restore_from: the target 'http://a/b' is neither"),
        (f'target = "{TARGET}"\nretain = 1001', "backup.retain is 1001; 1000 are the most"),
        (f'target = "{TARGET}"\nretain = -1', "backup.retain"),
        (f'target = "{TARGET}"\ndeadline = "1ms"', "backup.deadline"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(tmp_path: Path, block: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, block)
    assert says in caught.value.line()
    assert "secret" not in caught.value.line()


def test_keys_that_are_not_known_are_warned_about_without_their_values(tmp_path: Path) -> None:
    _, notes = loaded(tmp_path, f'target = "{TARGET}"\nretian = 3\nsecret_access_key = "s3cr3t"')
    told: Any = "\n".join(notes.warnings)
    assert "backup.retian, backup.secret_access_key" in told
    assert "s3cr3t" not in told
