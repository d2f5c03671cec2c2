"""Serf's periodic work: forget members that are long gone, try failed ones again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from quorate.gossip.serf import intents
from quorate.gossip.swim import push_pull as exchange

if TYPE_CHECKING:
    from quorate.gossip.state import State


def start(node: State) -> None:
    """Both go on as long as this member is here."""
    node.later(node.settings.reap_interval_s, partial(_reap, node))
    node.later(node.settings.reconnect_interval_s, partial(_reconnect, node))


def _reap(node: State) -> None:
    settings = node.settings
    node.later(settings.reap_interval_s, partial(_reap, node))
    roster = node.roster
    for known in roster.leaving.values():
        intents.ask_whether_it_leaves(node, known)
    roster.expire_intents(node.now - settings.recent_intent_s)
    for members, timeout in (
        (roster.failed, settings.reconnect_timeout_s),
        (roster.left, settings.tombstone_timeout_s),
    ):
        # They stand in the order of going: the first that is not due ends the search.
        while members:
            oldest = next(iter(members.values()))
            if oldest.name == node.name or node.now - oldest.gone_at <= timeout:
                break
            intents.erase(node, oldest)
    # Anybody can invent names; those that nobody has answered for are not kept for days.
    before = node.now - settings.unconfirmed_timeout_s
    for known in (*roster.failed.values(), *roster.left.values()):
        if not known.confirmed and known.gone_at < before and known.name != node.name:
            intents.erase(node, known)


def _reconnect(node: State) -> None:
    node.later(node.settings.reconnect_interval_s, partial(_reconnect, node))
    failed = node.roster.failed
    if not failed:
        return
    # The more of the pool is alive, the fewer of it need to try.
    chance = len(failed) / max(1, node.roster.alive_count())
    if node.rng.random() > chance:
        return
    target = node.rng.choice(list(failed.values()))
    exchange.request(node, target.address, target.name, join=False, then=_ignore)


def _ignore(_reason: str) -> None:
    """It will be tried again."""
