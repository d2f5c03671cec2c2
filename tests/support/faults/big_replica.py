"""One replica of a large state, as a process: lines of JSON in, lines of JSON out.

Commands: {"do": "fill", "count": n, "bytes": n}, {"do": "steady", "on": bool}, {"do": "status"}.
A key is written by `fill`, and one number again and again while `steady` is on. A leader may wait
long for its disk here, for it is not the disk's speed that is in question.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop

from quorate.errors import QuorateError
from quorate.raft import Settings
from quorate.raft.effects import RoleChanged
from quorate.replica import Options, Replica, serve
from quorate.runtime.ports import Read, Write

_AT_ONCE = 8
_HEAD = 16  # a key of 8 bytes, a size of 8 bytes


class Blobs:
    """Bytes by key; a command is the key, then the value."""

    def __init__(self) -> None:
        self.values: dict[int, bytes] = {}

    def apply(self, index: int, command: bytes) -> None:
        del index
        self.values[int.from_bytes(command[:8], "big")] = command[8:]

    def snapshot(self) -> Callable[[Write], object]:
        values = dict(self.values)

        def write_all(write: Write) -> None:
            for key, value in values.items():
                write(key.to_bytes(8, "big") + len(value).to_bytes(8, "big"))
                write(value)

        return write_all

    def decode_snapshot(self, read: Read) -> dict[int, bytes]:
        image = {}
        while head := read(_HEAD):
            while len(head) < _HEAD:
                head += read(_HEAD - len(head))
            size = int.from_bytes(head[8:], "big")
            value = bytearray()
            while len(value) < size:
                value += read(size - len(value))
            image[int.from_bytes(head[:8], "big")] = bytes(value)
        return image

    def restore(self, image: dict[int, bytes]) -> None:
        self.values = image


class Process:
    """The replica, and what is asked of it."""

    def __init__(self, replica: Replica[Any], machine: Blobs) -> None:
        self.replica = replica
        self.machine = machine
        self.steady = False
        self.written = 0
        self.elections = 0
        self.slowest_s = 0.0
        replica.on_role.append(self._role)
        self._background = asyncio.create_task(self._write_steadily())

    def _role(self, change: RoleChanged) -> None:
        self.elections += "candidate" in change.role.value

    async def _write_steadily(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(0.02)
            if not (self.steady and self.replica.is_leader):
                continue
            began = loop.time()
            try:
                await self.replica.propose(bytes(8) + self.written.to_bytes(8, "big"))
            except QuorateError:
                continue
            self.slowest_s = max(self.slowest_s, loop.time() - began)
            self.written += 1

    async def fill(self, count: int, size: int) -> None:
        """Write those of `count` values of `size` bytes that are missing, while this one leads."""
        keys = iter([key for key in range(1, count + 1) if key not in self.machine.values])

        async def some() -> None:
            for key in keys:
                value = key.to_bytes(4, "big") * (size // 4)
                await self.replica.propose(key.to_bytes(8, "big") + value)

        # Who leads may change on a busy disk; then the others of these fail as well.
        await asyncio.gather(*(some() for _ in range(_AT_ONCE)), return_exceptions=True)

    def status(self) -> dict[str, Any]:
        """What can be seen of this replica."""
        node = self.replica.node
        return {
            "leads": self.replica.is_leader,
            "leader": node.leader_id,
            "term": node.term,
            "applied": node.applied_index,
            "snapshot": node.log.snapshot_index,
            "keys": len(self.machine.values),
            "bytes": sum(map(len, self.machine.values.values())),
            "newest": int.from_bytes(self.machine.values.get(0, b""), "big"),
            "written": self.written,
            "slowest_s": self.slowest_s,
            "elections": self.elections,
            "resident_max_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10,
        }


async def main(server_id: str, servers: dict[str, str], folder: Path, *, join: bool) -> None:
    machine = Blobs()
    options = Options(
        settings=Settings(trailing_logs=50, disk_stall_s=10.0),
        snapshot_threshold=200,
        snapshot_interval_s=1.0,
    )
    replica = await serve(server_id, servers, machine, folder, options, join=join)
    process = Process(replica, machine)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    while line := await lines.readline():
        asked = json.loads(line)
        match asked["do"]:
            case "fill":
                await process.fill(asked["count"], asked["bytes"])
            case "steady":
                process.steady = asked["on"]
        print(json.dumps(process.status()), flush=True)


if __name__ == "__main__":
    uvloop.run(
        main(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]), join="--join" in sys.argv)
    )
