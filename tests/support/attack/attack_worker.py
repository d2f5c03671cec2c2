"""The process of the attackers, bound to one core: a command a line comes in, its sum goes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from attack_aim import Aim, Port, Target, in_tls
from attack_control_runs import valid
from attack_list import ATTACKS

KNOWN = {Port.HTTP: "client", Port.RPC: "s0"}
"""Whose certificate is good at that port."""


class Worker:
    """Such a process, from outside."""

    def __init__(self) -> None:
        here = Path(__file__)
        self._process = subprocess.Popen(
            [sys.executable, str(here)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def run(self, name: str, seconds: float, targets: list[Target], sent: int = -1) -> int:
        """Attack; how many bytes went out. With `sent`, as many valid bytes go out instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        command = {"name": name, "seconds": seconds, "targets": targets, "sent": sent}
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "error" not in said, said["error"]
        return int(said["sent"])

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()


def main() -> None:
    """Obey until the input ends."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for line in sys.stdin:
        command = json.loads(line)
        aim = Aim([Target(*each) for each in command["targets"]], command["seconds"])
        attack = ATTACKS[command["name"]]
        try:
            if command["sent"] >= 0:
                with in_tls(aim, KNOWN[attack.port]) if attack.tls else nullcontext():
                    valid(aim, attack.port, command["sent"], command["seconds"])
            else:
                attack.run(aim)
            said: dict[str, Any] = {"sent": aim.sent}
        except Exception as error:  # noqa: BLE001 - it is the other process that has to know
            said = {"error": repr(error)}
        aim.end()
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
