"""Log entries: golden bytes of the library, of its stores and of a real Nomad, and any others."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_vectors import appended_at, entry_of, load

from quorate.errors import BadFrame
from quorate.raft.values.messages import Entry
from quorate.wire.go.time import pack_time
from quorate.wire.raft.entries import decode_entry, encode_entry, entry_from_map

VECTORS = load("raft-log-entries")
STORES = ("bolt_store", "nomad_1_0_18_protocol_3_bolt", "nomad_1_0_18_protocol_2_bolt")
STORED = [pair for store in STORES for pair in VECTORS[store] if pair["bucket"] == "logs"]
TIME = b"\xaaAppendedAt"


def without_cache(entry: Entry) -> Entry:
    return Entry(*entry.value(), entry.appended_at)


def canonical(log: dict[str, Any], written: bytes) -> bytes:
    """The golden bytes with empty strings as nil, and the time in the form that we write."""
    written = written.replace(b"\xa4Data\xa0", b"\xa4Data\xc0")
    written = written.replace(b"\xaaExtensions\xa0", b"\xaaExtensions\xc0")
    if "AppendedAt" in log:
        end = written.index(b"\xa4Data")
        time = appended_at(log)
        if time is None:
            return b"\x85" + written[end:]
        return b"\x86" + TIME + pack_time(time) + written[end:]
    return written


@pytest.mark.parametrize("vector", VECTORS["entries"], ids=lambda v: v["hex"][:40])
def test_golden_entry(vector: dict[str, Any]) -> None:
    written, log = bytes.fromhex(vector["hex"]), vector["log"]
    entry = decode_entry(written)
    assert entry == entry_of(log)
    assert entry.appended_at == appended_at(log)
    assert encode_entry(entry) == written  # as it came
    assert encode_entry(without_cache(entry)) == canonical(log, written)  # made anew


def test_most_golden_entries_are_canonical_already() -> None:
    others = [
        vector["hex"][:32]
        for vector in VECTORS["entries"]
        if canonical(vector["log"], bytes.fromhex(vector["hex"])).hex() != vector["hex"]
    ]
    assert len(VECTORS["entries"]) == 13
    assert len(others) == 5  # empty strings; zero time; three in the new format of time


@pytest.mark.parametrize("pair", STORED, ids=lambda p: p["value_hex"][-40:])
def test_entry_of_a_real_store(pair: dict[str, str]) -> None:
    written = bytes.fromhex(pair["value_hex"])
    entry = decode_entry(written)
    assert entry.index == int(pair["key_hex"], 16)
    empty = canonical({}, written)  # one entry of the stores has empty strings
    assert encode_entry(without_cache(entry)) == empty


def test_the_encoding_is_made_once() -> None:
    entry = Entry(7, 3, 0, b"data")
    first = encode_entry(entry)
    assert entry.encoded is first
    assert encode_entry(entry) is first


def test_an_entry_from_a_peer_has_no_encoding_yet() -> None:
    fields = msgpack.unpackb(encode_entry(Entry(7, 3, 0, b"data")), raw=True)
    assert entry_from_map(fields).encoded is None


LENGTHS = (0, 1, 31, 32, 255, 256, 65535, 65536)
NUMBERS = (0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("extension_length", LENGTHS)
def test_lengths_at_the_edges(length: int, extension_length: int) -> None:
    assert_as_msgpack_has_it(Entry(70_000, 3, 0, b"d" * length, b"e" * extension_length))


@pytest.mark.parametrize("index", NUMBERS)
@pytest.mark.parametrize("term", NUMBERS)
def test_numbers_at_the_edges(index: int, term: int) -> None:
    assert_as_msgpack_has_it(Entry(index, term, 5, b"d"))
    assert_as_msgpack_has_it(Entry(index, term, 255, b"", b"e", 0))


def assert_as_msgpack_has_it(entry: Entry) -> None:
    """Compare with the msgpack library, which packs unsigned numbers and raw strings alike."""
    fields: dict[str, Any] = {
        "Data": entry.data or None,
        "Extensions": entry.extensions or None,
        "Index": entry.index,
        "Term": entry.term,
        "Type": entry.kind,
    }
    if entry.appended_at is not None:
        fields = {"AppendedAt": pack_time(entry.appended_at)[1:], **fields}
    assert encode_entry(entry) == msgpack.packb(fields, use_bin_type=False)
    assert decode_entry(encode_entry(entry)) == entry


UINT64 = st.integers(0, 2**64 - 1)
YEARS = st.integers(-62_135_596_800 * 10**9 + 1, 253_402_300_800 * 10**9 - 1)
ENTRIES = st.builds(
    Entry, UINT64, UINT64, st.integers(0, 255), st.binary(), st.binary(), st.none() | YEARS
)


@given(entry=ENTRIES)
def test_any_entry_comes_back(entry: Entry) -> None:
    assert_as_msgpack_has_it(entry)
    back = decode_entry(encode_entry(entry))
    assert (back, back.appended_at) == (entry, entry.appended_at)


GOOD = {b"Index": 1, b"Term": 1, b"Type": 0, b"Data": b"x", b"Extensions": b"y"}
BAD_FIELDS: list[tuple[bytes, Any]] = [
    (b"Index", -1),
    (b"Index", 1.0),
    (b"Index", True),
    (b"Term", -1),
    (b"Term", b"1"),
    (b"Type", -1),
    (b"Type", 256),
    (b"Type", False),
    (b"Data", 5),
    (b"Data", ("x",)),
    (b"Extensions", 5),
    (b"Extensions", {}),
    (b"AppendedAt", 5),
    (b"AppendedAt", b""),
    (b"AppendedAt", b"\x02" + b"\0" * 14),  # the version of 16 bytes in 15
    (b"AppendedAt", b"\x01" + b"\0" * 15),
    (b"AppendedAt", b"\x01" + b"\xff" * 14),  # a second before year 1
    (b"AppendedAt", b"\x01\x7f" + b"\xff" * 13),
    (b"AppendedAt", b"\0" * 4 + b"\x7f" + b"\xff" * 7),
    (b"AppendedAt", b"\0" * 5),
]


@pytest.mark.parametrize(("key", "value"), BAD_FIELDS)
def test_a_wrong_field_is_refused_by_name(key: bytes, value: Any) -> None:
    with pytest.raises(BadFrame, match=key.decode()):
        entry_from_map({**GOOD, key: value})


@pytest.mark.parametrize("key", [b"Index", b"Term", b"Type", b"Data", b"Extensions"])
@pytest.mark.parametrize("how", ["missing", "nil"])
def test_a_missing_field_is_zero(key: bytes, how: str) -> None:
    given = {k: v for k, v in GOOD.items() if k != key} | ({key: None} if how == "nil" else {})
    position = (b"Index", b"Term", b"Type", b"Data", b"Extensions").index(key)
    expected: list[Any] = [1, 1, 0, b"x", b"y"]
    expected[position] = type(expected[position])()
    assert entry_from_map(given).value() == tuple(expected)


@pytest.mark.parametrize("value", [None, 5, b"x", (), [], "x"])
def test_what_is_no_map_is_no_entry(value: Any) -> None:
    with pytest.raises(BadFrame, match="log entry"):
        entry_from_map(value)


@pytest.mark.parametrize("damaged", [b"", b"\x85", b"\x81\xa5Index\x01\x00", b"\xc1", b"\x05"])
def test_a_damaged_entry_is_a_bad_frame(damaged: bytes) -> None:
    with pytest.raises(BadFrame):
        decode_entry(damaged)


def test_every_cut_of_an_entry_is_a_bad_frame() -> None:
    written = encode_entry(Entry(70_000, 3, 0, b"d" * 40, b"e", 10**18))
    for length in range(len(written)):
        with pytest.raises(BadFrame):
            decode_entry(written[:length])
