"""`quorate version`."""

from __future__ import annotations

from quorate.cli.context import Context
from quorate.version import __version__


def run(context: Context) -> int:
    """Print the version."""
    context.out.line(f"Quorate v{__version__}")
    return 0
