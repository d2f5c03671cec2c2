"""How large the state is. See docs/variables.md#the-bound-of-the-state."""

from __future__ import annotations

import msgspec


class NamespaceSize(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Bytes that a namespace's variables and locks take; `bytes_max` 0: no bound of its own."""

    namespace: str = ""
    bytes: int = 0
    bytes_max: int = 0


class PrefixSize(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The variables whose paths begin so; with an empty prefix those without a slash."""

    namespace: str = ""
    prefix: str = ""
    bytes: int = 0
    variables: int = 0


class StateSize(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """`operator/state`. All sizes are bytes of memory.

    `bytes_max` is the bound in force, 0 while there is none: `limit` if an operator has set it,
    else a quarter of the memory of the smallest server. `namespaces` and `prefixes` are the largest
    ones, and `warning` says which bounds are nearly reached.
    """

    bytes: int = 0
    bytes_max: int = 0
    limit: int = 0
    smallest_server: str = ""
    smallest_memory: int = 0
    warning: str = ""
    variables: int = 0
    namespaces: tuple[NamespaceSize, ...] = ()
    namespaces_not_shown: int = 0
    prefixes: tuple[PrefixSize, ...] = ()
