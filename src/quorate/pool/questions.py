"""Questions of this member to the pool that are open, and their answers as they come."""

from __future__ import annotations

import asyncio

from quorate.errors import BadFrame
from quorate.gossip import effects
from quorate.gossip.effects import KeyAction
from quorate.gossip.messages import KeyResponse
from quorate.pool.results import KeyResult, QueryResult
from quorate.wire.gossip import decode_serf


class Question:
    """One open query; `members` are awaited, and when all have answered it is over.

    Without `members` it is open until its time is over.
    """

    def __init__(self, members: tuple[str, ...] = ()) -> None:
        self.members = members
        self.answers: dict[str, bytes | None] = {}
        self.acked: dict[str, None] = {}
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._missing = set(members)

    def acknowledge(self, effect: effects.QueryAcked) -> None:
        """A member has it."""
        self.acked[effect.sender] = None

    def answer(self, effect: effects.QueryAnswered) -> None:
        """A member has answered; only its first answer counts."""
        self.answers.setdefault(effect.sender, effect.payload)
        self._missing.discard(effect.sender)
        if self.members and not self._missing:
            self.end()

    def end(self) -> None:
        """Nothing more is waited for."""
        if not self.over.done():
            self.over.set_result(None)

    def result(self) -> QueryResult:
        """The answers that came."""
        return QueryResult(dict(self.answers), tuple(self.acked))

    def key_result(self, action: KeyAction) -> KeyResult:
        """The answers that came to a question about keys."""
        answers: dict[str, KeyResponse] = {}
        unreadable = []
        for name, payload in self.answers.items():
            response = _key_response(payload)
            if response is None:
                unreadable.append(name)
            else:
                answers[name] = response
        return KeyResult(action, self.members, answers, tuple(unreadable))


def _key_response(payload: bytes | None) -> KeyResponse | None:
    try:
        response = decode_serf(payload or b"")
    except BadFrame:
        return None
    return response if isinstance(response, KeyResponse) else None
