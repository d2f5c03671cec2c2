"""`quorate dev -drill=NAME` from beginning to end.

Whatever happens, no server that runs on the folder of the drill outlives us, nor does the folder.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any, Final

from quorate.cli.context import Failure
from quorate.cli.dev.plan import DEFAULT_SERVERS, lay_out
from quorate.cli.dev.ports import plan_ports, port_is_free
from quorate.cli.dev.signals import StopSignals
from quorate.cli.drills.cluster import DrillCluster, StoppedError
from quorate.cli.drills.kinds import DRILLS, Broken, Drill
from quorate.cli.text.output import Output
from quorate.cli.text.tables import format_table
from quorate.client import ClientError

LOOK_S: Final = 0.5


class Teller:
    """Says what happens: in words, or as one JSON object in each line."""

    def __init__(self, out: Output, *, as_json: bool) -> None:
        self._out = out
        self._json = as_json

    def say(self, event: str, text: str, **more: Any) -> None:
        """One thing that has happened."""
        if self._json:
            self._out.line(json.dumps({"event": event, "text": text, **more}))
        else:
            self._out.line(text)
        self._out.stdout.flush()


def drill_named(name: str) -> Drill:
    """The drill of this name. Raises Failure."""
    for drill in DRILLS:
        if drill.name == name:
            return drill
    known = ", ".join(drill.name for drill in DRILLS)
    raise Failure(f"Error: there is no drill {name!r}", f"there are: {known}")


def list_drills(out: Output, *, as_json: bool) -> int:
    """Name them all."""
    if as_json:
        rows = [{"name": drill.name, "summary": drill.summary} for drill in DRILLS]
        out.line(json.dumps(rows, indent=4))
        return 0
    width = max(len(drill.name) for drill in DRILLS)
    for drill in DRILLS:
        out.line(f"{drill.name:{width}}  {drill.summary}")
    return 0


def run_drill(out: Output, drill: Drill, http_port: int, *, as_json: bool) -> int:
    """Break it, wait until it is mended or a signal comes, leave nothing. Returns the exit code.

    1 if it was not mended. Raises Failure, OSError.
    """
    teller = Teller(out, as_json=as_json)
    ports = plan_ports(DEFAULT_SERVERS + 1, http_port, port_is_free)
    folder = Path(tempfile.mkdtemp(prefix="quorate-drill-"))
    with StopSignals() as stop:
        servers = lay_out(folder, ports.chosen[:DEFAULT_SERVERS])
        cluster = DrillCluster(folder, servers, ports.chosen[DEFAULT_SERVERS], stop)
        try:
            return _run(teller, drill, cluster)
        finally:
            others = cluster.end()
            shutil.rmtree(folder, ignore_errors=True)
            more = f", {', '.join(others)} too, which you had started" if others else ""
            teller.say("end", f"==> All servers are stopped{more}; nothing is left of the drill.")


def _run(teller: Teller, drill: Drill, cluster: DrillCluster) -> int:
    teller.say("begin", f"==> Drill {drill.name}: starting three servers in {cluster.folder} ...")
    try:
        cluster.start(*cluster.servers)
        cluster.wait(cluster.is_ready, "all servers to vote")
        cluster.fill()
        broken = drill.breaks(cluster)
    except ClientError as error:
        raise Failure(f"Error: the drill could not be prepared: {error}") from error
    except StoppedError:
        return 1
    began = time.monotonic()
    teller.say("situation", _situation(cluster, broken), servers=cluster.as_json())
    wrong = broken.wrong(cluster)
    while wrong:
        if cluster.stop.wait(LOOK_S):
            teller.say("given up", f"\n==> Not mended: {wrong}\n" + _faster(broken))
            return 1
        wrong = broken.wrong(cluster)
    seconds = time.monotonic() - began
    teller.say(
        "mended",
        f"\n==> Mended after {_duration(seconds)}.\n" + _faster(broken),
        seconds=round(seconds, 1),
        faster=list(broken.faster),
    )
    return 0


def _situation(cluster: DrillCluster, broken: Broken) -> str:
    """The words of a situation, and where everything is."""
    rows = [("Server", "HTTP", "Configuration", "Data", "Log")]
    rows += [
        (each["name"], each["address"], each["config"], each["data_dir"], each["log"])
        for each in cluster.as_json()
    ]
    told = "\n".join(
        textwrap.wrap(broken.tells, 80, break_long_words=False, break_on_hyphens=False)
    )
    return (
        f"\n{told}\n\n{format_table(rows)}\n\nMend it with the ordinary tools, in another "
        "terminal. This drill says when it is mended.\nCtrl-C gives up, and tells the way."
    )


def _faster(broken: Broken) -> str:
    """The shortest way."""
    lines = "\n".join(f"  {line}" for line in broken.faster)
    return f"The shortest way:\n\n{lines}\n"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
