"""A holder of a lock as a process: `python lock_holder.py ADDRESS PATH TTL_S DELAY_S HOLD_S`.

It says, in lines of JSON, when it got the lock, and again and again that it believes to hold it:
the time just before it looked, by the clock that all processes of the machine share, and the fence.
"""

from __future__ import annotations

import json
import sys
import threading
import time

from quorate.client import Client, ClientError, Lock

_LOOK_S = 0.01


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def hold(client: Client, path: str, ttl_s: float, delay_s: float, hold_s: float) -> None:
    pause = threading.Event()
    with Lock(client.variables, path, ttl_s=ttl_s, delay_s=delay_s) as lock:
        got = time.monotonic()
        say(got=got, fence=lock.fence)
        while (before := time.monotonic()) < got + hold_s:
            lock.check()
            say(believes=before, fence=lock.fence)
            pause.wait(_LOOK_S)


def main() -> None:
    address, path, *numbers = sys.argv[1:]
    ttl_s, delay_s, hold_s = map(float, numbers)
    with Client(address) as client:
        while True:
            try:
                hold(client, path, ttl_s, delay_s, hold_s)
            except (ClientError, TimeoutError):
                threading.Event().wait(0.1)


if __name__ == "__main__":
    main()
