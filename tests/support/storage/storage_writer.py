"""A process that writes to a log store until it is killed, and says what is acknowledged.

Batch n is a function of n alone, so that whoever opens the store afterwards can tell which
batches are in it. Usage: storage_writer.py FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from quorate.raft.values.messages import Entry, HardState
from quorate.storage.log.store import LogStore, WriteBatch

ENTRIES = 7
REPLACED = 3  # each batch first truncates so many of the batch before
KEPT = 60


def batch(number: int) -> WriteBatch:
    """Batch `number`, the first of which is 1."""
    first = 1 if number == 1 else last_index(number - 1) - REPLACED + 1
    last = last_index(number)
    return WriteBatch(
        truncate_from=first,
        entries=[
            Entry(index, number, 0, b"%d in batch %d" % (index, number) * (index % 50))
            for index in range(first, last + 1)
        ],
        hard_state=HardState(number, f"10.0.0.{number}:4647", number),
        compact_to=last - KEPT,
        meta={"batch": b"%d" % number},
    )


def last_index(number: int) -> int:
    """The last index after batch `number`."""
    return number * (ENTRIES - REPLACED) + REPLACED


def main() -> None:
    store = LogStore.open(Path(sys.argv[1]))
    number = store.hard_state().term
    os.write(1, b"ready\n")
    while True:
        number += 1
        store.write(batch(number))
        os.write(1, b"%d\n" % number)


if __name__ == "__main__":
    main()
