"""How it stands with ACL: when it was bootstrapped, and whether a transition has ended.

Invariant: once the cluster was bootstrapped it stays so, a restore changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from msgspec.structs import replace

from quorate.state.engine.ordered import OrderedMap
from quorate.state.engine.table import SINGLETON, Command, OnRestore, Reader, Record, Table, Tables

ACL_LEVEL: Final = 4
"""The feature level from which on there are tokens, roles and policies."""

ENFORCED: Final = "enforced"
"""The phase in which no server lets a request pass that its caller has no right to."""


class AclStanding(Record, frozen=True, kw_only=True):
    """`bootstrap_index` is that of the last bootstrap, 0 before the first one.

    `phase` is empty while each server's own configuration says whether it is in transition;
    ENFORCED ends the transition everywhere. `forgotten` is the highest create index of the deleted
    tokens that are not remembered one by one any more (`acl.deleted`).
    """

    bootstrap_index: int = 0
    phase: str = ""
    forgotten: int = 0


class SetAclPhase(Command, frozen=True, kw_only=True):
    """End the transition, or let the configuration of each server decide again. Result: None."""

    TYPE: ClassVar[int] = 64
    LEVEL: ClassVar[int] = ACL_LEVEL
    SETTING: ClassVar[bool] = True

    phase: str

    def apply(self, tables: Tables, index: int) -> None:
        """See the class."""
        phase = self.phase if self.phase == ENFORCED else ""
        tables.put(TABLE, SINGLETON, replace(current(tables), phase=phase), index)


def _merge(
    ours: OrderedMap[AclStanding], theirs: OrderedMap[AclStanding]
) -> Mapping[str, AclStanding]:
    """The cluster's own, if it was bootstrapped; else the archive's, in the cluster's own phase."""
    own, other = ours.get(SINGLETON), theirs.get(SINGLETON)
    if other is None or (own is not None and own.bootstrap_index):
        return {} if own is None else {SINGLETON: own}
    phase = "" if own is None else own.phase
    return {SINGLETON: replace(other, phase=phase)}


TABLE: Final = Table(
    name="acl",
    record=AclStanding,
    on_restore=OnRestore.MERGED,
    restored="kept once bootstrapped",
    merge=_merge,
    commands=(SetAclPhase,),
    level=ACL_LEVEL,
)


def current(reader: Reader) -> AclStanding:
    """How it stands; an empty record where nothing was done."""
    return reader.get(TABLE, SINGLETON) or AclStanding()
