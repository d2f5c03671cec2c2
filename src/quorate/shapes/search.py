"""The answer of `/v1/search` and `/v1/search/fuzzy`."""

from __future__ import annotations

from typing import Any

import msgspec


class SearchAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """By context: names, or objects with an `ID`. `last_contact` is in nanoseconds."""

    index: int = 0
    known_leader: bool = False
    last_contact: int = 0
    matches: dict[str, list[Any]] = {}
    next_token: str = ""
    truncations: dict[str, bool] = {}
