"""Names of policies and roles, and descriptions."""

from __future__ import annotations

from typing import Final

NAME_LENGTH_MAX: Final = 128
DESCRIPTION_LENGTH_MAX: Final = 256
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
_QUOTED_MAX: Final = 200


def is_name(text: str) -> bool:
    """Whether it is `[a-zA-Z0-9-]{1,128}`."""
    return 0 < len(text) <= NAME_LENGTH_MAX and _NAME.issuperset(text)


def name_faults(name: str) -> list[str]:
    """What is wrong with the name of a policy or role."""
    return [] if is_name(name) else [f"invalid name '{name[:_QUOTED_MAX]}'"]


def description_faults(description: str) -> list[str]:
    """What is wrong with a description."""
    if len(description) <= DESCRIPTION_LENGTH_MAX:
        return []
    return [f"description longer than {DESCRIPTION_LENGTH_MAX}"]
