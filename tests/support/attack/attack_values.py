"""What an attack is, as a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from attack_aim import Aim, Port

Run: TypeAlias = Callable[[Aim], None]

CALLBACK_MS = 10.0
"""No work for a stranger takes more of the loop (docs/security.md)."""


class Attack(NamedTuple):
    """`before` is what it did to the first version, where that was tried.

    `memory_mb` and `descriptors` are what a server may take more while it is attacked, `log_bytes`
    what it may write; `lasting` attacks leave something behind for minutes, and come last.
    """

    name: str
    port: Port
    run: Run
    before: str = ""
    callback_ms: float = CALLBACK_MS
    memory_mb: float = 48.0
    descriptors: int = 150
    log_bytes: int = 32 * 1024
    lasting: bool = False
