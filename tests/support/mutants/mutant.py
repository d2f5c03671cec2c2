"""A deliberate bug: one piece of text in one function is another for as long as a `with` lasts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from mutation import replaced


class Mutant(NamedTuple):
    """`old` occurs once in the source of `function`; `new` stands in its place.

    `seeds` is the number of seeds, from 0 on, within which the simulator finds it; 0 if only a
    scenario does, because nothing is wrong that the simulator could see, only slow or wasteful.
    `disks` is the same number for lives of one disk alone, which find bugs of the log store.
    `scenario` shows it in the small.
    """

    name: str
    function: Callable[..., Any]
    old: str
    new: str
    seeds: int
    scenario: str = ""
    disks: int = 0


def mutated(mutant: Mutant) -> AbstractContextManager[None]:
    """The bug is in the code."""
    return replaced(mutant.name, mutant.function, mutant.old, mutant.new)
