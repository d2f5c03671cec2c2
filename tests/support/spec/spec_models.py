"""The models: which module, with which bounds, and what TLC must say.

A model takes a .cfg file of spec/ and changes some of its lines. Where `broken` names a rule that
is left out, a counterexample must be found: that shows what the rule is for, and that the model is
not too small to notice.
"""

from __future__ import annotations

from typing import NamedTuple

from spec_tlc import SPEC, Result, run


class Model(NamedTuple):
    """`expected` is the invariant that must be violated, empty if none may be.

    `small` models are part of the suite; the others take up to some minutes (`make spec`).
    """

    module: str
    settings: str
    broken: str = ""
    expected: str = ""
    small: bool = True
    changes: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """For people: what is checked, and what is different from the .cfg file."""
        words = [self.settings]
        words += [f"without the rule {self.broken!r}"] if self.broken else []
        words += [f"with {new}" for _, new in self.changes]
        return ", ".join(words)

    def text(self) -> str:
        """The .cfg file as changed."""
        text = (SPEC / f"{self.settings}.cfg").read_text()
        changes = list(self.changes)
        if self.broken:
            old = next(line for line in text.splitlines() if "Broken = {" in line)
            among = old.rstrip("}") + (", " if '"' in old else "") + f'"{self.broken}"}}'
            changes.append((old, among))
        for old, new in changes:
            assert text.count(old) == 1, f"{self.settings}.cfg does not say {old!r} once"
            text = text.replace(old, new)
        return text

    def check(self, limit_s: float = 100) -> Result:
        """Run TLC. Raises what `spec_tlc.run` does."""
        return run(self.module, self.text(), limit_s=limit_s)


_ONE_WAITS = ("Lag = 0", "Lag = 1")
_TWO_WAIT = ("Lag = 0", "Lag = 2")


def _snapshot(broken: str, expected: str, *changes: tuple[str, str]) -> Model:
    module, settings = "SnapshotConfigurationModel", "SnapshotConfiguration"
    return Model(module, settings, broken, expected, True, changes)


def _lease(broken: str, changes: tuple[tuple[str, str], ...] = ()) -> Model:
    return Model("Lease", "Lease", broken, "LeaseReadsNeverStale", False, changes)


_ONE_SPEED = ("Speeds = {4, 5}", "Speeds = {4}")


def _membership(broken: str, expected: str, *changes: tuple[str, str]) -> Model:
    return Model("Membership", "Membership", broken, expected, True, changes)


_TWO_OF_THREE = ("Founders = {a, b, c}", "Founders = {a, b}")
_LONG = ("MaxLog = 3", "MaxLog = 5")

MODELS = [
    Model("Membership", "Membership", changes=(("MaxTerm = 3", "MaxTerm = 2"),)),
    _membership("one vote", "ElectionSafety"),
    _membership("log not behind", "LeaderCompleteness"),
    _membership("one at a time", "AtMostOneUncommittedConfiguration", ("MaxLog = 3", "MaxLog = 4")),
    Model(
        "Membership",
        "Membership",
        small=False,
        changes=(("MaxTerm = 3", "MaxTerm = 2"), _LONG),
    ),
    Model("Membership", "Membership", small=False),
    Model("Membership", "Membership", small=False, changes=(_TWO_OF_THREE,)),
    _membership("voters count", "LeaderCompleteness", _TWO_OF_THREE, _LONG)._replace(small=False),
    Model("Membership", "MembershipDisk", small=False),
    Model("MembershipDispute", "MembershipDispute", small=False),
    Model(
        "MembershipDispute",
        "MembershipDispute",
        "own entry first",
        "LeaderCompleteness",
        small=False,
    ),
    Model("MembershipOldTerms", "MembershipOldTerms", small=False),
    Model(
        "MembershipOldTerms",
        "MembershipOldTerms",
        "own term only",
        "LeaderCompleteness",
        small=False,
    ),
    Model("VoteById", "VoteById"),
    Model("VoteById", "VoteById", "by id", "OneVoteATerm"),
    Model("SnapshotConfigurationModel", "SnapshotConfiguration"),
    Model("SnapshotConfigurationModel", "SnapshotConfiguration", "", "", False, (_ONE_WAITS,)),
    Model("SnapshotConfigurationModel", "SnapshotConfiguration", "", "", False, (_TWO_WAIT,)),
    _snapshot("acknowledged when durable", "NothingAcknowledgedIsLost", _ONE_WAITS),
    _snapshot("snapshot carries it", "SnapshotConfiguration"),
    _snapshot("snapshot not below its configuration", "SnapshotConfiguration"),
    _snapshot("compaction below the snapshot", "NoHole"),
    _snapshot("truncation falls back", "ConfigurationInForce"),
    _snapshot("keep what follows", "NothingAcknowledgedIsLost"),
    _snapshot("superseded logs are dropped", "NoHole"),
    Model("Lease", "LeaseStranger", changes=(_ONE_SPEED,)),
    Model("Lease", "LeaseStranger", small=False),
    Model("Lease", "LeaseStranger", "strangers are not heard", "RemovedServersCannotDisturb"),
    Model("Lease", "LeaseStranger", "pre-vote", "RemovedServersCannotDisturb"),
    Model("Lease", "Lease", small=False),
    _lease("restart is contact"),
    _lease("promises bind"),
    _lease("since it was sent"),
    _lease("handing over ends the lease"),
    _lease("TimeoutNow of this term", (("MaxTerm = 2", "MaxTerm = 3"), _ONE_SPEED)),
    _lease("", (("Speeds = {4, 5}", "Speeds = {2, 5}"),)),
]
