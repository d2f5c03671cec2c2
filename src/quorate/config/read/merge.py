"""Merging of a later file, or of flags, into earlier settings.

See docs/configuration.md#files-flags-and-order.

A later false, 0, "" or [] does not override an earlier value (nor a default, for it is simply
dropped), except for keys whose "unset" is known. Lists of the old join keys grow; other lists are
replaced; maps merge by key.
"""

from __future__ import annotations

from collections.abc import Iterable

from quorate.config.keys.schema import KEYS
from quorate.config.keys.spec import Merge
from quorate.config.read.value import Partial, Setting


def merge(partials: Iterable[Partial]) -> Partial:
    """All settings together; later ones win by the rules of their keys."""
    merged: dict[str, Setting] = {}
    for partial in partials:
        for name, later in partial.items():
            _put(merged, name, later)
    return merged


def _put(merged: dict[str, Setting], name: str, later: Setting) -> None:
    rules = KEYS.get(name)
    how = rules.merge if rules is not None else Merge.SET
    if how != Merge.GIVEN and not later.value:
        return
    earlier = merged.get(name)
    if earlier is not None and how == Merge.APPEND:
        later = Setting((*earlier.value, *later.value), later.source)
    elif earlier is not None and how == Merge.MAP:
        later = Setting({**earlier.value, **later.value}, later.source)
    merged[name] = later
