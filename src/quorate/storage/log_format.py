"""How the log store lays out its records in LMDB.

Database `logs`, one record an entry:

    key      index, u64 big endian
    value    crc32 (4) | term, u64 (8) | kind, u8 (1) | travelling form of the entry
             the checksum covers the key and all of the value behind it; integers are big endian

Term and kind stand apart so that opening a log need not decode entries. Database `conf`:

    key      a name; value    crc32 (4) over key and payload | payload
    Format             layout of the store, b"1"
    CurrentTerm        u64; this one and the next two as in a raft.db (files, section 5)
    LastVoteTerm       u64
    LastVoteCand       address, UTF-8
    LogBase            index, u64 | term, u64: the last entry that is gone (see `log_extent`)
    meta/<key>         whatever the user of the store keeps under <key>

Invariant: nothing that was read leaves this module unless its checksum matched.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from zlib import crc32

from quorate.errors import BadFrame, LogDamaged
from quorate.raft.messages import Entry, HardState
from quorate.wire.entries import decode_entry, encode_entry

FORMAT: Final = b"1"

FORMAT_KEY: Final = b"Format"
TERM_KEY: Final = b"CurrentTerm"
VOTE_TERM_KEY: Final = b"LastVoteTerm"
VOTED_FOR_KEY: Final = b"LastVoteCand"
BASE_KEY: Final = b"LogBase"
META_PREFIX: Final = b"meta/"

ENTRY_HEAD: Final = struct.Struct(">IQB")

_CRC: Final = struct.Struct(">I")
_U64: Final = struct.Struct(">Q")
_PAIR: Final = struct.Struct(">QQ")
_TERM_AND_KIND: Final = struct.Struct(">QB")


def entry_key(index: int) -> bytes:
    """The key of the entry at `index`."""
    return _U64.pack(index)


def entry_record(entry: Entry) -> tuple[bytes, bytes]:
    """Key and value of an entry."""
    key = _U64.pack(entry.index)
    body = _TERM_AND_KIND.pack(entry.term, entry.kind) + encode_entry(entry)
    return key, _CRC.pack(crc32(body, crc32(key))) + body


def read_entry(index: int, value: bytes, path: str) -> Entry:
    """The entry that belongs at `index`, out of the value found there. Raises LogDamaged."""
    term = read_entry_term(index, value, path)
    try:
        entry = decode_entry(value[ENTRY_HEAD.size :])
    except BadFrame as error:
        raise entry_damaged(index, path, error.text) from error
    if (entry.index, entry.term) != (index, term):
        what = f"it holds entry {entry.index} of term {entry.term}, not of term {term}"
        raise entry_damaged(index, path, what)
    return entry


def read_entry_term(index: int, value: bytes, path: str) -> int:
    """The term of the entry that belongs at `index`, its checksum tested. Raises LogDamaged."""
    if len(value) < ENTRY_HEAD.size:
        raise entry_damaged(index, path, f"it has {len(value)} bytes only")
    crc, term, _ = ENTRY_HEAD.unpack_from(value)
    if crc32(value[_CRC.size :], crc32(_U64.pack(index))) != crc:
        raise entry_damaged(index, path, "its checksum does not match")
    return int(term)


def entry_damaged(index: int, path: str, what: str) -> LogDamaged:
    """The error for the entry at `index` of the log in the file `path`."""
    return LogDamaged(
        f"entry {index} in {path} is damaged: {what}",
        path=path,
        index=index,
        next_step=(
            f"move the folder {Path(path).parent.parent} away, keep it for a look, and start this "
            "server: it is filled again from its peers"
        ),
    )


def setting_value(key: bytes, payload: bytes) -> bytes:
    """The value under `key` of database `conf`."""
    return _CRC.pack(crc32(payload, crc32(key))) + payload


def read_setting(key: bytes, value: bytes, path: str) -> bytes:
    """The payload of a value under `key` of database `conf`. Raises LogDamaged."""
    payload = value[_CRC.size :]
    if setting_value(key, payload) != value:
        name = key.decode(errors="backslashreplace")
        raise LogDamaged(f"{name} in {path} is damaged: its checksum does not match", path=path)
    return payload


def hard_state_settings(state: HardState) -> dict[bytes, bytes]:
    """Term and vote as payloads by key."""
    return {
        TERM_KEY: _U64.pack(state.term),
        VOTE_TERM_KEY: _U64.pack(state.vote_term),
        VOTED_FOR_KEY: state.voted_for.encode(),
    }


def hard_state_of(settings: dict[bytes, bytes], path: str) -> HardState:
    """Term and vote out of all settings, whose checksums were tested. Raises LogDamaged."""
    found = [settings.get(key) for key in (TERM_KEY, VOTED_FOR_KEY, VOTE_TERM_KEY)]
    match found:
        case [None, None, None]:
            return HardState()
        case [bytes(term), bytes(voted_for), bytes(vote_term)]:
            with _understood(path):
                number = _U64.unpack
                return HardState(number(term)[0], voted_for.decode(), number(vote_term)[0])
    raise LogDamaged(f"{path} is damaged: term and vote are not whole", path=path)


def base_settings(base: tuple[int, int]) -> dict[bytes, bytes]:
    """The base of the log as payload by key."""
    return {BASE_KEY: _PAIR.pack(*base)}


def base_of(settings: dict[bytes, bytes], path: str) -> tuple[int, int]:
    """The base of the log out of all settings, whose checksums were tested. Raises LogDamaged."""
    with _understood(path):
        index, term = _PAIR.unpack(settings[BASE_KEY]) if BASE_KEY in settings else (0, 0)
    return index, term


def meta_settings(meta: Mapping[str, bytes]) -> dict[bytes, bytes]:
    """The small values of the store's user as payloads by key."""
    return {META_PREFIX + name.encode(): value for name, value in meta.items()}


def meta_of(settings: dict[bytes, bytes], path: str) -> dict[str, bytes]:
    """The small values of the store's user out of all settings. Raises LogDamaged."""
    with _understood(path):
        return {
            key.removeprefix(META_PREFIX).decode(): payload
            for key, payload in settings.items()
            if key.startswith(META_PREFIX)
        }


@contextmanager
def _understood(path: str) -> Iterator[None]:
    """A value of another size or no text, under a checksum that fits: not written by us."""
    try:
        yield
    except (struct.error, UnicodeDecodeError) as error:
        raise LogDamaged(
            f"{path} is damaged: a setting is no such value: {error}", path=path
        ) from error
