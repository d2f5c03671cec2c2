"""Requests and responses of hashicorp/raft's transport.

See docs/wire.md#framing, #msgpack and #messages.

The table below joins hashicorp/raft's names to ours; it is the only place that knows both. A
request is a type byte and one map, a response an error text and one map or nil. Keys stand in
byte order. `ID` and `Addr` name the sender and are written when it has a name, as new nodes do;
without one the bytes are those of an old node. `QuorateCluster`, `QuorateIdentity`,
`QuoratePromise` and `QuorateTerm` are ours; others skip them, and where we have nothing to say they
are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from operator import itemgetter
from typing import Any, Final, NamedTuple

from quorate.raft.values.messages import (
    AnyRequest,
    AnyResponse,
    AppendEntriesRequest,
    AppendEntriesResponse,
    Entry,
    InstallSnapshotRequest,
    InstallSnapshotResponse,
    PreVoteRequest,
    PreVoteResponse,
    RequestVoteRequest,
    RequestVoteResponse,
    TimeoutNowRequest,
    TimeoutNowResponse,
)
from quorate.wire.go.fields import (
    BOOL,
    BYTES,
    INT,
    OPTIONAL_BYTES,
    SIZE,
    TEXT,
    UINT,
    Codec,
    read_bytes,
    values_of,
)
from quorate.wire.go.msgpack import (
    EMPTY_ARRAY,
    NIL,
    array_header,
    bad_frame,
    map_header,
    pack_raw,
)
from quorate.wire.raft.entries import encode_entry, entry_from_map
from quorate.wire.raft.identity import pack_record, read_record


class RequestKind(IntEnum):
    """The type byte of a request."""

    APPEND_ENTRIES = 0
    REQUEST_VOTE = 1
    INSTALL_SNAPSHOT = 2
    TIMEOUT_NOW = 3
    PRE_VOTE = 4


def _pack_entries(entries: tuple[Entry, ...]) -> bytes:
    if not entries:
        return EMPTY_ARRAY
    encoded = [entry.encoded or encode_entry(entry) for entry in entries]
    return array_header(len(encoded)) + b"".join(encoded)


def _read_entries(value: Any, key: str) -> tuple[Entry, ...]:
    if type(value) is tuple:
        return tuple([entry_from_map(fields) for fields in value])
    if value is None:
        return ()
    raise bad_frame(f"{key} is no array but {type(value).__name__}")


_ENTRIES: Final = Codec(_pack_entries, _read_entries)
_ENTRIES_OF_HEARTBEAT: Final = Codec(lambda _: NIL, _read_entries)


class _Field(NamedTuple):
    """One key: hashicorp/raft's name, ours, and the Go type."""

    key: str
    attribute: str
    codec: Codec


_VERSION: Final = _Field("ProtocolVersion", "protocol_version", INT)
_SENDER: Final = (_Field("ID", "sender_id", TEXT), _Field("Addr", "sender_address", TEXT))
_CLUSTER: Final = _Field("QuorateCluster", "cluster_id", TEXT)
_CLUSTER_KEY: Final = _CLUSTER.key.encode()
_IDENTITY: Final = _Field("QuorateIdentity", "identity", Codec(pack_record, read_record))

_STEADY: Final = frozenset({TEXT, _IDENTITY.codec})
"""The types of values that stay the same in the messages of one sender.

They are byte strings on the wire, so no two values that are equal are of different types.
"""
_PLAIN: Final = {UINT: int, INT: int, BOOL: bool}
"""The types of values that msgpack reads as what they are, and of what class they are then."""

_ANY_NUMBER: Final = 1 << 63
"""From 0 up to this, both types of numbers take it."""

_CHANGING: Final = frozenset(
    {"entries", "last_log", "leader_commit", "prev_log_index", "promise_ms"}
)
"""What differs from message to message of one sender. All else is packed when it has changed."""

_KEPT_MAX: Final = 64
_KEPT_BYTES_MAX: Final = 1024
"""Senders whose names are remembered, for each kind of message, and how long the names may be."""

# What a message may carry besides its own fields, as bits of the number of its variant.
_NAMED: Final = 1
_OF_CLUSTER: Final = 2
_IDENTIFIED: Final = 4


class _Packing:
    """How a form is written.

    Most values stay as they are from message to message of this server. So the bytes that stand
    between those that do not are kept, with the values that they are made of.
    """

    def __init__(self, prefix: bytes, fields: Iterable[_Field]) -> None:
        self._fields = sorted(fields)
        self._head = prefix + map_header(len(self._fields))
        self._steady = values_of(
            [f.attribute for f in self._fields if f.attribute not in _CHANGING]
        )
        changing = [field for field in self._fields if field.attribute in _CHANGING]
        self._changing = values_of([field.attribute for field in changing])
        self._packers = [field.codec.pack for field in changing]
        self._kept: tuple[Any, ...] | None = None
        self._first, self._pieces = b"", [b""]  # up to the first changing value; behind each

    def write(self, message: AnyRequest | AnyResponse) -> bytes:
        """The bytes of a message."""
        steady = self._steady(message)
        if steady != self._kept:
            self._first, *self._pieces = self._pieces_of(steady)
            self._kept = steady
        parts = [self._first]
        packed = zip(self._packers, self._changing(message), self._pieces, strict=True)
        for pack, value, piece in packed:
            parts += (pack(value), piece)
        return b"".join(parts)

    def _pieces_of(self, steady: tuple[Any, ...]) -> list[bytes]:
        values, pieces, piece = iter(steady), [], self._head
        for field in self._fields:
            piece += pack_raw(field.key.encode())
            if field.attribute in _CHANGING:
                pieces.append(piece)
                piece = b""
            else:
                piece += field.codec.pack(next(values))
        return [*pieces, piece]


class _Form:
    """The shape of one message: which fields, and how each variant of it is written."""

    def __init__(self, cls: type, *own: _Field, prefix: bytes = b"", cluster: bool = False) -> None:
        self.cls = cls
        fields = (_VERSION, *own)
        self.variants = tuple(
            _Packing(
                prefix,
                (
                    *fields,
                    *(_SENDER if variant & _NAMED else ()),
                    *((_CLUSTER,) if variant & _OF_CLUSTER else ()),
                    *((_IDENTITY,) if variant & _IDENTIFIED else ()),
                ),
            )
            for variant in range(8)
        )
        known = (*fields, *_SENDER, *((_CLUSTER,) if cluster else ()), _IDENTITY)
        self._readers = _readers(known)
        steady = [field for field in known if field.codec in _STEADY]
        self._steady = _readers(steady)
        self._steady_of = _items_of(self._steady)
        self._fewer = _readers([field for field in steady if field is not _CLUSTER])
        self._fewer_of = _items_of(self._fewer)  # of replicas in a service, which name no cluster
        plain = [field for field in known if field.codec in _PLAIN]
        self._plain_of = _items_of(_readers(plain))
        self._plain_names = [field.attribute for field in plain]
        self._plain_types = tuple([_PLAIN[field.codec] for field in plain])
        self._others = _readers([f for f in known if f.codec not in _STEADY | _PLAIN.keys()])
        self._kept: dict[tuple[Any, ...], dict[str, Any]] = {}

    def read(self, fields: Any) -> Any:
        """The message that a decoded map (or nil: all zero) stands for. Raises BadFrame.

        Of a sender whose names were read before the names are not read again, and plain values
        are looked at together. What is not just so is read field by field.
        """
        try:
            names_of = self._steady_of if _CLUSTER_KEY in fields else self._fewer_of
            steady = self._kept.get(names_of(fields))
            plain = self._plain_of(fields)
        except (KeyError, TypeError):  # other makes leave our keys out; or it is no map
            return self._read_each(fields)
        if steady is None or tuple(map(type, plain)) != self._plain_types:
            return self._read_each(fields)
        if min(plain) < 0 or max(plain) >= _ANY_NUMBER:
            return self._read_each(fields)
        values = dict(zip(self._plain_names, plain, strict=True))
        for key, name, attribute, read in self._others:
            values[attribute] = read(fields.get(key), name)
        return self.cls(**steady, **values)

    def _read_each(self, fields: Any) -> Any:
        if fields is None:
            fields = {}
        elif type(fields) is not dict:
            raise bad_frame(f"{self.cls.__name__} is no map but {type(fields).__name__}")
        get = fields.get
        message = self.cls(
            **{attribute: read(get(key), name) for key, name, attribute, read in self._readers}
        )
        self._keep(fields, message)
        return message

    def _keep(self, fields: dict[Any, Any], message: Any) -> None:
        """Remember the names of this sender; they were found to be in order."""
        names = self._steady if _CLUSTER_KEY in fields else self._fewer
        raw: tuple[Any, ...] = tuple([fields.get(key) for key, _, _, _ in names])
        if None in raw or sum(map(len, raw)) > _KEPT_BYTES_MAX:
            return
        if len(self._kept) >= _KEPT_MAX:
            self._kept.clear()
        self._kept[raw] = {name: getattr(message, name) for _, _, name, _ in self._steady}


_Readers = list[tuple[bytes, str, str, Callable[[Any, str], Any]]]


def _readers(fields: Iterable[_Field]) -> _Readers:
    return [(f.key.encode(), f.key, f.attribute, f.codec.read) for f in fields]


def _items_of(readers: _Readers) -> Callable[[Any], tuple[Any, ...]]:
    """A function from a map to its values of these keys, in one call. It raises KeyError."""
    keys = [key for key, _, _, _ in readers]
    if len(keys) > 1:
        return itemgetter(*keys)  # with one key it would give the value alone
    return lambda fields: tuple([fields[key] for key in keys])


def _request(kind: RequestKind, cls: type, *own: _Field) -> _Form:
    return _Form(cls, *own, prefix=bytes((kind,)), cluster=True)


_TERM: Final = _Field("Term", "term", UINT)
_LEADER: Final = _Field("Leader", "leader", TEXT)
_LAST_LOG_INDEX: Final = _Field("LastLogIndex", "last_log_index", UINT)
_LAST_LOG_TERM: Final = _Field("LastLogTerm", "last_log_term", UINT)
_GRANTED: Final = _Field("Granted", "granted", BOOL)
_SUCCESS: Final = _Field("Success", "success", BOOL)
_PEERS: Final = _Field("Peers", "peers", OPTIONAL_BYTES)

_APPEND_ENTRIES: Final = (
    _TERM,
    _LEADER,
    _Field("PrevLogEntry", "prev_log_index", UINT),
    _Field("PrevLogTerm", "prev_log_term", UINT),
    _Field("LeaderCommitIndex", "leader_commit", UINT),
)

_REQUESTS: Final = {
    RequestKind.APPEND_ENTRIES: _request(
        RequestKind.APPEND_ENTRIES,
        AppendEntriesRequest,
        *_APPEND_ENTRIES,
        _Field("Entries", "entries", _ENTRIES),
    ),
    RequestKind.REQUEST_VOTE: _request(
        RequestKind.REQUEST_VOTE,
        RequestVoteRequest,
        _TERM,
        _Field("Candidate", "candidate", TEXT),
        _LAST_LOG_INDEX,
        _LAST_LOG_TERM,
        _Field("LeadershipTransfer", "leadership_transfer", BOOL),
    ),
    RequestKind.INSTALL_SNAPSHOT: _request(
        RequestKind.INSTALL_SNAPSHOT,
        InstallSnapshotRequest,
        _TERM,
        _Field("SnapshotVersion", "snapshot_version", INT),
        _LEADER,
        _LAST_LOG_INDEX,
        _LAST_LOG_TERM,
        _PEERS,
        _Field("Configuration", "configuration", BYTES),
        _Field("ConfigurationIndex", "configuration_index", UINT),
        _Field("Size", "size", SIZE),
    ),
    RequestKind.TIMEOUT_NOW: _request(RequestKind.TIMEOUT_NOW, TimeoutNowRequest),
    RequestKind.PRE_VOTE: _request(
        RequestKind.PRE_VOTE, PreVoteRequest, _TERM, _LAST_LOG_INDEX, _LAST_LOG_TERM
    ),
}

# The one message whose bytes say more than its fields: a heartbeat has nil where an append
# without entries has an empty array (docs/wire.md#appends).
_HEARTBEAT: Final = _request(
    RequestKind.APPEND_ENTRIES,
    AppendEntriesRequest,
    *_APPEND_ENTRIES,
    _Field("Entries", "entries", _ENTRIES_OF_HEARTBEAT),
)

_APPENDED: Final = (
    _TERM,
    _Field("LastLog", "last_log", UINT),
    _SUCCESS,
    _Field("NoRetryBackoff", "no_retry_backoff", BOOL),
)
# Written only where something is promised: else the bytes are those of other makes.
_PROMISING: Final = _Form(
    AppendEntriesResponse, *_APPENDED, _Field("QuoratePromise", "promise_ms", UINT)
)

# Written only where the term is known: else the bytes are those of other makes.
_TIMEOUT_IN_TERM: Final = _request(
    RequestKind.TIMEOUT_NOW, TimeoutNowRequest, _Field("QuorateTerm", "term", UINT)
)

_RESPONSES: Final = {
    RequestKind.APPEND_ENTRIES: _Form(AppendEntriesResponse, *_APPENDED),
    RequestKind.REQUEST_VOTE: _Form(RequestVoteResponse, _TERM, _PEERS, _GRANTED),
    RequestKind.INSTALL_SNAPSHOT: _Form(InstallSnapshotResponse, _TERM, _SUCCESS),
    RequestKind.TIMEOUT_NOW: _Form(TimeoutNowResponse),
    RequestKind.PRE_VOTE: _Form(PreVoteResponse, _TERM, _GRANTED),
}

_KIND_OF: Final = {int(kind): kind for kind in RequestKind}
_KINDS: Final = {form.cls: kind for kind, form in _REQUESTS.items()}
_RESPONSE_FORMS: Final = {form.cls: form for form in _RESPONSES.values()}


def kind_of(request: AnyRequest) -> RequestKind:
    """The type byte of a request, which is also what a ResponseReader has to expect."""
    return _KINDS[type(request)]


def encode_request(request: AnyRequest) -> bytes:
    """The bytes of a request. Snapshot bytes, if any, are to follow right behind."""
    form = _REQUESTS[_KINDS[type(request)]]
    if isinstance(request, AppendEntriesRequest) and request.is_heartbeat:
        form = _HEARTBEAT
    if isinstance(request, TimeoutNowRequest) and request.term:
        form = _TIMEOUT_IN_TERM
    variant = _NAMED if request.sender_id or request.sender_address else 0
    if request.cluster_id:
        variant |= _OF_CLUSTER
    if request.identity is not None:
        variant |= _IDENTIFIED
    return form.variants[variant].write(request)


def encode_response(
    response: AnyResponse | None, error: str = "", *, nil_sender: bool = False
) -> bytes:
    """The bytes of an answer: the error text (empty if none), then the body or nil.

    With `nil_sender` the keys ID and Addr stand there as nil when the sender has no name, which
    is how new nodes answer InstallSnapshot and TimeoutNow.
    """
    text = pack_raw(error.encode())
    if response is None:
        return text + NIL
    form = _RESPONSE_FORMS[type(response)]
    if isinstance(response, AppendEntriesResponse) and response.promise_ms:
        form = _PROMISING
    variant = _NAMED if nil_sender or response.sender_id or response.sender_address else 0
    if response.identity is not None:
        variant |= _IDENTIFIED
    return text + form.variants[variant].write(response)


def read_kind(type_byte: int) -> RequestKind:
    """The kind that a type byte announces. Raises BadFrame for an unknown one."""
    kind = _KIND_OF.get(type_byte)
    if kind is None:
        raise bad_frame(f"unknown type byte {type_byte:#04x} of a Raft request")
    return kind


def request_from_map(kind: RequestKind, fields: Any) -> AnyRequest:
    """The request that a decoded map (or nil) stands for. Raises BadFrame."""
    form = _TIMEOUT_IN_TERM if kind is RequestKind.TIMEOUT_NOW else _REQUESTS[kind]
    request: AnyRequest = form.read(fields)
    return request


def response_from_map(kind: RequestKind, fields: Any) -> AnyResponse:
    """The body of an answer to a request of that kind; nil is all zero. Raises BadFrame."""
    form = _PROMISING if kind is RequestKind.APPEND_ENTRIES else _RESPONSES[kind]
    response: AnyResponse = form.read(fields)
    return response


def error_text(value: Any) -> str:
    """The error text that stands before each body. It is for people: bad UTF-8 is replaced."""
    return read_bytes(value, "the error text").decode(errors="replace")
