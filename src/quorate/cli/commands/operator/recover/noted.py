"""Acts on a stopped server's folder leave an audit record there (docs/audit.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from quorate.cli.context import Context
from quorate.recovery.looking.folders import DataDir
from quorate.recovery.looking.noting import BEGUN, DONE, FAILED, note


@contextmanager
def noted(context: Context, folder: DataDir, what: str, **details: str) -> Iterator[None]:
    """Note that it begins, and how it ends. It is done all the same if that cannot be noted."""
    given = tuple((name, text) for name, text in details.items() if text)
    _note(context, folder, what, BEGUN, given)
    try:
        yield
    except BaseException:
        _note(context, folder, what, FAILED, given)
        raise
    _note(context, folder, what, DONE, given)


def _note(
    context: Context,
    folder: DataDir,
    what: str,
    outcome: str,
    details: tuple[tuple[str, str], ...],
) -> None:
    if why := note(folder, what, outcome, details=details):
        context.out.error(f"no audit record is kept of this: {why}")
