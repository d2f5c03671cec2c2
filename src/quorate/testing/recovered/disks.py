"""A recovery of a simulated disk: what it decides is the production's, files are the disk's."""

from __future__ import annotations

from quorate.raft.effects import Persist
from quorate.raft.values.configuration import Configuration
from quorate.raft.values.identity import Epoch
from quorate.raft.values.messages import Entry, EntryKind
from quorate.recovery.looking.summary import FolderSummary, Kind, Member, Members, SnapshotLine
from quorate.recovery.moved_state import apply_log, last_entry, moved
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.storage.log.extent import LogExtent
from quorate.testing.sim.machines.disk import SimDisk, Snapshot
from quorate.testing.sim.machines.hosts import Host
from quorate.testing.sim.plans.meetings import CLUSTER
from quorate.wire.raft import membership

_ALL_BYTES = 1 << 40


def entries_of(disk: SimDisk, low: int = 0) -> list[Entry]:
    """The entries that its log has from `low` on."""
    store = disk.store
    first = max(low, store.first_index())
    return store.entries(first, store.last_index() + 1, _ALL_BYTES) if first else []


def extent_of(disk: SimDisk) -> LogExtent:
    """The first and last entries of its log."""
    index, term = disk.store.base()
    return LogExtent(index, term, index).extended(entries_of(disk))


def look(host: Host) -> FolderSummary:
    """What `operator recover plan` finds in a folder (`quorate.recovery.looking.inspect`)."""
    disk = host.disk
    disk.load()
    extent = extent_of(disk)
    found = FolderSummary(
        kind=Kind.QUORATE.value,
        path=host.name,
        server_id=host.server_id,
        cluster_id=CLUSTER,
        region="global",
        epoch=disk.epoch,
        base_index=extent.base_index,
        last_index=extent.last_index,
        last_term=extent.last_term,
        term=disk.store.hard_state().term,
    )
    for entry in entries_of(disk):
        if entry.kind == EntryKind.CONFIGURATION:
            configuration = membership.decode_configuration(entry.data)
            found.members = _members(entry.index, configuration)
    if (stored := disk.snapshot) is not None:
        members = _members(stored.configuration_index, stored.configuration)
        found.snapshot = SnapshotLine(
            id=stored.id,
            index=stored.index,
            term=stored.term,
            size=len(stored.body),
            members=members,
        )
        if members.index >= found.members.index:
            found.members = members
    found.commit_known = max(found.base_index, found.snapshot.index if found.snapshot else 0)
    return found


def _members(index: int, configuration: Configuration) -> Members:
    servers = configuration.servers
    return Members(index, tuple(Member(s.id, s.address, s.is_voter, s.key) for s in servers))


def recover(host: Host, configuration: Configuration, epoch: Epoch, *, whole: bool) -> None:
    """The steps of `quorate.recovery.recovering` on the disk of a stopped host."""
    disk = host.disk
    assert host.node is None, f"{host.name} runs"
    disk.load()
    store, newest = StateStore(TODAY), disk.snapshot
    if newest is not None:
        store.restore(newest.image())
    if whole:
        apply_log(store, entries_of(disk, store.applied_index + 1))
    snapshot = (newest.index, newest.term) if newest is not None else (0, 0)
    index, term = last_entry(extent_of(disk), snapshot, whole=whole)
    point = (index, term, configuration, index)
    disk.store_snapshot(Snapshot.of(point, moved(store)))
    disk.write(Persist(0, reset_to=(index, term)))
    disk.epoch = epoch
