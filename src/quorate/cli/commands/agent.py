"""`quorate agent`: `quorate.config.read.flags` declares its options.

See docs/configuration.md#flags.
"""

from __future__ import annotations

from quorate.cli.context import Context
from quorate.cli.flags import Flag

WITHOUT_USE = ("Accepted without effect", "Not supported")
PLACEHOLDERS = {
    "config": "path",
    "data-dir": "folder",
    "bind": "address",
    "dc": "name",
    "region": "name",
    "node": "name",
    "log-level": "level",
    "bootstrap-expect": "servers",
    "raft-protocol": "version",
    "retry-join": "address",
    "join": "address",
    "retry-interval": "duration",
    "retry-max": "times",
}
SECRETS = {"encrypt": "server.encrypt in a file that only the server can read"}
"""Options with secrets, and what to give in place of each."""
LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")


def agent_flags() -> tuple[Flag, ...]:
    """The options, those that have no use here hidden from help and completion."""
    from quorate.config.read.flags import FLAGS

    return tuple(
        Flag(
            flag.name,
            flag.kind,
            flag.help,
            PLACEHOLDERS.get(flag.name, "value"),
            LOG_LEVELS if flag.name == "log-level" else (),
            hidden=bool(flag.refused) or flag.help.startswith(WITHOUT_USE),
            instead=SECRETS.get(flag.name, ""),
        )
        for flag in FLAGS
    )


def run(context: Context) -> int:
    """Run a server until it is told to stop."""
    from quorate.agent.run import run_agent

    return run_agent(dict(context.flags.values))
