"""One server of `quorate.replica` for the tests of mixed clusters: the counterpart of `gopeer`.

The same state machine, snapshot bytes, flags and control connection (one JSON object a line), so
that a test need not know which make a peer is.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import quorate
from quorate.errors import LogDamaged, QuorateError
from quorate.levels import LEVEL
from quorate.net.key_pair import KeyPair
from quorate.net.port import RpcPort
from quorate.net.trust import StartsInMemory, Trust
from quorate.raft import Change, ChangeKind, Settings
from quorate.raft.values.configuration import Configuration, Server, Suffrage
from quorate.raft.values.identity import RUN_BITS, IdentityRecord, Start
from quorate.replica import Options, Replica
from quorate.runtime.ports import Read, Write
from quorate.storage.log.store import LogStore
from quorate.storage.snapshots.store import SnapshotStore
from quorate.wire.first_byte import RAFT_BYTE

_HEAD = struct.Struct(">QI")
_DUMP_BYTES = 40
_PATIENCE_S = 10.0

Item = tuple[int, bytes]
Answer = dict[str, Any]
_KINDS = {
    "add_voter": ChangeKind.ADD_VOTER,
    "add_nonvoter": ChangeKind.ADD_NONVOTER,
    "promote": ChangeKind.PROMOTE,
    "demote": ChangeKind.DEMOTE_VOTER,
    "remove": ChangeKind.REMOVE_SERVER,
}


class ItemList:
    """Every command in order. Digest and snapshot are made of: index (8), length (4), data."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.digest = hashlib.sha256()

    def _add(self, item: Item) -> None:
        self.items.append(item)
        self.digest.update(_record(item))

    def apply(self, index: int, command: bytes) -> int:
        self._add((index, command))
        return len(self.items)

    def snapshot(self) -> Callable[[Write], object]:
        items = list(self.items)

        def write_out(write: Write) -> None:
            for item in items:
                write(_record(item))

        return write_out

    def decode_snapshot(self, read: Read) -> Any:
        items: list[Item] = []
        while head := _exactly(read, _HEAD.size):
            index, size = _HEAD.unpack(head)
            items.append((index, _exactly(read, size)))
        return items

    def restore(self, image: Any) -> None:
        self.items, self.digest = [], hashlib.sha256()
        for item in image:
            self._add(item)


def _record(item: Item) -> bytes:
    return _HEAD.pack(item[0], len(item[1])) + item[1]


def _exactly(read: Read, size: int) -> bytes:
    """`size` bytes, or none at the end."""
    data = read(size)
    while data and len(data) < size:
        if not (more := read(size - len(data))):
            raise LogDamaged("the snapshot ends within a record", path="")
        data += more
    return data


class Control:
    """What the control connection works on."""

    def __init__(self, replica: Replica[Any], machine: ItemList) -> None:
        self.replica = replica
        self.machine = machine

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                ask = json.loads(line)
                try:
                    async with asyncio.timeout(_PATIENCE_S):
                        answer = await getattr(self, "do_" + ask["op"])(ask)
                except (QuorateError, TimeoutError, OSError) as error:
                    answer = {"error": str(error) or type(error).__name__}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass  # the test has gone away
        finally:
            writer.close()

    async def do_apply(self, ask: Answer) -> Answer:
        future = self.replica.propose((ask["data"] + "." * ask.get("pad", 0)).encode())
        if ask.get("nowait"):
            future.add_done_callback(lambda done: done.exception())
            return {}
        index, result = await future
        return {"index": index, "result": result}

    async def do_bootstrap(self, ask: Answer) -> Answer:
        servers = (
            Server(s["id"], s["address"], Suffrage(s.get("suffrage", 0))) for s in ask["servers"]
        )
        await self.replica.bootstrap(Configuration(tuple(servers)))
        return {}

    async def do_change(self, ask: Answer) -> Answer:
        change = Change(_KINDS[ask["kind"]], ask["id"], ask.get("address", ""), ask.get("prev", 0))
        # The other make gives a vote at once; the tests say the same to both.
        at_once = change.kind is ChangeKind.ADD_VOTER
        return {"index": await self.replica.change(change, force=at_once)}

    async def do_transfer(self, ask: Answer) -> Answer:
        return {"leader": await self.replica.transfer(ask.get("id", ""))}

    async def do_snapshot(self, _: Answer) -> Answer:
        return {"index": await self.replica.snapshot_now()}

    async def do_barrier(self, _: Answer) -> Answer:
        await self.replica.read_barrier()
        return {}

    async def do_items(self, _: Answer) -> Answer:
        return {"items": [(i, data[:_DUMP_BYTES].decode()) for i, data in self.machine.items]}

    async def do_log(self, _: Answer) -> Answer:
        log = self.replica.log
        entries: list[Any] = []
        low, last = log.first_index(), log.last_index()
        while 0 < low <= last:
            batch = log.entries(low, last + 1, 16 << 20)
            if not batch:  # compacted meanwhile, by the disk's thread
                entries, low = [], log.first_index()
                continue
            entries += [
                (e.index, e.term, e.kind, hashlib.sha256(e.data + e.extensions).hexdigest()[:16])
                for e in batch
            ]
            low = batch[-1].index + 1
        return {"entries": entries}

    async def do_state(self, _: Answer) -> Answer:
        node, items = self.replica.node, self.machine.items
        return {
            "role": node.role.value,
            "term": node.term,
            "leader": node.leader_id,
            "leader_address": node.leader_address,
            "last": node.log.last_index,
            "commit": node.commit_index,
            "applied": node.applied_index,
            "snapshot": node.log.snapshot_index,
            "servers": [
                {"id": s.id, "address": s.address, "suffrage": int(s.suffrage)}
                for s in node.configuration.servers
            ],
            "count": len(items),
            "last_item": items[-1][0] if items else 0,
            "digest": self.machine.digest.hexdigest(),
            "version": quorate.__version__,
        }


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("id", "bind", "advertise", "control"):
        parser.add_argument(f"-{name}", required=True)
    parser.add_argument("-dir", required=True, type=Path)
    parser.add_argument("-prefix", action="store_true")
    parser.add_argument("-multiplier", type=float, default=1.0)
    parser.add_argument("-cluster", default="", help="id of the cluster, which messages carry")
    parser.add_argument("-lease", action="store_true", help="trust the lease for reads")
    parser.add_argument("-trailing", type=int, default=10240)
    return parser.parse_args()


def _say(*words: object) -> None:
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


def _identity(replica: Replica[Any]) -> IdentityRecord:
    return IdentityRecord(
        server_id=replica.server_id,
        cluster_id=replica.options.cluster_id,
        level=LEVEL,
        start=Start(1, os.urandom(RUN_BITS)),
    )


def _trust(replica: Replica[Any], record: IdentityRecord) -> Trust:
    """Its peers of the other make prove nothing, so their host has to be named."""
    return Trust(
        signer=KeyPair.generate(),
        me=lambda: (record, "mixed", replica.address),
        configuration=lambda: replica.node.configuration,
        starts=StartsInMemory(),
        lenient=lambda: False,
        unproven_hosts=(replica.address.rpartition(":")[0],),
        refused=replica.refused,
    )


async def _main(flags: argparse.Namespace) -> None:
    settings = Settings(trailing_logs=flags.trailing, lease_reads=flags.lease)
    machine = ItemList()
    replica = Replica(
        server_id=flags.id,
        address=flags.advertise,
        machine=machine,
        log=LogStore.open(flags.dir / "log"),
        snapshots=SnapshotStore(flags.dir / "snapshots"),
        options=Options(
            settings=settings.scaled(flags.multiplier),
            stream_prefix=bytes((RAFT_BYTE,)) if flags.prefix else b"",
            snapshot_threshold=1 << 40,  # only when told
            cluster_id=flags.cluster,
        ),
    )
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    replica.on_role.append(lambda r: _say(r.role.value, r.term, r.leader_id, r.cause))
    replica.on_refused.append(lambda where, why: _say("REFUSED", where, why))
    replica.on_failure.append(ended.set_exception)
    record = _identity(replica)
    trust = _trust(replica, record)
    replica.believe(trust)
    await replica.load()
    replica.speak_as(record)
    replica.begin()
    host, _, port = flags.bind.rpartition(":")
    rpc = RpcPort(
        trust=trust,
        raft=replica.connection,
        http=None,
        refused=replica.refused,
        handshake_timeout_s=_PATIENCE_S,
        connections_max=0,
        bare=not flags.prefix,
    )
    await rpc.listen(host, int(port))
    host, _, port = flags.control.rpartition(":")
    await asyncio.start_server(Control(replica, machine).serve, host, int(port), limit=8 << 20)
    await ended


if __name__ == "__main__":
    asyncio.run(_main(_flags()))
