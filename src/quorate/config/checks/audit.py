"""Checks of the `audit` block, each with its cure. The file is opened at the start, not here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from quorate.config.keys.effects import error_at
from quorate.config.model import AgentConfig
from quorate.errors import ConfigError

ENFORCED: Final = "enforced"
BEST_EFFORT: Final = "best-effort"

_MODE: Final = re.compile(r"0?[0-7]{3}")


def audit_problems(config: AgentConfig) -> Iterator[ConfigError]:
    """What is wrong with it as it was written."""
    sink = config.audit.sink
    for key, value, allowed in (
        ("type", sink.type, ("file",)),
        ("format", sink.format, ("json",)),
        ("delivery_guarantee", sink.delivery_guarantee, (BEST_EFFORT, ENFORCED)),
    ):
        if value not in allowed:
            shown = " or ".join(f'"{each}"' for each in allowed)
            text = f"audit.sink.{key} must be {shown}, got {value[:40]!r}"
            yield error_at(config, f"audit.sink.{key}", text)
    if not _MODE.fullmatch(sink.mode):
        text = f'audit.sink.mode must be an octal mode such as "0600", got {sink.mode[:40]!r}'
        yield error_at(config, "audit.sink.mode", text)
    if sink.path.endswith("/"):
        yield error_at(
            config, "audit.sink.path", "audit.sink.path must name a file", "add the file's name"
        )
