"""The words and the JSON in which `quorate operator diagnose` shows what it has found.

Prose is wrapped to the terminal. A command never is: it has a line of its own, so that a copy of
that line works.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from quorate.cli.context import Context
from quorate.diagnosis.asking.servers import ASKED_MAX
from quorate.diagnosis.values import Asked, Diagnosis, Finding, Folder, Outcome, Server, World
from quorate.diagnosis.words import in_parts, without_marks

_WIDTH: Final = 80


def show(context: Context, world: World, found: Diagnosis) -> None:
    """For a person."""
    for line in _lines(world, found, context.out.width or _WIDTH):
        context.out.line(line)


def _lines(world: World, found: Diagnosis, width: int) -> Iterator[str]:
    yield from _filled(_heading(world, found), "", width)
    for count, finding in enumerate(found.findings, start=1):
        yield ""
        yield from _finding(count, finding, width)
    asked = [_asked_line(each, world) for each in world.asked if not each.guessed or each.server]
    if asked:
        yield ""
        yield "Asked:"
        for line in asked:
            yield from _filled(line, "  ", width)
    if world.late:
        yield from _filled(
            f"Not all was asked: the time was up, or more than {ASKED_MAX} addresses were given.",
            *("", width),
        )


def _heading(world: World, found: Diagnosis) -> str:
    causes = sum(finding.severity == "cause" for finding in found.findings)
    if found.outcome is Outcome.SILENT:
        return "No server answers, and no data folder was given."
    if found.leader:
        term = f" in term {found.leader_term}" if found.leader_term else ""
        state = f"There is a leader: {found.leader}{term}."
        if not causes:
            warned = " Still, look at this:" if found.findings else ""
            return state + warned
        return f"{state} Not all servers take part:"
    where = "" if world.servers else " No server answers; the data folders say:"
    if causes > 1:
        return f"There is no leader.{where} {causes} causes, the weightiest first:"
    return f"There is no leader.{where or ' The cause:'}"


def _finding(count: int, finding: Finding, width: int) -> Iterator[str]:
    kind = "" if finding.severity == "cause" else "warning: "
    text = f"{count}. {kind}{finding.text} [{finding.cause}]"
    yield from _filled(text, "", width, after="   ")
    for line in finding.shown_by:
        yield from _filled(f"- {line}", "   ", width, after="     ")
    for step in finding.next:
        yield from _step(step, width)


def _step(step: str, width: int) -> Iterator[str]:
    """A next step: its prose wrapped, and each command whole on its own line."""
    before = "Next: "
    for prose, command in in_parts(step):
        if before + prose:
            yield from _filled(before + prose, "   " if before else "     ", width, after="     ")
        if command:
            yield f"     {command}"
        before = ""


def _asked_line(asked: Asked, world: World) -> str:
    if asked.failure is not None:
        return f"{asked.address}: {asked.failure.text}"
    server = next((s for s in world.servers if s.id == asked.server), None)
    if server is None:
        return f"{asked.address}: {asked.server}"
    term = f", term {server.term}" if server.term else ""
    return f"{asked.address}: {server.node}, {server.role or server.make}{term}"


def _filled(text: str, before: str, width: int, after: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=before,
        subsequent_indent=before + "  " if after is None else after,
        break_on_hyphens=False,
        break_long_words=False,
    )


def as_json(world: World, found: Diagnosis) -> dict[str, Any]:
    """For a program. `Commands` are those within `Next`, each as it is to be typed."""
    return {
        "Outcome": found.outcome.value,
        "Leader": found.leader,
        "Term": found.leader_term,
        "Findings": [
            {
                "Cause": each.cause,
                "Severity": each.severity.value,
                "Weight": each.weight,
                "Text": each.text,
                "ShownBy": list(each.shown_by),
                "Next": [without_marks(step) for step in each.next],
                "Commands": [c for step in each.next for _, c in in_parts(step) if c],
            }
            for each in found.findings
        ],
        "Asked": [
            {
                "Address": each.address,
                "Guessed": each.guessed,
                "Server": each.server,
                "Failure": each.failure.kind.value if each.failure is not None else "",
                "Error": each.failure.text if each.failure is not None else "",
            }
            for each in world.asked
        ],
        "Servers": [_server_json(server) for server in world.servers],
        "Folders": [_folder_json(folder) for folder in world.folders],
        "Late": world.late,
    }


def _server_json(server: Server) -> dict[str, Any]:
    return {
        "ID": server.id,
        "Node": server.node,
        "Address": server.address,
        "HTTP": server.http,
        "Make": server.make,
        "Version": server.version,
        "Role": server.role,
        "Term": server.term,
        "Leader": server.leader,
        "LastIndex": server.last_index,
        "CommitIndex": server.commit_index,
        "Voters": sum(member.voter for member in server.members),
        "Details": msgspec.to_builtins(server.facts),
    }


def _folder_json(folder: Folder) -> dict[str, Any]:
    return {
        "Path": folder.path,
        "Make": folder.make,
        "UsedBy": folder.user,
        "ServerID": folder.id,
        "ClusterID": folder.cluster_id,
        "Epoch": folder.epoch,
        "LastTerm": folder.reach[0],
        "LastIndex": folder.reach[1],
        "Damage": list(folder.damage),
        "Error": folder.error,
    }
