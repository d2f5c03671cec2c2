"""Why no server leads, in words, for a server that has a configuration: the voters it misses.

Nothing is asked here. It is what this server can see: who of the voters lives, who is missing, and
who is there but does not count, having other data or none (docs/pains.md, 4 and 13).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from quorate.pool.refusals import Told
from quorate.raft.values.configuration import Configuration
from quorate.server.cluster.directory import ALIVE, Known
from quorate.server.cluster.identity import Identity
from quorate.state.engine.table import Reader
from quorate.state.tables import servers


def is_stranger(me: Identity, other: Identity) -> bool:
    """True for a server of our region whose data are of another cluster."""
    both = bool(me.cluster_id and other.cluster_id)
    return both and other.region == me.region and other.cluster_id != me.cluster_id


KNOWN_S: Final = 60.0
"""What was refused longer ago is no reason of now."""

_NAMED: Final = 3


def known_reasons(refused: Iterable[Told], tls_problem: str) -> tuple[str, ...]:
    """What this server knows that may keep the voters that are here from electing a leader.

    `refused` are its refusals, in both directions, the newest first.
    """
    lately = [f"{each.where}: {each.why}" for each in refused if each.ago_s < KNOWN_S]
    return tuple(filter(None, (tls_problem, *lately[:_NAMED])))


def why_no_leader(
    configuration: Configuration,
    me: Identity,
    pool: Iterable[Known],
    state: Reader,
    reasons: Sequence[str] = (),
) -> str:
    """One line: how many voters live, who is missing, and who cannot stand in for them.

    Where enough are here, `reasons` may say why they elect none.
    """
    live = {
        known.identity.id: known.identity
        for known in pool
        if known.status == ALIVE and known.identity.region == me.region
    }
    voters = configuration.voters()
    present = [v for v in voters if v.id in live and not is_stranger(me, live[v.id])]
    missing = [v for v in voters if v not in present]
    text = f"no leader: {len(present)} of {len(voters)} voters are here"
    if present:
        text += f" ({', '.join(live[v.id].node for v in present)})"
    if len(present) >= configuration.quorum():
        text += f", which are enough ({configuration.quorum()} are needed), and they elect none: "
        text += "; ".join(reasons) or (
            "nothing is known here of why; an election may be under way, or they do not reach each "
            "other's RPC ports: see quorate operator diagnose"
        )
    else:
        text += f", and {configuration.quorum()} are needed"
    if missing:
        named = []
        for voter in missing:
            record = servers.by_id(state, voter.id)
            name = f"{record.name} " if record is not None else ""
            named.append(f"{name}({voter.id} at {voter.address})")
        text += f"; missing: {', '.join(named)}"
    others = [one for one in live.values() if one.id != me.id]
    empty = [
        one.node for one in others if not one.initialised and configuration.get(one.id) is None
    ]
    if missing and empty:
        text += (
            f"; without data, and so no help: {', '.join(empty)} (a server with an empty data "
            "folder is a new one)"
        )
    strangers = [f"{o.node} (cluster {o.cluster_id})" for o in others if is_stranger(me, o)]
    if strangers:
        text += f"; of another cluster than {me.cluster_id}: {', '.join(strangers)}"
    return text
