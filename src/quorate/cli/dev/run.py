"""`quorate dev` from beginning to end.

Whatever happens, no server that we started outlives us; what stays is the data folder, and it is
named.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from quorate.cli.commands.raft import peers_table
from quorate.cli.dev import texts
from quorate.cli.dev.plan import ServerPlan, Wish, choose_ports, lay_out, write_configurations
from quorate.cli.dev.ports import PortPlan, port_is_free
from quorate.cli.dev.processes import ServerProcess, agent_argv, how_it_ended, stop_all
from quorate.cli.dev.signals import StopSignals
from quorate.cli.dev.standing import Standing, look
from quorate.cli.output import Output

READY_TIMEOUT_S = 30.0
GLANCE_S = 0.2
WATCH_S = 0.5


def run_cluster(out: Output, wish: Wish) -> int:
    """Start the servers, wait, explain, stay up, stop. Returns the exit code.

    Raises Failure, and OSError when the folder cannot be used.
    """
    ports, again = choose_ports(wish, port_is_free)
    for line in texts.skipped_ports(ports):
        out.line(line)
    folder, servers = _prepare(wish, ports)
    out.line(texts.starting(servers, folder, again=again))
    out.stdout.flush()
    processes: list[ServerProcess] = []
    with StopSignals() as stop:
        try:
            processes += [ServerProcess(server) for server in servers]
            standing = _await_ready(out, servers, processes, stop)
            code = _stay(out, servers, processes, standing, stop)
        finally:
            gone = [p for p in processes if p.exit_code() is not None]
            first = stop.count
            stop_all(processes, hurry=lambda: stop.count > max(first, 1))
    for process in gone:
        if not port_is_free(process.plan.ports.http):
            out.line(texts.still_running(process.plan))
    out.line(texts.farewell(texts.program(), folder))
    return code


def _prepare(wish: Wish, ports: PortPlan) -> tuple[Path, tuple[ServerPlan, ...]]:
    folder = wish.folder or Path(tempfile.mkdtemp(prefix="quorate-dev-"))
    folder.mkdir(parents=True, exist_ok=True)
    servers = lay_out(folder, ports.chosen)
    write_configurations(servers)
    return folder, servers


def _await_ready(
    out: Output,
    servers: tuple[ServerPlan, ...],
    processes: Sequence[ServerProcess],
    stop: StopSignals,
) -> Standing:
    """Look until all are voters under one leader, time is up, none is left, or a signal comes."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    shown = ""
    while True:
        standing = look(servers)
        shown = _show_progress(out, standing.progress(), shown)
        _report_exits(out, processes)
        alive = any(process.exit_code() is None for process in processes)
        if standing.is_ready() or not alive or time.monotonic() > deadline or stop.wait(GLANCE_S):
            if out.stdout.isatty():
                out.line("")
            return standing


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
    out: Output,
    servers: tuple[ServerPlan, ...],
    processes: Sequence[ServerProcess],
    standing: Standing,
    stop: StopSignals,
) -> int:
    """Explain, then watch until a signal; 1 if there never was a leader."""
    if stop.count:
        return 0
    configuration = standing.newest
    if configuration is None:
        _say_there_is_no_leader(out, processes, standing)
        return 1
    if not standing.is_ready():
        out.line(f"==> Not all is as planned: {standing.progress()}; see the logs")
    out.line("")
    out.table(peers_table(configuration))
    out.line("")
    pids = [process.pid for process in processes]
    agents = [agent_argv(server) for server in servers]
    out.line(texts.what_next(texts.program(), servers, pids, configuration, agents))
    out.stdout.flush()
    while not stop.wait(WATCH_S):
        _report_exits(out, processes)
    out.line("\n==> Stopping all servers ...")
    out.stdout.flush()
    return 0


def _say_there_is_no_leader(
    out: Output, processes: Sequence[ServerProcess], standing: Standing
) -> None:
    alive = [process for process in processes if process.exit_code() is None]
    waited = f"no leader after {READY_TIMEOUT_S:.0f} s: {standing.progress()}"
    out.error(f"Error: {waited if alive else 'all servers ended before there was a leader'}")
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
