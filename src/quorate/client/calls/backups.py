"""The calls of backups, for both clients (docs/backups.md). Quorate's servers alone have them."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from quorate.client.calls.call import Answer, Call, Query, Request, call, decode, refusal
from quorate.client.calls.models import RAW, RestoreReport
from quorate.client.errors import StatusError
from quorate.shapes import backups as shapes
from quorate.shapes.backups import BackupShape

T = TypeVar("T")

_BACKUP: Final = "/v1/operator/backup"
_LONG_S: Final = 7200.0  # an archive of gigabytes goes to the target and comes back


class Backup(BackupShape, frozen=True, kw_only=True, rename="pascal"):
    """One backup."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class BackupList(shapes.BackupList, frozen=True, kw_only=True, rename="pascal"):
    """All that are listed, and how it stands with them."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class PrunedBackups(shapes.PrunedBackups, frozen=True, kw_only=True, rename="pascal"):
    """The names of those that were deleted."""

    raw: dict[str, Any] = msgspec.field(name=RAW, default_factory=dict)


class BackupOperations:
    """One method for each endpoint. Each raises ClientError."""

    @call
    def backups(self, *, stale: bool = False) -> Call[BackupList]:
        """All backups, the newest first. `stale` asks this agent alone."""
        return _asked("GET", "", BackupList, [("stale", "")] if stale else [])

    @call
    def run_backup(self) -> Call[Backup]:
        """Make one now; the answer comes when it is verified, or cannot be (see its `status`)."""
        return _asked("PUT", "/run", Backup)

    @call
    def verify_backup(self, name: str) -> Call[Backup]:
        """Have one read back from the target, and verified once more."""
        return _asked("PUT", "/verify", Backup, [("name", name)])

    @call
    def prune_backups(self) -> Call[PrunedBackups]:
        """Have those deleted that retention does not keep."""
        return _asked("PUT", "/prune", PrunedBackups)

    @call
    def restore_backup(
        self, name: str, *, force: bool = False, dry_run: bool = False, keep_acl: bool = False
    ) -> Call[RestoreReport]:
        """Restore one; what changes in each table. `force`: one of another cluster too.

        With `keep_acl` tokens, policies and roles stay as they are.
        """
        named = {"force": force, "dry-run": dry_run, "keep-acl": keep_acl, "details": True}
        query = [("name", name), *((key, "true") for key, wanted in named.items() if wanted)]
        return _asked("PUT", "/restore", RestoreReport, query)


def _asked(method: str, path: str, model: type[T], query: Query | None = None) -> Call[T]:
    timeout_s = None if method == "GET" else _LONG_S

    def read(answer: Answer) -> T:
        if answer.status == 404 and "x-quorate-error" not in answer.headers:
            raise StatusError(
                404, answer.text, "only Quorate's servers answer this: ask one of them"
            )
        if answer.status != 200:
            raise refusal(answer)
        return decode(_BACKUP + path, answer.body, model)

    return Call(Request(method, _BACKUP + path, query or [], timeout_s=timeout_s), read)
