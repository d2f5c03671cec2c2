"""Pain 24: what is damaged on disk is named when the log is opened or read, and never loaded."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from storage_builders import NO_LIMIT, data_file, dump, entries, entry, flip_all

from quorate.errors import LogDamaged, WrongDataFolder
from quorate.raft.values.messages import Entry, HardState
from quorate.storage.log import records as log_records
from quorate.storage.log.files import LogFiles, segments_in
from quorate.storage.log.frames import BODY, FRAME, frame_record
from quorate.storage.log.store import LogStore, WriteBatch

LARGE = 20_000  # over many frames


def make(folder: Path) -> None:
    """A store with every kind of record, written in several writes."""
    store = LogStore.open(folder)
    store.write(WriteBatch(entries=entries(1, 3)))
    store.write(WriteBatch(entries=[entry(4, 2, b"large" * (LARGE // 5))]))
    store.write(WriteBatch(entries=entries(5, 40, 3, size=300), meta={"x": b"precious"}))
    store.write(WriteBatch(hard_state=HardState(7, "10.1.2.3:4647", 6)))
    store.write(WriteBatch(compact_to=1))
    store.close()


@pytest.mark.parametrize(
    ("content", "index"),
    [
        (b"entry 3", 1),  # the three were written together, and share a frame
        (b"large" * 20, 4),
        (b"precious", 43),  # its frame begins in the last entry but one
        (b"10.1.2.3:4647", 45),  # no entry yet: the one to come
    ],
)
def test_flipped_value_is_named(tmp_path: Path, content: bytes, index: int) -> None:
    make(tmp_path)
    assert flip_all(data_file(tmp_path), content) > 0
    named = f"entry {index} in .*, or what was written with it, is damaged: a checksum"
    with pytest.raises(LogDamaged, match=named) as caught:
        LogStore.open(tmp_path)
    assert caught.value.path == str(data_file(tmp_path))
    assert caught.value.index == index
    assert caught.value.next_step.startswith(f"move the folder {tmp_path.parent} away")


def test_value_flipped_under_a_running_server_is_named(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path)
    for index in range(1, 6):
        store.write(WriteBatch(entries=[entry(index)]))
    flip_all(data_file(tmp_path), b"entry 3")
    assert [e.index for e in store.entries(2, 3, NO_LIMIT)] == [2]
    for low in (2, 3):
        with pytest.raises(
            LogDamaged, match=r"entry 3 in .*: its checksum does not match"
        ) as caught:
            store.entries(low, 9, NO_LIMIT)
        assert caught.value.index == 3
    store.close()


def test_no_flipped_byte_is_ever_loaded(tmp_path: Path) -> None:
    """Whatever byte of the file is changed, also behind its end: it is found."""
    make(tmp_path / "good")
    content = data_file(tmp_path / "good").read_bytes()
    written = len(content.rstrip(b"\0"))
    rng = random.Random(20_260_101)
    frames = range(0, written + FRAME, FRAME)
    places = [frame + rng.randrange(22) for frame in frames]  # the heads
    places += [rng.randrange(written) for _ in range(200)]
    places += [rng.randrange(len(content)) for _ in range(20)]
    bad = tmp_path / "bad"
    bad.mkdir()
    file = bad / data_file(tmp_path / "good").name
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= rng.randrange(1, 256)
        file.write_bytes(damaged)
        with pytest.raises(LogDamaged):
            LogStore.open(bad)


@pytest.mark.parametrize(
    "size", [1, 100, FRAME, FRAME + 100, LogFiles.piece - 1, LogFiles.piece + FRAME]
)
def test_file_of_another_size_is_named(tmp_path: Path, size: int) -> None:
    make(tmp_path)
    with data_file(tmp_path).open("r+b") as file:
        file.truncate(size)
    with pytest.raises(LogDamaged, match=rf"segment is damaged: {size} bytes is no size of ours"):
        LogStore.open(tmp_path)


def make_three_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    monkeypatch.setattr(LogFiles, "segment_bytes", 20_000)
    store = LogStore.open(folder)
    for first in range(1, 75, 3):
        store.write(WriteBatch(entries=entries(first, 3, size=900), meta={"x": b"y"}))
    assert len(segments_in(folder)) == 4
    said = dump(store)
    store.close()
    LogStore.open(folder).close()
    return said


@pytest.mark.parametrize(
    ("gone", "said"),
    [(0, "entry 1 in .*: it is missing"), (1, "entry 1 in .*: it is missing")],
)
def test_missing_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: int, said: str
) -> None:
    make_three_files(tmp_path, monkeypatch)
    segments_in(tmp_path)[gone].unlink()
    with pytest.raises(LogDamaged, match=said):
        LogStore.open(tmp_path)


def test_missing_file_before_one_in_its_making_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest file is gone, so nothing tells what was in force: no log begins anew over it."""
    make_three_files(tmp_path, monkeypatch)
    files = segments_in(tmp_path)
    (tmp_path / "0000000006.segment").touch()
    with pytest.raises(LogDamaged, match=r"6.segment is damaged: the file before it is missing"):
        LogStore.open(tmp_path)
    assert segments_in(tmp_path)[:4] == files


@pytest.mark.parametrize(
    ("number", "at", "said"),
    [
        (1, 0, "is missing"),  # the first record of a file in the middle
        (1, FRAME, "is missing"),  # a part of it
        (1, 6 * FRAME, "is missing"),
        (0, 12 * FRAME, "is missing"),
        (3, 0, "is missing"),  # the last file, whose other records are there
    ],
)
def test_zeroed_frame_before_others_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, at: int, said: str
) -> None:
    """A sector that the disk has lost: what follows shows that it was durable."""
    make_three_files(tmp_path, monkeypatch)
    file = segments_in(tmp_path)[number]
    content = bytearray(file.read_bytes())
    content[at : at + FRAME] = bytes(FRAME)
    file.write_bytes(content)
    with pytest.raises(LogDamaged, match=said):
        LogStore.open(tmp_path)


HEAD = log_records.head_item(log_records.Head(log_records.LAYOUT, 0, 0, 0, 0))
VOTE = log_records.hard_state_item(HardState(1, "a", 1))


def of(*entries: Entry) -> bytes:
    return b"".join(log_records.entry_items(entries))


def at_place(frames: bytes, place: int) -> Callable[[bytes], bytes]:
    return lambda content: content[: place * FRAME] + frames + content[place * FRAME :]


FORGED = [
    # (case, payloads of the records from the first on, what is said)
    ("no head", [VOTE], "its head is not there"),
    ("nothing at all", [b""], "its head is not there"),
    ("head inside", [HEAD + HEAD], "its head is not there"),
    ("head at the second", [HEAD, HEAD], "its head is not there"),
    ("term falls", [HEAD, of(entry(1, 5), entry(2, 4))], "entry 2 in .*: its term 4 is below 5"),
    ("unknown item", [HEAD, b"\x63\0\0\0\0"], "no such item: kind 99"),
    ("item cut off", [HEAD, VOTE[:-1]], "an item is cut off"),
    ("short head", [HEAD[:1] + b"\x02\0\0\0ab"], "no such item: unpack"),
    ("short entry", [HEAD, b"\x04\x02\0\0\0ab"], "no such item: a number is cut off"),
    ("short entry first", [HEAD, b"\x04\x02\0\0\0ab" + VOTE], "a number is cut off"),
    ("short truncation", [HEAD, b"\x03\x02\0\0\0ab" + VOTE], "a number is cut off"),
    ("short vote", [HEAD, b"\x06\x02\0\0\0ab" + VOTE], "no such item: unpack"),
    ("short name", [HEAD, b"\x07\x03\0\0\0\x02\0a" + VOTE], "a name is cut off"),
    ("no text", [HEAD, log_records.hard_state_item(HardState(1, "a", 1))[:-1] + b"\xff"], "utf-8"),
    ("base ahead", [HEAD, of(entry(1, 5)) + log_records.base_item(3, 5)], "compacted to 3"),
    (
        "base behind what is there",
        [log_records.head_item(log_records.Head(log_records.LAYOUT, 9, 1, 5, 1))],
        "entry 6 in .*: it is missing",
    ),
]


def forge(folder: Path, payloads: list[bytes], first: int = 1) -> Path:
    frames = b"".join(frame_record(number, p) for number, p in enumerate(payloads, first))
    file = folder / "0000000001.segment"
    file.write_bytes(frames + bytes(LogFiles.piece - len(frames)))
    return file


@pytest.mark.parametrize(("payloads", "said"), [f[1:] for f in FORGED], ids=[f[0] for f in FORGED])
def test_record_that_does_not_fit_is_named(
    tmp_path: Path, payloads: list[bytes], said: str
) -> None:
    forge(tmp_path, payloads)
    with pytest.raises(LogDamaged, match=said):
        LogStore.open(tmp_path)


def test_record_out_of_turn_is_named(tmp_path: Path) -> None:
    file = forge(tmp_path, [HEAD, VOTE, VOTE])
    content = file.read_bytes()
    file.write_bytes(content[:FRAME] + content[2 * FRAME :] + bytes(FRAME))
    with pytest.raises(LogDamaged, match="record 3 where 2 belongs"):
        LogStore.open(tmp_path)
    file.write_bytes(content[: 2 * FRAME] + bytes(FRAME) + content[2 * FRAME : -FRAME])
    with pytest.raises(LogDamaged, match="record 3 lies there, record 3 is missing"):
        LogStore.open(tmp_path)


def test_record_whose_number_cannot_be_is_named(tmp_path: Path) -> None:
    forge(tmp_path, [HEAD], first=(1 << 64) - 1)
    with pytest.raises(LogDamaged, match="record 18446744073709551615 where 0 belongs"):
        LogStore.open(tmp_path)


def test_frames_of_two_records_are_no_record(tmp_path: Path) -> None:
    long = frame_record(2, log_records.meta_items({"x": bytes(3 * BODY)})[0])
    file = forge(tmp_path, [HEAD])
    content = bytearray(file.read_bytes())
    content[FRAME : FRAME + len(long)] = long
    content[3 * FRAME : 4 * FRAME] = frame_record(2, VOTE)
    file.write_bytes(content)
    with pytest.raises(LogDamaged, match="another record lies in it"):
        LogStore.open(tmp_path)


def test_damage_behind_items_that_make_no_sense_is_named(tmp_path: Path) -> None:
    """Their record's first frame is sound, and says nothing that could be counted on."""
    broken = b"\x02\x02\0\0\0ab"  # a reset without its numbers
    file = forge(tmp_path, [HEAD, broken + bytes(BODY)])
    content = bytearray(file.read_bytes())
    content[2 * FRAME + 30] ^= 1
    file.write_bytes(content)
    with pytest.raises(LogDamaged, match=r"entry 1 in .* is damaged: a checksum does not match"):
        LogStore.open(tmp_path)


def test_entry_that_is_another_one_is_not_returned(tmp_path: Path) -> None:
    """A right checksum around a wrong entry: a bug of ours, found all the same."""
    store = LogStore.open(tmp_path)
    wrong = entry(1, 5)
    wrong.encoded = b"".join(log_records.entry_items([entry(2, 5)])[1:])
    store.write(WriteBatch(entries=[wrong]))
    with pytest.raises(LogDamaged, match=r"entry 1 in .*: it holds entry 2 of term 5"):
        store.entries(1, 2, NO_LIMIT)
    broken = entry(2, 5)
    broken.encoded = b"\xc1"
    store.write(WriteBatch(entries=[broken]))
    with pytest.raises(LogDamaged, match=r"entry 2 in .*: "):
        store.entries(2, 3, NO_LIMIT)
    store.close()


def test_file_of_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "0000000001.segment").write_bytes(b"not a log at all" * (LogFiles.piece // 16))
    with pytest.raises(LogDamaged, match=r"a checksum does not match"):
        LogStore.open(tmp_path)
    (tmp_path / "0000000001.segment").rename(tmp_path / "mine.segment")
    with pytest.raises(LogDamaged, match=r"its name is no number"):
        LogStore.open(tmp_path)


@pytest.mark.parametrize("layout", [1, 3])
def test_store_of_another_layout_is_refused(tmp_path: Path, layout: int) -> None:
    forge(tmp_path, [log_records.head_item(log_records.Head(layout, 0, 0, 0, 0))])
    with pytest.raises(WrongDataFolder, match=f"has layout {layout}, we read layout 2"):
        LogStore.open(tmp_path)


def test_store_of_the_oldest_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"x")
    with pytest.raises(WrongDataFolder, match="has layout 1, we read layout 2"):
        LogStore.open(tmp_path)
