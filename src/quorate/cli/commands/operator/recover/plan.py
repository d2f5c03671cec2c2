"""`operator recover plan | apply | undo | verify`: survivors go on, by a plan."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from quorate.cli.commands.operator.folder_named import folder_named
from quorate.cli.commands.operator.recover.folders import explain, report, survivors_of
from quorate.cli.commands.operator.recover.noted import noted
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_table
from quorate.given_files import content
from quorate.recovery import plan as plans
from quorate.recovery import undoing
from quorate.recovery.at_start import check_sound, exclusively
from quorate.recovery.looking.folders import DataDir, find
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.looking.summary import FolderSummary, Kind
from quorate.recovery.recovering import by_plan, carry_out, plan_for
from quorate.recovery.survivors import Survivors

DISAGREE = 2


def plan(context: Context) -> int:
    """Compare the survivors, say what a recovery means, and write the plan."""
    found = survivors_of(context)
    made = plan_for(found)
    explain(context, found)
    text = plans.encode(made).decode()
    if target := context.flags.text("out"):
        try:
            Path(target).write_text(text)
        except OSError as error:
            raise Failure(f"cannot write {target}: {error.strerror or error}") from error
        if made.kind != Kind.NOMAD.value:
            _say_next(context, found, target)
    else:
        context.out.raw(text)
    return 0


def _say_next(context: Context, found: Survivors, target: str) -> None:
    """The command that comes next; the IDs are those that it may ask for."""
    lost = (
        "-lost=" + ",".join(each.id for each in found.left_out if each.voter) + " "
        if found.may_decide
        else ""
    )
    say = report(context).write
    if context.flags.many("address"):
        say(
            f"The plan is in {target}. Next, on the machine of each survivor, while it runs:\n\n"
            f"  quorate operator recover live prepare -data-may-be-lost {lost}{target} DATA_DIR\n\n"
            "Or, for each survivor, with its server stopped:\n\n"
        )
    else:
        say(f"The plan is in {target}. Next, for each survivor, with its server stopped:\n\n")
    say(f"  quorate operator recover apply {lost}{target} DATA_DIR\n")


def apply(context: Context) -> int:
    """Carry the plan out on one folder."""
    file, path = Path(context.flags.args[0]), folder_named(context.flags.args[1])
    try:
        data = content(file, plans.BYTES_MAX, stream=True)
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror or error}") from error
    with doing(""):
        chosen = plans.decode(data, str(file))
    if chosen.kind == Kind.NOMAD.value:
        raise Failure(
            "the plan is for real Nomad servers, whose folders are only read here",
            "put its peers_json into server/raft/peers.json of each survivor, and start them",
        )
    lost = [each for each in context.flags.text("lost").split(",") if each]
    with doing(""):
        folder = _ours(path)
        with exclusively(folder):
            found = inspect(path)
            survivor = plans.check(chosen, found, lost)
            check_sound(folder, found, chosen.digest)
            ready = by_plan(chosen, folder, found, time.time_ns() // 1_000_000)
            with noted(context, folder, "recover apply", plan=chosen.digest, lost=",".join(lost)):
                done = carry_out(folder, ready)
    out = context.out
    leads = survivor.server_id == chosen.leads
    out.line(f"server:    {survivor.server_id} ({survivor.address})")
    out.line(f"goes on:   at entry {done.index}, in epoch {done.epoch}")
    out.line(f"kept:      the folder as it was, in {folder.root / done.aside}")
    if leads:
        out.line(f"committed: {chosen.becomes_committed}")
        out.line("\nStart this server first. It leads, and has the only vote until the others are\n"
                 "filled and stable.")  # fmt: skip
    else:
        out.line(f"\nStart it after {chosen.leads}, by which it is filled.")
    return 0


def _ours(path: Path) -> DataDir:
    folder = find(path)
    if folder.kind is Kind.NOMAD:
        raise Failure(f"{folder.root} is a real Nomad server's, whose files are only read here")
    return folder


def undo(context: Context) -> int:
    """Put the folder before the newest recovery back."""
    path = folder_named(context.flags.args[0])
    with doing(""):
        folder = _ours(path)
        with exclusively(folder):
            found = undoing.look(folder)
            undoing.check(found, folder, context.flags.number("lose"))
            lose = str(context.flags.number("lose"))
            with noted(context, folder, "recover undo", epoch=str(found.recovery.epoch), lose=lose):
                done = undoing.carry_out(folder, found, time.time_ns() // 1_000_000)
    out = context.out
    out.line(
        f"back:  the folder before epoch {found.recovery.epoch}, at entry {found.recovery.index}"
    )
    out.line(f"lost:  {found.writes} commands of that epoch")
    out.line(f"kept:  what was there until now, in {folder.root / done.gone}")
    return 0


def verify(context: Context) -> int:
    """Whether all survivors are of one epoch and configuration."""
    if not context.flags.args:
        raise Failure("This command takes at least one argument: <path to a data_dir> ...")
    with doing(""):
        found = [inspect(folder_named(path)) for path in context.flags.args]
    rows: list[tuple[str, ...]] = [("Server", "Epoch", "Term", "Last Index", "Members", "Damage")]
    rows += [_row(each) for each in found]
    context.show([_as_json(each) for each in found], lambda: context.out.table(format_table(rows)))
    wrong = _differences(found)
    for text in wrong:
        context.out.error(text)
    if not wrong and "json" not in context.flags.values and "t" not in context.flags.values:
        context.out.line("\nAll are of one epoch.")
    return DISAGREE if wrong else 0


def _row(found: FolderSummary) -> tuple[str, ...]:
    voters = sum(server.voter for server in found.members.servers)
    members = f"{len(found.members.servers)} ({voters} vote)"
    damage = "yes" if found.damage else "no"
    return (
        found.server_id, str(found.epoch), str(found.term), str(found.reach[1]), members, damage,
    )  # fmt: skip


def _as_json(found: FolderSummary) -> dict[str, Any]:
    return {
        "Path": found.path,
        "ServerID": found.server_id,
        "Epoch": found.epoch.counter,
        "EpochBits": found.epoch.bits.hex(),
        "Term": found.term,
        "LastIndex": found.reach[1],
        "Servers": [msgspec.to_builtins(s.id) for s in found.members.servers],
        "Damage": found.damage,
    }


def _differences(found: list[FolderSummary]) -> list[str]:
    first, wrong = found[0], []
    seen: dict[str, str] = {}
    for each in found:
        if (other := seen.setdefault(each.server_id, each.path)) is not each.path:
            wrong.append(f"{other} and {each.path} are both of server {each.server_id}")
        if each.damage:
            wrong.append(f"{each.path} is damaged: {each.damage[0]}")
        if each.cluster_id != first.cluster_id:
            wrong.append(f"{each.path} is of cluster {each.cluster_id}, not {first.cluster_id}")
        elif each.epoch != first.epoch:
            wrong.append(
                f"{each.path} is of epoch {each.epoch}, {first.path} of {first.epoch}: they refuse "
                "each other"
            )
        if each.server_id not in {server.id for server in each.members.servers}:
            wrong.append(f"{each.path}: its server {each.server_id} is no member")
    return wrong
