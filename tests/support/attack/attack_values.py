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
    what it may write, `left_open` how many descriptors it may keep for a while; `lasting` attacks
    leave something behind for minutes, and come last. The everyday suite runs those that did
    something to the first version, and those that are `everyday`. With `tls` the servers speak TLS
    at their HTTP port, where clients need a certificate, and with each other.
    """

    name: str
    port: Port
    run: Run
    before: str = ""
    callback_ms: float = CALLBACK_MS
    memory_mb: float = 48.0
    descriptors: int = 150
    log_bytes: int = 32 * 1024
    left_open: int = 12
    lasting: bool = False
    everyday: bool = False
    tls: bool = False
