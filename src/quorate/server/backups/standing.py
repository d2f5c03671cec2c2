"""How it stands with the backups of a cluster, for people."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from quorate.server.options import BackupOptions
from quorate.state.tables.backups import Backup, Progress


def digest_of(options: BackupOptions) -> str:
    """What is the same on servers that would make the same backups. It tells nothing else.

    Names of places alone go into it, and no credentials, nor the file that holds them.
    """
    places = [
        (each.url, each.endpoint, each.region) if each is not None else ()
        for each in (options.target, options.restore_from)
    ]
    schedule = "" if options.schedule is None else options.schedule.text
    text = msgspec.json.encode((*places, schedule, options.retain))
    return sha256(b"quorate backups 1\0" + text).hexdigest()[:16]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """`problem` is empty if all is well. `next_due` is Unix time in seconds, 0 without a schedule.

    `verified_age_s` is the age of the state in the newest verified backup, None while there is
    none.
    """

    newest_first: tuple[Backup, ...]
    progress: Progress
    problem: str
    next_due: int
    verified_age_s: float | None
