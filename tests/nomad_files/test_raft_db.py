"""raft.db of real servers is read as it was written, and every damage is named."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from bolt_builder import bolt_file, conf_of, entry_value, meta_bytes, page_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from lengths import cases
from nomad_servers import DOCUMENT, FILES, damaged, opened, raft_db

from quorate.nomad.bolt.file import BoltFile
from quorate.nomad.bolt.meta import BoltError
from quorate.nomad.bolt.pages import HEADER
from quorate.nomad.log_entry import BadEntry, NomadEntry, body_of, time_text

SMALL = [(n, entry_value(n, data=b"x" * (n % 7) * 40)) for n in range(1, 41)]


@pytest.mark.parametrize("name", FILES)
def test_all_of_a_real_file(name: str) -> None:
    wanted, data = FILES[name], raft_db(name)
    db = opened(data)
    bolt = wanted["bolt"]
    metas = [meta for meta in db.file.metas.found if not isinstance(meta, str)]
    assert [
        {
            **{key: getattr(meta, key) for key in ("page", "txid", "root", "freelist")},
            "high_water": meta.high_water,
            "checksum": f"{meta.checksum:016x}",
        }
        for meta in metas
    ] == bolt["metas"]
    assert db.txid == bolt["valid_txid"]
    stable = db.stable
    assert stable.current_term == wanted["current_term"]
    assert stable.last_vote_term == wanted["last_vote_term"]
    assert stable.last_vote_candidate == wanted["last_vote_candidate"]
    found = db.summary()
    assert (found.entries, found.first_index) == (wanted["entries"], wanted["first_index"])
    assert (found.last_index, found.last_term) == (wanted["last_index"], wanted["last_term"])
    assert [list(gap) for gap in found.gaps] == wanted["gaps"]
    assert found.kinds == wanted["raft_types"]
    assert found.commands == {row["type"]: row["count"] for row in wanted["commands"]}
    assert (time_text(found.first_appended_at) or None) == wanted["first_appended_at"]
    assert (time_text(found.last_appended_at) or None) == wanted["last_appended_at"]
    assert db.shape.branch == bolt["branch_pages"]
    assert db.shape.leaf + 1 == bolt["leaf_pages"]  # one is the page of the buckets
    assert db.shape.overflow == bolt["overflow_pages"]
    assert not db.notes
    assert not found.bad


@pytest.mark.parametrize("name", FILES)
def test_each_entry_is_byte_for_byte_what_was_stored(name: str) -> None:
    rows = FILES[name].get("entry_rows", [])
    db = opened(raft_db(name))
    buckets = db.file.buckets()
    values = [item.value() for item, _ in buckets[b"logs"].items()]
    entries = list(db.entries())
    assert len(entries) == len(values)
    for row, entry, value in zip(rows, entries, values, strict=False):
        assert isinstance(entry, NomadEntry)
        found = [entry.index, entry.term, entry.kind, entry.command, len(value)]
        assert [*found, sha256(value).hexdigest()[:16]] == row


@pytest.mark.parametrize("name", FILES)
def test_configurations_are_spelled_out(name: str) -> None:
    entries = [e for e in opened(raft_db(name)).entries() if isinstance(e, NomadEntry)]
    found = [
        {
            "index": entry.index,
            "term": entry.term,
            "servers": [
                {"id": s["ID"], "address": s["Address"], "suffrage": s["Suffrage"]}
                for s in body_of(entry)["Servers"]
            ],
        }
        for entry in entries
        if entry.kind_name == "Configuration"
    ]
    assert found == FILES[name]["configurations"]


@pytest.mark.parametrize("case", DOCUMENT["damage"], ids=lambda case: case["name"])
def test_damage_is_never_passed_over(case: dict[str, Any]) -> None:
    expected, data = case["expected"], damaged(case, raft_db("s2"))
    found = outcome(data)
    if expected["result"] == "error":
        assert isinstance(found, str)
        assert "page" in found or "bytes" in found or "msgpack" in found
        return
    db = opened(data)
    summary = db.summary()
    assert not summary.bad
    assert (db.txid, summary.entries) == (expected["txid"], expected["entries"])
    assert summary.last_index == expected["last_index"]
    assert [list(gap) for gap in summary.gaps] == expected.get("gaps", [])
    told = expected["entries"] < 78 or "warning" in expected or "wiped" in case["name"]
    assert isinstance(found, str) is bool(db.notes) is told


@pytest.mark.parametrize("page_size", [1024, 4096, 16384, 65536])
@pytest.mark.parametrize("freelist", [True, False])
def test_all_page_sizes_with_and_without_the_first_meta(page_size: int, freelist: bool) -> None:
    data = bolt_file(SMALL, page_size, freelist=freelist)
    for wiped in (data, bytes(page_size) + data[page_size:]):
        db = opened(wiped)
        if wiped is data:
            assert db.summary().entries == len(SMALL)
        else:  # the other state has no entries, and that is said
            assert db.summary().entries == 0
            assert "page 0 is no sound meta page" in db.notes[0]


def test_a_deep_tree() -> None:
    values = [(n, entry_value(n)) for n in range(1, 12001)]
    db = opened(bolt_file(values))
    found = db.summary()
    assert (found.entries, found.first_index, found.last_index) == (12000, 1, 12000)
    assert db.shape.depth == 3


def outcome(data: bytes) -> list[NomadEntry | BadEntry] | str:
    """All entries without a word of warning, or what was said."""
    try:
        db = opened(data)
        entries = list(db.entries())
    except BoltError as error:
        return error.text
    bad = [entry for entry in entries if isinstance(entry, BadEntry)]
    return "; ".join([*db.notes, *(each.why for each in bad)]) or entries


def test_a_file_cut_at_any_byte_is_whole_or_refused() -> None:
    data = bolt_file(SMALL[:12])
    whole = outcome(data)
    assert isinstance(whole, list)
    for end in range(len(data)):
        found = outcome(data[:end])
        assert isinstance(found, str), end


@pytest.mark.parametrize("step", cases([13], [1]))
def test_no_flipped_bit_loses_an_entry_in_silence(step: int) -> None:
    """In the bytes of a value nothing is checked by BoltDB; those are left to msgpack."""
    data = bolt_file(SMALL[:12])
    whole = outcome(data)
    assert isinstance(whole, list)
    indexes = [entry.index for entry in whole]
    for bit in range(0, len(data) * 8, step):
        changed = bytearray(data)
        changed[bit >> 3] ^= 1 << (bit & 7)
        found = outcome(bytes(changed))
        if isinstance(found, list):
            assert [entry.index for entry in found] == indexes, (bit >> 3, bit & 7)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.binary(max_size=3000), max_size=40),
    st.sampled_from([1024, 4096]),
    st.integers(min_value=1, max_value=1 << 40),
)
def test_what_was_written_is_read(datas: list[bytes], page_size: int, first: int) -> None:
    values = [(first + n, entry_value(first + n, data=data)) for n, data in enumerate(datas)]
    entries = list(opened(bolt_file(values, page_size)).entries())
    assert [(e.index, e.data) for e in entries if isinstance(e, NomadEntry)] == [
        (first + n, data) for n, data in enumerate(datas)
    ]


def root_with(*items: tuple[int, bytes, bytes]) -> bytes:
    """A file whose root holds these."""
    page = page_bytes(2, items, inline=False)
    return (
        meta_bytes(0, 1024, 2, None, 3, 4)
        + meta_bytes(1, 1024, 2, None, 3, 3)
        + page.ljust(1024, b"\0")
    )


def inline(*items: tuple[int, bytes, bytes]) -> bytes:
    return bytes(16) + page_bytes(0, items, inline=True)


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ((), "it has no bucket logs: it is not the log of a Nomad server"),
        (((1, b"logs", inline()),), "it has no bucket conf"),
        (((0, b"conf", b"x"),), "page 2: a key outside every bucket: 'conf'"),
        (((1, b"conf", b"short"),), "page 2: bucket 'conf' has 5 bytes"),
        (((1, b"conf", inline((0, b"CurrentTerm", b"1"))), (1, b"logs", inline())), "CurrentTerm"),
        (((1, b"conf", inline((1, b"x", bytes(16)))), (1, b"logs", inline())), "inside conf"),
        (((1, b"conf", inline()), (1, b"logs", inline((0, b"short", b"")))), "a key of 5 bytes"),
        (((1, b"conf", inline()), (1, b"logs", bytes(16) + b"\1" * HEADER)), "inline bucket"),
    ],
)
def test_a_root_that_is_not_raft_boltdbs(items: Any, text: str) -> None:
    with pytest.raises(BoltError, match=text.replace("(", "\\(")):
        opened(root_with(*items)).summary()


def test_other_buckets_and_buckets_in_buckets() -> None:
    inner = inline((0, b"k", b"v"))
    outer = inline((1, b"inner", inner))
    data = root_with((1, b"conf", inline()), (1, b"logs", inline()), (1, b"zoo", outer))
    assert opened(data).notes == ["an unknown bucket b'zoo' was skipped"]
    file = BoltFile(lambda at, size: data[at : at + size], len(data))
    (nested,) = file.buckets()[b"zoo"].buckets()
    assert [(item.key, item.value()) for item, _ in nested.items()] == [(b"k", b"v")]


def test_a_big_endian_file_is_named() -> None:
    data = bytearray(bolt_file(SMALL[:1]))
    for at in (16, 1024 + 16):
        data[at : at + 4] = data[at : at + 4][::-1]
    with pytest.raises(BoltError, match="big-endian machine"):
        opened(bytes(data))


def test_what_is_no_entry_is_named_and_the_others_are_read() -> None:
    values = [
        (1, entry_value(1)),
        (2, b"\xc1"),
        (3, entry_value(4)),
        (4, entry_value(4) + b"\0"),
        (5, entry_value(5, term=3)),
        (6, entry_value(6, term=2)),
        (7, entry_value(7, term=3, kind=6)),
        (8, entry_value(8, term=3)),
    ]
    found = opened(bolt_file(values)).summary()
    assert [bad.index for bad in found.bad] == [2, 3, 4, 6, 7]
    assert "it says that it is entry 4" in found.bad[1].why
    assert "its term 2 is lower than that of the entry before, 3" in found.bad[3].why
    assert (found.entries, found.last_index, found.last_term) == (8, 8, 3)


def test_term_and_vote_that_are_not_stored() -> None:
    stable = opened(bolt_file([], conf={})).stable
    assert (stable.current_term, stable.last_vote_candidate) == (None, None)
    assert opened(bolt_file([], conf=conf_of(7))).stable.current_term == 7
