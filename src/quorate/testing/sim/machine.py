"""The replicated state machine of a simulated server: the real one, with a running digest beside.

Clients use two of its records as registers. Every value they write is written once only, so that a
compare-and-set by modify index is one by value.
"""

from __future__ import annotations

import zlib
from typing import Any

from quorate.raft.messages import Entry, EntryKind
from quorate.state import autopilot, scheduler
from quorate.state.autopilot import AutopilotConfiguration, SetAutopilotConfiguration
from quorate.state.commands import decode, encode
from quorate.state.scheduler import SchedulerConfiguration, SetSchedulerConfiguration
from quorate.state.snapshot import SnapshotImage
from quorate.state.store import StateStore

REGISTERS = ("scheduler", "autopilot")


def write_command(register: str, value: int, cas: int | None = None) -> bytes:
    """The command that puts `value` into a register, if its modify index is `cas`."""
    if register == "scheduler":
        scheduler_configuration = SchedulerConfiguration(node_limit_for_feasibility_checks=value)
        return encode(SetSchedulerConfiguration(configuration=scheduler_configuration, cas=cas))
    autopilot_configuration = AutopilotConfiguration(max_trailing_logs=value)
    return encode(SetAutopilotConfiguration(configuration=autopilot_configuration, cas=cas))


def command_text(data: bytes) -> str:
    """A command of a client as people read it."""
    match decode(data):
        case SetSchedulerConfiguration(configuration=found, cas=cas):
            what = f"scheduler={found.node_limit_for_feasibility_checks}"
        case SetAutopilotConfiguration(configuration=other, cas=cas):
            what = f"autopilot={other.max_trailing_logs}"
        case _:
            return data.decode(errors="backslashreplace").rstrip()
    return what if cas is None else f"{what} cas {cas}"


class SimMachine:
    """See the module. `digest` is over all entries applied, in order."""

    def __init__(self) -> None:
        self.index = 0
        self.digest = 0
        self.store = StateStore()

    def apply(self, entry: Entry) -> Any:
        """Apply one committed entry; the command's result."""
        self.index = entry.index
        text = b"%d/%d/%d/" % (entry.index, entry.term, entry.kind) + entry.data
        self.digest = zlib.crc32(text, self.digest)
        is_note = entry.data[:1].isalnum()  # of a scenario or client: no command
        if entry.kind == EntryKind.COMMAND and not is_note:
            return self.store.apply(entry.index, entry.data)
        return None

    def restore(self, index: int, image: SnapshotImage, digest: int) -> None:
        """Put a snapshot's state in place."""
        self.index = index
        self.digest = digest
        self.store.restore(image)

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
