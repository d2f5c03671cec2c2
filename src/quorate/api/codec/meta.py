"""The X-Nomad headers of reads and writes of replicated state.

See docs/http-api.md#headers-of-answers.
"""

from __future__ import annotations

from quorate.api.http.messages import Header
from quorate.api.parts import Leadership
from quorate.state.engine.store import StateStore


def read_headers(leadership: Leadership, index: int) -> tuple[Header, ...]:
    """Index of the data, whether a leader is known, and when it was last heard."""
    return (
        (b"X-Nomad-Index", b"%d" % max(index, 1)),
        (b"X-Nomad-Knownleader", b"true" if leadership.leader_address() else b"false"),
        (b"X-Nomad-Lastcontact", b"%d" % leadership.last_contact_ms()),
    )


def restored_header(state: StateStore) -> tuple[Header, ...]:
    """How far restores of archives have raised the indexes of the state; none if none has.

    A watch sees by it that a restore came between two looks (docs/client.md).
    """
    shift = state.shift
    return ((b"X-Quorate-Index-Shift", b"%d" % shift),) if shift else ()


def write_headers(index: int) -> tuple[Header, ...]:
    """Index of the log entry of the write."""
    return ((b"X-Nomad-Index", b"%d" % index),)
