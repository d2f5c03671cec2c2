"""A job that runs on one machine of many at a time: the one that leads.

    python cron.py ADDRESS NAME SECONDS PROGRAM [ARGUMENT ...]

Start it on each machine with another NAME. One of them runs the program every SECONDS; if its
machine dies, another one takes over when the lock's TTL is over. At SIGTERM and SIGINT it ends the
program and releases the lock, and another one takes over at once. The program finds its fencing
number in FENCE.
"""

import os
import signal
import subprocess
import sys
from types import FrameType

from quorate.client import Client, Election, LockLost

PATH = "examples/cron"
USAGE = "Usage: python cron.py ADDRESS NAME SECONDS PROGRAM [ARGUMENT ...]"
PERIOD_MAX_S = 1e6


def main(address: str, name: str, period_s: float, program: list[str]) -> None:
    """Wait to be elected, work, and begin again when the lead is lost."""
    with Client(address) as client:
        while True:
            try:
                with Election(client.variables, PATH, name, ttl_s=10, delay_s=1) as election:
                    print(f"{name} leads, fencing number {election.fence}", flush=True)
                    environment = {**os.environ, "FENCE": str(election.fence)}
                    while not election.lost.wait(period_s):
                        election.check()
                        run(program, environment)
            except LockLost as lost:
                print(f"{name} leads no more: {lost}", flush=True)


def run(program: list[str], environment: dict[str, str]) -> None:
    """Run the program to its end; it does not outlive this process."""
    with subprocess.Popen(program, env=environment) as process:
        try:
            process.wait()
        except BaseException:
            process.terminate()
            raise


def end(number: int, _: FrameType | None) -> None:
    """Leave by way of the `with` blocks, which release the lock."""
    sys.exit(128 + number)


def arguments(words: list[str]) -> tuple[str, str, float, list[str]]:
    """Address, name, period in seconds and program. Raises SystemExit with the usage."""
    try:
        address, name, seconds, *program = words
        period_s = float(seconds)
    except ValueError:
        sys.exit(USAGE)
    if not program or not 0 < period_s < PERIOD_MAX_S:
        sys.exit(USAGE)
    return address, name, period_s, program


if __name__ == "__main__":
    given = arguments(sys.argv[1:])
    for asked_to_end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked_to_end, end)
    main(*given)
