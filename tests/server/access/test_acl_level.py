"""Access control below the feature level of its tables: who holds the level back is named."""

from __future__ import annotations

import pytest
from api_running import asynchronous

from quorate.errors import LevelTooLow, QuorateError
from quorate.server.access.level import LevelRule
from quorate.shapes.operator import UpgradeCheck, UpgradeServer
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables.acl.standing import ACL_LEVEL

OLD = UpgradeServer(node="s2.global", level=3, version="0.1.0")
NEW = UpgradeServer(node="s1.global", level=ACL_LEVEL, version="0.2.0")
SILENT = UpgradeServer(node="s3.global", error="connection refused")


class Rule:
    """A server of the cluster with these members."""

    def __init__(self, *members: UpgradeServer) -> None:
        self.store = StateStore(TODAY)
        self.members = members
        self.ended: list[BaseException] = []
        self.rule = LevelRule(self.store, self.check, self.ended.append)

    async def check(self) -> UpgradeCheck:
        return UpgradeCheck(level=3, goal=ACL_LEVEL, may_mix="", servers=self.members)


@asynchronous
async def test_an_older_server_is_named_and_ends_the_start() -> None:
    cluster = Rule(OLD, NEW, SILENT)
    await cluster.rule.look()
    (error,) = cluster.ended
    assert isinstance(error, QuorateError)
    assert "acl.enabled needs feature level 4" in error.text
    assert "held back by s2.global (level 3, Quorate 0.1.0), s3.global (no answer)" in error.text
    assert "s1.global" not in error.text
    assert "upgrade these servers first" in error.next_step


@asynchronous
async def test_a_new_cluster_waits_and_says_so() -> None:
    """Nobody is older: the level is on its way, or a server does not answer yet."""
    cluster = Rule(NEW, SILENT)
    await cluster.rule.look()
    assert not cluster.ended
    with pytest.raises(LevelTooLow, match=r"needs feature level 4 .* s3.global \(no answer\)"):
        cluster.rule.demand()
    cluster.store.apply(1, encode(RaiseLevel(level=ACL_LEVEL)))
    cluster.rule.demand()
    assert cluster.rule.problem() == ""
    await cluster.rule.run()
