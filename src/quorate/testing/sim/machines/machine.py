"""The replicated state machine of a simulated server: the real one, with a running digest beside.

It is what a `RaftDriver` drives (`quorate.runtime.ports.StateMachine`), and tells the checker all
that it is given.

Clients use two of its records as registers. Every value they write is written once only, so that a
compare-and-set by modify index is one by value.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import Any, Protocol

from quorate.errors import MachineHeld
from quorate.runtime.ports import Read, Write
from quorate.state.engine.commands import decode, encode
from quorate.state.engine.snapshot import SnapshotImage, decode_snapshot
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables import autopilot, scheduler
from quorate.state.tables.autopilot import AutopilotConfiguration, SetAutopilotConfiguration
from quorate.state.tables.checks import CheckState
from quorate.state.tables.scheduler import SchedulerConfiguration, SetSchedulerConfiguration

REGISTERS = ("scheduler", "autopilot")

_NOTE = re.compile(rb"[A-Za-z].*|\d+\.\d+", re.DOTALL)
"""What a client of the simulator or a scenario (`index.term`) writes: no command of the state."""


def write_command(register: str, value: int, cas: int | None = None) -> bytes:
    """The command that puts `value` into a register, if its modify index is `cas`."""
    if register == "scheduler":
        scheduler_configuration = SchedulerConfiguration(node_limit_for_feasibility_checks=value)
        return encode(SetSchedulerConfiguration(configuration=scheduler_configuration, cas=cas))
    autopilot_configuration = AutopilotConfiguration(max_trailing_logs=value)
    return encode(SetAutopilotConfiguration(configuration=autopilot_configuration, cas=cas))


def command_text(data: bytes) -> str:
    """A command of a client as people read it."""
    match decode(data, TODAY):
        case SetSchedulerConfiguration(configuration=found, cas=cas):
            what = f"scheduler={found.node_limit_for_feasibility_checks}"
        case SetAutopilotConfiguration(configuration=other, cas=cas):
            what = f"autopilot={other.max_trailing_logs}"
        case _:
            return data.decode(errors="backslashreplace").rstrip()
    return what if cas is None else f"{what} cas {cas}"


class Watch(Protocol):
    """The checker, as a machine sees it."""

    def in_order(self, machine: SimMachine, index: int) -> None:
        """It is given the command at `index`."""

    def applied(self, machine: SimMachine) -> None:
        """It has noted the command at its index."""

    def restored(self, machine: SimMachine, index: int) -> tuple[int, int]:
        """It has the state of a snapshot; index and digest of the last command in it."""


class Witness(Protocol):
    """Sees each command that is applied."""

    def applying(self, machine: SimMachine, index: int, command: bytes) -> None:
        """It is about to be."""

    def applied(self, machine: SimMachine, index: int, command: bytes, result: Any) -> None:
        """It was, and this is what came of it."""


class Stored(Protocol):
    """A snapshot on a disk."""

    @property
    def index(self) -> int:
        """Its label."""

    def image(self) -> SnapshotImage:
        """The state in it. Raises SnapshotError."""


class SimMachine:
    """See the module. `index` is that of the last command, `digest` over all commands in order."""

    def __init__(self, checker: Watch) -> None:
        self.index = 0
        self.digest = 0
        self.store = StateStore(TODAY)
        self.at_apply: Callable[[], object] | None = None  # to be done right after the next command
        self.holds_at = 0  # no command from this index on is understood; 0: all are
        self.checks: dict[int, str] = {}  # digests of the state where a check was applied
        self.spoiled = False
        self.changed_in_memory = False  # the cause, if it is spoiled
        self.witness: Witness | None = None
        self._checker = checker

    def apply(self, index: int, command: bytes) -> Any:
        """Apply one committed command; its result."""
        self._checker.in_order(self, index)
        if self.holds_at and index >= self.holds_at:
            raise MachineHeld(f"entry {index} needs another version")
        self.index = index
        self.digest = zlib.crc32(b"%d/" % index + command, self.digest)
        self._checker.applied(self)
        is_note = _NOTE.fullmatch(command) is not None
        if self.witness is not None and not is_note:
            self.witness.applying(self, index, command)
        result = None if is_note else self.store.apply(index, command)
        if self.witness is not None and not is_note:
            self.witness.applied(self, index, command, result)
        if type(result) is CheckState:
            self.checks[index] = self.store.digest().hex()
        if self.at_apply is not None:
            strike, self.at_apply = self.at_apply, None
            strike()
        return result

    def spoil(self) -> None:
        """A record is there that nobody wrote; what clients read is as it was.

        It has come as a cell of memory that changes, or as by a command that was applied otherwise.
        The first fits nothing that is kept of the rows, so no snapshot of it can be written.
        """
        image = self.store.image()
        row, self.changed_in_memory = AutopilotConfiguration(), bool(self.index % 2)
        if self.changed_in_memory:
            image.tables.rows(autopilot.TABLE).put("spoiled", row)
        else:
            image.tables.put(autopilot.TABLE, "spoiled", row, self.index)
        self.store.restore(image)
        self.spoiled = True

    def snapshot(self) -> Callable[[Write], object]:
        """A shallow copy, to be written out later."""
        return self.store.snapshot()

    def decode_snapshot(self, read: Read) -> Any:
        """The image in a body."""
        return decode_snapshot(read, TODAY)

    def restore(self, image: Stored) -> None:
        """Put a stored snapshot in place. Raises SnapshotError if it is damaged."""
        self.store.restore(image.image())
        self.checks.clear()
        self.spoiled = False
        self.index, self.digest = self._checker.restored(self, image.index)

    def read(self, register: str) -> tuple[int | None, int]:
        """Value and modify index of a register; (None, 0) before the first write."""
        if register == "scheduler":
            found = scheduler.current(self.store)
            return (
                (found.node_limit_for_feasibility_checks, found.modify_index)
                if found
                else (None, 0)
            )
        other = autopilot.current(self.store)
        return (other.max_trailing_logs, other.modify_index) if other else (None, 0)
