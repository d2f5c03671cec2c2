"""The entries of a log for people, of ours and of a real Nomad server's, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from quorate.errors import BadFrame, LogDamaged, QuorateError
from quorate.nomad.log_entry import KINDS, BadEntry, NomadEntry, body_of
from quorate.raft.values.messages import Entry, EntryKind
from quorate.recovery.looking.folders import DataDir, find, log_of, user_of
from quorate.recovery.looking.nomad_log import NomadLog
from quorate.recovery.looking.summary import Kind
from quorate.state.engine.commands import UnknownCommand, Wrapped, decode
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.storage.folder.identity import read_identity
from quorate.storage.log.reading import LogReader
from quorate.wire.raft.membership import decode_configuration, decode_peers

_TRIES: Final = 5
_PEER_KINDS: Final = {EntryKind.ADD_PEER, EntryKind.REMOVE_PEER}


class ShownEntry(msgspec.Struct, frozen=True):
    """One entry. `log_type` and `command_type` are names; `size` is in bytes.

    `appended_at` is Unix nanoseconds, None where it is not known. `body` decodes the rest: what
    may be a secret is shown by its size unless its argument is true. It raises BadFrame.
    """

    index: int
    term: int
    log_type: str
    command_type: str
    size: int
    appended_at: int | None
    body: Callable[[bool], Any]


class LogShown:
    """An open log: `first` and `last` are the indexes that it holds, 0 if it is empty.

    `notes` are for people, `problems` what is damaged: both are complete when `entries` has ended.
    """

    def __init__(self, first: int, last: int, path: Path) -> None:
        self.first: Final = first
        self.last: Final = last
        self.path: Final = path
        self.notes: list[str] = []
        self.problems: list[str] = []
        self.entries: Callable[[], Iterator[ShownEntry]] = lambda: iter(())


@contextmanager
def opened(path: Path) -> Iterator[LogShown]:
    """The log in the data folder at `path`. Raises QuorateError."""
    folder = find(path)
    in_use = user_of(folder) is not None
    if folder.kind is Kind.NOMAD:
        with NomadLog(folder.log, in_use=in_use) as nomad:
            yield _nomad(nomad)
    else:
        with _sound(folder, in_use=in_use) as log:
            yield _ours(folder, log)


def _sound(folder: DataDir, *, in_use: bool) -> LogReader:
    for _ in range(_TRIES - 1):
        log = log_of(folder)
        if log.damage is None or not in_use:
            return log
        log.close()  # its server is writing
    return log_of(folder)


def _nomad(log: NomadLog) -> LogShown:
    first, last = log.db.ends()
    shown = LogShown(first, last, log.path)

    def entries() -> Iterator[ShownEntry]:
        try:
            for entry in log.db.entries():
                if isinstance(entry, BadEntry):
                    shown.problems.append(f"entry {entry.index} (page {entry.page}): {entry.why}")
                else:
                    yield _of_nomad(entry)
        except QuorateError as error:
            shown.problems.append(error.text)
        shown.notes += log.db.notes
        if log.copied:
            shown.notes.append("its server runs: a sound copy was read")
        try:
            log.check_unchanged()
        except QuorateError as error:
            shown.problems.append(error.line())

    shown.entries = entries
    return shown


def _of_nomad(entry: NomadEntry) -> ShownEntry:
    return ShownEntry(
        entry.index,
        entry.term,
        f"Log{entry.kind_name}",
        entry.command_name,
        entry.size,
        entry.appended_at,
        lambda secrets: body_of(entry, secrets=secrets),
    )


def _ours(folder: DataDir, log: LogReader) -> LogShown:
    extent = log.extent
    first, last = (0, 0) if extent.is_empty else (extent.base_index + 1, extent.last_index)
    shown = LogShown(first, last, log.path)
    names_known = _is_an_agents(folder)

    def entries() -> Iterator[ShownEntry]:
        try:
            for entry in log.entries():
                yield _of_ours(entry, names_known=names_known)
        except LogDamaged as damage:
            shown.problems.append(damage.text)
        if log.damage is not None:
            shown.problems.append(log.damage.text)

    shown.entries = entries
    return shown


def _is_an_agents(folder: DataDir) -> bool:
    """False for a replica's in a Python service: its commands are known to that service alone."""
    try:
        identity = read_identity(folder.root)
    except QuorateError:
        return True
    return identity is None or bool(identity.region)


def command_name(command: Command | Wrapped | UnknownCommand) -> str:
    """The name of a decoded command: of the one that was written, whatever it was read into."""
    if isinstance(command, UnknownCommand):
        return f"Unknown({command.type})"
    inner = command.command if isinstance(command, Wrapped) else command
    name: str = TODAY.decoders[inner.TYPE].type.__name__
    return name


def _of_ours(entry: Entry, *, names_known: bool) -> ShownEntry:
    kind = KINDS[entry.kind] if entry.kind < len(KINDS) else f"Unknown({entry.kind})"
    is_command = entry.kind == EntryKind.COMMAND and names_known
    command = decode(entry.data, TODAY) if is_command else None
    name = "" if command is None else command_name(command)

    def body(secrets: bool) -> Any:
        if entry.kind == EntryKind.CONFIGURATION or entry.kind in _PEER_KINDS:
            read = decode_configuration if entry.kind not in _PEER_KINDS else decode_peers
            return {
                "Servers": [
                    {"Address": s.address, "ID": s.id, "Suffrage": int(s.suffrage)}
                    for s in read(entry.data).servers
                ]
            }
        if isinstance(command, UnknownCommand):
            raise BadFrame(command.explained)
        value = command.command if isinstance(command, Wrapped) else command
        return None if value is None else plain(value, secrets=secrets)

    return ShownEntry(
        entry.index,
        entry.term,
        f"Log{kind}",
        name,
        len(entry.encoded or b""),
        entry.appended_at,
        body,
    )


def plain(value: Any, *, secrets: bool = False) -> Any:
    """A record or command as values of JSON; bytes are shown by their size, or as `hex:...`."""
    if isinstance(value, bytes):
        return f"hex:{value.hex()}" if secrets else f"({len(value)} bytes)"
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, dict):
        return {str(key): plain(inner, secrets=secrets) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each, secrets=secrets) for each in value]
    return value
