"""An address in an old log that is none: a failed link, never an exception."""

from __future__ import annotations

from quorate.raft.values.messages import PreVoteRequest
from quorate.replica.outgoing import PeerLink


def test_requests_to_an_impossible_address_fail_with_the_reason() -> None:
    failed: list[tuple[int, str]] = []
    link = PeerLink(
        "10.0.0.9",
        b"",
        answered=lambda _, response: None,
        failed=lambda rpc_id, reason: failed.append((rpc_id, reason)),
        refused=lambda where, why: None,
    )
    link.send(7, PreVoteRequest(term=2))
    link.check(1.0, 1.0)
    link.close()
    assert failed == [(7, "the address '10.0.0.9' is not host:port: remove this server")]
