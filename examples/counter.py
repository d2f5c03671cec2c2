"""A replicated counter inside an asyncio service: `python counter.py ID PORT DIR ID=ADDRESS ...`.

Start three, then talk to any of them: `add 5` and `get`, a line each, over TCP. A server that
does not lead names the one that does.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from quorate.errors import QuorateError
from quorate.replica import serve


class Counter:
    """The state machine: one number."""

    value = 0

    def apply(self, _index: int, command: bytes) -> int:
        """Carry out one committed command."""
        self.value += int(command)
        return self.value

    def snapshot(self) -> Callable[[Callable[[bytes], object]], None]:
        """A copy now, written out later."""
        data = b"%d" % self.value

        def write_out(write: Callable[[bytes], object]) -> None:
            write(data)

        return write_out

    def decode_snapshot(self, read: Callable[[int], bytes]) -> int:
        """What `snapshot` wrote."""
        return int(read(32))

    def restore(self, image: int) -> None:
        """Go on from there."""
        self.value = image


async def main(server_id: str, port: str, folder: str, *servers: str) -> None:
    """Start the replica, and answer lines."""
    counter = Counter()
    replica = await serve(server_id, dict(s.split("=") for s in servers), counter, Path(folder))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            try:
                if line.startswith(b"add "):
                    _, value = await replica.propose(b"%d" % int(line[4:]))
                else:
                    await replica.read_barrier()
                    value = counter.value
                writer.write(b"%d\n" % value)
            except (QuorateError, ValueError) as error:
                writer.write(f"error: {error}; leader: {replica.node.leader_id}\n".encode())

    async with await asyncio.start_server(answer, "127.0.0.1", int(port)) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
