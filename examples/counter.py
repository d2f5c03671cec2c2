"""A replicated counter inside an asyncio service.

    python counter.py ID PORT DIR ID=ADDRESS ...          a founder
    python counter.py --join ID PORT DIR ID=ADDRESS ...   a server that joins later

Start three founders with the same list, then talk to any of them over TCP, a line each: `add 5`,
`get`, and at the leader `members`, `promote ID`, `remove ID`. A server that does not lead names the
one that does.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

from quorate import Change, ChangeKind, QuorateError, Read, Replica, Write, serve


class Counter:
    """The state machine: one number."""

    value = 0

    def apply(self, _index: int, command: bytes) -> int:
        """Carry out one committed command."""
        self.value += int(command)
        return self.value

    def snapshot(self) -> Callable[[Write], None]:
        """A copy now, written out later."""
        data = b"%d" % self.value

        def write_out(write: Write) -> None:
            write(data)

        return write_out

    def decode_snapshot(self, read: Read) -> int:
        """What `snapshot` wrote."""
        return int(read(32))

    def restore(self, image: int) -> None:
        """Go on from there."""
        self.value = image


async def carry_out(line: str, replica: Replica[int], counter: Counter) -> str:
    """The answer to one line."""
    match line.split():
        case ["add", number]:
            _, value = await replica.propose(b"%d" % int(number))
            return str(value)
        case ["get"]:
            await replica.read_barrier()
            return str(counter.value)
        case ["members"]:
            servers = replica.status().configuration.servers
            return " ".join(s.id if s.is_voter else f"{s.id}(no vote)" for s in servers)
        case ["promote", server_id]:
            return str(await replica.change(Change(ChangeKind.PROMOTE, server_id)))
        case ["remove", server_id]:
            return str(await replica.change(Change(ChangeKind.REMOVE_SERVER, server_id)))
        case _:
            return "error: add NUMBER, get, members, promote ID or remove ID"


async def main(*arguments: str) -> None:
    """Start the replica, and answer lines."""
    join = arguments[0] == "--join"
    server_id, port, folder, *listed = arguments[1:] if join else arguments
    servers = dict(server.split("=") for server in listed)
    counter = Counter()
    replica = await serve(server_id, servers, counter, Path(folder), join=join)
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    replica.on_failure.append(failed.set_exception)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            try:
                text = await carry_out(line.decode(), replica, counter)
            except (QuorateError, ValueError) as error:
                text = f"error: {error}; leader: {replica.status().leader_id}"
            writer.write(text.encode() + b"\n")

    async with await asyncio.start_server(answer, "127.0.0.1", int(port)):
        await failed  # a replica that has ended answers nothing more: end the process


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except QuorateError as error:
        sys.exit(error.line())
