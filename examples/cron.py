"""A job that runs on one machine of many at a time: the one that leads.

    python cron.py ADDRESS NAME SECONDS PROGRAM [ARGUMENT ...]

Start it on each machine with another NAME. One of them runs the program every SECONDS; if its
machine dies, another one takes over. The program finds its fencing number in FENCE.
"""

import os
import subprocess
import sys

from quorate.client import Client, Election, LockLost

PATH = "examples/cron"


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
                        subprocess.run(program, env=environment, check=False)
            except LockLost as lost:
                print(f"{name} leads no more: {lost}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4:])
