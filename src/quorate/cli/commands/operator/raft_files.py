"""`operator raft info | logs | state DIR`: a data folder is looked at, and no agent is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from quorate.api.codec.filters import BadFilter, OutOfSteps, parsed
from quorate.cli.commands.operator.folder_named import folder_named
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_table
from quorate.errors import QuorateError
from quorate.nomad.log_entry import time_text
from quorate.recovery.looking.entries import LogShown, ShownEntry, opened
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.looking.states import state_of
from quorate.recovery.looking.summary import FolderSummary

DAMAGED: Final = 2
"""Exit code for a folder that was read, and in which something is damaged."""

_WIDTH: Final = 80
_FIELDS: Final = {
    "Index": lambda entry: entry.index,
    "Term": lambda entry: entry.term,
    "LogType": lambda entry: entry.log_type,
    "CommandType": lambda entry: entry.command_type,
    "Size": lambda entry: entry.size,
    "AppendedAt": lambda entry: time_text(entry.appended_at),
}


def info(context: Context) -> int:
    """What the folder holds, and what of it is damaged."""
    with doing(""):
        found = inspect(folder_named(context.flags.args[0]))
    context.show(_as_json(found), lambda: _print(context, found))
    return DAMAGED if found.damage else 0


def _as_json(found: FolderSummary) -> dict[str, Any]:
    snapshot = found.snapshot
    return {
        "Path": found.path,
        "Kind": found.kind,
        "UsedBy": found.user,
        "ServerID": found.server_id,
        "Region": found.region,
        "ClusterID": found.cluster_id,
        "Epoch": {"Counter": found.epoch.counter, "Bits": found.epoch.bits.hex()},
        "Level": found.level,
        "Start": found.start,
        "Length": found.entries,
        "FirstIndex": found.first_index,
        "LastIndex": found.last_index,
        "LastTerm": found.last_term,
        "CurrentTerm": found.term,
        "LastVoteTerm": found.vote_term,
        "LastVoteCandidate": found.voted_for,
        "CommitKnown": found.commit_known,
        "Snapshot": None
        if snapshot is None
        else {
            "ID": snapshot.id,
            "Index": snapshot.index,
            "Term": snapshot.term,
            "Size": snapshot.size,
        },
        "ConfigurationIndex": found.members.index,
        "Servers": [
            {"ID": s.id, "Address": s.address, "Voter": s.voter} for s in found.members.servers
        ],
        "Damage": found.damage,
        "Notes": found.notes,
    }


def _print(context: Context, found: FolderSummary) -> None:
    out = context.out
    epoch = str(found.epoch) if found.epoch.counter else ""
    vote = f"{found.voted_for} in term {found.vote_term}" if found.voted_for else "none"
    snapshot = found.snapshot
    held = "none"
    if snapshot is not None:
        held = f"index {snapshot.index}, term {snapshot.term}, {snapshot.size} bytes"
    pairs = [
        # The first four are those of Nomad's command.
        ("path", found.path),
        ("length", str(found.entries)),
        ("first index", str(found.first_index)),
        ("last index", str(found.last_index)),
        ("last term", str(found.last_term)),
        ("current term", str(found.term)),
        ("vote", vote),
        ("snapshot", held),
        ("committed", f"up to {found.commit_known} for certain"),
        ("written by", found.kind),
        ("server", found.server_id),
        ("region", found.region),
        ("cluster", found.cluster_id),
        ("epoch", epoch),
        ("start", str(found.start) if found.start else ""),
        ("in use by", f"process {found.user}" if found.user else ""),
    ]
    for key, value in pairs:
        if value:
            out.line(f"{key + ':':<13} {value}")
    servers = [
        (s.id, s.address, "voter" if s.voter else "non-voter") for s in found.members.servers
    ]
    if servers:
        out.line(f"\nconfiguration of index {found.members.index}")
        out.table(format_table([("ID", "Address", "Suffrage"), *servers]))
    for note in found.notes:
        out.line(f"note: {note}")
    for damage in found.damage:
        out.error(f"damaged: {damage}")


def logs(context: Context) -> int:
    """The entries, one after another."""
    flags = context.flags
    with doing(""), opened(folder_named(flags.args[0])) as log:
        chosen = _chosen(log, flags.text("filter"), flags.values.get("last-index"))
        if flags.on("short"):
            context.out.line(_SHORT.format("Index", "Term", "Type", "Bytes", "Command").rstrip())
        for entry in chosen:
            line = _short(entry) if flags.on("short") else _json_line(log, entry, flags)
            context.out.line(line)
        for note in log.notes:
            context.out.error(f"note: {note}")
        for problem in log.problems:
            context.out.error(f"damaged: {problem}")
        return DAMAGED if log.problems else 0


def _chosen(log: LogShown, expression: str, last: object) -> Iterator[ShownEntry]:
    fits = _filter(expression)
    end = log.last
    if isinstance(last, int):
        end = last if last > 0 else log.last + last
        if not log.first <= end <= log.last:
            raise QuorateError(
                f"the log holds the entries {log.first} to {log.last}, and {end} is not among them"
            )
    for entry in log.entries():
        if entry.index <= end and fits(entry):
            yield entry


def _filter(expression: str) -> Callable[[ShownEntry], bool]:
    if not expression:
        return lambda _: True

    def made() -> Callable[[ShownEntry], bool]:
        try:
            return parsed(expression, _FIELDS).fits
        except BadFilter as error:
            raise Failure(f"Failed to parse filter: {error}") from error

    fits = made()

    def test(entry: ShownEntry) -> bool:
        nonlocal fits
        try:
            return fits(entry)
        except OutOfSteps:  # its bound is for a request to a server, and this is a log of any size
            fits = made()
            return fits(entry)

    return test


_SHORT: Final = "{:>10} {:>6}  {:<13} {:>9}  {}"


def _short(entry: ShownEntry) -> str:
    kind = entry.log_type.removeprefix("Log")
    command = entry.command_type.removesuffix("RequestType")
    line = _SHORT.format(entry.index, entry.term, kind, entry.size, command)
    return line[:_WIDTH].rstrip()


def _json_line(log: LogShown, entry: ShownEntry, flags: Any) -> str:
    """The form of Nomad's command, with the time behind it."""
    value: dict[str, Any] = {"LogType": entry.log_type, "Term": entry.term, "Index": entry.index}
    if entry.command_type:
        value["CommandType"] = entry.command_type
    try:
        body = entry.body(flags.on("secrets"))
    except QuorateError as error:
        log.problems.append(f"entry {entry.index}: {error.text}")
        body = None
    if body is not None:
        value["Body"] = body
    if entry.appended_at is not None:
        value["AppendedAt"] = time_text(entry.appended_at)
    indent = 2 if flags.on("pretty") else None
    separators = None if flags.on("pretty") else (",", ":")
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)


def state(context: Context) -> int:
    """The records of the state, one after another."""
    flags = context.flags
    only = flags.text("type")
    found: set[str] = set()
    with doing("Failed to read the state: "):
        shown = state_of(folder_named(flags.args[0]), flags.number("last-index"))
        for row in shown.rows:
            found.add(row.type)
            if only in {"", row.type}:
                value = {"Type": row.type, "Key": row.key, "Value": row.value}
                if not row.key:
                    del value["Key"]
                context.out.line(json.dumps(value, ensure_ascii=False))
    if only and only not in found:
        types = ", ".join(sorted(found)) or "none"
        raise Failure(f'There is no record of type "{only}"; the types in this state: {types}')
    for note in shown.notes:
        context.out.error(f"note: {note}")
    for problem in shown.problems:
        context.out.error(f"damaged: {problem}")
    return DAMAGED if shown.problems else 0
