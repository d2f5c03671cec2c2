"""The commands below `operator raft` that read a data folder (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example
from quorate.cli.flags import Flag

_MODULE = "quorate.cli.commands.operator.raft_files:"
_FOLDER = "This command takes one argument: <path to a data_dir>"
_USAGE = "[options] <path to a data_dir>"
_READ = (
    "Reads the data folder of a Quorate server, or of a real Nomad server of version 1.6 or "
    "before, and changes nothing in it. No agent is asked. "
)
_WHILE = (
    "If the server runs, what is shown is a sound copy, and that is said. Exit code 2 if something "
    "is damaged."
)
_LAST = Flag(
    "last-index",
    "int",
    "The last entry to take; 0 or below: so many before the end of the log.",
    "index",
)

RAFT_FILES = (
    Command(
        ("operator", "raft", "info"),
        "Show what a data folder holds",
        _READ + "Shows term, vote, first and last index, the snapshot, the configuration, whose "
        "folder it is, and what of it is damaged. " + _WHILE,
        _MODULE + "info",
        FORMS,
        (
            Example("quorate operator raft info /var/lib/quorate", "how far did this server get?"),
            Example(
                "quorate operator raft info -t '{{.LastTerm}} {{.LastIndex}}' /var/lib/nomad",
                "to compare servers: the higher term counts first, then the index",
            ),
        ),
        args=(1, 1),
        args_text=_FOLDER,
        usage=_USAGE,
        general=False,
    ),
    Command(
        ("operator", "raft", "logs"),
        "Show the entries of a log",
        _READ
        + "Each entry is a line of JSON in the form of Nomad's command. Secrets and bytes are "
        "shown by their size. " + _WHILE,
        _MODULE + "logs",
        (
            Flag("short", "bool", "A line of at most 80 columns for each entry, without its body."),
            Flag("pretty", "bool", "Indent the JSON."),
            _LAST,
            Flag(
                "filter",
                "string",
                "Only entries that fit, by Index, Term, LogType, CommandType, Size, AppendedAt.",
                "expression",
            ),
            Flag("secrets", "bool", "Show secrets and bytes as they are."),
        ),
        (
            Example("quorate operator raft logs -short /var/lib/quorate", "an overview"),
            Example(
                "quorate operator raft logs -filter='LogType == LogConfiguration' /var/lib/nomad",
                "every change of the members",
            ),
        ),
        args=(1, 1),
        args_text=_FOLDER,
        usage=_USAGE,
        general=False,
    ),
    Command(
        ("operator", "raft", "state"),
        "Show the state in a data folder",
        _READ + "Each record of the state is a line of JSON, as `operator snapshot state` shows "
        "them: of a Quorate server its newest snapshot with the log behind it, of a Nomad server "
        "its newest snapshot. Sealed values are shown by their size.",
        _MODULE + "state",
        (_LAST, Flag("type", "string", "Only records of this type.", "name")),
        (
            Example(
                "quorate operator raft state -type=variables /var/lib/quorate",
                "which variables would be there?",
            ),
            Example(
                "quorate operator raft state -last-index=-1 /var/lib/quorate",
                "without the last entry, which may not be committed",
            ),
        ),
        args=(1, 1),
        args_text=_FOLDER,
        usage=_USAGE,
        general=False,
    ),
)

_ADDRESS = Flag(
    "address",
    "list",
    "Ask the running server at this address; it only answers. May be repeated.",
    "addr",
)
_SURVIVORS = "[options] [<path to a data_dir> ...]"

RECOVERY = (
    Command(
        ("operator", "raft", "salvage"),
        "Cut a damaged log to its last good entry",
        "For the log of a Quorate server that no other server can replace. Says what is left and "
        "what is gone, keeps the damaged log beside the new one, and marks the folder: its server "
        "does not start on it, because it lacks what it had acknowledged. A recovery may use it. "
        "The server must be stopped.",
        "quorate.cli.commands.operator.recover.folders:salvage",
        (Flag("dry-run", "bool", "Say what would be left and gone, and change nothing."),),
        (
            Example(
                "quorate operator raft salvage -dry-run /var/lib/quorate", "what would be left?"
            ),
        ),
        args=(1, 1),
        args_text=_FOLDER,
        usage=_USAGE,
        general=False,
    ),
    Command(
        ("operator", "recover", "peers-json"),
        "Write the peers.json by which survivors go on",
        "Reads the data folders of the servers that are left, of Quorate or of real Nomad servers "
        "up to 1.6, or asks the servers while they run, and writes a peers.json that names just "
        "them. Says which one is the most "
        "advanced, and what the recovery means. Nothing in the folders is changed: put the file "
        "into server/raft of each of them while all servers are stopped, and start them, the most "
        "advanced one first.",
        "quorate.cli.commands.operator.recover.folders:peers_json",
        (
            _ADDRESS,
            Flag("out", "string", "Write the list to this file; default: standard output.", "file"),
        ),
        (
            Example(
                "quorate operator recover peers-json -out=peers.json /mnt/s1 /mnt/s3",
                "servers s1 and s3 are left",
            ),
            Example(
                "quorate operator recover peers-json -address=http://10.0.0.1:4646",
                "a Nomad server that runs without a leader",
            ),
        ),
        args=None,
        usage=_SURVIVORS,
    ),
    Command(
        ("operator", "recover", "plan"),
        "Plan how the survivors of a lost quorum go on",
        "Reads the data folders of the servers that are left, or asks those that run without a "
        "leader, changes nothing, and writes a plan: which survivor is the most advanced and why, "
        "what becomes committed, who is left out, and whether those could hold a majority. It is "
        "applied to each survivor by `recover apply`. For real Nomad servers it has the "
        "peers.json to use instead.",
        "quorate.cli.commands.operator.recover.plan:plan",
        (
            _ADDRESS,
            Flag("out", "string", "Write the plan to this file; default: standard output.", "file"),
        ),
        (
            Example(
                "quorate operator recover plan -out=plan.json /mnt/s1 /mnt/s3", "s1 and s3 are left"
            ),
            Example(
                "quorate operator recover plan -out=plan.json -address=http://s1:4646 /mnt/s3",
                "s1 runs, of s3 there is the folder",
            ),
        ),
        args=None,
        usage=_SURVIVORS,
    ),
    Command(
        ("operator", "recover", "apply"),
        "Apply a plan to the data folder of a survivor",
        "Carries the plan out on one folder, whose server is stopped, and keeps a copy of the "
        "folder. Run it for each survivor. The most advanced one has the only vote at first; the "
        "others are filled by it. A plan for another cluster, for another state of the folder, or "
        "that was applied before is refused, and nothing is changed. If it is cut off, the next "
        "start of the server finishes it.",
        "quorate.cli.commands.operator.recover.plan:apply",
        (
            Flag(
                "lost",
                "string",
                "IDs of servers that are lost for good, with commas between; "
                "needed if the servers that are left out could hold a majority.",
                "id,...",
            ),
        ),
        (Example("quorate operator recover apply plan.json /var/lib/quorate", "on a survivor"),),
        args=(2, 2),
        args_text="This command takes two arguments: <plan> <path to a data_dir>",
        usage="[options] <plan> <path to a data_dir>",
        general=False,
    ),
    Command(
        ("operator", "recover", "undo"),
        "Put a data folder back to what it was before a recovery",
        "Puts back the copy that the newest recovery of the folder has kept, after a plan as well "
        "as after a peers.json. The folder that goes is kept too. Refused once the new epoch has "
        "written anything, unless the last entry that would be lost is named.",
        "quorate.cli.commands.operator.recover.plan:undo",
        (
            Flag(
                "lose", "uint", "The last entry that may be lost, as the refusal names it.", "index"
            ),
        ),
        (Example("quorate operator recover undo /var/lib/quorate", "before anything was written"),),
        args=(1, 1),
        args_text=_FOLDER,
        usage=_USAGE,
        general=False,
    ),
    Command(
        ("operator", "recover", "prune"),
        "List, and remove, what recoveries have kept in a data folder",
        "Recoveries, undos and salvages keep the data as they were, and a server that gives its ID "
        "up keeps its old ones. They stay until they are removed here. Without -remove it only "
        "lists them. The server may run.",
        "quorate.cli.commands.operator.recover.prune:prune",
        (
            Flag(
                "remove",
                "text",
                "The folders to remove, with commas between; all: each but the one that an undo "
                "would put back, which goes by its name alone.",
                "name,...",
            ),
        ),
        (
            Example("quorate operator recover prune /var/lib/quorate", "what is kept?"),
            Example("quorate operator recover prune -remove=all /var/lib/quorate", "no undo comes"),
        ),
        args=(1, 1),
        args_text=_FOLDER,
        usage=_USAGE,
        general=False,
    ),
    Command(
        ("operator", "recover", "verify"),
        "Check that recovered data folders agree",
        "Compares the folders of all survivors: one cluster, one epoch, each a member, nothing "
        "damaged. Exit code 2 if not. Of running servers `operator raft views` tells the same.",
        "quorate.cli.commands.operator.recover.plan:verify",
        FORMS,
        (Example("quorate operator recover verify /mnt/s1 /mnt/s3", "before they are started"),),
        args=None,
        usage="[options] <path to a data_dir> ...",
        general=False,
    ),
)
