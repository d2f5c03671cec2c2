"""Survivors that run, asked over the network what a recovery has to know. Nothing is changed.

Servers of Quorate say it themselves (`raft/facts`); of a real Nomad server it is put together from
its configuration and its statistics.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from quorate.cli.context import Context, Failure, doing
from quorate.client import AgentSelf, Client, ClientError, RaftConfiguration, StatusError
from quorate.recovery.looking.summary import FolderSummary, Kind, Member, Members
from quorate.recovery.looking.told import summary_of, with_snapshot

OF_THE_MOMENT: Final = (
    "Servers were asked over the network. Of this moment only: that none has a leader, the last\n"
    "entry, and what is known to be committed. Make it again if a server was started since.\n"
)
_HAS_LEADER: Final = (
    "nothing is to be recovered: replace lost servers by `quorate operator raft remove-peer` and "
    "new ones"
)


def asked(context: Context, address: str) -> FolderSummary:
    """The server at this address of its HTTP API. Raises Failure, also if it has a leader."""
    with doing(""), context.client(address) as client:
        try:
            found, leader = _asked(client, address)
        except ClientError as error:
            raise Failure(f"{address}: {error.text}", error.next_step) from error
    if leader:
        raise Failure(f"{address} has a leader: {leader}", _HAS_LEADER)
    if not found.members.servers:
        raise Failure(
            f"{address} belongs to no cluster: it has no configuration",
            "leave it out; it can join when there is a leader",
        )
    return found


def left_running(context: Context, addresses: Sequence[str], survivors: Collection[str]) -> str:
    """A member that runs and answers, and is not among these IDs; empty if there is none.

    It is asked by the servers at these addresses, over their RPC ports. It is a survivor: what it
    holds must not be left out for not being named. Raises Failure.
    """
    for address in addresses:
        with doing(""), context.client(address) as client:
            try:
                views = client.raft_views().servers
            except StatusError as error:
                if error.status != 404:  # a real Nomad server has no such endpoint
                    raise Failure(f"{address}: {error.text}", error.next_step) from error
                continue
            except ClientError as error:
                raise Failure(f"{address}: {error.text}", error.next_step) from error
        for view in views:
            if view.id and not view.error and view.id not in survivors:
                return f"{view.node or 'a server'} ({view.id} at {view.address})"
    return ""


def _asked(client: Client, address: str) -> tuple[FolderSummary, str]:
    """What it has, and the leader that it knows or is."""
    try:
        facts = client.raft_facts()
    except StatusError as error:
        if error.status != 404:
            raise
    else:
        leads = facts.leader or (facts.address if facts.role == "leader" else "")
        return summary_of(facts, address), leads
    configuration, agent = client.raft_configuration(stale=True), client.agent_self()
    return _nomads(address, configuration, agent)


def _nomads(
    address: str, configuration: RaftConfiguration, agent: AgentSelf
) -> tuple[FolderSummary, str]:
    members = tuple(Member(s.id, s.address, s.voter) for s in configuration.servers)
    known, place = {member.id for member in members}, agent.member.rpc_address
    own = agent.member.tags.get("id", "")
    if own not in known:  # before protocol 3 the address is the ID
        own = next((member.id for member in members if member.address == place), own)
    raft = agent.stats.get("raft")
    if raft is None:
        raise Failure(f"{address} is no server: it says nothing of a log", "ask a server")
    leads = next((s.address for s in configuration.servers if s.leader), "")
    leads = leads or str(agent.stats.get("nomad", {}).get("leader_addr", ""))
    found = FolderSummary(
        kind=Kind.NOMAD.value,
        path=address,
        server_id=own,
        last_index=_number(address, raft, "last_log_index"),
        last_term=_number(address, raft, "last_log_term"),
        term=_number(address, raft, "term"),
        commit_known=_number(address, raft, "commit_index"),
        members=Members(configuration.index, members),
    )
    index = _number(address, raft, "last_snapshot_index")
    return with_snapshot(found, index, _number(address, raft, "last_snapshot_term")), leads


def _number(address: str, raft: dict[str, object], name: str) -> int:
    text = str(raft.get(name, ""))
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise Failure(f"{address} says no number in stats.raft.{name}: {text[:40]!r}")
    return int(text)
