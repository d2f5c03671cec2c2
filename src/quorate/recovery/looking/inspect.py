"""Looks at the data folder of one server, of ours or a real Nomad's, and changes nothing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from quorate.archive.meta import ArchiveError, ArchiveMeta, decode_meta
from quorate.errors import LogDamaged, QuorateError
from quorate.given_files import content
from quorate.nomad.bolt.meta import BoltError
from quorate.nomad.log_entry import NomadEntry, body_of
from quorate.nomad.raft_db import KEEP_MAX, LogSummary
from quorate.raft.values.messages import EntryKind
from quorate.recovery.looking.folders import DataDir, find, log_of, user_of
from quorate.recovery.looking.nomad_log import NomadLog
from quorate.recovery.looking.summary import FolderSummary, Kind, Member, Members, SnapshotLine
from quorate.recovery.salvage_mark import read_salvage, refusal
from quorate.storage.disk_errors import clear_errors
from quorate.storage.folder.identity import read_identity, read_node_id
from quorate.storage.folder.set_aside import set_aside_in
from quorate.storage.folder.standing import STANDING_FILE, Standing
from quorate.storage.folder.twin_file import TwinFile
from quorate.storage.log.reading import LogReader
from quorate.storage.snapshots.meta import META_FILE, STATE_FILE
from quorate.storage.snapshots.reading import check_state, checked_meta, names_in
from quorate.wire.raft.membership import decode_configuration

_TRIES: Final = 5
_META_BYTES_MAX: Final = 1 << 20


def inspect(path: Path) -> FolderSummary:
    """The contents of the data folder at `path`.

    Damage to log, snapshots and identity is in the summary. Raises QuorateError for what is no
    data folder, BoltError for a raft.db that cannot be read at all.
    """
    folder = find(path)
    user = user_of(folder)
    found = FolderSummary(kind=folder.kind.value, path=str(folder.root), user=user)
    if folder.kind is Kind.NOMAD:
        _nomad_identity(folder, found)
        _nomad_log(folder, found)
    else:
        _identity(folder, found)
        _log(folder, found)
        _kept(folder, found)
    _snapshots(folder, found)
    _missing(found)
    if (mark := read_salvage(folder.raft)) is not None:
        found.notes.append(f"its log was salvaged: {refusal(mark, folder.raft).text}")
    found.commit_known = max(found.base_index, found.snapshot.index if found.snapshot else 0)
    if found.snapshot and found.snapshot.members.index >= found.members.index:
        found.members = found.snapshot.members
    return found


def configured(servers: list[dict[str, object]]) -> tuple[Member, ...]:
    """The servers of a decoded configuration of Nomad."""
    return tuple(
        Member(str(s["ID"]), str(s["Address"]), s.get("Suffrage", 0) == 0) for s in servers
    )


def _kept(folder: DataDir, found: FolderSummary) -> None:
    """Earlier data, which nothing removes by itself."""
    with clear_errors(f"look at {folder.root}"):
        kept = set_aside_in(folder.root)
        size = sum(f.lstat().st_size for path in kept for f in path.rglob("*") if f.is_file())
    if kept:
        names = ", ".join(path.name for path in kept[:5])
        more = f" and {len(kept) - 5} more" if len(kept) > 5 else ""
        found.notes.append(
            f"earlier data are kept, {size} bytes in {names}{more}; to remove them: quorate "
            "operator recover prune"
        )


def _missing(found: FolderSummary) -> None:
    """Entries that neither log nor snapshot has."""
    reached = found.snapshot.index if found.snapshot else 0
    begun = found.first_index - 1 if found.first_index else found.base_index
    for first, last in [(1, begun), *found.gaps]:
        if first <= last <= reached:
            if first > 1:
                found.notes.append(
                    f"entries {first} to {last} are not in the log, as after a restore; the "
                    "snapshot has them"
                )
        elif first <= last:
            lost = max(first, reached + 1)
            found.damage.append(f"entries {lost} to {last} are neither in log nor in snapshot")


# -- ours -----------------------------------------------------------------------------------------


def _identity(folder: DataDir, found: FolderSummary) -> None:
    try:
        identity = read_identity(folder.root)
    except LogDamaged as damage:
        found.damage.append(damage.text)
    else:
        if identity is not None:
            found.server_id, found.region = identity.node_id, identity.region
            found.cluster_id, found.epoch = identity.cluster_id, identity.epoch
    try:
        standing = TwinFile(folder.root / STANDING_FILE, Standing).read()
    except LogDamaged as damage:
        found.damage.append(damage.text)
        return
    if standing is not None:
        found.start, found.level = standing.start, standing.level
        if standing.rolled_back is not None:
            found.rolled_back = standing.rolled_back.reason
            found.notes.append(f"found to be an old copy: {found.rolled_back}")


def _log(folder: DataDir, found: FolderSummary) -> None:
    for attempt in range(_TRIES):
        with log_of(folder) as log:
            if log.damage is not None and found.user is not None and attempt < _TRIES - 1:
                continue  # its server is writing
            _log_of(log, found)
            return


def _log_of(log: LogReader, found: FolderSummary) -> None:
    extent, state = log.extent, log.hard_state
    if log.damage is not None:
        found.damage.append(log.damage.text)
    found.base_index = extent.base_index
    found.entries = extent.last_index - extent.base_index
    found.last_index, found.last_term = extent.last_index, extent.last_term
    found.first_index = extent.base_index + 1 if found.entries else 0
    found.term = max(state.term, extent.last_term)
    found.vote_term, found.voted_for = state.vote_term, state.voted_for
    try:
        for entry in log.entries(only=EntryKind.CONFIGURATION):
            servers = decode_configuration(entry.data).servers
            members = tuple(Member(s.id, s.address, s.is_voter, s.key) for s in servers)
            found.members = Members(entry.index, members)
    except QuorateError as error:
        found.damage.append(error.text)


# -- a real Nomad server's ------------------------------------------------------------------------


def _nomad_identity(folder: DataDir, found: FolderSummary) -> None:
    try:
        found.server_id = read_node_id(folder.root) or ""
    except LogDamaged as damage:
        found.damage.append(damage.text)


def _nomad_log(folder: DataDir, found: FolderSummary) -> None:
    with NomadLog(folder.log, in_use=found.user is not None) as log:
        stable = log.db.stable
        found.term = stable.current_term or 0
        found.vote_term = stable.last_vote_term or 0
        found.voted_for = stable.last_vote_candidate or ""
        summary = LogSummary()
        try:
            for entry in log.db.entries():
                summary.add(entry)
        except BoltError as error:
            found.damage.append(error.text)
        log.check_unchanged()
        found.notes += log.db.notes
        if log.copied:
            found.notes.append("its server runs: a sound copy of the log was read")
    found.entries = summary.entries
    found.first_index, found.last_index = summary.first_index or 0, summary.last_index or 0
    found.last_term = summary.last_term or 0
    if summary.configuration is not None:
        found.members = Members(summary.configuration.index, _members_of(summary.configuration))
    found.damage += [f"entry {bad.index} (page {bad.page}): {bad.why}" for bad in summary.bad]
    if summary.bad_count > KEEP_MAX:
        found.damage.append(f"{summary.bad_count} entries are damaged in all")
    found.gaps = summary.gaps


def _members_of(entry: NomadEntry) -> tuple[Member, ...]:
    with suppress(QuorateError):
        return configured(body_of(entry)["Servers"])
    return ()


# -- snapshots ------------------------------------------------------------------------------------


class _Crc(msgspec.Struct, rename="pascal"):
    crc: bytes | None = msgspec.field(name="CRC", default=None)


def nomad_meta(snapshot: Path) -> ArchiveMeta:
    """The meta of a snapshot folder of a real Nomad, its state checked.

    Raises LogDamaged, QuorateError.
    """
    path = snapshot / META_FILE
    with clear_errors(f"read {path}"):
        if not path.exists():
            raise LogDamaged(f"{path} is missing", path=str(path))
        line = content(path, _META_BYTES_MAX)
    try:
        meta, crc = decode_meta(line), msgspec.json.decode(line, type=_Crc).crc
    except (ArchiveError, msgspec.MsgspecError) as error:
        raise LogDamaged(f"{path} cannot be understood: {error}", path=str(path)) from error
    if meta.id != snapshot.name:
        raise LogDamaged(f"{path} is of another snapshot: {meta.id}", path=str(path))
    if not crc:
        raise LogDamaged(f"{path} has no checksum: the snapshot is unfinished", path=str(path))
    check_state(snapshot / STATE_FILE, meta.size, crc)
    return meta


def _snapshots(folder: DataDir, found: FolderSummary) -> None:
    if not folder.snapshots.is_dir():
        return
    for name in names_in(folder.snapshots):
        place = folder.snapshots / name
        try:
            line = _nomad_line(place) if folder.kind is Kind.NOMAD else _line(place)
        except LogDamaged as damage:
            found.damage.append(damage.text)
            continue
        if found.snapshot is None:
            found.snapshot = line
        return


def _line(place: Path) -> SnapshotLine:
    meta = checked_meta(place)
    members = tuple(Member(s.id, s.address, s.is_voter, s.key) for s in meta.configuration.servers)
    return SnapshotLine(
        id=meta.id,
        index=meta.index,
        term=meta.term,
        size=meta.size,
        members=Members(meta.configuration_index, members),
    )


def _nomad_line(place: Path) -> SnapshotLine:
    meta = nomad_meta(place)
    servers = meta.configuration.servers or ()
    members = tuple(Member(s.id, s.address, s.suffrage == 0) for s in servers)
    return SnapshotLine(
        id=meta.id,
        index=meta.index,
        term=meta.term,
        size=meta.size,
        members=Members(meta.configuration_index, members),
    )
