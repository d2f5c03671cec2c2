"""The digest by which servers compare their states.

- Form 1, of levels 0 and 1: SHA-256 over all rows in the order of keys. It takes time by the size
  of the state, whatever changed.
- Form 2, from level 2 on: for each table its name, index, number of rows, and the sum modulo 2^256
  of the SHA-256 of each row; one SHA-256 over these. The sum is kept at every change (`kept`), and
  can be computed from the rows alone (`again`). Where the two differ, memory has changed.

A sum finds faults and bugs. It is no proof against an attacker who chooses rows so that their sums
meet, which is why a digest decides nothing but who is damaged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from typing import Final

import msgspec

from quorate.levels import form_in_force
from quorate.state.engine.commands import NO_SUCH_TYPE
from quorate.state.engine.registry import Registry
from quorate.state.engine.rows import SUM_MASK, encode_row
from quorate.state.engine.snapshot import SnapshotImage, UnknownTally
from quorate.state.engine.table import IGNORABLE

_encode = msgspec.msgpack.Encoder().encode

_OF_ALL_ROWS: Final = 1
"""The form without sums."""

_AT_ONCE: Final = 64


def digest_of(image: SnapshotImage, registry: Registry) -> bytes:
    """32 bytes from the rows alone: equal on servers with the same records and table indexes.

    Independent of tables never written, and of what was unreadable.
    """
    work = again(image, registry)
    while True:
        try:
            next(work)
        except StopIteration as done:
            return bytes(done.value)


def again(image: SnapshotImage, registry: Registry) -> Generator[None, None, bytes]:
    """The same in steps of at most some dozens of rows, or one large one: 0.1 ms."""
    form = form_in_force(registry.digest_forms, image.level)
    digest = hashlib.sha256(b"quorate state digest %d\n" % form)
    held = image.tables.held
    for name in sorted(name for name, rows in held.items() if rows.records or rows.index):
        rows = held[name]
        if form == _OF_ALL_ROWS:
            digest.update(_encode((name, rows.index, len(rows.records))))
            for number, row in enumerate(rows.records.items(), start=1):
                digest.update(encode_row(row))
                if not number % _AT_ONCE:
                    yield
            continue
        total = 0
        for part in rows.sums():
            total += part
            yield
        digest.update(_table(name, rows.index, len(rows.records), total))
    return digest.digest()


def kept(image: SnapshotImage, registry: Registry) -> bytes | None:
    """The digest by what was kept at every change. None: its form has nothing that is kept."""
    form = form_in_force(registry.digest_forms, image.level)
    if form == _OF_ALL_ROWS:
        return None
    image.tables.settle()
    digest = hashlib.sha256(b"quorate state digest %d\n" % form)
    for name, rows in sorted(image.tables.held.items()):
        if rows.records or rows.index:
            digest.update(_table(name, rows.index, len(rows.records), rows.sum))
    return digest.digest()


def _table(name: str, index: int, count: int, total: int) -> bytes:
    return _encode((name, index, count, (total & SUM_MASK).to_bytes(32, "little")))


def passed_over(image: SnapshotImage, registry: Registry) -> tuple[UnknownTally, ...]:
    """The unreadable commands that an image may lack: then it compares with none.

    Versions of level 0 passed over all that they could not read. What may be passed over changes
    no table, so it does not count; nor does a type that is known by now: either it changes nothing,
    or the state really lacks what an older version passed over, and a comparison must show it.
    """
    return tuple(
        tally
        for tally in image.unknown
        if not (tally.type >= 0 and tally.type & IGNORABLE)
        and (tally.type not in registry.levels or tally.reason != NO_SUCH_TYPE)
    )
