"""Where a server stands, and how it must be able to write although its disk is full.

    <folder>/quorate.standing       two sealed lines of JSON (`twin_file`)

Its start number, the newest starts it has seen of the others, the level that its cluster has
reached, how long it may have promised to refuse votes, and whether its folder was found to be
rolled back. A server on a full disk still votes, and must not count a peer whose new start it
cannot remember: the file is changed in place.
"""

from __future__ import annotations

from typing import Final

import msgspec

from quorate.raft.values.identity import Start

STANDING_FILE: Final = "quorate.standing"


class RolledBack(msgspec.Struct, frozen=True):
    """A proven member said that this folder is an old copy. `at` is Unix time in seconds."""

    reason: str
    at: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file, for the server `server_id`.

    `start` is the number of the newest start of this folder, which never falls, not even with a
    new server ID. `level` is the highest feature level that its cluster is known to have.
    `promise_s` is the longest promise, in seconds, that a process on this folder may have given
    to a leader.
    """

    server_id: str
    start: int = 0
    level: int = 0
    promise_s: float = 0.0
    seen: dict[str, Start] = {}
    rolled_back: RolledBack | None = None


NEVER_STARTED: Final = Standing(server_id="")
"""Of a folder that no version with start numbers has opened."""
