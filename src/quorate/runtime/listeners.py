"""Listeners of a replica: functions that its owner adds, called when something happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from quorate.errors import MachineHeld
from quorate.raft.effects import ConfigurationChanged, RoleChanged


def tell(listeners: list[Callable[..., None]], *what: Any) -> None:
    """Call each of them."""
    for listener in listeners:
        listener(*what)


@dataclass
class Listeners:
    """Lists to append to. They are called on the replica's thread, in the midst of its work."""

    role: list[Callable[[RoleChanged], None]] = field(default_factory=list)
    configuration: list[Callable[[ConfigurationChanged], None]] = field(default_factory=list)
    refused: list[Callable[[str, str], None]] = field(default_factory=list)
    """A peer (the first text names it) said what it should not (the second)."""
    held: list[Callable[[MachineHeld | None], None]] = field(default_factory=list)
    """The state machine cannot apply the next entry; None: a snapshot took it past that."""
    failure: list[Callable[[BaseException], None]] = field(default_factory=list)
    """The replica has ended with this error: end the process."""
