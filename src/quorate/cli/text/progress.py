"""How far a long operation is, on one line of a terminal that is written again and again.

It is for a person who waits: nothing is shown where stderr is no terminal, or the output is for
programs.
"""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import Final, Self

from quorate.cli.text.output import Output

EVERY_S: Final = 0.2
AFTER_S: Final = 0.5
"""What is over sooner shows nothing."""

_CLEAR: Final = "\r\x1b[K"


class Progress:
    """One operation. `what` names it: "Receiving"."""

    def __init__(self, out: Output, what: str, *, quiet: bool = False) -> None:
        self._stream = out.stderr
        self._what = what
        self._wanted = out.stderr.isatty() and not quiet
        self._next = monotonic() + AFTER_S
        self._shown = False
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._shown:
            self._stream.write(_CLEAR)
            self._stream.flush()

    def moved(self, size: int, of: int = 0) -> None:
        """So many bytes more, of so many if that is known."""
        self._bytes += size
        percent = f" ({min(self._bytes * 100 // of, 100)} %)" if of else ""
        self.say(f"{self._bytes / 1e6:.1f} MB{percent}")

    def say(self, text: str) -> None:
        """Show it, unless something was shown just now."""
        now = monotonic()
        if self._wanted and now >= self._next:
            self._next = now + EVERY_S
            self._shown = True
            self._stream.write(f"{_CLEAR}{self._what}: {text}")
            self._stream.flush()
