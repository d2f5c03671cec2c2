"""`quorate version`."""

from __future__ import annotations

from quorate import __version__
from quorate.cli.context import Context


def run(context: Context) -> int:
    """Print the version."""
    context.out.line(f"Quorate v{__version__}")
    return 0
