"""`python -m bench.watches.writing PORT RATE`: writes of other keys, in a process of its own.

It goes on until its input ends, and prints how many writes a second were answered.
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop

from bench.load import LoadFailed
from bench.watches.wire import checked, connected, put

CONNECTIONS = 32
KEYS = 10_000
VALUE = "v" * 256


async def _written(port: int, rate: float) -> float:
    done = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), done.set)
    counts = [0] * CONNECTIONS
    began = time.perf_counter()

    async def write(number: int) -> None:
        connection = await connected(port)
        due = began + number / rate
        while not done.is_set():
            key = (counts[number] * CONNECTIONS + number) % KEYS
            request = put(f"/v1/var/other/{key:05}", {"Items": {"v": VALUE}})
            checked((await connection.ask(request))[1])
            counts[number] += 1
            due += CONNECTIONS / rate
            left = due - time.perf_counter()
            if left > 0:
                await asyncio.sleep(left)
        connection.close()

    await asyncio.gather(*map(write, range(CONNECTIONS)))
    return sum(counts) / (time.perf_counter() - began)


def main() -> int:
    """Write; the exit code."""
    port, rate = int(sys.argv[1]), float(sys.argv[2])
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(f"{runner.run(_written(port, rate)):.0f}", flush=True)
    except (LoadFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
