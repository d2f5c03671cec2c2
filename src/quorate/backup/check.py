"""The check of a backup, as a process of its own: `python -m quorate.backup.check`.

It reads a file from its target, checks it whole, restores it into a scratch state, and tells the
digest of that. The job comes as JSON on its standard input, the result goes to its standard output.
It is nice, its memory is bounded, and it ends itself at its deadline.
"""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import msgspec

from quorate.archive.meta import ArchiveError
from quorate.archive.reading import read_archive
from quorate.backup.places import open_target
from quorate.backup.target import Absent, Settings, TargetError, reader
from quorate.errors import QuorateError
from quorate.state.engine.digest import digest_of
from quorate.state.engine.snapshot import SnapshotError, SnapshotImage, decode_snapshot
from quorate.state.registry import TODAY

ABSENT: Final = "absent"
BROKEN: Final = "broken"
UNKNOWN: Final = "unknown"

_NICE: Final = 19


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to check. `memory_bytes` is the bound of the process, `deadline_s` its time."""

    target: Settings
    name: str
    memory_bytes: int
    deadline_s: int


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `failed` is empty if the file is whole; else it says in which way.

    `sha256` is that of the file, `digest` that of the state in it, both hexadecimal.
    """

    failed: str = ""
    why: str = ""
    sha256: str = ""
    size: int = 0
    digest: str = ""
    index: int = 0
    rows: int = 0


def check(job: Job) -> Result:
    """Read and restore. Never raises."""
    seen = hashlib.sha256()
    size = 0

    def counted(pieces: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal size
        for piece in pieces:
            seen.update(piece)
            size += len(piece)
            yield piece

    found: list[SnapshotImage] = []
    try:
        read = reader(counted(open_target(job.target).get(job.name)))
        meta = read_archive(read, lambda state: found.append(decode_snapshot(state, TODAY))).meta
        (image,) = found
        digest = digest_of(image, TODAY).hex()
    except Absent as error:
        return Result(failed=ABSENT, why=error.line())
    except TargetError as error:
        return Result(failed=UNKNOWN, why=error.line())
    except (ArchiveError, SnapshotError) as error:
        return Result(failed=BROKEN, why=error.text)
    except MemoryError:
        return Result(
            failed=UNKNOWN,
            why=f"restoring it needs more than {job.memory_bytes >> 20} MiB of memory",
        )
    except QuorateError as error:
        return Result(failed=UNKNOWN, why=error.line())
    rows = sum(len(table.records) for table in image.tables.held.values())
    return Result(sha256=seen.hexdigest(), size=size, digest=digest, index=meta.index, rows=rows)


def main() -> int:
    """One job, one result."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    signal.alarm(job.deadline_s)
    with suppress(OSError):
        os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (job.memory_bytes, job.memory_bytes))
    result = check(job)
    sys.stdout.buffer.write(msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
