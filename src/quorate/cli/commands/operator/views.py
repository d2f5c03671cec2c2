"""`quorate operator raft views`: what each server believes, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_noted
from quorate.client import ClientError, View

HEADING = ("Node", "Address", "State", "Term", "Leader", "Commit", "Configuration", "Note")
NARROW = ("Node", "State", "Term", "Leader", "Commit", "Servers", "Note")
DISAGREE = 2
TWICE = "twice"
NAMESAKE = "namesake"
STATES = {
    "damaged": "its replicated state is damaged",
    "disagree": "state digests disagree, no majority",
    TWICE: "two servers run with this ID",
    NAMESAKE: "another server has this name",
}
NOTHING = "-"
REMOVED = "not a member: removed, or not taken in as yet"
"""Such a server may believe what it likes: the cluster does without it."""


def views(context: Context) -> int:
    """Ask every server who leads; exit code 2 if they do not agree, 1 if none knows a leader."""
    found, raw = _gathered(context)
    notes = notes_on(found)
    agreed = not any(
        note and note != REMOVED for view, note in zip(found, notes, strict=True) if not view.error
    )
    answer = {
        "Agreed": agreed,
        "Servers": [
            {**raw[_key(view)], "Note": note} for view, note in zip(found, notes, strict=True)
        ],
    }
    table = _table if context.flags.on("verbose") else _narrow_table
    rows = table(found, notes)
    context.show(
        answer,
        lambda: context.out.table(format_noted(rows, context.out.width, key=0, none=NOTHING)),
    )
    if not agreed:
        states = any(view.held or view.state in STATES for view in found)
        raise Failure(
            "The servers do not agree",
            "see /v1/agent/health of the servers whose state differs"
            if states
            else "ask again; if it stays so: quorate operator diagnose",
            DISAGREE,
        )
    if not any(view.leader for view in found):
        raise Failure("No server knows a leader", "quorate operator diagnose says why")
    return 0


def _key(view: View) -> str:
    """Two servers that use one ID are two rows."""
    return f"{view.id} {view.address}"


def _gathered(context: Context) -> tuple[list[View], dict[str, Any]]:
    """One view of each server, by name, and by ID or address the JSON it came as.

    Each agent that was named is asked to gather; of a server that one reached and another did
    not, the answer counts.
    """
    best: dict[str, View] = {}
    raw: dict[str, Any] = {}
    failures: list[ClientError] = []
    for address in ("", *context.flags.args):
        try:
            with context.client(address) as client:
                answer = client.raft_views()
        except ClientError as error:
            failures.append(error)
            if address:
                absent = View(node="(unknown)", address=address, error=error.text)
                best[_key(absent)] = absent
                raw[_key(absent)] = {"Address": address, "Error": error.text, "Node": absent.node}
            continue
        for view, as_sent in zip(answer.servers, answer.raw.get("Servers") or [], strict=True):
            known = best.get(_key(view))
            if known is None or (bool(known.error), -known.term) > (bool(view.error), -view.term):
                best[_key(view)], raw[_key(view)] = view, as_sent
    if len(failures) == 1 + len(context.flags.args):
        with doing("Error gathering views: "):
            raise failures[0]
    return sorted(best.values(), key=lambda view: (view.node, view.id, view.address)), raw


def notes_on(found: Sequence[View]) -> list[str]:
    """For each view why it cannot be had, or in what it differs from the newest; else empty.

    Also if its replicated state is not that of the others. The newest is that of the highest
    term, and in it of the leader.
    """
    answered = [view for view in found if not view.error]
    if not answered:
        return [view.error for view in found]
    newest = max(answered, key=lambda view: (view.term, view.role == "leader", bool(view.leader)))
    return [view.error or _difference(view, newest) for view in found]


def _difference(view: View, newest: View) -> str:
    if view.state in {TWICE, NAMESAKE}:
        return STATES[view.state]
    if newest.leader and all(one.id != view.id for one in newest.configuration.servers):
        return (
            REMOVED if view.configuration.servers else "in no cluster: see /v1/agent/health there"
        )
    if view.term < newest.term:
        what = "stale leader" if view.role == "leader" else "stale"
        return f"{what}: the newest term is {newest.term}"
    if view.leader != newest.leader:
        return "follows another leader" if view.leader else "knows no leader"
    if view.configuration != newest.configuration:
        return "has another configuration"
    return view.held or STATES.get(view.state, "")


def _table(found: Sequence[View], notes: Sequence[str]) -> list[tuple[str, ...]]:
    names = {view.id: view.node for view in found if view.id}
    leaders = {view.address: view.node for view in found}
    rows = [_row(view, note, names, leaders) for view, note in zip(found, notes, strict=True)]
    return [HEADING, *rows]


def _narrow_table(found: Sequence[View], notes: Sequence[str]) -> list[tuple[str, ...]]:
    """What fits a terminal of 80 columns: of the configuration only its index and size."""
    leaders = {view.address: view.node for view in found}
    rows: list[tuple[str, ...]] = [NARROW]
    for view, note in zip(found, notes, strict=True):
        said = (
            view.role or "no answer",
            str(view.term),
            leaders.get(view.leader, view.leader) or NOTHING,
            str(view.commit_index),
            f"{view.configuration.index}: {len(view.configuration.servers)}",
        )
        silent = ("no answer", *(NOTHING,) * 4)
        rows.append((view.node, *(silent if view.error else said), note or NOTHING))
    return rows


def _row(view: View, note: str, names: dict[str, str], leaders: dict[str, str]) -> tuple[str, ...]:
    if view.error:
        return (view.node, view.address, "no answer", *(NOTHING,) * 4, note)
    servers = ",".join(names.get(one.id, one.address) for one in view.configuration.servers)
    return (
        view.node,
        view.address,
        view.role,
        str(view.term),
        leaders.get(view.leader, view.leader) or NOTHING,
        str(view.commit_index),
        f"{view.configuration.index}: {servers or NOTHING}",
        note or NOTHING,
    )
