"""Acts on the data folder of a stopped server: noted in its local file of audit records.

The server enters them in the journal once there is a leader (docs/audit.md). No act is refused
because it cannot be noted.
"""

from __future__ import annotations

import os
import pwd
import time
from typing import Final

from quorate.errors import QuorateError
from quorate.recovery.looking.folders import DataDir
from quorate.storage.folder.audit_file import AuditFile, LocalRecord, file_of

OFFLINE: Final = "offline"
BEGUN: Final = "begun"
DONE: Final = "done"
FAILED: Final = "failed"
_AGENTS_FOLDER: Final = "server"  # in the data folder of an agent; others have no journal


def note(
    folder: DataDir,
    what: str,
    outcome: str,
    *,
    subject: str = "",
    details: tuple[tuple[str, str], ...] = (),
) -> str:
    """Note it, durably. Empty, or why it was not noted."""
    if folder.root.name != _AGENTS_FOLDER:
        return ""
    record = LocalRecord(
        number=0,
        series="",
        time_ms=time.time_ns() // 1_000_000,
        what=what,
        name=_user(),
        address=OFFLINE,
        subject=subject,
        outcome=outcome,
        details=details,
    )
    try:
        AuditFile(file_of(folder.root.parent), os.urandom(8).hex()).append(record)
    except QuorateError as error:
        return error.line()
    return ""


def _user() -> str:
    """The user who runs this: it proves nothing but what the system has let in."""
    number = os.getuid()
    try:
        return f"{pwd.getpwuid(number).pw_name} (uid {number})"
    except KeyError:
        return f"uid {number}"
