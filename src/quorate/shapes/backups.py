"""Backups as an operator sees them (docs/backups.md)."""

from __future__ import annotations

import msgspec

from quorate.shapes.shape import Index


class BackupShape(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One backup. Times are Unix milliseconds, `due` is Unix seconds.

    `status` is verified, taken (not verified as yet), damaged, or placing; `why` says more.
    `audit_head` is the head of the audit log when it was first checked, for `audit verify -head`.
    `servers` held the digest of its state at `index`, when it was taken.
    """

    name: str = ""
    status: str = ""
    why: str = ""
    due: int = 0
    manual: bool = False
    time: int = 0
    verified_time: int = 0
    index: int = 0
    term: int = 0
    state_index: int = 0
    size: int = 0
    sha256: str = msgspec.field(name="SHA256", default="")
    digest: str = ""
    servers: int = 0
    taken_by: str = ""
    key_ids: tuple[str, ...] = msgspec.field(name="KeyIDs", default=())
    audit_head: str = ""
    create_index: Index = 0
    modify_index: Index = 0


class BackupList(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """All that are listed, the newest first, and how it stands with them.

    `problem` is empty if all is well. `under_way` is the ID of the server that makes one. The rest
    is the configuration of the server that answers.
    """

    backups: tuple[BackupShape, ...] = ()
    problem: str = ""
    target: str = ""
    schedule: str = ""
    retain: int = 0
    next_due: int = 0
    last_verified_time: int = 0
    failures: int = 0
    last_failure: str = ""
    last_failure_time: int = 0
    under_way: str = ""
    restored_from: str = ""


class PrunedBackups(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The names of those that were deleted."""

    deleted: tuple[str, ...] = ()
