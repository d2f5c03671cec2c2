"""A value and where it was set: what files and flags become before they are merged.

A `Partial` is what one file, or the flags, or several merged, have to say: dotted keys
("server.raft_protocol") to settings. What nobody set is not in it; defaults come last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Source(NamedTuple):
    """A file and its line (0: unknown), or "flag -name"."""

    origin: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}" if self.line else self.origin

    @property
    def is_file(self) -> bool:
        """Whether a line of a file set it."""
        return self.line > 0


class Setting(NamedTuple):
    """A value of its kind: bool, int (durations: nanoseconds), float, str, tuple or dict."""

    value: Any
    source: Source


Partial = Mapping[str, Setting]
