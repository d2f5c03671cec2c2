"""Which connection is believed to be of which server, and what it may be used for.

The Raft configuration says which key proves which ID. From that, and from the starts of the other
servers that were seen, all rules of this room follow:

- A member is a server of the configuration whose connection was proven with the key on record.
- An ID in use is not taken over: a newer start of it at another address counts once the old address
  no longer answers with that key (copies of data folders).
- What is refused by its start, epoch or cluster is no member, whatever it proves.
- Without proof a connection is for Raft alone, and only from the hosts that a setting names, or
  while the cluster is `lenient`: while it has feature level 0, whose servers prove nothing.

Nothing here waits for the network but the probe of a former address.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from quorate.net.peer import Peer
from quorate.net.threads import in_thread
from quorate.raft.values.configuration import Configuration, Server
from quorate.raft.values.identity import (
    IdentityRecord,
    Start,
    newer_starts,
    objection,
    start_objection,
    two_bodies,
)
from quorate.wire.handshake import (
    NONCE_BYTES,
    VOUCHERS_MAX,
    DialerHandshake,
    ListenerHandshake,
    Signer,
    Speaker,
    Voucher,
    is_signed,
    voucher_text,
)
from quorate.wire.raft.identity import is_sound

if TYPE_CHECKING:
    from quorate.net.tls.keeper import TlsKeeper

_LEAVING_S: Final = 5.0
"""For so long a removed server may still be talked to, so that it hears of its removal."""
_PLAIN_S: Final = 5.0
"""For so long an address is dialed without proof after it has shown that it knows none."""
_PLACES_MAX: Final = 1024
STARTS_TOLD_MAX: Final = 64
"""Starts of members that one answer tells, voters first: more than a cluster has of these."""


class Starts(Protocol):
    """The durable book of the starts of other servers (`storage.folder`)."""

    @property
    def seen(self) -> Mapping[str, Start]:
        """The newest ones, by server ID."""

    def note_starts(self, starts: Mapping[str, Start]) -> None:
        """Remember newer starts durably. Waits for the disk."""


class StartsInMemory:
    """A book that is forgotten at the end: for tests and for replicas without a folder."""

    def __init__(self) -> None:
        self.seen: dict[str, Start] = {}

    def note_starts(self, starts: Mapping[str, Start]) -> None:
        """Remember newer starts."""
        self.seen = {**self.seen, **starts}


class Trust:
    """See the module. It belongs to one server, and its loop.

    `me` is what this server says of itself now. `configuration` is the newest one known here.
    `refused(where, why)` is told of each refusal that a person should know of. `probe(address)`
    dials that address and returns the server that proves itself there, or None.
    """

    def __init__(
        self,
        *,
        signer: Signer,
        me: Callable[[], tuple[IdentityRecord, str, str]],
        configuration: Callable[[], Configuration],
        starts: Starts,
        lenient: Callable[[], bool],
        unproven_hosts: Collection[str] = (),
        refused: Callable[[str, str], None] = lambda _where, _why: None,
        tls: TlsKeeper | None = None,
    ) -> None:
        self._signer = signer
        self._me = me
        self._configuration = configuration
        self.starts = starts
        self.lenient = lenient
        self.unproven_hosts = frozenset(unproven_hosts)
        self.refused = refused
        self.probe: Callable[[str], Awaitable[Peer | None]] | None = None
        self.met: Callable[[IdentityRecord], object] = lambda _: None
        """Told of each member that has proven itself, whatever speaks against it."""
        self.places: dict[str, tuple[str, bytes]] = {}
        """By ID: the address at which a server was dialed and has answered, and its key."""
        self.changes = 0
        """Rises when a start is noted: what was decided on before has to be asked again."""
        self.tls = tls
        self._plain: dict[str, float] = {}  # address -> until when no proof is asked for
        self._no_tls: dict[str, float] = {}  # address -> until when it is dialed without TLS
        self._members = Configuration()
        self._leaving: dict[str, tuple[Server, float]] = {}
        self._issued: dict[tuple[str, bytes, str], bytes] = {}
        self._vouchers: dict[str, Voucher] = {}
        self._admitting: dict[str, asyncio.Lock] = {}
        self._copies: dict[str, Start] = {}  # by ID: the start that is a second body of it
        self._loop = asyncio.get_running_loop()

    # -- handshakes ------------------------------------------------------------------------------

    @property
    def key(self) -> bytes:
        """The public key of this server."""
        return self._signer.public

    def speaker(self) -> Speaker:
        """This server's description of itself."""
        record, region, address = self._me()
        vouchers = tuple(self._vouchers.values())
        return Speaker(
            record=record, region=region, address=address, key=self.key, vouchers=vouchers
        )

    def myself(self) -> Peer:
        """This server as others see it."""
        record, region, address = self._me()
        return Peer(record=record, region=region, address=address, key=self.key)

    def listening(self, another: Callable[[Speaker], str]) -> ListenerHandshake:
        """The listener's side of one connection. `another` says what else speaks against it."""
        nonce = secrets.token_bytes(NONCE_BYTES)

        def check(other: Speaker) -> str:
            return self.check_key(other) or another(other)

        return ListenerHandshake(self.speaker(), self._signer, nonce, check, self._vouch_for)

    def dialing(self, check: Callable[[Speaker], str]) -> DialerHandshake:
        """The dialer's side of one connection."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return DialerHandshake(self.speaker(), self._signer, nonce, check, self._vouch_for)

    def check_key(self, other: Speaker) -> str:
        """Empty, or why this key does not belong to this ID."""
        server_id = other.record.server_id
        member = self._member(server_id)
        if member is not None and member.key and member.key != other.key:
            return f"{server_id} at {other.address} has another key than the one on record"
        ours = self._me()[0]
        if server_id == ours.server_id and other.key != self.key:
            return f"{other.address} uses this server's ID {server_id} with another key"
        return ""

    def check_listener(self, expected_id: str, address: str) -> ListenerCheck:
        """The check of the server at `address`; `expected_id` is empty if it may be any."""
        return ListenerCheck(self, expected_id, address)

    async def admit(self, other: Speaker, voucher: bytes, dialed: str = "") -> Peer:
        """Take note of a server that has proven itself; `dialed` is where, if it was dialed.

        Its newer start counts, durably, from then on, unless its former address still answers.
        """
        record = other.record
        self._collect(record.server_id, voucher)
        member = self._member(record.server_id)
        peer = Peer(
            record=record,
            region=other.region,
            address=other.address,
            key=other.key,
            vouched=member is None and self._vouched(other),
        )
        ours = self._me()[0]
        if member is not None and record.server_id != ours.server_id and record.start.number:
            lock = self._admitting.setdefault(record.server_id, asyncio.Lock())
            async with lock:
                await self._admit_start(peer, member)
            if not lock.locked():
                self._admitting.pop(record.server_id, None)
        if dialed and not self.objection(peer.record):
            self.note_place(peer, dialed)
        if self.holds_the_key(peer):
            self.met(peer.record)
        return peer

    async def _admit_start(self, peer: Peer, member: Server) -> None:
        record, seen = peer.record, self.starts.seen.get(peer.server_id)
        if self.objection(record) or record.start == seen:
            return
        former = self.places.get(member.id, (member.address, b""))[0]
        if former != peer.address and self.probe is not None:
            there = await self.probe(former)
            if there is not None and _two_bodies(there, peer):
                self.refused(
                    peer.address,
                    f"two servers use the ID {member.id}: one at {former}, and since now another "
                    f"one at {peer.address}; the second one stays out",
                )
                self._copies[peer.server_id] = record.start
                self.changes += 1
                return
        await in_thread(self.starts.note_starts, {peer.server_id: record.start})
        self.changes += 1

    # -- starts of others, from hearsay ----------------------------------------------------------

    def starts_for(self, peer: Peer | None) -> dict[str, Start]:
        """The newest starts of members that were seen here, for another member."""
        if peer is None or not (self.holds_the_key(peer) and self.is_member(peer)):
            return {}
        members = sorted(self._configuration().servers, key=lambda member: not member.is_voter)
        known = self.starts.seen
        told = [server.id for server in members if server.id in known]
        return {server_id: known[server_id] for server_id in told[:STARTS_TOLD_MAX]}

    async def learn_starts(self, by: Peer, told: Mapping[str, Start]) -> None:
        """A member has told what starts it has seen: what is newer counts here, durably.

        This server may be the only one that is left to know an old copy of another one's data.
        """
        if not (self.holds_the_key(by) and self.is_member(by)):
            return
        me = self._me()[0].server_id
        others = {server.id for server in self._configuration().servers} - {me}
        sound = {each: start for each, start in told.items() if is_sound(start)}
        if newer := newer_starts(self.starts.seen, sound, others):
            await in_thread(self.starts.note_starts, newer)
            self.changes += 1

    # -- what a proven server may do -------------------------------------------------------------

    def objection(self, record: IdentityRecord) -> str:
        """Why nothing of the sender of this record counts, or empty."""
        if self._copies.get(record.server_id) == record.start:
            return f"{record.server_id} runs on two copies of one data folder"
        return objection(self._me()[0], record, self.starts.seen.get(record.server_id))

    def peer_objection(self, peer: Peer) -> str:
        """`objection`; of two processes with one start their places say what has happened."""
        why, seen = self.objection(peer.record), self.starts.seen.get(peer.server_id)
        record, member = peer.record, self._member(peer.server_id)
        alive = self._copies.get(record.server_id) == record.start
        if not why or alive or seen is None or member is None:
            return why
        if record.start.number != seen.number or not start_objection(record, seen):
            return why
        former = self.place_of(member)
        if former == peer.address:  # two processes cannot listen there
            return f"{why}; both at {former}: its folder was put back to an older state"
        return f"{why}; one was at {former}, one is at {peer.address}: its folder was copied"

    def member_objection(self, record: IdentityRecord) -> str:
        """`objection`, for members; servers of other regions are of other clusters."""
        return self.objection(record) if self._member(record.server_id) is not None else ""

    def is_copy(self, record: IdentityRecord) -> bool:
        """True if this server runs on a data folder that was rolled back, or on one of two."""
        if self._copies.get(record.server_id) == record.start:
            return True
        return bool(start_objection(record, self.starts.seen.get(record.server_id)))

    def holds_the_key(self, peer: Peer) -> bool:
        """True if it has the ID and the key of a member, whatever else speaks against it."""
        member = self._member(peer.server_id)
        return member is not None and bool(member.key) and member.key == peer.key

    def is_on_record(self, peer: Peer) -> bool:
        """True if it is in the configuration of this moment, and has not just been removed."""
        member = self._configuration().get(peer.server_id)
        return member is not None and self._speaks_as(member, peer)

    def key_of(self, server_id: str) -> bytes:
        """The key that the server has proven where it was dialed last; empty if it has not."""
        if server_id == self._me()[0].server_id:
            return self.key
        return self.places.get(server_id, ("", b""))[1]

    def is_settled(self, server: Server) -> bool:
        """True if its key is on record, or it is of another make and proves none."""
        return bool(server.key) or _host(server.address) in self.unproven_hosts

    def is_member(self, peer: Peer) -> bool:
        """True if it is in the configuration known here, by its key, and nothing speaks against."""
        member = self._member(peer.server_id)
        known = member is not None and self._speaks_as(member, peer)
        return known and not self.objection(peer.record)

    def grounds(self) -> tuple[object, ...]:
        """What `is_member` says of a peer that `is_on_record`: the same, while this is equal."""
        return (self._configuration(), self._me()[0], self.starts.seen, self.changes)

    def _speaks_as(self, member: Server, peer: Peer) -> bool:
        """True if this proof may be of that member.

        A member without a key is believed by the first one that it proves, but for one at a host
        whose servers prove nothing: a proof of its ID is of another server.
        """
        host = member.address.rpartition(":")[0].strip("[]")
        return member.key == peer.key or not (member.key or host in self.unproven_hosts)

    def raft_problem(self, peer: Peer) -> str:
        """Empty, or why this server's Raft requests are not taken."""
        why = self.objection(peer.record)
        if why or peer.vouched or self.is_member(peer) or not self._members.servers:
            return why
        return f"{peer.server_id} at {peer.address} is no member of the cluster known here"

    def request_problem(
        self, peer: Peer | None, host: str, sender_id: str, record: IdentityRecord | None
    ) -> str:
        """Empty, or why a Raft request is not taken that names this sender.

        `peer` is the proven server at the other end, or None; `host` is from where it comes,
        `record` what the request says of its sender.
        """
        if peer is None:
            return self._unproven_problem(host, sender_id)
        if sender_id != peer.server_id:
            return f"{peer.server_id} at {peer.address} speaks in the name of {sender_id[:128]!r}"
        if record is None or record is peer.record:
            return self.raft_problem(peer)
        if record.server_id != peer.server_id:
            return f"{peer.server_id} at {peer.address} carries the record of {record.server_id}"
        return self.raft_problem(msgspec.structs.replace(peer, record=record))

    def _unproven_problem(self, host: str, sender_id: str) -> str:
        why = self.plain_problem(host)
        if why or host in self.unproven_hosts or not self._configuration().servers:
            return why
        if self._member(sender_id) is None:
            return f"a sender that proves no ID and names {sender_id[:128]!r}, which is no member"
        return ""

    def plain_problem(self, host: str) -> str:
        """Empty, or why a Raft connection without proof is not taken from this host."""
        if host in self.unproven_hosts or self.lenient():
            return ""
        return (
            "a Raft connection that proves no server ID; if an older version of Quorate runs "
            "there, upgrade it (see quorate operator upgrade check); if a server of another make "
            "does, name its address in server.unproven_peers"
        )

    # -- the configuration -----------------------------------------------------------------------

    def _member(self, server_id: str) -> Server | None:
        self._look()
        member = self._members.get(server_id)
        if member is None and server_id in self._leaving:
            member, until = self._leaving[server_id]
            if self._loop.time() >= until:
                return None
        return member

    def _look(self) -> None:
        """Notice that the configuration has changed."""
        configuration = self._configuration()
        if configuration is self._members:
            return
        until = self._loop.time() + _LEAVING_S
        self._leaving = {
            server_id: left
            for server_id, left in self._leaving.items()
            if left[1] > until - _LEAVING_S
        }
        for server in self._members.servers:
            if configuration.get(server.id) is None:
                self._leaving[server.id] = (server, until)
        for server_id, (address, _) in list(self.places.items()):
            before, now = self._members.get(server_id), configuration.get(server_id)
            moved = now is not None and before is not None and before.address != now.address
            if now is None or (moved and address != now.address):
                del self.places[server_id]  # the log is newer than what was dialed
        self._members = configuration

    # -- where servers are -----------------------------------------------------------------------

    def note_place(self, peer: Peer, address: str) -> None:
        """Another server was dialed at that address, and has proven itself there."""
        if peer.server_id == self._me()[0].server_id:
            return
        if len(self.places) >= _PLACES_MAX and peer.server_id not in self.places:
            return
        self.places[peer.server_id] = (address, peer.key)

    def place_of(self, server: Server) -> str:
        """Where this member is now: the newest address at which its key has answered.

        An address that the log has got since then is newer.
        """
        if self._configuration() is not self._members:
            self._look()
        known = self.places.get(server.id)
        if known is not None:
            address, key = known
            return address if key == server.key or not server.key else server.address
        me, _, own = self._me()
        return own if server.id == me.server_id else server.address

    def last_place(self, server_id: str) -> str:
        """Where that member was known last, for people."""
        member = self._member(server_id)
        return "(unknown)" if member is None else self.place_of(member)

    def dials_plain(self, address: str, server_id: str) -> bool:
        """True if nothing is proven on connections to this address."""
        host = _host(address)
        member = self._member(server_id) if server_id else None
        if host in self.unproven_hosts and server_id and (member is None or not member.key):
            return True
        return self.lenient() and self._plain.get(address, 0.0) > self._loop.time()

    def knows_no_proof(self, address: str) -> bool:
        """The server there closed at the first byte. True if it may be dialed without proof."""
        if not self.lenient():
            return False
        if len(self._plain) >= _PLACES_MAX:
            self._plain.clear()
        self._plain[address] = self._loop.time() + _PLAIN_S
        return True

    def speaks_plain(self, address: str) -> bool:
        """True if this address is dialed without TLS: while servers get theirs one by one."""
        until = self._no_tls.get(address)
        return until is not None and until > self._loop.time()

    def knows_no_tls(self, address: str) -> None:
        """The server there closed at the mode byte of TLS."""
        if len(self._no_tls) >= _PLACES_MAX:
            self._no_tls.clear()
        self._no_tls[address] = self._loop.time() + _PLAIN_S

    # -- vouchers --------------------------------------------------------------------------------

    def _vouch_for(self, other: Speaker) -> bytes:
        server_id, ours = other.record.server_id, self._me()[0]
        member = self._members.get(server_id)
        if member is None or member.key != other.key or not ours.cluster_id:
            return b""
        wanted = (server_id, other.key, ours.cluster_id)
        issued = self._issued.get(wanted)
        if issued is None:
            if len(self._issued) >= _PLACES_MAX:
                self._issued.clear()
            issued = self._issued[wanted] = self._signer.sign(
                voucher_text(ours.cluster_id, server_id, other.key)
            )
        return issued

    def _collect(self, issuer: str, signature: bytes) -> None:
        if signature and self._members.get(issuer) is not None:
            self._vouchers.pop(issuer, None)
            self._vouchers[issuer] = Voucher(issuer, signature)
            while len(self._vouchers) > VOUCHERS_MAX:
                del self._vouchers[next(iter(self._vouchers))]

    def _vouched(self, other: Speaker) -> bool:
        """True if a member of the configuration known here says that it is one."""
        cluster_id = self._me()[0].cluster_id
        for voucher in other.vouchers:
            issuer = self._members.get(voucher.issuer)
            if issuer is not None and issuer.key and cluster_id:
                text = voucher_text(cluster_id, other.record.server_id, other.key)
                if is_signed(issuer.key, voucher.signature, text):
                    return True
        return False


class ListenerCheck:
    """The questions of a dialer to a listener before it answers its challenge.

    The listener has to say that the address is its own. Otherwise a stranger could pass the words
    of both sides on, and be taken for either. `elsewhere` is where it says it is, if that differs.
    """

    def __init__(self, trust: Trust, expected_id: str, address: str) -> None:
        self._trust = trust
        self._expected_id = expected_id
        self._address = address
        self.elsewhere = ""

    def __call__(self, other: Speaker) -> str:
        """Empty, or why the connection ends."""
        server_id, address = other.record.server_id, self._address
        if self._expected_id and server_id != self._expected_id:
            return f"another server, {server_id}, answers at {address}"
        if other.address != address:
            self.elsewhere = other.address
            return f"{server_id} answers at {address}, but says that it is at {other.address}"
        why = self._trust.check_key(other)
        if not why and self._expected_id:
            why = self._trust.member_objection(other.record)
        return why


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _two_bodies(there: Peer, newcomer: Peer) -> bool:
    """True if another process of the same server ID answers there."""
    return there.key == newcomer.key and two_bodies(there.record, newcomer.record)
