"""A faulty version to come: `python future_version.py agent ...` is `quorate agent ...` of it.

It writes the scheduler configuration with a new type of command, at once, whatever level the
cluster is of. Servers of today that follow it must not take harm.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

import quorate.version
from quorate.state.tables import scheduler

VERSION = "9.9.9"
TYPE = 0x7F


class SetSchedulerAnotherWay(scheduler.SetSchedulerConfiguration, frozen=True, kw_only=True):
    TYPE: ClassVar[int] = TYPE


def main() -> None:
    # Before anything that reads these is imported.
    quorate.version.__version__ = VERSION
    known = scheduler.TABLE.commands
    table = msgspec.structs.replace(scheduler.TABLE, commands=(*known, SetSchedulerAnotherWay))
    vars(scheduler).update(TABLE=table, SetSchedulerConfiguration=SetSchedulerAnotherWay)
    from quorate.cli.main import main as run

    raise SystemExit(run())


if __name__ == "__main__":
    main()
