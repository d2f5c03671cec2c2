"""A byte that changes below a running store is found by the next round; writing is no damage."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from storage_builders import data_file, entries

from quorate.errors import LogDamaged
from quorate.raft.values.messages import HardState
from quorate.storage.log.files import LogFiles, segments_in
from quorate.storage.log.scrub import LogScrub
from quorate.storage.log.store import LogStore, WriteBatch

COUNT = 1000


def filled(folder: Path, size: int = 400) -> LogStore:
    store = LogStore.open(folder)
    for first in range(1, COUNT, 100):
        store.write(WriteBatch(entries=entries(first, 100, 2, size=size)))
    store.write(WriteBatch(hard_state=HardState(7, "10.1.2.3:4647", 6), compact_to=5))
    return store


def one_round(scrub: LogScrub) -> int:
    """How many pieces it took."""
    rounds, pieces = scrub.rounds, 0
    while scrub.rounds == rounds:
        scrub.piece()
        pieces += 1
    return pieces


def flip(folder: Path, content: bytes) -> None:
    """Flip a bit of every copy of `content`, in place: the store goes on using the file."""
    data = data_file(folder).read_bytes()
    position = data.find(content)
    assert position >= 0
    with data_file(folder).open("r+b") as file:
        while position >= 0:
            file.seek(position + len(content) // 2)
            file.write(bytes([data[position + len(content) // 2] ^ 1]))
            position = data.find(content, position + 1)


def test_a_healthy_log_is_read_in_pieces_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogFiles, "segment_bytes", 200_000)
    store = filled(tmp_path)
    scrub = LogScrub(store)
    for _ in range(3):
        assert len(segments_in(tmp_path)) < one_round(scrub) <= scrub.pieces()
    store.write(WriteBatch(compact_to=COUNT))
    assert one_round(scrub) <= scrub.pieces() <= 4
    store.close()


def test_an_empty_log_is_a_round_of_one_piece(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path)
    assert one_round(LogScrub(store)) == 1
    store.close()


@pytest.mark.parametrize("index", [6, 100, 101, 499, COUNT])
def test_a_flipped_byte_of_any_entry_is_found_in_one_round(tmp_path: Path, index: int) -> None:
    store = filled(tmp_path)
    scrub = LogScrub(store)
    one_round(scrub)
    content = store.entries(index, index + 1, 1)[0].data
    flip(tmp_path, content[:8])
    with pytest.raises(LogDamaged, match=r"entry \d+ in .* checksum") as caught:
        one_round(scrub)
    # The first one in that frame: the one before may end there.
    assert caught.value.index in {index - 1, index}
    with pytest.raises(LogDamaged):
        store.entries(index, index + 1, 1)
    store.close()


def test_a_flipped_vote_is_found(tmp_path: Path) -> None:
    store = filled(tmp_path)
    flip(tmp_path, b"10.1.2.3:4647")
    with pytest.raises(LogDamaged, match=r"a checksum does not match at byte .*, where no entry"):
        one_round(LogScrub(store))
    store.close()
    with pytest.raises(LogDamaged):
        LogStore.open(tmp_path)


def test_writing_truncating_and_compacting_meanwhile_is_no_damage(tmp_path: Path) -> None:
    store = LogStore.open(tmp_path)
    store.write(WriteBatch(entries=entries(1, 400)))
    problems: list[BaseException] = []
    done = threading.Event()

    def look() -> None:
        scrub = LogScrub(store)
        try:
            while not done.is_set() or scrub.rounds < 3:
                scrub.piece()
        except BaseException as error:  # noqa: BLE001  the test asks for it
            problems.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(50):
        last = store.last_index()
        store.write(WriteBatch(truncate_from=last - 50, entries=entries(last - 50, 90)))
        store.write(WriteBatch(compact_to=store.last_index() - 300))
    store.write(WriteBatch(reset_to=(10_000, 5)))
    store.write(WriteBatch(entries=entries(10_001, 300, 5)))
    done.set()
    reader.join(20)
    assert not problems
    store.close()
