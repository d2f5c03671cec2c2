"""The facts that a diagnosis is made of, and what comes out of it.

Everything in here has been bounded and made printable where it came in (`diagnosis.asking`).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from quorate.shapes.diagnosis import Details


class Trouble(StrEnum):
    """Why an address gave no answer."""

    DNS = "dns"
    """The name has no address."""
    DNS_SILENT = "dns-silent"
    """The name could not be looked up: the DNS gives no answer, or a temporary one."""
    REFUSED = "refused"
    """The machine answers, and nothing listens at the port."""
    SILENT = "silent"
    """Nothing came back in time, from the machine or from the process."""
    HANGS = "hangs"
    """The machine takes the connection, and the process says nothing."""
    UNREACHABLE = "unreachable"
    """The network has no way there."""
    CLOSED = "closed"
    """The connection was ended before an answer."""
    TLS = "tls"
    """The two do not agree on TLS; the text says which check failed."""
    EXPIRED = "expired"
    """The certificate is no longer valid."""
    GARBAGE = "garbage"
    """The answer is not that of an agent."""
    STRANGER = "stranger"
    """Another server is there, or one that is not believed."""
    DENIED = "denied"
    """The answer is that this may not be asked."""
    UNCHECKED = "unchecked"
    """It has heard no leader for so long that it does not know which tokens count."""


class Failure(msgspec.Struct, frozen=True):
    """Why there is no answer: its kind, and the words of the network."""

    kind: Trouble
    text: str


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process of this machine; `state` is the letter of it in /proc (R, S, D, T, ...)."""

    pid: int
    state: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP address that was asked. `server` is the ID of the one that answered.

    With a failure too it tells its health alone.
    `guessed`: nobody gave the address; a server that was named elsewhere may have its API there.
    `process` listens there and says nothing, if it is of this machine. `certificate_days` are left
    of the certificate that was shown there and checked.
    """

    address: str
    guessed: bool = False
    server: str = ""
    failure: Failure | None = None
    process: Process | None = None
    certificate_days: float | None = None


class Dialed(msgspec.Struct, frozen=True, kw_only=True):
    """A host and port that was dialed from here, and what for: "rpc" or "join".

    `process` listens there, if it is of this machine and the other servers are not answered.
    """

    address: str
    what: str
    failure: Failure | None = None
    process: Process | None = None


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A server of a Raft configuration."""

    id: str
    address: str
    voter: bool = True


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A server that has told of itself, by HTTP or to another server.

    `http` is where it answered itself, or empty. `make` is Quorate or Nomad, and empty if only its
    health is told. `address` is that of its RPC port. `facts` is None from one that tells none.
    `leader` is the RPC address that it follows. `clock_off_s` is its clock less the one here, None
    where that is not known, with an error of `clock_error_s` at most. `health` is what it says of
    its own health, if that is bad. `prepared` is the digest of the plan of a recovery.
    """

    id: str
    node: str
    address: str
    http: str = ""
    make: str = "Quorate"
    role: str = ""
    term: int = 0
    leader: str = ""
    last_contact_ms: int = 0
    last_index: int = 0
    commit_index: int = 0
    configuration_index: int = 0
    members: tuple[Member, ...] = ()
    state: str = ""
    held: str = ""
    prepared: str = ""
    version: str = ""
    health: str = ""
    clock_off_s: float | None = None
    clock_error_s: float = 0.0
    facts: Details | None = None

    @property
    def told(self) -> Details:
        """Its facts; all empty from a server that tells none."""
        return self.facts or Details()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A server `by` (its ID) has asked another one over the RPC port, and had no answer."""

    by: str
    of: str
    address: str
    failure: Failure


class PoolEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A member of the pool, as the server `by` (its ID) lists it."""

    by: str
    id: str
    name: str
    address: str
    status: str
    region: str = ""
    expect: int = 0
    cluster_id: str = ""


class Begun(StrEnum):
    """A recovery that lies in a data folder."""

    NONE = ""
    PREPARED = "prepared"
    """The first of the two steps of a recovery of running servers."""
    CUT_OFF = "cut-off"
    PEERS = "peers"
    """By a peers.json, which the next start carries out."""
    WRONG_PEERS = "wrong-peers"
    """By a peers.json with a mistake, which stops the start."""


class Waiting(msgspec.Struct, frozen=True):
    """What the next start on a folder does first, in words; of a peers.json its path, and the cure.

    The cure is of a mistake in it.
    """

    begun: Begun = Begun.NONE
    text: str = ""
    peers: str = ""
    cure: str = ""


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """A data folder. `user` is the process that has it open, None if none is seen.

    `reach` is (term, index) of its last entry. `error` is why it cannot be read, and `cure` the
    next step; then the rest is empty. `full`: its disk has less than `free_needed` bytes.
    """

    path: str
    make: str = "Quorate"
    user: int | None = None
    id: str = ""
    region: str = ""
    cluster_id: str = ""
    epoch: str = ""
    start: int = 0
    rolled_back: str = ""
    reach: tuple[int, int] = (0, 0)
    commit_known: int = 0
    configuration_index: int = 0
    members: tuple[Member, ...] = ()
    damage: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    waiting: Waiting = Waiting()
    full: bool = False
    error: str = ""
    cure: str = ""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found.

    `leaders` are the RPC addresses that agents name as the leader, each with who says so.
    `options` are those by which the servers were asked, beside their addresses.
    `late`: not all was asked when the time was up, or too many addresses were given.
    """

    asked: tuple[Asked, ...] = ()
    servers: tuple[Server, ...] = ()
    reports: tuple[Report, ...] = ()
    pool: tuple[PoolEntry, ...] = ()
    dialed: tuple[Dialed, ...] = ()
    folders: tuple[Folder, ...] = ()
    leaders: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()
    late: bool = False


class Severity(StrEnum):
    """Whether a finding keeps the cluster, or a server of it, from its work."""

    CAUSE = "cause"
    WARNING = "warning"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One cause: its word for programs, a line, what shows it, and what to do next.

    `weight` orders the causes: what explains others stands before them. Commands in `next` stand
    between backquotes (`words.command`).
    """

    cause: str
    weight: int
    severity: Severity
    text: str
    shown_by: tuple[str, ...] = ()
    next: tuple[str, ...] = ()


class Outcome(StrEnum):
    """The end of a diagnosis; each has an exit code."""

    HEALTHY = "healthy"
    CAUSE = "cause"
    SILENT = "silent"


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `leader` is the name of the leader, or empty."""

    outcome: Outcome
    leader: str
    leader_term: int
    findings: tuple[Finding, ...]
