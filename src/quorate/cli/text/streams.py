"""Standard streams that are closed, or cannot be written to.

A process may be started with closed streams (`2>&-`). The first file that is opened would then get
the number of such a stream, and be written to by all who print; so each gets /dev/null, first
thing.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

_NAMES = ("stdin", "stdout", "stderr")


def open_standard_streams() -> None:
    """Put /dev/null in the place of each standard stream that is closed."""
    for number, name in enumerate(_NAMES):
        try:
            os.fstat(number)
        except OSError:
            given = os.open(os.devnull, os.O_RDWR)
            if given != number:
                os.dup2(given, number)
                os.close(given)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def spare_poor_terminals() -> None:
    """No name of a server breaks a terminal that cannot show it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def drop_output() -> None:
    """Python flushes its streams once more at exit: give them a place that takes everything."""
    null = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(null, number)
