"""Data folders of earlier versions are opened, and hold what they held."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from places import GOLDEN

from quorate.levels import LEVEL
from quorate.raft.values.messages import EntryKind
from quorate.state.engine.snapshot import decode_snapshot
from quorate.state.registry import TODAY
from quorate.storage.folder.data_folder import DataFolder
from quorate.storage.folder.key_file import load_or_make_key
from quorate.storage.snapshots.store import SnapshotStore

FOLDERS = GOLDEN / "folders"
NAMES = sorted(path.name for path in FOLDERS.glob("level-*"))


def unpacked(name: str, folder: Path) -> dict[str, Any]:
    shutil.unpack_archive(FOLDERS / name / "folders.tar.gz", folder)
    facts: dict[str, Any] = json.loads((FOLDERS / name / "facts.json").read_text())
    return facts


def no_id() -> str:
    raise AssertionError("the folder has an ID")


def test_each_level_before_this_one_has_its_folders() -> None:
    """Those of this version's own level are made at the end of a release."""
    levels = [f"level-{n}" for n in range(LEVEL + 1)]
    assert NAMES in (levels, levels[:-1])


@pytest.mark.parametrize("name", NAMES)
def test_folders_open(tmp_path: Path, name: str) -> None:
    facts = unpacked(name, tmp_path)
    ids, leaders = set(), set()
    level = int(name.removeprefix("level-"))
    for number in range(3):
        data_dir = tmp_path / f"s{number}"
        kept = (data_dir / "server" / "node-id").read_text()
        with DataFolder.open(
            data_dir, region="global", version="now", make_id=no_id, run=bytes(8)
        ) as folder:
            assert folder.node_id == kept
            assert not folder.state_lost
            assert folder.identity.cluster_id
            assert folder.start.number >= 1
            ids.add(folder.node_id)
            log = folder.open_log()
            state = log.hard_state()
            assert state.term == facts["term"]
            leaders.add(state.voted_for if state.vote_term == state.term else "")
            assert log.last_index() == facts["last_index"]
            found = log.entries(log.first_index(), log.last_index() + 1, 1 << 30)
            assert [each.index for each in found][-1] == facts["last_index"]
            assert EntryKind.CONFIGURATION in {each.kind for each in found}
            log.close()
            newest = SnapshotStore(folder.snapshots_path).newest_valid()
            assert newest.problems == ()
            assert newest.meta is not None
            assert log.base()[0] <= newest.meta.index <= facts["last_index"]
            with SnapshotStore(folder.snapshots_path).open(newest.meta.id) as file:
                image = decode_snapshot(file.read, TODAY)
            assert 0 < image.applied_index <= newest.meta.index
            assert image.level == level
            mine = newest.meta.configuration.get(kept)
            assert mine is not None
            assert mine.key == (load_or_make_key(folder).public if level else b"")
            for table in ("scheduler_configuration", "autopilot_configuration", "servers"):
                assert image.rows[table]
            for table in ("variables", "locks", "root_keys"):
                assert bool(image.rows.get(table)) is (level >= 3), table
    assert ids == set(facts["servers"])
    assert leaders <= {*ids, ""}
    assert leaders != {""}
