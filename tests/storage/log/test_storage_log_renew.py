"""What was compacted goes from the disk at once, where that is asked for."""

from __future__ import annotations

from errno import ENOSPC
from pathlib import Path

import pytest
from storage_builders import dump, entries, entry

from quorate.errors import StorageFull
from quorate.storage.log.files import LogFiles, segments_in
from quorate.storage.log.store import LogStore, WriteBatch

OLD = b"what must not stay on the disk"


def texts(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(path.iterdir()))


def filled(path: Path) -> LogStore:
    """Entries 1 to 5, of which the second holds the text."""
    store = LogStore.open(path)
    store.write(WriteBatch(entries=[entry(1), entry(2, data=OLD), *entries(3, 3)]))
    return store


def test_compaction_alone_leaves_the_text_in_its_file(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.write(WriteBatch(compact_to=5))
    assert (store.first_index(), store.oldest_on_disk()) == (0, 1)
    assert OLD in texts(tmp_path)
    store.close()


def test_a_renewed_log_has_no_older_text(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.renew()
    store.write(WriteBatch(compact_to=5))
    assert store.oldest_on_disk() == 0
    assert OLD not in texts(tmp_path)
    store.write(WriteBatch(entries=entries(6, 2)))
    assert store.oldest_on_disk() == 6
    before = dump(store)
    store.close()
    again = LogStore.open(tmp_path)
    assert dump(again) == before
    assert again.oldest_on_disk() == 6
    again.close()


def test_a_file_that_later_entries_need_goes_with_them(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.renew()
    store.write(WriteBatch(compact_to=3))
    assert (store.first_index(), store.oldest_on_disk()) == (4, 1)
    store.write(WriteBatch(entries=entries(6, 2)))
    store.write(WriteBatch(compact_to=5))
    assert store.oldest_on_disk() == 6
    assert OLD not in texts(tmp_path)
    store.close()


def test_only_the_next_compaction_begins_a_file(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.renew()
    store.write(WriteBatch(entries=entries(6, 1)))
    store.write(WriteBatch(compact_to=2))
    store.write(WriteBatch(compact_to=3))
    assert len(segments_in(tmp_path)) == 2
    store.close()


def test_a_disk_without_room_for_a_file_still_compacts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path)

    def full(*_: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    store.renew()
    with monkeypatch.context() as patched:
        patched.setattr(LogFiles, "create", full)
        with pytest.raises(StorageFull):
            store.write(WriteBatch(compact_to=5))
        store.write(WriteBatch(compact_to=5))  # as the disk thread tries it again
    assert store.base() == (5, 1)
    store.close()
