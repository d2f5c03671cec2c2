"""Snapshots of the state: what both clients send and check."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Final

from quorate.client.calls.call import Answer, Query, decode, refusal
from quorate.client.calls.models import RestoreReport
from quorate.client.errors import AnswerError

SNAPSHOT: Final = "/v1/operator/snapshot"
MONITOR: Final = "/v1/agent/monitor"


class Received:
    """An archive that comes in: `size` bytes so far. Raises the error of a refusal."""

    def __init__(self, head: Answer | bytes) -> None:
        assert isinstance(head, Answer)
        if head.status != 200:
            raise refusal(head)
        self.size = 0
        self._digest = sha256()
        self._announced = head.headers.get("digest", "")

    def piece(self, piece: Answer | bytes) -> bytes:
        """The next piece."""
        assert isinstance(piece, bytes)
        self._digest.update(piece)
        self.size += len(piece)
        return piece

    def check(self) -> None:
        """Raise AnswerError if it is not what the server announced."""
        if self._announced != "sha-256=" + b64encode(self._digest.digest()).decode():
            raise AnswerError(
                SNAPSHOT, f"the bytes that came have not the digest {self._announced or '(none)'}"
            )


def restore_query(*, force: bool, dry_run: bool, details: bool, keep_acl: bool = False) -> Query:
    """The parameters of a restore."""
    named = {"force": force, "dry-run": dry_run, "details": details or dry_run}
    named["keep-acl"] = keep_acl
    return [(name, "true") for name, wanted in named.items() if wanted]


def restored(answer: Answer) -> RestoreReport | None:
    """What a restore tells, None from servers that tell nothing. Raises StatusError."""
    if answer.status != 200:
        raise refusal(answer)
    return decode(SNAPSHOT, answer.body, RestoreReport) if answer.body else None


def monitor_query(log_level: str, server_id: str, *, as_json: bool) -> Query:
    """The parameters of a server's log."""
    query = [("plain", "true")]
    query += [("log_level", log_level)] if log_level else []
    query += [("server_id", server_id)] if server_id else []
    return query + ([("log_json", "true")] if as_json else [])
