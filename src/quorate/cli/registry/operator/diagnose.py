"""The command `operator diagnose` (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import FORMS, GENERAL, Command, Example
from quorate.cli.flags import Flag

_REACHING = tuple(flag for flag in GENERAL if flag.name not in {"address", "namespace", "region"})
"""Each server that is found is asked for what it knows itself: no region is chosen."""

DIAGNOSE = (
    Command(
        ("operator", "diagnose"),
        "Say why there is no leader, and what to do",
        "Asks all servers that it can find: the addresses that are given, the members "
        "and the Raft configuration that they tell of, and the servers to join of a "
        "configuration file. It names each cause with what shows it and the next step, the "
        "weightiest first. Folders are data folders of servers that do not run. It works without a "
        "leader, needs no token for what health tells, asks real Nomad servers too, changes "
        "nothing, and ends within 10 seconds. Exit code 0: there is a leader, and at most "
        "warnings; 1: bad options or arguments; 2: a cause was found; 3: nothing answers.",
        "quorate.cli.commands.operator.diagnose:diagnose",
        (
            Flag(
                "address",
                "list",
                "Ask the agent at this address, and all that it knows. May be repeated, or have "
                "several with commas between.",
                "addr",
            ),
            Flag(
                "config",
                "string",
                "Configuration file or folder of an agent: it is asked, and the servers that it is "
                "to join are tried.",
                "path",
            ),
            *_REACHING,
            *FORMS,
        ),
        (
            Example("quorate operator diagnose", "ask the agent here, and all that it knows"),
            Example(
                "quorate operator diagnose -address=http://10.0.0.1:4646,http://10.0.0.2:4646",
                "ask these two, and all that they know",
            ),
            Example(
                "quorate operator diagnose /mnt/s1 /mnt/s2", "no server runs: what can be done?"
            ),
        ),
        args=None,
        usage="[options] [<address> ...] [<data_dir> ...]",
        general=False,
    ),
)
