"""The state of an upgrade of the servers: the answer to `operator upgrade check`."""

from __future__ import annotations

from collections.abc import Iterable

from quorate.autopilot.deciders.level import MemberLevel, plan_level
from quorate.autopilot.facts import Waiting
from quorate.levels import describe
from quorate.server.views.raft import leader_of
from quorate.server.views.records import ServerView
from quorate.shapes.operator import UpgradeCheck, UpgradeServer

OLDER = (
    "it is of an older version, from before feature level 1 (it ends connections that ask for a "
    "proof of its ID): upgrade it"
)


def upgrade_view(own: ServerView, views: Iterable[ServerView]) -> UpgradeCheck:
    """The check, made of all views that could be had; `own` is that of the server asked."""
    views = tuple(views)
    leader = leader_of(views) or own
    members = {server.id: server.voter for server in leader.servers}
    keyed = {server.id: server.keyed for server in leader.servers}
    asked = [view for view in views if view.id in members]
    level = max(view.cluster_level for view in (own, *asked))
    goal = max([level, *(view.level for view in (own, *asked))])
    waiting: tuple[Waiting, ...] = ()
    if asked:
        levels = [_level_of(view, keyed=keyed[view.id]) for view in asked]
        waiting = plan_level(level, goal, levels).waiting
    reasons = {one.server_id: one.why for one in waiting}
    rows = sorted(
        (
            UpgradeServer(
                id=view.id,
                node=view.node,
                address=view.address,
                version=view.version,
                level=_known_level(view),
                leader=view.id == leader.id and leader.role == "leader",
                voter=members[view.id],
                error=view.error,
                held=view.held,
                waits=OLDER if view.proves_nothing else reasons.get(view.id, ""),
            )
            for view in asked
        ),
        key=lambda row: (row.leader, row.node, row.id),
    )
    return UpgradeCheck(level=level, goal=goal, may_mix=_may_mix(level), servers=tuple(rows))


def _may_mix(level: int) -> str:
    if level == 0:
        return "all versions of Quorate, those before levels too"
    return f"versions of Quorate that know {describe(level)} or a later level"


def _level_of(view: ServerView, *, keyed: bool) -> MemberLevel:
    return MemberLevel(server_id=view.id, name=view.node, level=_known_level(view), keyed=keyed)


def _known_level(view: ServerView) -> int | None:
    """The level that a server which was asked knows; None if it did not answer."""
    if view.proves_nothing:
        return 0
    return None if view.error else view.level
