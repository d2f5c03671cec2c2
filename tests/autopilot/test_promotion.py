"""A non-voter gets no vote while there is a reason against it, and one when that has gone."""

from __future__ import annotations

import msgspec
from autopilot_facts import NOW, RULES, C, facts

from quorate.autopilot.actions import Promote, Say
from quorate.autopilot.deciders.promotion import promote
from quorate.autopilot.facts import Peer


def test_a_member_without_the_wrapping_key_gets_no_vote() -> None:
    peers = {i: Peer(match_index=100, contact_at=NOW) for i in "bc"}
    why = "it does not have wrapping key 0123456789abcdef of the root keys"
    fit = facts(C, peers=peers, rules=RULES, no_vote={"c": why})
    long_fit = {"c": NOW - 60}
    assert promote(fit, long_fit) == ((Say("c", f"it gets no vote: {why}"),), long_fit)
    given = msgspec.structs.replace(fit, no_vote={})
    ((action,), _) = promote(given, long_fit)
    assert isinstance(action, Promote)
    assert action.id == "c"
