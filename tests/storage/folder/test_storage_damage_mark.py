"""The mark of a damaged state outlives a restart, and is itself never believed when damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from quorate.errors import LogDamaged
from quorate.storage.folder.damage_mark import MARK_FILE, DamageMark, keep_mark, read_mark

MARK = DamageMark(index=812, digest="3f", right="9b", by="s1.global")


def test_a_mark_is_kept_replaced_and_removed(tmp_path: Path) -> None:
    assert read_mark(tmp_path) is None
    keep_mark(tmp_path, None)
    for mark in (MARK, DamageMark(index=813, digest="3f", right="9c", by="s2.global")):
        keep_mark(tmp_path, mark)
        assert read_mark(tmp_path) == mark
    keep_mark(tmp_path, None)
    assert read_mark(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_mark_that_was_changed_is_named(tmp_path: Path) -> None:
    keep_mark(tmp_path, MARK)
    path = tmp_path / MARK_FILE
    path.write_bytes(path.read_bytes().replace(b"812", b"813"))
    with pytest.raises(LogDamaged, match=MARK_FILE):
        read_mark(tmp_path)
