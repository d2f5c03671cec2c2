"""`quorate dev`: a cluster on this machine, to break and to mend."""

from __future__ import annotations

from pathlib import Path

from quorate.cli.context import Context, Failure
from quorate.cli.dev.plan import DEFAULT_HTTP_PORT, DEFAULT_SERVERS, MOST_SERVERS, REGIONS, Wish
from quorate.cli.dev.run import run_cluster
from quorate.cli.drills.run import drill_named, list_drills, run_drill


def run(context: Context) -> int:
    """Read the options and run the cluster until it is told to stop."""
    flags = context.flags
    if "drill" in flags.values:
        return _drill(context)
    if "json" in flags.values:
        raise Failure("Error: -json goes with -drill")
    servers = flags.number("servers", DEFAULT_SERVERS)
    if not 1 <= servers <= MOST_SERVERS:
        raise Failure(f"Error: -servers must be between 1 and {MOST_SERVERS}, got {servers}")
    regions = flags.number("regions", 1)
    if not 1 <= regions <= len(REGIONS):
        raise Failure(f"Error: -regions must be between 1 and {len(REGIONS)}, got {regions}")
    http_port = _http_port(context)
    folder = flags.text("data-dir")
    wish = Wish(
        folder=Path(folder).absolute() if folder else None,
        servers=servers,
        http_port=http_port,
        regions=regions,
        servers_given="servers" in flags.values,
        http_port_given="http-port" in flags.values,
        regions_given="regions" in flags.values,
        tls=flags.on("tls"),
    )
    try:
        return run_cluster(context.out, wish)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(
            f"Error: cannot use {error.filename}: {error.strerror}",
            "give a folder you may write to by -data-dir",
        ) from error


def _http_port(context: Context) -> int:
    http_port = context.flags.number("http-port", DEFAULT_HTTP_PORT)
    if not 1 <= http_port <= 65533:
        raise Failure(f"Error: -http-port must be between 1 and 65533, got {http_port}")
    return http_port


def _drill(context: Context) -> int:
    """`-drill`: break a cluster of three, and wait until it is mended."""
    flags = context.flags
    for other in ("servers", "regions", "data-dir", "tls"):
        if other in flags.values:
            raise Failure(
                f"Error: -{other} does not go with -drill: a drill has three servers in a new "
                "folder, which is removed at its end"
            )
    name, as_json = flags.text("drill"), flags.on("json")
    if name == "list":
        return list_drills(context.out, as_json=as_json)
    drill = drill_named(name)
    try:
        return run_drill(context.out, drill, _http_port(context), as_json=as_json)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(f"Error: cannot use {error.filename}: {error.strerror}") from error
