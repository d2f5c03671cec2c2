"""Deliberate bugs in the log store (see `mutants`).

Whole clusters find them as well, most of them late: few writes are torn there, and few bits flip.
"""

from __future__ import annotations

from mutant import Mutant

from quorate.storage import sealed
from quorate.storage.log import frames as log_frames
from quorate.storage.log.files import LogFiles
from quorate.storage.log.replay import LogReplay
from quorate.storage.log.segment import Segment
from quorate.storage.log.store import LogStore

LOG_MUTANTS = [
    Mutant(
        "believes a damaged frame",
        log_frames.read_frame,
        "!= crc32(rest)",
        "== -1",
        0,
        disks=20,
    ),
    Mutant(
        "takes damage for the end of the log",
        log_frames.is_unwritten,
        "or not data",
        "or not data or read_frame(data) is None",
        0,
        disks=60,
    ),
    Mutant(
        "takes a torn write for whole",
        LogReplay._record_at,
        "if frame is None:",
        "if frame is None:\n            break\n        if False:",
        0,
        disks=20,
    ),
    Mutant(
        "overlooks damage behind the log",
        LogReplay.take,
        "self._check_behind(content, at, path)",
        "pass",
        0,
        disks=100,
    ),
    Mutant(
        "does not flush a write",
        Segment.append,
        "self._flush()\n    self.head",
        "self.head",
        10,
        disks=20,
    ),
    Mutant(
        "does not clear what a torn write has left",
        Segment.settle,
        "bytes(self._room - self.size)",
        "b''",
        0,
        disks=20,
    ),
    Mutant(
        "does not flush what it finds at a start",
        Segment.settle,
        "self._flush()",
        "pass",
        0,
        disks=20,
    ),
    Mutant(
        "does not write again what it finds at a start",
        Segment.settle,
        "self._write(tail + behind, self.size - len(tail))",
        "self._write(behind, self.size)",
        0,
        disks=20,
    ),
    Mutant(
        "does not make the name of a new file durable",
        LogFiles.create,
        "fsync_dir(self.folder, self.system)",
        "pass",
        10,
        disks=20,
    ),
    Mutant(
        "removes a file whose entries are needed",
        LogStore._remove_compacted,
        "segments[0].last_index <= base",
        "segments[0].last_index <= base + 1",
        0,
        disks=20,
    ),
    Mutant(
        "begins a file without term and vote",
        LogStore._heading,
        "[*first, state,",
        "[*first,",
        0,
        disks=40,
    ),
    Mutant(
        "believes a file that was cut",
        LogReplay._check_bound,
        "segment.room < bound.room",
        "False",
        0,
        disks=20,
    ),
    Mutant(
        "does not notice that the newest file is gone",
        LogReplay._check_bound,
        "is_last and bound.followed",
        "False",
        0,
        disks=20,
    ),
    Mutant(
        "does not remember that a file is followed",
        LogStore._append,
        "newest.follow()",
        "pass",
        0,
        disks=20,
    ),
    Mutant(
        "writes into room that no file says it has",
        Segment.append,
        "self.size and end > self._sure",
        "False",
        0,
        disks=100,
    ),
    Mutant(
        "says of a file what is not durable yet",
        Segment.append,
        "room=self._sure, size",
        "room=self._room, size",
        0,
        disks=40,
    ),
    Mutant(
        "does not write again what a file said of itself",
        Segment.settle,
        "self._write(self.head, 0)",
        "pass",
        0,
        disks=100,
    ),
    Mutant(
        "begins a log over a file whose first record was cut",
        LogReplay.take,
        "not self.segments and segment.number != 1",
        "False",
        0,
        disks=40,
    ),
    Mutant(
        "believes a damaged snapshot's meta",
        sealed.unseal,
        "if line != body + ending(body):",
        "if False:",
        0,
        disks=400,
    ),
]
