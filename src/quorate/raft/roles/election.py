"""Votes and campaigns (Raft 5.2, 5.4.1; thesis 4.2.3, 9.6; docs/wire.md#votes).

Invariants: a vote is given once per term and is durable before the answer leaves; a pre-vote
changes nothing; only voters of the configuration in force campaign; no server that heard from a
leader within the election timeout votes for another, except in a leadership transfer; no server
votes or campaigns after a start, or with a new vote, before it has greeted the other members
(`greeting`, ours); no server whose state machine is damaged campaigns, not even when told to (ours,
in no paper).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorate.raft.effects import Role
from quorate.raft.pending import Campaign, Cause
from quorate.raft.values import bounds
from quorate.raft.values.messages import (
    AnyResponse,
    HardState,
    PreVoteRequest,
    PreVoteResponse,
    RequestVoteRequest,
    RequestVoteResponse,
    TimeoutNowRequest,
    TimeoutNowResponse,
)

if TYPE_CHECKING:
    from quorate.raft.state import NodeState


def timed_out(node: NodeState) -> None:
    """No leader was heard for a whole election timeout."""
    if node.greeting is not None:
        return  # at the end of it this is asked again
    node.touch_election_timer()
    if node.prepared:
        return  # for a recovery, by which another epoch begins
    if not node.may_campaign():
        if node.leader_id:
            node.become_follower(node.term, "no leader heard; this server has no vote")
        return
    if node.machine_trouble is not None:
        if node.leader_id:
            node.become_follower(node.term, f"no leader heard; {node.machine_trouble.value}")
        return
    if node.disk_stalled() or node.storage_full:
        # It could not store its own vote: let another one lead.
        return
    _begin(node, pre=True, cause="no leader heard", reason=_why_none_is_heard(node))


def _why_none_is_heard(node: NodeState) -> Cause:
    term, known = node.led_by
    if not known:
        return Cause.UNKNOWN
    return Cause.GONE if node.leader_gone_in == term else Cause.SILENT


def on_timeout_now(node: NodeState, reply_to: Any, request: TimeoutNowRequest) -> None:
    """The leader hands over: campaign at once, without a pre-vote (thesis 3.10).

    Only the leader of this term may ask for it: the votes that follow break other leaders' leases.
    """
    node.reply(
        reply_to,
        TimeoutNowResponse(
            sender_id=node.server_id, sender_address=node.address, identity=node.identity
        ),
        durable=False,
    )
    current = _is_of_the_leader(node, request)
    able = not (node.storage_full or node.machine_trouble or node.greeting)
    if current and node.leader is None and node.is_voter() and able:
        reason = Cause.HANDED_OVER
        _begin(node, pre=False, cause="the leader handed over", reason=reason, transfer=True)


def _is_of_the_leader(node: NodeState, request: TimeoutNowRequest) -> bool:
    """True if the leader that is followed now says so, in this term.

    Other makes, and servers of ours at feature level 0, send no term; the oldest send no ID. That
    counts only from a leader whose appends show that it is such a one.
    """
    if not node.leader_id:
        return False
    named = request.sender_id == node.leader_id or (not request.sender_id and not node.leader_named)
    in_term = request.term == node.term or (request.term == 0 and not node.leader_identified)
    return named and in_term


def _begin(
    node: NodeState, *, pre: bool, cause: str, reason: Cause, transfer: bool = False
) -> None:
    if node.term >= bounds.NUMBER_MAX:
        return  # no election can follow on this term; nothing may be sent past its range
    node.leader_id = node.leader_address = ""
    node.touch_election_timer()
    node.campaign = campaign = Campaign(pre, reason)
    if pre:
        node.role = Role.PRE_CANDIDATE
        node.announce(cause)
        if _grant(node, node.server_id):
            return
    else:
        # Its own vote counts, and the others are asked, when it is durable.
        node.role = Role.CANDIDATE
        term = node.term + 1
        node.set_hard_state(HardState(term, node.server_id, term))
        node.announce(cause)
    for server in node.configuration.voters():
        if server.id != node.server_id:
            rpc_id = node.send(server, _request(node, pre=pre, transfer=transfer))
            campaign.asked[rpc_id] = server.id


def _request(node: NodeState, *, pre: bool, transfer: bool) -> PreVoteRequest | RequestVoteRequest:
    header = node.header()
    last: dict[str, Any] = {
        "last_log_index": node.log.last_index,
        "last_log_term": node.log.last_term,
    }
    if pre:
        header["term"] = node.term + 1
        return PreVoteRequest(**header, **last)
    return RequestVoteRequest(
        **header, **last, candidate=node.address, leadership_transfer=transfer
    )


def _won(node: NodeState) -> bool:
    campaign = node.campaign
    assert campaign is not None
    votes = sum(1 for server_id in campaign.granted if node.configuration.is_voter(server_id))
    if votes < node.configuration.quorum():
        return False
    if campaign.pre:
        _begin(node, pre=False, cause="the majority would vote for it", reason=campaign.cause)
    else:
        node.become_leader()
    return True


def on_response(node: NodeState, peer_id: str, rpc_id: int, response: AnyResponse) -> None:
    """An answer to a vote or pre-vote request."""
    if not isinstance(response, RequestVoteResponse | PreVoteResponse):
        return
    proposed = node.term + (1 if node.campaign and node.campaign.pre else 0)
    if response.term > proposed:
        node.become_follower(response.term, "a peer answered with a higher term")
        return
    campaign = node.campaign
    if campaign is None or campaign.asked.get(rpc_id) != peer_id or not response.granted:
        return
    if not campaign.pre and response.term != node.term:
        return
    _grant(node, peer_id)


def on_failure(node: NodeState, peer_id: str, rpc_id: int, reason: str) -> None:
    """No answer. A peer that does not know pre-vote says so, and then counts as in favour."""
    campaign = node.campaign
    if campaign is None or not campaign.pre or campaign.asked.get(rpc_id) != peer_id:
        return
    if "unexpected command" in reason:
        _grant(node, peer_id)


def on_persisted(node: NodeState) -> None:
    """Something became durable: perhaps the vote for itself."""
    campaign = node.campaign
    if campaign is not None and not campaign.pre and not node.outbox.hard_state_pending():
        _grant(node, node.server_id)


def _grant(node: NodeState, voter_id: str) -> bool:
    """Count a vote once; True if that decides the round."""
    campaign = node.campaign
    assert campaign is not None
    if voter_id in campaign.granted:
        return False
    campaign.granted.append(voter_id)
    return _won(node)


def _follows_another(node: NodeState, candidate_id: str, candidate_address: str) -> bool:
    """True if this server must not help the candidate because it may still have a leader."""
    if node.leader is not None:
        return True
    if not node.heard_recently():
        return False
    if candidate_id and node.leader_named:
        return candidate_id != node.leader_id  # addresses are reused: they say nothing beside IDs
    return not candidate_address or candidate_address not in {node.leader_address, node.leader_id}


def _out_of_place(node: NodeState, request: PreVoteRequest | RequestVoteRequest) -> bool:
    """True if the sender has no vote as far as both logs can tell.

    A sender whose log is ahead of ours may have been given a vote by an entry that we lack: that
    one is heard, or a cluster whose newest voter holds the newest log might never elect anyone
    (Raft 6; hashicorp/raft refuses it).
    """
    if not node.configuration.servers:
        return False
    ours = (node.log.last_term, node.log.last_index)
    if (request.last_log_term, request.last_log_index) > ours:
        return False
    return not _is_voter(node, request)


def _is_voter(node: NodeState, request: PreVoteRequest | RequestVoteRequest) -> bool:
    """True if the sender has a vote in the configuration here; the oldest peers send no ID."""
    if request.sender_id:
        return node.configuration.is_voter(request.sender_id)
    address = request.sender_address or getattr(request, "candidate", "")
    known = node.configuration.by_address(address)
    return known is not None and known.is_voter


def _was_handed_over(node: NodeState, request: RequestVoteRequest) -> bool:
    """True if a promise to the leader need not be kept: it has told the sender to campaign.

    The flag is the sender's word. It counts only of a voter, and in the term that follows ours: the
    leader of our term hands over once.
    """
    return (
        request.leadership_transfer and request.term == node.term + 1 and _is_voter(node, request)
    )


def _comes_first(node: NodeState, request: PreVoteRequest) -> bool:
    """True if of two servers that begin to campaign together it is the sender that should win.

    Otherwise both might pass the pre-vote by each other's word and then split the votes. The
    newer log comes first, then the lower id. (Not in the papers; it changes who campaigns, never
    who may be voted for.)
    """
    ours = (node.log.last_term, node.log.last_index)
    theirs = (request.last_log_term, request.last_log_index)
    return theirs > ours or (theirs == ours and "" < request.sender_id < node.server_id)


def on_pre_vote(node: NodeState, reply_to: Any, request: PreVoteRequest) -> None:
    """Would this server vote for the sender in `request.term`? Term and vote stay as they are."""
    granted = (
        node.greeting is None
        and request.term >= node.term
        and not _follows_another(node, request.sender_id, request.sender_address)
        and not _out_of_place(node, request)
        and node.is_up_to_date(request.last_log_index, request.last_log_term)
    )
    response = PreVoteResponse(
        term=node.term,
        granted=granted,
        sender_id=node.server_id,
        sender_address=node.address,
        identity=node.identity,
    )
    node.reply(reply_to, response, durable=False)
    campaign = node.campaign
    if granted and campaign is not None and campaign.pre and _comes_first(node, request):
        node.become_follower(node.term, f"{request.sender_address} campaigns too, and comes first")


def on_request_vote(node: NodeState, reply_to: Any, request: RequestVoteRequest) -> None:
    """Vote, at most once per term, for a candidate whose log is not behind."""
    granted = _vote(node, request)
    response = RequestVoteResponse(
        term=node.term,
        granted=granted,
        sender_id=node.server_id,
        sender_address=node.address,
        identity=node.identity,
    )
    node.reply(reply_to, response, of_term=True)


def _vote(node: NodeState, request: RequestVoteRequest) -> bool:
    if node.greeting is not None:
        return False  # its data may be an old copy, which has forgotten votes
    candidate = request.sender_address or request.candidate
    handed_over = _was_handed_over(node, request)
    if not handed_over and _follows_another(node, request.sender_id, candidate):
        return False  # whatever its term: it must not disturb (thesis 4.2.3)
    if request.term < node.term or _out_of_place(node, request):
        return False
    if request.term > node.term:
        node.become_follower(request.term, f"{candidate} campaigns in a higher term")
    state = node.hard_state
    # By its id: servers may have changed places since the vote was given. Old peers send none.
    identity = request.sender_id or candidate
    if state.vote_term == request.term:
        return state.voted_for == identity
    if not node.is_up_to_date(request.last_log_index, request.last_log_term):
        return False
    if node.campaign is not None:
        node.become_follower(node.term, f"{candidate} campaigns too, and first")
    node.vote_given_to(identity, request.last_log_index, request.last_log_term)
    return True
