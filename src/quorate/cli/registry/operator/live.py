"""The commands below `operator recover live` (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example, Group
from quorate.cli.flags import Flag

_MODULE = "quorate.cli.commands.operator.recover.live:"
_FOLDER = "This command takes one argument: <path to a data_dir>"
_USAGE = "[options] <path to a data_dir>"
_SOCKET = (
    "Asks the server that runs on this data_dir, over its control socket; run it on the server's "
    "machine, as its user. "
)

GROUP = Group(
    ("operator", "recover", "live"),
    "Survivors of a lost quorum go on while they run",
    "Carries out a plan of `recover plan` on servers that run, without a restart: first each "
    "survivor is prepared, then the plan is carried out on the one that decides, and the others "
    "follow. docs/outage.md has it step by step.",
    "quorate operator recover live status /var/lib/quorate",
)

LIVE = (
    Command(
        ("operator", "recover", "live", "prepare"),
        "Prepare a server that runs for a recovery",
        _SOCKET + "From then on it gives no vote, takes no entry and accepts no other plan, also "
        "after a restart, until the plan is carried out or given up. Prepare every survivor that "
        "the plan names. Refused if there is a leader, and if the plan is not for this server as "
        "it is now.",
        _MODULE + "prepare",
        (
            Flag(
                "data-may-be-lost",
                "bool",
                "Say that acknowledged writes that no survivor has may be lost. Required.",
            ),
            Flag(
                "lost",
                "string",
                "IDs of servers that are lost for good, with commas between; "
                "needed if the servers that are left out could hold a majority.",
                "id,...",
            ),
            Flag("timeout", "duration", "When to give up by itself; default 10m.", "duration"),
            *FORMS,
        ),
        (
            Example(
                "quorate operator recover live prepare -data-may-be-lost plan.json /data",
                "on the machine of each survivor",
            ),
        ),
        args=(2, 2),
        args_text="This command takes two arguments: <plan> <path to a data_dir>",
        usage="[options] <plan> <data_dir>",
        general=False,
    ),
    Command(
        ("operator", "recover", "live", "commit"),
        "Carry out the recovery for which a server is prepared",
        _SOCKET + "On the survivor that decides it asks the others first, and is refused unless "
        "each is prepared. It keeps a copy of the folder, and says what has become committed. The "
        "others do the same when they see it; there the command only saves a second.",
        _MODULE + "commit",
        FORMS,
        (
            Example(
                "quorate operator recover live commit /var/lib/quorate",
                "on the machine of the survivor that decides",
            ),
        ),
        args=(1, 1),
        args_text=_FOLDER,
        usage=_USAGE,
        general=False,
    ),
    Command(
        ("operator", "recover", "live", "abort"),
        "Give up the recovery for which a server is prepared",
        _SOCKET + "Give up on the survivor that decides first. Another one refuses it while that "
        "one is prepared, has carried the plan out, or does not answer.",
        _MODULE + "abort",
        (Flag("force", "bool", "Give up here, whatever the one that decides does."), *FORMS),
        (Example("quorate operator recover live abort /var/lib/quorate", "another plan is made"),),
        args=(1, 1),
        args_text=_FOLDER,
        usage=_USAGE,
        general=False,
    ),
    Command(
        ("operator", "recover", "live", "status"),
        "Show the recovery for which a server is prepared",
        _SOCKET + "Shows the plan for which it is prepared, if there is one.",
        _MODULE + "status",
        FORMS,
        (Example("quorate operator recover live status /var/lib/quorate", "is it prepared?"),),
        args=(1, 1),
        args_text=_FOLDER,
        usage=_USAGE,
        general=False,
    ),
)
