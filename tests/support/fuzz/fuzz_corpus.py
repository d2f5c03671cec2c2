"""The saved inputs, and the seeds they began with.

`python tests/support/fuzz/fuzz_corpus.py` writes the seeds again: golden bytes of other
programs, and what our own encoders give. Inputs that once broke a decoder are named `crash-*` and
are never removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from places import VECTORS

from quorate.state.registry import TODAY

CORPUS = Path(__file__).with_name("corpus")
KEY_OWNER = "68279362-7ebc-e6ca-8c47-bc3536d97319"
"""The ID of the server whose key file is read."""

_SEED_BYTES_MAX = 4096
_SEEDS_PER_TARGET_MAX = 24


def saved(target: str) -> list[bytes]:
    """All inputs saved for a target."""
    return [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]


def save(target: str, data: bytes, kind: str = "seed") -> Path:
    """Keep an input; where."""
    path = CORPUS / target / f"{kind}-{sha256(data).hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _vectors(name: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((VECTORS / f"{name}.json").read_text())["vectors"]
    return found


def _hex_values(value: object, key: str) -> Iterator[bytes]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key and isinstance(inner, str):
                yield bytes.fromhex(inner)
            else:
                yield from _hex_values(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _hex_values(inner, key)


def _wire_seeds() -> Iterator[tuple[str, bytes]]:
    for vector in _vectors("raft-messages"):
        yield "raft-requests", b"\x0f" + bytes.fromhex(vector["request_hex"])
        yield "raft-responses", b"\x0f" + bytes.fromhex(vector["response_hex"])
    for name in ("raft-configuration", "raft-log-entries", "peers-json"):
        document = json.loads((VECTORS / f"{name}.json").read_text())
        for key in _hex_keys(document):
            for data in _hex_values(document, key):
                yield from ((t, data) for t in ("log-entry", "membership", "peers", "msgpack"))


def _hex_keys(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {key for key in value if isinstance(key, str) and key.endswith("hex")}
        return own.union(*(_hex_keys(inner) for inner in value.values()))
    if isinstance(value, list):
        return set().union(*(_hex_keys(inner) for inner in value))
    return set()


def _text_seeds() -> Iterator[tuple[str, bytes]]:
    for text in ("1h2m3.5s", "250ms", "-1.5h", "0", "1us", "9223372036854775807ns", "1x", ".5s"):
        yield "duration", text.encode()
    for text in (
        'name = "a"\nserver {\n  enabled = true\n  bootstrap_expect = 3\n}\n',
        'ports { http = 4646 rpc = 4647 }\nadvertise { http = "10.0.0.1" }\n# more\n',
        '{"name": "a", "server": {"enabled": true, "initial_servers": ["a:1", "b:2"]}}',
        "telemetry {\n  prometheus_metrics = true\n}\nautopilot { min_quorum = 3 }",
        'server { retry_join = ["10.0.0.1", "[::1]:4648"] \n raft_multiplier = 5 }',
        "bind_addr = <<EOF\n0.0.0.0\nEOF\n",
    ):
        yield "configuration", text.encode()
    for text in (
        'namespace "w-*" { policy = "read"\n variables { path "*" { capabilities = ["read"] } } }',
        'operator {\n  capabilities = ["snapshot-save", "deny"]\n}\n# more\n',
        'agent = { "policy" = <<EOT\nread\nEOT\n}\nnode { policy = "\\u0072ead" } /* c */ // d',
        '{"namespace": {"a": {"policy": "read"}}, "quota": [{"policy": "read"}]}',
        'host_volume "x" { capabilities = ["mount-readonly",] }, node_pool "p" { policy = "read" }',
    ):
        yield "policy", text.encode()
    for text in ("stale", "index=5&wait=1m", "region=a%20b&cas=7", "pretty&index=%zz", "wait=-1"):
        yield "query", text.encode()
    for text in ('{"a": 1, "b": [true, null, 1.5e3]}', '"\\ud800"', "[[[]]]", "{} x", "-0"):
        yield "body", text.encode()
    yield "node-id", KEY_OWNER.encode()


def _http_seeds() -> Iterator[tuple[str, bytes]]:
    paths = (
        "GET /v1/operator/raft/configuration?stale",
        "DELETE /v1/operator/raft/peer?id=68279362-7ebc-e6ca-8c47-bc3536d97319",
        "GET /v1/agent/members?pretty",
        "GET /v1/metrics?format=prometheus",
        "GET /v1/namespaces?index=1&wait=1ms",
    )
    for path in paths:
        yield "http-request", b"\xff" + f"{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    body = b'{"SchedulerAlgorithm":"spread","NodeLimitForFeasibilityChecks":5}'
    head = b"PUT /v1/operator/scheduler/configuration?cas=1 HTTP/1.1\r\nHost: a\r\n"
    yield "http-request", b"\x20" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    yield "http-request", b"\x40" + head + chunked
    yield "http-answer", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Nomad-Index: 5\r\n\r\n{}"
    yield (
        "http-answer",
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    )


def _own_seeds() -> Iterator[tuple[str, bytes]]:
    import msgspec

    from quorate.raft.values.configuration import Configuration, Server
    from quorate.server.cluster.identity import Greeting, Identity
    from quorate.state.engine.commands import encode
    from quorate.state.engine.store import StateStore
    from quorate.state.tables.defaults import InitialiseDefaults
    from quorate.storage.snapshots.meta import SnapshotMeta, meta_line
    from quorate.wire.go.time import pack_time

    store = StateStore(TODAY)
    command = encode(InitialiseDefaults())
    yield "state-command", command
    store.apply(3, command)
    pieces: list[bytes] = []
    store.snapshot()(pieces.append)
    whole = b"".join(pieces)
    yield "state-snapshot-as-it-is", whole
    yield "state-snapshot", whole[:-32]
    yield from _log_seeds()
    configuration = Configuration((Server("a", "10.0.0.1:1"), Server("b", "10.0.0.2:1")))
    name = "2-33-1795533755911"
    meta = SnapshotMeta(
        id=name,
        index=33,
        term=2,
        configuration=configuration,
        configuration_index=1,
        size=5,
        crc=bytes(8),
    )
    yield "snapshot-meta", meta_line(meta).rpartition(b',"Checksum"')[0]
    yield "time", pack_time(1_795_533_755_911_000_000)[1:]
    me = Identity(
        id="a",
        name="a",
        region="global",
        datacenter="dc1",
        address="10.0.0.1:1",
        serf_port=1,
        version="1",
    )
    yield "server-call", msgspec.json.encode(me)
    yield "server-call", msgspec.json.encode(Greeting(me=me, others=(me,)))
    stored = b'{"region":"global","node_id":"a","created_version":"0","has_log":true'
    yield "identity", stored


def _identity_seeds() -> Iterator[tuple[str, bytes]]:
    from quorate.net.key_pair import KeyPair
    from quorate.raft.values.identity import Epoch, IdentityRecord, Start
    from quorate.wire.handshake import DialerHandshake, ListenerHandshake, Speaker
    from quorate.wire.raft.identity import encode_record

    record = IdentityRecord(
        server_id="a", cluster_id="c", epoch=Epoch(1, bytes(16)), level=1, start=Start(2, bytes(8))
    )
    yield "identity-record", encode_record(record)
    yield "identity-record", encode_record(IdentityRecord(server_id="a"))
    key = KeyPair(bytes(32))
    me = Speaker(record=record, region="global", address="127.0.0.1:1", key=key.public)
    dialer = DialerHandshake(me, key, bytes(32), lambda _: "")
    listener = ListenerHandshake(me, key, bytes(32), lambda _: "")
    answer = listener.feed(dialer.first[1:])
    yield "handshake-dialer", answer
    yield "handshake-listener", dialer.first[1:]
    yield "handshake-listener", dialer.first[1:] + dialer.feed(answer)


def _folder_seeds() -> Iterator[tuple[str, bytes]]:
    import msgspec

    from quorate.raft.values.identity import Start
    from quorate.storage.folder.standing import RolledBack, Standing
    from quorate.storage.folder.twin_file import TwinFile

    some = Standing(server_id="a", start=3, level=1, seen={"b": Start(2, bytes(8))})
    other = Standing(server_id="a", rolled_back=RolledBack("an old copy", 1_795_533_755))
    halves = [
        msgspec.json.encode({"generation": n, "content": each}).removesuffix(b"}")
        for n, each in enumerate((some, other), 1)
    ]
    yield from (("standing", data) for data in (*halves, b"\0".join(halves)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "quorate.standing"
        TwinFile(path, Standing).write(some)
        whole = path.read_bytes()
    yield "standing-as-it-is", whole.rstrip(b" ")[len(whole) // 2 :]
    key = {"server_id": KEY_OWNER, "kind": "ed25519", "private_key": bytes(range(32))}
    for changed in ({}, {"server_id": "a"}, {"kind": "x"}, {"private_key": b"short"}):
        yield "key", msgspec.json.encode({**key, **changed}).removesuffix(b"}")


def _replica_call_seeds() -> Iterator[tuple[str, bytes]]:
    import msgspec

    from quorate.replica.meeting import Ask, Introduction, Joined, Joining, Proposal, Verdict

    pack = msgspec.msgpack.encode
    arguments = (Ask(), Proposal(cluster_id="c", founders=(("a", "a:1", bytes(32)),)))
    answers = (
        Introduction(server_id="a", members=(("a", "a:1"),)),
        Verdict("no"),
        Joined(leader="a:1"),
    )
    # The length of a verb says which argument the target reads.
    calls = [(verb, pack(a)) for verb, a in zip(("who", "ask4"), arguments, strict=True)]
    calls += [("five5", pack(Joining("a:1"))), ("", b"\x90")]
    for verb, argument in (*calls, *(("", pack(answer)) for answer in answers)):
        body = pack((verb, argument))
        yield "replica-call", b"\xff" + len(body).to_bytes(4, "big") + body
    yield "replica-call", b"\x00" + (1 << 20).to_bytes(4, "big")


def _log_seeds() -> Iterator[tuple[str, bytes]]:
    from quorate.raft.values.messages import Entry, HardState
    from quorate.storage.log import records
    from quorate.storage.log.frames import FRAME, frame_record

    def entries(first: int, term: int, *sizes: int) -> bytes:
        made = [Entry(first + n, term, 0, bytes(size)) for n, size in enumerate(sizes)]
        return b"".join(records.entry_items(made))

    head = records.head_item(records.Head(records.LAYOUT, 0, 0, 0, 0))
    vote = records.hard_state_item(HardState(3, "a", 2))
    payloads = [
        entries(1, 1, 5, 0, 900),
        records.truncate_item(3) + entries(3, 2, 5) + vote,
        b"".join(records.meta_items({"x": b"kept", "": b""})) + records.base_item(2, 1),
        records.reset_item(9, 4) + entries(10, 4, 5),
        vote[:-10],
        b"",
    ]
    for some in (payloads, payloads[:1], payloads[1:2], payloads[3:4], payloads[4:]):
        yield "log-records", b"".join(len(p).to_bytes(2, "little") + p for p in some)
    for some in ([head, *payloads[:4]], [head], [head + vote, payloads[0]]):
        content = b"".join(frame_record(number, p) for number, p in enumerate(some, 1))
        yield "log-segment", content
        frames = [content[at : at + FRAME] for at in range(0, len(content), FRAME)]
        yield "log-frames", b"".join(frame[4:] for frame in frames)


def _nomad_seeds() -> Iterator[tuple[str, bytes]]:
    from bolt_builder import bolt_file, conf_of, entry_value, meta_bytes, page_bytes

    command = b"\x18\x81\xa1a\x92\xc0\xa1x"
    conf = (1, b"conf", bytes(16) + page_bytes(0, sorted_items(conf_of(1)), inline=True))
    values = [(0, n.to_bytes(8, "big"), entry_value(n, data=command)) for n in (1, 2, 4)]
    logs = (1, b"logs", bytes(16) + page_bytes(0, values, inline=True))
    root = page_bytes(2, (conf, logs), inline=False).ljust(1024, b"\0")
    metas = meta_bytes(0, 1024, 2, None, 3, 4) + meta_bytes(1, 1024, 2, None, 3, 3)
    small = metas + root
    tree = (
        metas
        + page_bytes(
            2, (conf, (1, b"logs", (3).to_bytes(8, "little") + bytes(8))), inline=False
        ).ljust(1024, b"\0")
        + page_bytes(3, values, inline=False).ljust(1024, b"\0")
    )
    tree = tree.replace(metas, metas.replace(b"\3" + bytes(7), b"\4" + bytes(7)))
    for data in (small, tree, bolt_file([])[:4096], small[:-700]):
        yield "raft-db", data
        yield "raft-db-as-it-is", data


def _recovery_seeds() -> Iterator[tuple[str, bytes]]:
    row = b'{"id": "a", "address": "10.0.0.1:4647", "non_voter": false}'
    for text in (
        b'["10.0.0.1:4647", "10.0.0.2:4647"]',
        b"[\n" + row + b",\n" + row.replace(b"a", b"b") + b"\n]",
        b"[" + row + b"] x",
    ):
        yield "peers-json", text
    survivor = (
        b'{"server_id":"a","address":"a:1","path":"/a","last_term":2,"last_index":3,"committed":1}'
    )
    server = b'{"id":"a","address":"a:1","voter":true,"key":""}'
    yield (
        "recovery-plan",
        b'{"about":"","version":1,"kind":"Quorate","cluster_id":"c","region":"g","epoch_before":0,'
        b'"epoch_before_bits":"","epoch":1,"epoch_bits":"00ff","leads":"a","survivors":['
        + survivor
        + b'],"servers":['
        + server
        + b'],"left_out":[],"left_out_may_decide":false,"becomes_committed":"","may_be_lost":"",'
        b'"not_prevented":"","digest":"00"}',
    )


def sorted_items(values: dict[bytes, bytes]) -> list[tuple[int, bytes, bytes]]:
    """Elements of a leaf."""
    return [(0, key, values[key]) for key in sorted(values)]


def write_seeds() -> None:
    """Write the seeds of all targets."""
    counts: dict[str, int] = {}
    for source in (
        *(_wire_seeds, _text_seeds, _http_seeds, _own_seeds),
        *(_identity_seeds, _folder_seeds, _replica_call_seeds, _nomad_seeds, _recovery_seeds),
    ):
        for target, data in source():
            if len(data) <= _SEED_BYTES_MAX and counts.get(target, 0) < _SEEDS_PER_TARGET_MAX:
                counts[target] = counts.get(target, 0) + 1
                save(target, data)
    print(counts)


if __name__ == "__main__":
    write_seeds()
