"""`operator raft salvage` and `operator recover ...`: survivors after the worst."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TextIO

from quorate.cli.commands.operator.folder_named import folder_named
from quorate.cli.commands.operator.recover.asked import OF_THE_MOMENT, asked, left_running
from quorate.cli.commands.operator.recover.noted import noted
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_table
from quorate.client.transport.address import addresses_of
from quorate.recovery import salvage as salvages
from quorate.recovery.looking.folders import find
from quorate.recovery.looking.inspect import inspect
from quorate.recovery.peers_json import text_of
from quorate.recovery.survivors import Survivors, compare


def salvage(context: Context) -> int:
    """Cut a damaged log to its last good entry."""
    out = context.out
    with doing(""):
        plan = salvages.plan(folder_named(context.flags.args[0]))
        left = f"entries {plan.first} to {plan.last}" if plan.last and plan.first else "no entries"
        if plan.resumed:
            left = f"entries up to {plan.last}"
            out.line("A salvage of this folder was cut off; it is finished.")
        lost = (
            f"entries {plan.last + 1} to {plan.lost} at least"
            if plan.lost
            else (f"whatever followed entry {plan.last}")
        )
        out.line(f"damage:  {plan.damage}")
        out.line(f"left:    {left}")
        out.line(f"gone:    {lost}")
        out.line(f"kept:    the damaged log, in {plan.kept}")
        if context.flags.on("dry-run"):
            out.line("\nNothing was changed: -dry-run.")
            return 0
        folder = find(folder_named(context.flags.args[0]))
        with noted(context, folder, "recover salvage", last=str(plan.last), damage=plan.damage):
            salvages.carry_out(plan)
    out.line(
        "\nThe log was cut. This server has forgotten what it had acknowledged, so it does not\n"
        "start on this folder: a recovery may use it (docs/outage.md)."
    )
    return 0


def survivors_of(context: Context) -> Survivors:
    """The folders and the servers that were named, fit to go on with. Raises Failure."""
    paths = context.flags.args
    with doing("Error initializing client: "):
        addresses = [a for each in context.flags.many("address") for a in addresses_of(each)]
    if not addresses and not paths:
        raise Failure(
            "This command takes at least one argument: <path to a data_dir> ..., or -address"
        )
    with doing(""):
        found = compare(
            [
                *(asked(context, address) for address in addresses),
                *(inspect(folder_named(path)) for path in paths),
            ]
        )
    for each in found.folders:
        if each.damage and each.path in addresses:
            raise Failure(f"{each.path} cannot be used: {each.damage[0]}", "leave it out")
        if each.damage:
            raise Failure(
                f"{each.path} is damaged: {each.damage[0]}",
                "leave it out; if nothing else is left, see `quorate operator raft salvage -help`",
            )
    known = {each.server_id for each in found.folders}
    if running := left_running(context, addresses, known):
        raise Failure(
            f"{running} runs and answers, and is not among the servers that were named",
            "name it too, by -address= (of its HTTP API) or by its data folder: it is a survivor; "
            "one that is to be left out has to be stopped first",
        )
    return found


def peers_json(context: Context) -> int:
    """Write the peers.json for survivors."""
    found = survivors_of(context)
    with doing(""):
        text = text_of(found.configuration())
    explain(context, found)
    say = report(context).write
    for each in found.older:
        say(
            f"not in the file: {each.server_id}, whose last entry is of an older term and may\n"
            "         never have been committed; it joins later, with an empty data folder\n"
        )
    if target := context.flags.text("out"):
        try:
            Path(target).write_text(text)
        except OSError as error:
            raise Failure(f"cannot write {target}: {error.strerror or error}") from error
        say(
            f"The file is {target}. Next, for each survivor in it, with its server stopped:\n\n"
            f"  cp {shlex.quote(target)} DATA_DIR/server/raft/peers.json\n\n"
            "Then start the most advanced one, and with it no more others than make a majority\n"
            "of the file; start the rest when these have a leader.\n"
        )
    else:
        context.out.raw(text)
    return 0


def report(context: Context) -> TextIO:
    """Where words for a person go: to standard output, unless the file itself goes there."""
    return context.out.stdout if context.flags.text("out") else context.out.stderr


def explain(context: Context, found: Survivors) -> None:
    """The meaning of a recovery with these survivors, in words."""
    best = found.best
    say = report(context).write
    rows = [("Server", "Last Term", "Last Index", "Committed")]
    rows += [
        (each.server_id, str(each.last_term or each.reach[0]), str(each.reach[1]),
         str(each.commit_known))
        for each in found.folders
    ]  # fmt: skip
    say(format_table(rows) + "\n\n")
    say(f"most advanced: {best.server_id}, by term and then index of its last entry\n")
    rest = f"its entries {best.commit_known + 1} to {best.reach[1]}"
    if best.commit_known >= best.reach[1]:
        rest = "nothing, all of its log is known to be committed"
    say(f"becomes committed: {rest}\n")
    say("may be lost: writes that were acknowledged and that no survivor has\n")
    for member in found.left_out:
        say(f"left out: {member.id} ({member.address}){'' if member.voter else ', a non-voter'}\n")
    if found.may_decide:
        say("warning: the servers that are left out could hold a majority; make sure that they\n"
            "         are gone for good, or start them instead\n")  # fmt: skip
    if context.flags.many("address"):
        say("\n" + OF_THE_MOMENT)
    say("\n")
