"""The typed calls of the operator API (docs/http-api.md)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from operator import itemgetter
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from quorate.client.address import DEFAULT_ADDRESS
from quorate.client.environment import Settings
from quorate.client.errors import AnswerError, StatusError
from quorate.client.events import SILENCE_S, STREAM, events_of
from quorate.client.models import (
    AgentSelf,
    AutopilotConfiguration,
    Event,
    Health,
    Joined,
    Keyring,
    Members,
    Metrics,
    Namespace,
    OperatorHealth,
    RaftConfiguration,
    Rejoined,
    RestoreReport,
    RootKey,
    RootKeyRotated,
    RootKeys,
    SchedulerConfiguration,
    SchedulerUpdate,
    Transfer,
    UpgradeCheck,
    Views,
    from_json,
    to_json,
)
from quorate.client.tls import TlsOptions
from quorate.client.transport import Answer, Transport
from quorate.client.variables import Variables

T = TypeVar("T")
DEFAULT_TIMEOUT_S = 60.0

AUTOPILOT = "/v1/operator/autopilot/configuration"
ROOT_KEYS = "/v1/operator/keyring"
SCHEDULER = "/v1/operator/scheduler/configuration"
NAMESPACE = "/v1/namespace"
NAMESPACES = "/v1/namespaces"
NEXT_STEPS = (
    (
        "No cluster leader",
        "wait for an election; see which voters answer: raft views, agent/health",
    ),
    ("No path to region", "see the regions that answer: quorate operator api /v1/regions"),
    ("nodes reported failure", "see why by -verbose; a pool without server.encrypt has no keys"),
    ("Permission denied", "give a token with that right by -token (NOMAD_TOKEN)"),
    ("ACL token not found", "check the token given by -token (NOMAD_TOKEN)"),
    ("HTTP request to an HTTPS server", "write the address with https://"),
)
"""What to do about texts of servers."""

SNAPSHOT = "/v1/operator/snapshot"
UPGRADE = "/v1/operator/upgrade"
ONLY_OURS = frozenset({"/v1/operator/raft/views", "/v1/agent/rejoin", UPGRADE})
"""Paths at which a Nomad server has nothing."""


class Client:
    """A connection to one agent; every call raises ClientError (see `quorate.client.errors`).

    Args:
        address: `http://`, `https://` or `unix://` address of the agent's HTTP API.
        region: region that requests are for; empty is the agent's own.
        token: secret ID, sent as X-Nomad-Token; empty is anonymous.
        namespace: sent when not empty.
        tls: certificates, used with `https://`.
        http_auth: user and password of HTTP basic authentication.
        timeout_s: longest silence of the server in seconds; None waits for ever.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        region: str = "",
        token: str = "",
        namespace: str = "",
        tls: TlsOptions | None = None,
        http_auth: tuple[str, str] | None = None,
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
    ) -> None:
        self.region = region
        self.namespace = namespace
        headers = {"User-Agent": "quorate"}
        if token.strip():  # a line end at the end of a token file is no part of it
            headers["X-Nomad-Token"] = token.strip()
        self.variables = Variables(self)
        self._transport = Transport(address, tls or TlsOptions(), headers, http_auth, timeout_s)

    @classmethod
    def from_settings(
        cls, settings: Settings, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
    ) -> Self:
        """A client by settings that were read from flags and variables."""
        return cls(
            settings.address,
            region=settings.region,
            token=settings.token,
            namespace=settings.namespace,
            tls=settings.tls,
            http_auth=settings.http_auth,
            timeout_s=timeout_s,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    # -- operator/raft -------------------------------------------------------------------------

    def raft_configuration(self, *, stale: bool = False) -> RaftConfiguration:
        """The Raft configuration; `stale` asks this agent alone, leader or none."""
        return self._get("/v1/operator/raft/configuration", RaftConfiguration, stale=stale)

    def remove_raft_peer(
        self, *, server_id: str = "", address: str = "", force: bool = False
    ) -> None:
        """Remove a server from the Raft configuration by its ID or its `IP:port` (one of them).

        `force` removes it even if that ends the quorum (servers that do not know it take no
        notice).
        """
        query = _one_of(server_id, address) + ([("force", "true")] if force else [])
        self._checked("DELETE", "/v1/operator/raft/peer", query)

    def transfer_leadership(self, *, server_id: str = "", address: str = "") -> Transfer:
        """Hand leadership to a voter, named by its ID or its `IP:port` (one of them)."""
        path = "/v1/operator/raft/transfer-leadership"
        answer = self._checked("PUT", path, _one_of(server_id, address))
        return _decode(path, answer.body or b"{}", Transfer)

    def raft_views(self) -> Views:
        """The view of each server, as the agent gathers them; servers of Quorate only."""
        return self._get("/v1/operator/raft/views", Views)

    def upgrade_check(self) -> UpgradeCheck:
        """The cluster's feature level and each member's version; servers of Quorate only."""
        return self._get(UPGRADE, UpgradeCheck)

    # -- operator/autopilot and operator/scheduler ---------------------------------------------

    def autopilot_configuration(self, *, stale: bool = False) -> AutopilotConfiguration:
        """The autopilot configuration."""
        return self._get(AUTOPILOT, AutopilotConfiguration, stale=stale)

    def autopilot_health(self) -> OperatorHealth:
        """How the servers do, as their leader knows it. A cluster that is not healthy: 429."""
        return self._get("/v1/operator/autopilot/health", OperatorHealth)

    def set_autopilot_configuration(
        self, configuration: AutopilotConfiguration, *, cas: int | None = None
    ) -> bool:
        """Replace the autopilot configuration; False if `cas` is not its modify index any more."""
        answer = self._checked("PUT", AUTOPILOT, _cas(cas), _json(to_json(configuration)))
        return _decode(AUTOPILOT, answer.body, bool)

    def scheduler_configuration(self, *, stale: bool = False) -> SchedulerConfiguration:
        """The scheduler configuration."""
        answer = self._checked("GET", SCHEDULER, _stale(stale))
        data = _parse(SCHEDULER, answer.body)
        inner = data.get("SchedulerConfig") if isinstance(data, dict) else None
        return _convert(SCHEDULER, inner or {}, SchedulerConfiguration)

    def set_scheduler_configuration(
        self, configuration: SchedulerConfiguration, *, cas: int | None = None
    ) -> SchedulerUpdate:
        """Replace the scheduler configuration; `updated` is False if `cas` lost the race."""
        answer = self._checked("PUT", SCHEDULER, _cas(cas), _json(to_json(configuration)))
        return _decode(SCHEDULER, answer.body, SchedulerUpdate)

    # -- namespaces ----------------------------------------------------------------------------

    def namespaces(self, *, prefix: str = "", stale: bool = False) -> list[Namespace]:
        """The namespaces whose names begin with `prefix`, sorted by name."""
        query = _stale(stale) + ([("prefix", prefix)] if prefix else [])
        found = _parse(NAMESPACES, self._checked("GET", NAMESPACES, query).body)
        if not isinstance(found, list):
            raise AnswerError(NAMESPACES, "no list")
        return [_convert(NAMESPACES, each, Namespace) for each in found]

    def read_namespace(self, name: str, *, stale: bool = False) -> Namespace:
        """One namespace. Raises StatusError (404) if it is not there."""
        return self._get(_of_namespace(name), Namespace, stale=stale)

    def put_namespace(self, namespace: Namespace) -> None:
        """Write a namespace: all of it is replaced. The server sets its hash and indexes."""
        self._checked("PUT", NAMESPACE, [], _json(to_json(namespace)))

    def delete_namespace(self, name: str) -> None:
        """Delete a namespace; one that is not there is no error, one in use is (409)."""
        self._checked("DELETE", _of_namespace(name), [])

    # -- status and regions --------------------------------------------------------------------

    def leader(self, *, region: str = "", stale: bool = False) -> str:
        """`IP:port` of the leader (of `region`, if given); may be empty when `stale`."""
        return self._get("/v1/status/leader", str, stale=stale, region=region)

    def peers(self, *, region: str = "", stale: bool = False) -> list[str]:
        """`IP:port` of every server of the Raft configuration."""
        return self._get("/v1/status/peers", list[str], stale=stale, region=region)

    def regions(self) -> list[str]:
        """The names of the regions that the agent knows."""
        return self._get("/v1/regions", list[str])

    # -- agent and metrics ---------------------------------------------------------------------

    def agent_self(self) -> AgentSelf:
        """Configuration, member and statistics of the agent itself."""
        return self._get("/v1/agent/self", AgentSelf)

    def agent_members(self) -> Members:
        """The pool as the agent sees it."""
        return self._get("/v1/agent/members", Members)

    def join(self, addresses: Sequence[str]) -> Joined:
        """Have the agent join the pool at these addresses; what failed is in the answer."""
        path = "/v1/agent/join"
        answer = self._checked("PUT", path, [("address", address) for address in addresses])
        return _decode(path, answer.body, Joined)

    def force_leave(self, node: str, *, prune: bool = False) -> None:
        """Declare a failed member left, by its full name; unknown names are no error."""
        query = [("node", node)] + ([("prune", "true")] if prune else [])
        self._checked("PUT", "/v1/agent/force-leave", query)

    def rejoin(self) -> Rejoined:
        """Have the agent come back after its removal; agents of Quorate only."""
        path = "/v1/agent/rejoin"
        return _decode(path, self._checked("PUT", path, []).body, Rejoined)

    def keyring(self, operation: str, key: str = "", *, details: bool = False) -> Keyring:
        """Do `operation` (list, install, use, remove) to the gossip keys of all members.

        `details` asks for what each member answered; then failures of members are no error here.
        """
        path = f"/v1/agent/keyring/{operation}"
        method, body = ("PUT", _json({"Key": key})) if key else ("GET", None)
        query = [("details", "true")] if details else []
        return _decode(path, self._checked(method, path, query, body).body, Keyring)

    def root_keys(self, *, stale: bool = False) -> RootKeys:
        """The root keys with which values are sealed, without the keys themselves."""
        raw = _parse(ROOT_KEYS, self._checked("GET", ROOT_KEYS + "/keys", _stale(stale)).body)
        return RootKeys(keys=_convert(ROOT_KEYS, raw, tuple[RootKey, ...]), raw=raw)

    def rotate_root_key(self, *, full: bool = False) -> RootKeyRotated:
        """Make a new root key; `full` also removes text sealed with older ones from the disks."""
        path = ROOT_KEYS + "/rotate"
        answer = self._checked("PUT", path, [("full", "true")] if full else [])
        return _decode(path, answer.body, RootKeyRotated)

    def remove_root_key(self, key_id: str, *, force: bool = False) -> None:
        """Remove a root key that nothing needs; `force` passes over logs and snapshots."""
        from urllib.parse import quote

        path = f"{ROOT_KEYS}/key/{quote(key_id, safe='')}"
        self._checked("DELETE", path, [("force", "true")] if force else [])

    def agent_health(self, *, kind: str = "") -> Health:
        """Health of the agent (`kind` is server, client or empty); bad health is no error here."""
        query = [("type", kind)] if kind else []
        answer = self.request("GET", "/v1/agent/health", query=query)
        # Bad health is status 500 with the same JSON; any other 500 is a text.
        if answer.status != 200 and not answer.body.startswith(b"{"):
            raise _refusal(answer)
        return _decode("/v1/agent/health", answer.body, Health)

    def metrics(self) -> Metrics:
        """The metrics of the last complete interval."""
        return self._get("/v1/metrics", Metrics)

    def metrics_text(self, *, form: str = "", pretty: bool = False) -> str:
        """The metrics as the server writes them; `form` is `prometheus` or empty for JSON."""
        query = [("format", form)] if form else []
        query += [("pretty", "1")] if pretty else []
        return self._checked("GET", "/v1/metrics", query).text

    # -- the system and the log ----------------------------------------------------------------

    def collect_garbage(self) -> None:
        """Have the cluster collect what is no longer needed."""
        self._checked("PUT", "/v1/system/gc", [])

    def reconcile_summaries(self) -> None:
        """Have the cluster count its jobs again."""
        self._checked("PUT", "/v1/system/reconcile/summaries", [])

    def monitor(
        self, *, log_level: str = "", server_id: str = "", as_json: bool = False
    ) -> Iterator[str]:
        """The log of a server from now on, in pieces of text, until the server ends it."""
        query = [("plain", "true")]
        query += [("log_level", log_level)] if log_level else []
        query += [("server_id", server_id)] if server_id else []
        query += [("log_json", "true")] if as_json else []
        yield from self._streamed("/v1/agent/monitor", query)

    def events(
        self, topics: Iterable[str] = (), *, index: int = 0, namespace: str = ""
    ) -> Iterator[Event]:
        """What changes, as it changes, until the server ends it (docs/events.md).

        `topics` are `Topic` or `Topic:key`; none is all. `index` is that of the first event that is
        wanted; 0: begin with all that the server remembers. An event of the type `EventsMissed`
        says that some may be missing. Raises RequestError when the connection is lost: go on with
        `index=event.index + 1`.
        """
        query = [("topic", topic) for topic in topics] + ([("index", str(index))] if index else [])
        chosen = (("region", self.region), ("namespace", namespace or self.namespace))
        query += [pair for pair in chosen if pair[1]]
        yield from events_of(self._streamed(STREAM, query, SILENCE_S))

    def _streamed(
        self, path: str, query: list[tuple[str, str]], silence_s: float | None = None
    ) -> Iterator[str]:
        for piece in self._transport.stream(self.url(path, query), silence_s):
            if isinstance(piece, Answer):
                raise _refusal(piece)
            yield piece

    # -- snapshots -----------------------------------------------------------------------------

    def save_snapshot(self, write: Callable[[bytes], object], *, stale: bool = False) -> int:
        """Give an archive of the cluster's state to `write` in pieces; its size in bytes.

        `stale` asks this agent alone for what it has. Only when this returns the archive has come
        as the server made it: AnswerError if its SHA-256 is not the one that the server announced.
        """
        answers = self._transport.download(self.url(SNAPSHOT, self._routed(_stale(stale))))
        head = next(answers)
        assert isinstance(head, Answer)
        if head.status != 200:
            raise _refusal(head)
        digest, size = sha256(), 0
        for piece in answers:
            assert isinstance(piece, bytes)
            digest.update(piece)
            size += len(piece)
            write(piece)
        announced = head.headers.get("digest", "")
        if announced != "sha-256=" + b64encode(digest.digest()).decode():
            raise AnswerError(
                SNAPSHOT, f"the bytes that came have not the digest {announced or '(none)'}"
            )
        return size

    def restore_snapshot(
        self,
        pieces: Iterator[bytes],
        size: int,
        *,
        force: bool = False,
        dry_run: bool = False,
        details: bool = False,
    ) -> RestoreReport | None:
        """Restore an archive of `size` bytes; with `dry_run` or `details` what changes by it.

        `force` restores another cluster's archive too. None from servers that tell nothing.
        Raises StatusError before anything is sent with `dry_run` to servers that would restore it.
        """
        named = {"force": force, "dry-run": dry_run, "details": details or dry_run}
        query = self._routed([(name, "true") for name, wanted in named.items() if wanted])
        if dry_run:
            self.upgrade_check()  # only servers of ours answer it, and know of a dry run
        answer = self._transport.upload(self.url(SNAPSHOT, query), pieces, size)
        if answer.status != 200:
            raise _refusal(answer)
        return _decode(SNAPSHOT, answer.body, RestoreReport) if answer.body else None

    # -- any request ---------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: bytes | None = None,
        headers: list[tuple[str, str]] | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Send a request and return whatever comes back; only a missing answer is an error.

        `path` begins with `/`, or is a whole URL. Region and namespace of this client are added
        unless `path` or `query` has them.
        """
        whole = self.url(path, self._routed(list(query or []), _names_in(path)))
        return self._transport.send(
            method, whole, body=body, headers=headers or [], timeout_s=timeout_s
        )

    def refusal(self, answer: Answer) -> StatusError:
        """The error that an answer without success tells of."""
        return _refusal(answer)

    @property
    def address(self) -> str:
        """The address of the agent, as it was understood."""
        address = self._transport.address
        return f"unix://{address.socket}" if address.socket else address.base

    def url(self, path: str, query: list[tuple[str, str]] | None = None) -> str:
        """The URL that a request of `path` with `query` goes to."""
        if path.startswith("/"):
            return self._transport.url(path, query or [])
        from urllib.parse import urlencode

        encoded = urlencode(sorted(query or [], key=itemgetter(0)), errors="surrogateescape")
        return f"{path}{'&' if '?' in path else '?'}{encoded}" if encoded else path

    def _routed(
        self, query: list[tuple[str, str]], given: Collection[str] = ()
    ) -> list[tuple[str, str]]:
        taken = {name for name, _ in query}.union(given)
        for name, value in (("region", self.region), ("namespace", self.namespace)):
            if value and name not in taken:
                query.append((name, value))
        return query

    # -- below ---------------------------------------------------------------------------------

    def _get(self, path: str, model: type[T], *, stale: bool = False, region: str = "") -> T:
        query = _stale(stale) + ([("region", region)] if region else [])
        return _decode(path, self._checked("GET", path, query).body, model)

    def _checked(
        self, method: str, path: str, query: list[tuple[str, str]], body: bytes | None = None
    ) -> Answer:
        answer = self.request(method, path, query=query, body=body)
        if answer.status == 404 and path in ONLY_OURS:
            raise StatusError(
                404, answer.text, "only Quorate's servers answer this: ask one of them"
            )
        if answer.status != 200:
            raise _refusal(answer)
        return answer


def _refusal(answer: Answer) -> StatusError:
    told = answer.headers.get("x-quorate-next", "")  # the server knows best what helps
    next_step = told or next((step for text, step in NEXT_STEPS if text in answer.text), "")
    return StatusError(answer.status, answer.text, next_step)


def _names_in(path: str) -> set[str]:
    from urllib.parse import parse_qsl, urlsplit

    return {name for name, _ in parse_qsl(urlsplit(path).query, keep_blank_values=True)}


def _of_namespace(name: str) -> str:
    from urllib.parse import quote

    return f"{NAMESPACE}/{quote(name, safe='')}"


def _one_of(server_id: str, address: str) -> list[tuple[str, str]]:
    if bool(server_id) == bool(address):
        raise ValueError("give either server_id or address")
    return [("id", server_id)] if server_id else [("address", address)]


def _stale(stale: bool) -> list[tuple[str, str]]:
    return [("stale", "")] if stale else []


def _cas(cas: int | None) -> list[tuple[str, str]]:
    return [] if cas is None else [("cas", str(cas))]


def _json(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value)


def _parse(path: str, body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise AnswerError(path, f"no JSON: {error}") from error


def _convert(path: str, data: Any, model: type[T]) -> T:
    try:
        return from_json(data, model)
    except msgspec.ValidationError as error:
        raise AnswerError(path, str(error)) from error


def _decode(path: str, body: bytes, model: type[T]) -> T:
    return _convert(path, _parse(path, body), model)
