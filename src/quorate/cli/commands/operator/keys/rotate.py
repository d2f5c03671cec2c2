"""`quorate operator gossip keyring rotate`: install, wait, use, remove; at any time resumed."""

from __future__ import annotations

import json
import time
from typing import Any

from quorate.cli.commands.operator.keys.keyring import given_key
from quorate.cli.commands.operator.keys.rotation import (
    Action,
    Ring,
    Step,
    new_key,
    next_step,
    unfinished,
)
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.duration import seconds
from quorate.client import Client, Keyring

PREFIX = "Error rotating the gossip key: "
POLL_S = 1.0
UNFINISHED = 2

SAID = {
    Action.INSTALL: "Installing the new key on all members...",
    Action.USE: "All members have the new key. Changing the primary key...",
    Action.REMOVE: "All members use the new key. Removing the old one...",
}


def rotate(context: Context) -> int:
    """Replace the gossip key. Exit code 2 if it did not end in time; then run it again."""
    given = context.flags.text("key")
    if given:
        given = given_key(context, given)
    timeout_s = seconds(context.flags.text("timeout", "60s"))
    with context.client() as client:
        return Rotation(context, client, timeout_s).run(given)


class Rotation:
    """One run of the command."""

    def __init__(self, context: Context, client: Client, timeout_s: float) -> None:
        self._context = context
        self._client = client
        self._timeout_s = timeout_s
        self._removed: list[str] = []
        self._failures: dict[str, str] = {}  # of the newest step, by member
        self._used = False
        self._said = ""

    def run(self, given: str) -> int:
        """To the end, or to the deadline."""
        until = time.monotonic() + self._timeout_s
        ring = self._ring()
        new = given or self._target(ring)
        while True:
            step = next_step(ring, new, used=self._used)
            if step.action is Action.DONE:
                return self._end(ring, new, finished=True)
            self._perform(step, ring)
            ring = self._ring()
            if step.action is Action.REMOVE and step.key not in ring.keys:
                self._removed.append(step.key)
            if next_step(ring, new, used=self._used) != step:
                continue
            left_s = until - time.monotonic()
            if left_s <= 0:
                return self._end(ring, new, finished=False)
            time.sleep(min(POLL_S, left_s))

    # -- asking -----------------------------------------------------------------------------------

    def _ring(self) -> Ring:
        with doing(PREFIX):
            answer = self._client.keyring("list", details=True)
            members = self._client.agent_members().members
        if answer.num_err and not answer.keys:
            name, why = min(answer.messages.items(), default=("", "no member has a key"))
            raise Failure(
                f"{PREFIX}{name}: {why}",
                "gossip is not encrypted: set server.encrypt on every server and restart them",
            )
        return _ring_of(answer, {one.name for one in members if one.status == "failed"})

    def _target(self, ring: Ring) -> str:
        """The key of an unfinished rotation, or a new one."""
        if len(ring.keys) == 1:
            (old,) = ring.keys
            return new_key(old)
        resumed = unfinished(ring.keys)
        if resumed is None:
            raise Failure(
                f"{PREFIX}{len(ring.keys)} keys are installed, and none of them was made by a"
                " rotation of this program, so it cannot tell which one to keep",
                "name the key that is to stay: -key=<key>; all others are removed then",
            )
        self._say("A rotation was begun before and is resumed.")
        return resumed

    # -- acting -----------------------------------------------------------------------------------

    def _perform(self, step: Step, ring: Ring) -> None:
        if step.action is Action.WAIT:
            self._failures = {}
            self._say(f"Waiting for {_names(ring)}; the old key is kept.")
            return
        self._say(SAID[step.action])
        with doing(PREFIX):
            answer = self._client.keyring(step.action.value, step.key, details=True)
        self._failures = answer.messages if answer.num_err else {}
        if step.action is Action.USE:
            self._used = not answer.num_err

    def _say(self, text: str) -> None:
        if text != self._said and not self._context.flags.on("json"):
            self._said = text
            self._context.out.line(text)
            self._context.out.stdout.flush()

    # -- the end ----------------------------------------------------------------------------------

    def _end(self, ring: Ring, new: str, *, finished: bool) -> int:
        absent = sorted(ring.absent)
        if self._context.flags.on("json"):
            value: dict[str, Any] = {
                "Absent": absent,
                "Failures": self._failures,
                "Finished": finished,
                "Key": new,
                "Removed": self._removed,
            }
            self._context.out.line(json.dumps(value, indent=4))
        if finished:
            self._say(f"Done. The key of all {ring.members} members is now:\n{new}")
            self._say("Write it into server.encrypt of every server's configuration.")
            return 0
        why = "; ".join(
            [
                *(f"{name} did not answer" for name in absent),
                *(f"{name}: {text}" for name, text in sorted(self._failures.items())),
            ]
        )
        raise Failure(
            f"Not finished: {why or 'not every member did as it was told'}; the old key is kept",
            "run it again (with the same -key, if one was given) once they are back; a member that"
            " is gone for good is let go by: quorate server force-leave <name>",
            UNFINISHED,
        )


def _ring_of(answer: Keyring, failed: set[str]) -> Ring:
    members = answer.num_nodes if answer.num_resp is None else answer.num_resp
    primary = answer.primary_keys
    if primary is not None and sum(primary.values()) < members:
        primary = None  # a member of another kind does not tell
    return Ring(members, answer.keys, primary, frozenset(answer.unanswered) | failed)


def _names(ring: Ring) -> str:
    count = len(ring.absent)
    return f"{count} member{'s' if count > 1 else ''}: {', '.join(sorted(ring.absent))}"
