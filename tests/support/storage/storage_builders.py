"""What the tests of the storage share: entries, batches, and everything a store says."""

from __future__ import annotations

import os
from pathlib import Path

from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.raft.values.messages import Entry
from quorate.storage.log.files import segments_in
from quorate.storage.log.store import LogStore

NO_LIMIT = 1 << 40

CONFIGURATION = Configuration(
    (
        Server("id-a", "127.0.0.1:17411"),
        Server("id-b", "127.0.0.1:17412"),
        Server("id-c", "127.0.0.1:17413", Suffrage.NONVOTER),
    )
)


def entry(index: int, term: int = 1, data: bytes | None = None) -> Entry:
    return Entry(index, term, 0, b"entry %d" % index if data is None else data)


def entries(first: int, count: int, term: int = 1, size: int | None = None) -> list[Entry]:
    """`count` entries from index `first`; with `size`, of so many random bytes each."""
    return [
        entry(index, term, None if size is None else os.urandom(size))
        for index in range(first, first + count)
    ]


def all_entries(store: LogStore) -> list[Entry]:
    return store.entries(store.first_index(), store.last_index() + 1, NO_LIMIT)


def dump(store: LogStore) -> tuple[object, ...]:
    """All that a store says."""
    terms = [store.term(index) for index in range(store.base()[0], store.last_index() + 2)]
    said = (store.base(), store.first_index(), store.last_index(), terms, store.hard_state())
    return (*said, store.meta("x"), [(e.value(), e.appended_at) for e in all_entries(store)])


def flip_all(path: Path, content: bytes, at: int = 0) -> int:
    """Flip a bit in every occurrence of `content` in the file, at offset `at`; how many."""
    data = bytearray(path.read_bytes())
    count = position = 0
    while (position := data.find(content, position)) >= 0:
        data[position + at] ^= 1
        position += len(content)
        count += 1
    path.write_bytes(data)
    return count


def data_file(folder: Path) -> Path:
    """The file of a log that has one only."""
    (only,) = segments_in(folder)
    return only
