"""Archives of snapshots: what is written is read; what is broken is one clear line."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from archive_builders import (
    archive_of,
    members_of,
    meta_of,
    packed,
    parts,
    state_bytes,
    sums_of,
)
from places import VECTORS

from quorate.archive import tar
from quorate.archive.contents import rows
from quorate.archive.meta import (
    META,
    STATE,
    SUMS,
    ArchiveError,
    ArchiveServer,
    ArchiveServers,
    encode_meta,
)
from quorate.archive.reading import Checked, read_archive
from quorate.archive.writing import ArchiveWriter
from quorate.cli.commands.snapshot.file import contents
from quorate.errors import QuorateError

STATE_OF = state_bytes()


def read(archive: bytes) -> Checked:
    return read_archive(io.BytesIO(archive).read)


def refusal(archive: bytes) -> str:
    with pytest.raises(ArchiveError) as caught:
        read(archive)
    line = caught.value.text
    assert "\n" not in line
    assert caught.value.next_step
    return line


def test_what_is_written_is_read() -> None:
    archive = archive_of(STATE_OF)
    seen = io.BytesIO()

    def on_state(state: Callable[[int], bytes]) -> None:
        while piece := state(17):
            seen.write(piece)

    checked = read_archive(io.BytesIO(archive).read, on_state)
    assert seen.getvalue() == STATE_OF
    assert (checked.meta.index, checked.meta.term, checked.meta.size) == (4, 2, len(STATE_OF))


def test_other_readers_find_the_members_in_their_order() -> None:
    found = members_of(archive_of(STATE_OF))
    assert list(found) == [META, STATE, SUMS]
    assert found[STATE] == STATE_OF
    assert found[SUMS] == sums_of(meta=found[META], state=STATE_OF)
    plain = gzip.decompress(archive_of(STATE_OF))
    assert plain.endswith(2 * tar.ZEROS)  # and no more of them: a Nomad client refuses those
    assert not plain.endswith(3 * tar.ZEROS)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 70_000])
def test_states_of_any_size(size: int) -> None:
    assert read(archive_of(bytes(size))).meta.size == size


def test_a_size_beyond_octal_digits_has_its_form() -> None:
    for size in (8**11 - 1, 8**11, 1 << 40):
        assert tar.read_header(tar.header(STATE, size, 0)) == (STATE, size, False)
        assert tarfile.TarInfo.frombuf(tar.header(STATE, size, 7), "utf-8", "strict").size == size


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_other_writers_are_read(form: int) -> None:
    assert read(packed(parts(STATE_OF), form=form)).meta.index == 4


def test_any_order_of_members_is_read() -> None:
    assert read(packed(parts(STATE_OF)[::-1])).meta.index == 4


@pytest.mark.parametrize("name", ["nomad-1.0.18.snap", "nomad-1.6.3.snap"])
def test_real_archives_are_whole(name: str) -> None:
    archive = (VECTORS / "nomad" / name).read_bytes()
    checked = read(archive)
    assert not checked.meta.is_ours
    assert checked.meta.size == len(members_of(archive)[STATE])


def test_a_state_that_is_not_as_long_as_announced_is_not_written() -> None:
    for size in (2, 4):
        writer = ArchiveWriter(meta_of(3), 0, lambda _: None)
        with pytest.raises(QuorateError):
            _whole(writer, bytes(size))


def _whole(writer: ArchiveWriter, state: bytes) -> None:
    writer.state(state)
    writer.finish()


# -- broken ones -----------------------------------------------------------------------------------


def _gzip(content: bytes) -> bytes:
    """Without the time: the names of tests contain it, and all workers have to agree on them."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("archive", "text"),
    [
        (b"", "failed to decompress snapshot: EOF"),
        (b"garbage", "failed to decompress snapshot: unexpected EOF"),
        (b"no archive at all", "failed to decompress snapshot: gzip: invalid header"),
        (_gzip(b""), "file missing for"),
        (_gzip(b"x" * 512), "archive/tar: invalid tar header"),
        (packed([*parts(STATE_OF), ("x", b"")]), 'unexpected file "x" in snapshot'),
        (packed([("./" + name, data) for name, data in parts(STATE_OF)]), "unexpected file"),
        (packed([parts(STATE_OF)[1], *parts(STATE_OF)]), "is there twice"),
        (packed(parts(STATE_OF)[1:]), 'file missing for "meta.json"'),
        (packed(parts(STATE_OF)[:2]), 'file missing for "SHA256SUMS"'),
        (packed([*parts(STATE_OF)[:2], (SUMS, b"")]), 'file missing for "meta.json"'),
        (packed([*parts(STATE_OF)[:2], (SUMS, b"what?\n")]), "is no sum of a file"),
        (packed([*parts(STATE_OF)[:2], (SUMS, bytes(65 << 10))]), "the limit is"),
        (packed(parts(STATE_OF, size=3)), "its metadata says 3"),
        (packed(parts(STATE_OF, size=-1)), "out of range"),
        (packed(parts(STATE_OF, version=7)), "has version 7"),
        (packed([(META, b"{"), *parts(STATE_OF)[1:]]), "failed to decode snapshot metadata"),
        (packed([(META, b"[" * 100_000), *parts(STATE_OF)[1:]]), "failed to decode"),
        (archive_of(STATE_OF) + b"x", "bytes follow its end"),
        (archive_of(STATE_OF) * 2, "bytes follow its end"),
        (_gzip(gzip.decompress(archive_of(STATE_OF)) + b"x"), "unread uncompressed bytes"),
    ],
)
def test_what_is_no_whole_archive_is_refused(archive: bytes, text: str) -> None:
    assert text in refusal(archive)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"index": 5, "quorate_state_index": 4, "id": "2-5-1"}, "says index 5, and what it descr"),
        ({"id": "3-4-1"}, "says ID 3-4, and what it describes has 2-4"),
        ({"quorate_cluster": "another"}, "says cluster another, and what it describes has clu"),
        ({"quorate_cluster": ""}, "says cluster none, and what it describes has cluster-1"),
        ({"quorate_level": 3}, "says level 3, and what it describes has none"),
        ({"quorate_state_index": 7}, "says index of the state 7, and what it describes has 4"),
    ],
)
def test_a_meta_that_describes_another_state_is_refused(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        contents(io.BytesIO(archive_of(STATE_OF, **fields)).read)
    assert text in caught.value.text
    assert contents(io.BytesIO(archive_of(STATE_OF)).read).kind == "Quorate"


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "x" * 300},
        {"quorate_version": "\x1b" * 300},
        {"peers": "x" * 300_000},
        {"configuration": ArchiveServers(servers=(ArchiveServer(id="x" * 300),))},
        {"configuration": ArchiveServers(servers=(ArchiveServer(),) * 1025)},
    ],
)
def test_texts_of_the_meta_are_bounded(fields: dict[str, Any]) -> None:
    assert "failed to decode snapshot metadata: " in refusal(archive_of(STATE_OF, **fields))


def test_zeros_fill_up_a_record_of_tar_and_no_more() -> None:
    content = gzip.decompress(archive_of(STATE_OF))
    assert read(gzip.compress(content + bytes(9 << 10)))
    assert "unread uncompressed bytes" in refusal(gzip.compress(content + bytes(11 << 10)))
    assert "bytes follow its end" in refusal(archive_of(STATE_OF) + b"\0")


def test_swapped_members_are_refused() -> None:
    meta, state, _ = parts(STATE_OF)
    other = encode_meta(read(archive_of(STATE_OF, term=3)).meta)
    swapped = packed([(META, other), state, (SUMS, sums_of(meta=meta[1], state=STATE_OF))])
    assert 'hash check failed for "meta.json"' in refusal(swapped)
    changed = bytes([STATE_OF[0] ^ 1]) + STATE_OF[1:]
    swapped = packed([meta, (STATE, changed), (SUMS, sums_of(meta=meta[1], state=STATE_OF))])
    assert 'hash check failed for "state.bin"' in refusal(swapped)


def test_links_and_devices_are_refused() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        info = tarfile.TarInfo(STATE)
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(info)
    assert "no regular file" in refusal(gzip.compress(out.getvalue()))


def test_each_cut_is_refused() -> None:
    archive = archive_of(STATE_OF)
    assert len(archive) > 500
    for end in range(len(archive)):
        assert "EOF" in refusal(archive[:end])


def test_each_flipped_bit_is_refused_or_changes_nothing() -> None:
    archive = archive_of(STATE_OF)
    for at in range(len(archive)):
        broken = bytearray(archive)
        broken[at] ^= 4
        try:
            checked = read(bytes(broken))
        except ArchiveError:
            continue
        # Some bits of gzip mean nothing: a time, say. What comes out is the same then.
        assert checked == read(archive)


def test_a_bomb_takes_neither_memory_nor_long() -> None:
    big = 64 << 20
    many = zlib.compressobj(9, zlib.DEFLATED, 31)
    archive = many.compress(tar.header(META, big, 0))
    archive += b"".join(many.compress(bytes(1 << 20)) for _ in range(64)) + many.flush()
    tracemalloc.start()
    try:
        assert "the limit is" in refusal(archive)
        ended = zlib.compressobj(9, zlib.DEFLATED, 31)
        tail = ended.compress(gzip.decompress(archive_of(STATE_OF)))
        tail += b"".join(ended.compress(bytes(1 << 20)) for _ in range(64)) + ended.flush()
        assert "unread uncompressed bytes" in refusal(tail)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_state_is_counted_row_by_row_and_checked() -> None:
    found = list(rows(io.BytesIO(STATE_OF).read))
    assert {row.table for row in found} >= {"cluster_metadata", "scheduler_configuration"}
    for end in range(0, len(STATE_OF), 7):
        with pytest.raises(ArchiveError):
            list(rows(io.BytesIO(STATE_OF[:end]).read))
    broken = STATE_OF[:-40] + bytes([STATE_OF[-40] ^ 1]) + STATE_OF[-39:]
    with pytest.raises(ArchiveError):
        list(rows(io.BytesIO(broken).read))
