"""`quorate dev` from beginning to end.

Whatever happens, no server that we started outlives us; what stays is the data folder, and it is
named.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from quorate.cli.commands.operator.raft import peers_table
from quorate.cli.dev import texts
from quorate.cli.dev.guide import Running, what_next
from quorate.cli.dev.plan import (
    Choice,
    ServerPlan,
    Wish,
    by_region,
    choose,
    lay_out,
    write_configurations,
)
from quorate.cli.dev.ports import port_is_free
from quorate.cli.dev.processes import ServerProcess, how_it_ended, stop_all
from quorate.cli.dev.signals import StopSignals
from quorate.cli.dev.standing import Standings, look
from quorate.cli.text.output import Output

READY_TIMEOUT_S = 30.0
GLANCE_S = 0.2
WATCH_S = 0.5


def run_cluster(out: Output, wish: Wish) -> int:
    """Start the servers, wait, explain, stay up, stop. Returns the exit code.

    Raises Failure, and OSError when the folder cannot be used.
    """
    choice = choose(wish, port_is_free)
    for line in texts.skipped_ports(choice.ports):
        out.line(line)
    folder, servers = _prepare(wish, choice)
    out.line(texts.starting(servers, folder, again=choice.again))
    out.stdout.flush()
    processes: list[ServerProcess] = []
    with StopSignals() as stop:
        try:
            processes += [ServerProcess(server) for server in servers]
            standings = _await_ready(out, processes, stop, founding=not choice.again)
            if choice.secured and standings.are_led() and not stop.count:
                _say_how_to_ask(out, folder, servers)
            code = _stay(out, processes, standings, stop)
        finally:
            gone = [p for p in processes if p.exit_code() is not None]
            first = stop.count
            stop_all(processes, hurry=lambda: stop.count > max(first, 1))
    for process in gone:
        if not port_is_free(process.plan.ports.http):
            out.line(texts.still_running(process.plan))
    out.line(texts.farewell(texts.program(), folder))
    return code


def _prepare(wish: Wish, choice: Choice) -> tuple[Path, tuple[ServerPlan, ...]]:
    folder = wish.folder or Path(tempfile.mkdtemp(prefix="quorate-dev-"))
    folder.mkdir(parents=True, exist_ok=True)
    ports = choice.ports.chosen
    servers = lay_out(folder, ports, choice.regions, secured=choice.secured)
    if not choice.secured:
        write_configurations(servers)
        return folder, servers
    from quorate.cli.dev import secured  # what makes certificates takes its time to load

    secured.prepare(folder, servers)
    key = secured.new_gossip_key()
    write_configurations(servers, lambda server: secured.settings(folder, server, key))
    return folder, servers


def _say_how_to_ask(out: Output, folder: Path, servers: Sequence[ServerPlan]) -> None:
    """Make the first token, and name it and the certificates."""
    from quorate.cli.dev import secured

    secured.bootstrap(folder, servers)
    out.line("==> With TLS, a gossip key and ACL. Before the commands below, in their terminal:\n")
    for line in secured.variables(folder, servers):
        out.line(f"    {line}")
    out.line("")


def _await_ready(
    out: Output,
    processes: Sequence[ServerProcess],
    stop: StopSignals,
    *,
    founding: bool,
) -> Standings:
    """Look until all are voters under one leader, time is up, or a signal comes.

    Also until one has ended, if the others need it (all of them found a cluster) or do without it.
    """
    servers = [process.plan for process in processes]
    deadline = time.monotonic() + _patience_s(servers)
    shown = ""
    while True:
        standings = look(servers)
        shown = _show_progress(out, standings.progress(), shown)
        _report_exits(out, processes)
        alive = [process for process in processes if process.exit_code() is None]
        decided = len(alive) < len(processes) and (founding or standings.are_led() or not alive)
        if standings.is_ready() or decided or time.monotonic() > deadline or stop.wait(GLANCE_S):
            if out.stdout.isatty():
                out.line("")
            return standings


def _patience_s(servers: Sequence[ServerPlan]) -> float:
    return READY_TIMEOUT_S * len(by_region(servers))


def _show_progress(out: Output, text: str, shown: str) -> str:
    """Overwrite the line on a terminal; elsewhere write a new one when the text changes."""
    if text == shown:
        return shown
    if out.stdout.isatty():
        out.stdout.write(f"\r==> Waiting: {text}\x1b[K")
    else:
        out.line(f"==> Waiting: {text}")
    out.stdout.flush()
    return text


def _stay(
    out: Output, processes: Sequence[ServerProcess], standings: Standings, stop: StopSignals
) -> int:
    """Explain, then watch until a signal; 1 if a region never had a leader."""
    if stop.count:
        return 0
    if not standings.are_led():
        _say_there_is_no_leader(out, processes, standings)
        return 1
    if not standings.is_ready():
        out.line(f"==> Not all is as planned: {standings.progress()}; see the logs")
    _show(out, processes, standings)
    while not stop.wait(WATCH_S):
        _report_exits(out, processes)
    out.line("\n==> Stopping all servers ...")
    out.stdout.flush()
    return 0


def _show(out: Output, processes: Sequence[ServerProcess], standings: Standings) -> None:
    """A table for each region, and what to try."""
    configurations = {
        region: standing.newest
        for region, standing in standings.regions.items()
        if standing.newest is not None
    }
    for region, configuration in configurations.items():
        out.line("" if len(configurations) == 1 else f"\nRegion {region}:")
        out.table(peers_table(configuration))
    out.line("")
    running = [Running(each.plan, each.pid) for each in processes]
    out.line(what_next(texts.program(), running, configurations))
    out.stdout.flush()


def _say_there_is_no_leader(
    out: Output, processes: Sequence[ServerProcess], standings: Standings
) -> None:
    alive = [process for process in processes if process.exit_code() is None]
    ended = [process.plan.name for process in processes if process not in alive]
    if not alive:
        why = "all servers ended before there was a leader"
    elif ended:
        why = f"{', '.join(ended)} ended before there was a leader; see its last lines above"
    else:
        patience = _patience_s([process.plan for process in processes])
        why = f"no leader after {patience:.0f} s: {standings.progress()}"
    out.error(f"Error: {why}")
    for process in alive:
        lines = process.last_lines()
        out.error("\n".join([f"Last lines of {process.plan.log}:", *lines]))


def _report_exits(out: Output, processes: Sequence[ServerProcess]) -> None:
    codes = [process.exit_code() for process in processes]
    for process, code in zip(processes, codes, strict=True):
        if code is not None and not process.reported:
            process.reported = True
            how = how_it_ended(code)
            lines = process.last_lines()
            left = codes.count(None)
            out.line(texts.exited(process.plan, process.pid, how, lines, left=left))
            out.stdout.flush()
