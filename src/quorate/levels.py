"""The feature levels: what a cluster may use once all of its servers know it.

A cluster has one level, kept in its replicated state. It only rises, by a command that the leader
writes when every voter and non-voter reports at least the new level. It gates command types, the
state's digest, the format of snapshots, tables and calls between servers, so that no server ever
meets what it cannot read (pain 19). A version knows all levels up to its own (docs/upgrading.md).
"""

from __future__ import annotations

from typing import Final

LEVEL: Final = 1
"""The highest level that this version knows."""

FIRST_VERSIONS: Final = {0: "0.1.0 before levels", 1: "0.1.0"}
"""The first version of Quorate that knows each level, for people."""
