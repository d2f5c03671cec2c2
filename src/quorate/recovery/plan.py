"""A recovery that is planned for all survivors at once, and then applied to each of them.

It differs from a peers.json in two things. The epoch is drawn, so that two recoveries always refuse
each other. And the most advanced survivor alone has a vote at first: the others keep what is
committed for certain, are filled by it, and are given their votes back by the leader when they are
stable. So the cluster cannot begin without the one that has the most.

Pure: the simulator plans with it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from quorate.errors import QuorateError, WrongDataFolder
from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.raft.values.identity import EPOCH_BITS, Epoch
from quorate.recovery.looking.summary import FolderSummary, Kind, Member
from quorate.recovery.peers_json import text_of
from quorate.recovery.survivors import Survivors

VERSION: Final = 1
BYTES_MAX: Final = 1 << 20
_NOT_PREVENTED: Final = (
    "servers that are left out, are a majority of the old cluster and reach no survivor can elect "
    "a leader of their own: keep them stopped"
)
_AGAIN: Final = "make another plan: quorate operator recover plan"


class Survivor(msgspec.Struct, frozen=True, kw_only=True):
    """A server that is left: where its log ended, and what is committed for certain.

    `path` is that of its folder, or the address at which it was asked.
    """

    server_id: str
    address: str
    path: str
    last_term: int
    last_index: int
    committed: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a plan's file. `epoch_bits` are hexadecimal, as is `digest`, of all the rest.

    `leads` is the ID of the most advanced survivor. `left_out_may_decide`: those left out could
    hold a majority of the votes, and may have acknowledged what no survivor has. `peers_json` is
    for real Nomad servers, which take that in place of the plan.
    """

    about: str
    version: int = VERSION
    kind: str
    cluster_id: str
    region: str
    epoch_before: int
    epoch_before_bits: str
    epoch: int
    epoch_bits: str
    leads: str
    survivors: tuple[Survivor, ...]
    servers: tuple[Member, ...]
    left_out: tuple[Member, ...]
    left_out_may_decide: bool
    becomes_committed: str
    may_be_lost: str
    not_prevented: str
    peers_json: str = ""
    digest: str = ""

    @property
    def epochs(self) -> tuple[Epoch, Epoch]:
        """The one before, and the one that begins."""
        before = Epoch(self.epoch_before, bytes.fromhex(self.epoch_before_bits))
        return before, Epoch(self.epoch, bytes.fromhex(self.epoch_bits))

    def takes_all_of(self, server_id: str) -> bool:
        """True for the survivor whose whole log counts; the others are filled by it."""
        return server_id == self.leads

    def configuration(self) -> Configuration:
        """The configuration with which the cluster begins."""
        return Configuration(
            tuple(
                Server(s.id, s.address, Suffrage.VOTER if s.voter else Suffrage.NONVOTER, s.key)
                for s in self.servers
            )
        )


def make(found: Survivors, random: bytes) -> Plan:
    """The plan for these survivors. `random` are the bits of the epoch, drawn for this plan."""
    assert len(random) == EPOCH_BITS, "the bits of an epoch"
    best = found.best
    known = {member.id: member for member in best.members.servers}
    servers = tuple(
        msgspec.structs.replace(known[each.server_id], voter=each is best)
        for each in sorted(found.folders, key=lambda each: each.server_id)
    )
    rest = f"entries {best.commit_known + 1} to {best.reach[1]} of {best.server_id}"
    if best.commit_known >= best.reach[1]:
        rest = "nothing: all of the log is known to be committed"
    plan = Plan(
        about="A recovery of survivors: quorate operator recover apply FILE DIR, on each of them.",
        kind=best.kind,
        cluster_id=best.cluster_id,
        region=best.region,
        epoch_before=best.epoch.counter,
        epoch_before_bits=best.epoch.bits.hex(),
        epoch=best.epoch.counter + 1,
        epoch_bits=random.hex(),
        leads=best.server_id,
        survivors=tuple(
            Survivor(
                server_id=each.server_id,
                address=known[each.server_id].address,
                path=each.path,
                last_term=each.reach[0],
                last_index=each.reach[1],
                committed=each.commit_known,
            )
            for each in found.folders
        ),
        servers=servers,
        left_out=found.left_out,
        left_out_may_decide=found.may_decide,
        becomes_committed=rest,
        may_be_lost=f"writes that were acknowledged and that {best.server_id} does not have",
        not_prevented=_NOT_PREVENTED if found.may_decide else "",
        peers_json=text_of(found.configuration()) if best.kind == Kind.NOMAD.value else "",
    )
    return msgspec.structs.replace(plan, digest=_digest(plan))


def _digest(plan: Plan) -> str:
    return sha256(msgspec.json.encode(msgspec.structs.replace(plan, digest=""))).hexdigest()


def encode(plan: Plan) -> bytes:
    """The file of a plan."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2) + b"\n"


def decode(data: bytes, name: str) -> Plan:
    """The plan in the bytes of the file `name`. Raises QuorateError."""
    if len(data) > BYTES_MAX:
        raise QuorateError(f"{name} is no plan of a recovery: it has {len(data)} bytes", _AGAIN)
    try:
        plan: Plan = msgspec.json.decode(data, type=Plan)
        _ = plan.epochs
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise QuorateError(f"{name} is no plan of a recovery: {error}", _AGAIN) from error
    if plan.version != VERSION:
        raise QuorateError(f"{name} is a plan of form {plan.version}, not {VERSION}", _AGAIN)
    if plan.digest != _digest(plan):
        raise QuorateError(f"{name} was changed after it was made", _AGAIN)
    return plan


def check(plan: Plan, found: FolderSummary, lost: Sequence[str]) -> Survivor:
    """Raise WrongDataFolder unless the plan is for this folder, and this state of it.

    `lost` are the IDs that the operator has named as lost for good. Raises QuorateError if one is
    missing that could have a part in a majority.
    """
    before, after = plan.epochs
    if found.kind != plan.kind or found.cluster_id != plan.cluster_id:
        raise WrongDataFolder(
            f"{found.path} is of cluster {found.cluster_id or '(none)'}, the plan is for "
            f"{plan.cluster_id}",
            _AGAIN,
        )
    if found.epoch == after:
        raise WrongDataFolder(
            f"the plan was applied to {found.path} before", "start its server, if it does not run"
        )
    if found.epoch != before:
        raise WrongDataFolder(
            f"{found.path} is of epoch {found.epoch}, the plan goes on from {before}", _AGAIN
        )
    mine = [each for each in plan.survivors if each.server_id == found.server_id]
    if not mine:
        raise WrongDataFolder(
            f"{found.path} is of server {found.server_id}, which is no survivor of the plan", _AGAIN
        )
    if found.reach != (mine[0].last_term, mine[0].last_index):
        raise WrongDataFolder(
            f"{found.path} ends at entry {found.reach[1]} of term {found.reach[0]}, not at "
            f"{mine[0].last_index} of term {mine[0].last_term} as when the plan was made",
            _AGAIN,
        )
    missing = [s.id for s in plan.left_out if s.voter and s.id not in lost]
    if plan.left_out_may_decide and missing:
        raise QuorateError(
            f"the servers that are left out could hold a majority: {', '.join(missing)}; what "
            "they have acknowledged may be lost",
            f"if they are lost for good, name them: -lost={','.join(missing)}",
        )
    return mine[0]
