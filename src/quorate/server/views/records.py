"""Records about the cluster that a server shows, as values."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from quorate.shapes.diagnosis import Details


class Versions(msgspec.Struct, frozen=True):
    """Which versions of one of gossip's two protocols a member speaks, and which it uses."""

    minimum: int
    maximum: int
    current: int


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One member of the pool: `status` is alive, leaving, left or failed.

    See docs/http-api.md#the-pool.

    The versions default to those of today's servers.
    """

    name: str
    addr: str
    port: int
    status: str
    tags: dict[str, str]
    protocol: Versions = Versions(1, 5, 2)
    delegate: Versions = Versions(2, 5, 4)


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a leadership transfer. `noop`: the target led already."""

    from_id: str
    from_address: str
    to_id: str
    to_address: str
    noop: bool


class JoinResult(msgspec.Struct, frozen=True):
    """How many of the addresses were reached, and one line for each that was not."""

    num_joined: int
    errors: tuple[str, ...] = ()


class KeyringOperation(StrEnum):
    """The operations on the pool's key rings."""

    LIST = "list"
    INSTALL = "install"
    USE = "use"
    REMOVE = "remove"


class KeyringResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of the members' key rings, all of them asked at once.

    `keys` and `primary_keys` (of `list` only) say by key (base64) how many members hold it, and
    how many encrypt with it. `messages` has by member's name why it could not do it.
    `num_nodes` members were asked, `num_resp` answered, `num_err` of these failed. `unanswered`
    names the members that did not answer in time, those that are failed among them: they come
    back one day, with the ring that they have. Those that left are not to be waited for.
    """

    keys: dict[str, int] = {}
    primary_keys: dict[str, int] = {}
    messages: dict[str, str] = {}
    num_nodes: int = 0
    num_resp: int = 0
    num_err: int = 0
    unanswered: tuple[str, ...] = ()


class VoterView(msgspec.Struct, frozen=True, kw_only=True):
    """One server of a configuration, as a server has it in its log. `keyed`: with its key."""

    id: str
    address: str
    voter: bool
    keyed: bool = False


class ServerView(msgspec.Struct, frozen=True, kw_only=True):
    """The view of one server on the cluster, or why it could not be asked (`error`).

    `role` is leader, follower or candidate. `leader_address` is empty if it follows nobody.
    `last_contact_ms` is how long ago that leader was heard, 0 on the leader itself.
    `configuration_index` is the log index of `servers`. `level` is the highest feature level that
    it knows, `cluster_level` the one in force as far as it has applied the log; from a version
    before levels both are 0, and `version` is empty. `held` is why it has stopped applying. `state`
    is what comparing the servers' states said of this one: right, damaged, disagree, unchecked;
    empty from a version without it.
    With `proves_nothing` the error is that it ends connections that ask for a proof of its ID.
    `twice` and `namesake` come before all of these: another live server uses the ID of this one,
    or has its name. `prepared` is the digest of the plan of a recovery for which this server is
    prepared, or empty.
    `details` is None from a version without them; `last_term` is that of the last entry, 0 from
    such a version.
    """

    id: str
    node: str
    address: str
    error: str = ""
    proves_nothing: bool = False
    role: str = ""
    term: int = 0
    leader_id: str = ""
    leader_address: str = ""
    last_contact_ms: int = 0
    last_index: int = 0
    last_term: int = 0
    commit_index: int = 0
    configuration_index: int = 0
    state: str = ""
    servers: tuple[VoterView, ...] = ()
    version: str = ""
    level: int = 0
    cluster_level: int = 0
    held: str = ""
    details: Details | None = None
    prepared: str = ""
