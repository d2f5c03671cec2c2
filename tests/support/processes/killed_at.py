"""`python killed_at.py agent ...` is `quorate agent ...`, which kills itself at a named step.

The step stands in the file that KILLED_AT names, as soon as it is there: a name, as the functions
below are told. So a test arms a server that has long been running. SIGKILL leaves no time for
anything, as the loss of a machine does not.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ARMED = Path(os.environ.get("KILLED_AT", "/nowhere"))


def reached(step: str) -> None:
    """The process has come to this step."""
    try:
        armed = _ARMED.read_text()
    except OSError:
        return
    if armed == step:
        _ARMED.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def around(owner: Any, name: str, before: str = "", after: str = "") -> None:
    """Calls of this function are steps."""
    called = getattr(owner, name)

    def stepped(*arguments: Any, **more: Any) -> Any:
        if before:
            reached(before)
        result = called(*arguments, **more)
        if after:
            reached(after)
        return result

    setattr(owner, name, stepped)


def watch_applying() -> None:
    """`before <name>` and `after <name>`, for each kind of command that is applied."""
    from quorate.state.engine.commands import type_of
    from quorate.state.engine.store import StateStore

    names: dict[int, str] = {}

    def name_of(store: StateStore, command: bytes) -> str:
        if not names:
            names.update({t: d.type.__name__ for t, d in store.registry.decoders.items()})
        try:
            return names[type_of(command, store.registry)]
        except (AssertionError, KeyError):
            return "?"

    store_class: Any = StateStore
    apply: Callable[..., Any] = store_class.apply

    def stepped(store: StateStore, index: int, command: bytes) -> Any:
        if not _ARMED.exists():
            return apply(store, index, command)
        name = name_of(store, command)
        reached(f"before {name}")
        result = apply(store, index, command)
        reached(f"after {name}")
        return result

    store_class.apply = stepped


def watch_archives() -> None:
    """Steps of saves and restores on a server."""
    from quorate.server.archive import safety
    from quorate.server.archive.spool import Spool

    around(Spool, "write", "spool begun", "spool written")
    around(Spool, "read", "spool read", "spool sent")
    around(safety, "_begin", "safety begun", "safety made")
    around(safety, "_give_name", "safety written", "safety named")


def watch_recovering() -> None:
    """Steps of a recovery of a server that runs."""
    from quorate.recovery import recovering
    from quorate.server.recovery import live

    around(live, "write_prepared", "mark begun", "mark written")
    around(recovering, "keep", "recovery begun", "folder kept")
    around(recovering, "_write_snapshot", "", "new snapshot written")
    around(recovering, "_empty_log", "", "log emptied")
    around(recovering, "write_identity", "", "epoch written")
    around(live, "forget_prepared", "recovered", "mark removed")


def watch_backups() -> None:
    """Steps of a backup into a folder. What is applied for it is watched by `watch_applying`."""
    from quorate.backup import folder
    from quorate.backup.proving import Proof
    from quorate.server.backups.taking import Taking

    around(Taking, "take", "take begun")
    around(folder, "_private", "put begun", "put opened")
    around(folder, "_name", "put written", "put named")
    around(Proof, "run", "check begun", "check ended")
    around(folder.FolderTarget, "delete", "delete begun", "delete ended")


def watch_saving() -> None:
    """Steps of `operator snapshot save`, of the client."""
    from quorate.cli.commands.snapshot import save

    around(save, "_receive", "file made", "file received")
    around(save, "contents", "file written", "file checked")
    around(save, "give_name", "", "file named")


def main() -> None:
    if "agent" in sys.argv[1:2]:
        watch_applying()
        watch_archives()
        watch_backups()
        watch_recovering()
    else:
        watch_saving()
    from quorate.cli.main import main as run

    raise SystemExit(run())


if __name__ == "__main__":
    main()
