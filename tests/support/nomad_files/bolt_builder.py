"""Writes BoltDB files as raft-boltdb would, of any page size, without holding them in memory."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import BinaryIO

import msgpack

from quorate.nomad.bolt.meta import fnv1a

LEAF, BRANCH, META, FREELIST = 2, 1, 4, 16
NONE_STORED = (1 << 64) - 1
HEADER = 16
ELEMENT = 16


def entry_value(index: int, term: int = 1, kind: int = 0, data: bytes = b"") -> bytes:
    """A log entry as Nomad 1.6 stores it."""
    fields = {"AppendedAt": None, "Data": data, "Extensions": None}
    packed: bytes = msgpack.packb(
        {**fields, "Index": index, "Term": term, "Type": kind}, use_bin_type=False
    )
    return packed


def meta_bytes(
    page: int, size: int, root: int, freelist: int | None, high_water: int, txid: int
) -> bytes:
    """A meta page with the right checksum."""
    free = NONE_STORED if freelist is None else freelist
    fields = struct.pack("<IIIIQQQQQ", 0xED0CDAED, 2, size, 0, root, 0, free, high_water, txid)
    body = struct.pack("<QHHI", page, META, 0, 0) + fields + struct.pack("<Q", fnv1a(fields))
    return body.ljust(size, b"\0")


def resealed(data: bytes) -> bytes:
    """The file with the checksums that its two metas should have (for page size 1024)."""
    out = bytearray(data)
    for at in (0, 1024):
        if len(out) >= at + 80:
            out[at + 72 : at + 80] = fnv1a(bytes(out[at + 16 : at + 72])).to_bytes(8, "little")
    return bytes(out)


def page_bytes(number: int, elements: Iterable[tuple[int, bytes, bytes]], *, inline: bool) -> bytes:
    """A leaf page: elements are (flags, key, value). `inline`: as it lies in a bucket."""
    items = list(elements)
    table, content = [], []
    at = len(items) * ELEMENT
    for position, (flags, key, value) in enumerate(items):
        table.append(struct.pack("<IIII", flags, at - position * ELEMENT, len(key), len(value)))
        content += [key, value]
        at += len(key) + len(value)
    head = struct.pack("<QHHI", 0 if inline else number, LEAF, len(items), 0)
    return head + b"".join(table) + b"".join(content)


class BoltWriter:
    """Writes one file: `write` once. Pages are taken in order; those of `spare` stay free."""

    def __init__(self, out: BinaryIO, page_size: int = 4096, spare: int = 1) -> None:
        self.out = out
        self.size = page_size
        self.next = 2 + spare
        self.spare = spare

    def _put(self, body: bytes, flags: int, count: int) -> int:
        number, overflow = self.next, max(0, -(-len(body) // self.size) - 1)
        head = struct.pack("<QHHI", number, flags, count, overflow)
        self.out.seek(number * self.size)
        self.out.write((head + body[HEADER:]).ljust((overflow + 1) * self.size, b"\0"))
        self.next += overflow + 1
        return number

    def _leaf(self, items: list[tuple[int, bytes, bytes]]) -> int:
        return self._put(page_bytes(0, items, inline=False), LEAF, len(items))

    def _branch(self, children: list[tuple[bytes, int]]) -> int:
        table, keys = [], []
        at = len(children) * ELEMENT
        for position, (key, page) in enumerate(children):
            table.append(struct.pack("<IIQ", at - position * ELEMENT, len(key), page))
            keys.append(key)
            at += len(key)
        return self._put(bytes(HEADER) + b"".join(table + keys), BRANCH, len(children))

    def tree(self, items: Iterable[tuple[bytes, bytes]]) -> int:
        """The root of a tree of these keys and values, which ascend."""
        level: list[tuple[bytes, int]] = []
        held: list[tuple[int, bytes, bytes]] = []
        used = HEADER
        for key, value in items:
            need = ELEMENT + len(key) + len(value)
            if held and used + need > self.size:
                level.append((held[0][1], self._leaf(held)))
                held, used = [], HEADER
            held.append((0, key, value))
            used += need
        if held or not level:
            level.append((held[0][1] if held else b"", self._leaf(held)))
        fan = (self.size - HEADER) // (ELEMENT + 8)
        while len(level) > 1:
            parts = [level[at : at + fan] for at in range(0, len(level), fan)]
            level = [(part[0][0], self._branch(part)) for part in parts]
        return level[0][1]

    def write(
        self,
        entries: Iterable[tuple[int, bytes]],
        conf: Mapping[bytes, bytes],
        *,
        txid: int = 10,
        freelist: bool = True,
    ) -> None:
        """The whole file. The older meta describes a state without entries."""
        empty = page_bytes(0, (), inline=True)
        small = page_bytes(0, [(0, key, conf[key]) for key in sorted(conf)], inline=True)
        buckets = [(1, b"conf", bytes(16) + small), (1, b"logs", bytes(16) + empty)]
        older = self._leaf(buckets)
        logs = self.tree((index.to_bytes(8, "big"), value) for index, value in entries)
        root = self._leaf([buckets[0], (1, b"logs", struct.pack("<QQ", logs, 0))])
        free = [*range(2, 2 + self.spare), older]
        table = b"".join(struct.pack("<Q", page) for page in free)
        list_page = self._put(bytes(HEADER) + table, FREELIST, len(free)) if freelist else None
        for number in (txid - 1, txid):
            page = number % 2
            self.out.seek(page * self.size)
            state, free_page = (root, list_page) if number == txid else (older, None)
            self.out.write(meta_bytes(page, self.size, state, free_page, self.next, number))


def conf_of(term: int, vote: str = "127.0.0.1:1") -> dict[bytes, bytes]:
    """Term and vote as raft-boltdb keeps them."""
    number = term.to_bytes(8, "big")
    return {b"CurrentTerm": number, b"LastVoteTerm": number, b"LastVoteCand": vote.encode()}


def bolt_file(
    values: Iterable[tuple[int, bytes]],
    page_size: int = 1024,
    *,
    freelist: bool = True,
    conf: Mapping[bytes, bytes] | None = None,
) -> bytes:
    """A small file with these entries."""
    out = BytesIO()
    BoltWriter(out, page_size).write(
        values, conf_of(1) if conf is None else conf, freelist=freelist
    )
    return out.getvalue()
