"""Facts for docs/verification.md: how fast clusters of one make and of both write and elect.

Run by `make mixed`. The peers' control connections and wires are part of what is measured, so the
figures compare with each other and with nothing else.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from mixed_cluster import Cluster, cluster
from mixed_load import Load

_SECONDS = 5.0
_KILLS = 5


def rate(mixed: Cluster, writers: int) -> float:
    """Acknowledged writes a second."""
    with Load(mixed, writers, name=f"rate{time.monotonic_ns()}-") as load:
        load.more(20)
        before, started = load.written, time.monotonic()
        while time.monotonic() < started + _SECONDS:
            load.more(1)
        return (load.written - before) / (time.monotonic() - started)


def replaced_after(mixed: Cluster, make: str) -> float:
    """Seconds from the leader's death until all others follow another."""
    dying = mixed.lead(make)
    dying.kill()
    started = time.monotonic()
    mixed.leader()
    taken = time.monotonic() - started
    mixed.start(dying.name)
    return taken


def main() -> None:
    """A row for each cluster and leader."""
    print("servers  leader   writes/s by 1  by 16  dead leader replaced: median  worst")
    for makes in ("ggg", "ggq", "gqq", "qqq", "ggqqq"):
        for make in sorted(set(makes)):
            with (
                tempfile.TemporaryDirectory() as folder,
                # Timing as each make has it by default.
                cluster(Path(folder), makes) as mixed,
            ):
                mixed.lead(make)
                one, many = rate(mixed, 1), rate(mixed, 16)
                times = sorted(replaced_after(mixed, make) for _ in range(_KILLS))
            name = {"g": "Go", "q": "Quorate"}[make]
            median = times[len(times) // 2]
            print(
                f"{makes:8} {name:8} {one:13.0f} {many:6.0f} {median:26.2f} s {times[-1]:6.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
