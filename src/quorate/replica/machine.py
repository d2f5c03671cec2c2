"""What a replicated service must offer: apply a command, copy itself, take over a copy."""

from __future__ import annotations

from quorate.runtime.ports import Machine as StateMachine
from quorate.runtime.ports import Read, Write

__all__ = ["Read", "StateMachine", "Write"]
