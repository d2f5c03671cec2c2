"""Which step a key rotation is in, found from the rings alone.

A rotation may end at any point: the operator's machine dies, a member is away. An operator who runs
it again, and from wherever, must go on with the same new key. Two installed keys do not say which
is the newer one, so a key that we make bears the mark of the key that it follows: the digest of
both begins with zeros. Only a holder of both keys can see it, and it costs the new key's 256 bits
no more than its own 16. (A rotation to a key that the operator brought is resumed by naming it.)

Nothing here asks or prints: values in, the next step out.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Collection
from enum import Enum
from typing import NamedTuple

KEY_BYTES = 32
MARK_BYTES = 2
_PURPOSE = b"quorate gossip key rotation"


class Ring(NamedTuple):
    """The answers of all members to `list`.

    `members` is how many of them did. `keys` and `primary` say by key how many of these hold it
    and encrypt with it; `primary` is None where not all tell. `absent` are members that did not
    answer and may come back.
    """

    members: int
    keys: dict[str, int]
    primary: dict[str, int] | None
    absent: frozenset[str] = frozenset()


class Action(Enum):
    """The next step of a rotation."""

    INSTALL = "install"
    WAIT = "wait"
    USE = "use"
    REMOVE = "remove"
    DONE = "done"


class Step(NamedTuple):
    """An action, and the key that it is about."""

    action: Action
    key: str = ""


def next_step(ring: Ring, new: str, *, used: bool) -> Step:
    """The next step towards a pool whose only key is `new`.

    `used` is True once all members were told to use it: it counts where nobody tells the primary
    key. Nothing that a member which is away would need is taken from it: while one is, the step
    is to wait.
    """
    if ring.keys.get(new, 0) < ring.members:
        return Step(Action.INSTALL, new)
    if ring.absent:
        return Step(Action.WAIT)
    in_use = used if ring.primary is None else ring.primary.get(new, 0) >= ring.members
    if not in_use:
        return Step(Action.USE, new)
    # The key that the new one follows goes last: without it, nothing tells which is the new one.
    old = sorted((follows(new, key), key) for key in ring.keys if key != new)
    return Step(Action.REMOVE, old[0][1]) if old else Step(Action.DONE)


def follows(new: str, old: str) -> bool:
    """Whether `new` was made by a rotation away from `old`."""
    digest = hashlib.sha256(_PURPOSE + _raw(old) + _raw(new)).digest()
    return digest[:MARK_BYTES] == bytes(MARK_BYTES)


def new_key(old: str) -> str:
    """A random key that bears the mark of following `old`."""
    start = hashlib.sha256(_PURPOSE + _raw(old))
    while True:
        candidate = os.urandom(KEY_BYTES)
        digest = start.copy()
        digest.update(candidate)
        if digest.digest()[:MARK_BYTES] == bytes(MARK_BYTES):
            return base64.b64encode(candidate).decode()


def unfinished(keys: Collection[str]) -> str | None:
    """The key that an unfinished rotation was leading to, or None if that cannot be said.

    Where members did not see each other, rotations may have begun on both sides: then any of
    their keys will do, as long as each observer chooses the same.
    """
    newest = [
        key
        for key in keys
        if any(follows(key, old) for old in keys if old != key)
        and not any(follows(later, key) for later in keys if later != key)
    ]
    return min(newest, default=None)


def _raw(key: str) -> bytes:
    return base64.b64decode(key)
