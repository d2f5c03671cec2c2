"""Deliberate bugs in the gossip core: what simulated lives must find, or they prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from quorate.gossip.serf import intents
from quorate.gossip.serf.ring import Ring
from quorate.gossip.swim import merge
from quorate.gossip.swim import push_pull as exchange


class Mutant(NamedTuple):
    """`old` occurs once in the source of `function`; `new` stands in its place.

    `seed` is a life in which it shows.
    """

    name: str
    function: Callable[..., Any]
    old: str
    new: str
    seed: int


MUTANTS = [
    Mutant(
        "does not ask who is said to leave",
        intents.ask_whether_it_leaves,
        "known.name != node.name",
        "False",
        52,
    ),
    Mutant("refutes too little", merge.refute, "max(node.incarnation, accused)", "1", 2),
    Mutant("does not refute", merge.refute, "announce_self(node)", "pass", 2),
    Mutant(
        "believes an old death",
        merge.on_dead,
        "dead.incarnation < record.incarnation",
        "dead.incarnation < 0",
        17,
    ),
    Mutant(
        "believes an old suspicion",
        merge.on_suspect,
        "suspect.incarnation < record.incarnation",
        "suspect.incarnation < 0",
        2,
    ),
    Mutant("remembers nobody", merge._new_name, "alive.incarnation <= old[1]", "False", 2),
    Mutant("tells events twice", Ring.is_new, "what in slot[1] or", "", 2),
    Mutant(
        "exchanges nothing now and then",
        exchange._periodic,
        "_exchange_with_one(node)",
        "pass",
        1138,
    ),
    Mutant(
        "does not object to its own leave",
        intents.accept_leave,
        "intent.ltime >= known.status_ltime",
        "False",
        53,
    ),
]
