"""The commands that run servers, or need none (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import Command, Example
from quorate.cli.flags import Flag

MODULE = "quorate.cli.commands."
SHELLS = ("bash", "zsh", "fish")

LOCAL = (
    Command(
        ("agent",),
        "Run a server",
        "Runs a Quorate server until it is told to stop. The configuration is read from files "
        "or folders in the order given, then the options of the command line are applied. "
        "Options of Nomad's agent that mean nothing here are accepted without effect, or refused "
        "with the reason.",
        MODULE + "agent:run",
        examples=(
            Example("quorate agent -config /etc/quorate.d", "all files of a folder"),
            Example("quorate agent -dev", "one server for trying things out, nothing is kept"),
        ),
        general=False,
        flags_from=MODULE + "agent:agent_flags",
    ),
    Command(
        ("dev",),
        "Start a cluster of servers on this machine",
        "Starts server processes on 127.0.0.1, waits until they have elected a leader, says what "
        "to try, and stays up until Ctrl-C. What they keep stays in one folder, which is named "
        "at the end; give that folder to -data-dir and the same cluster comes back.",
        MODULE + "dev:run",
        (
            Flag("servers", "uint", "How many servers in a region, 1 to 7. Default 3, or as many "
                 "as the data folder has.", "number"),
            Flag("regions", "uint", "How many regions, 1 to 5: clusters of their own that know "
                 "each other by gossip, so that any server may be asked for any region. Default "
                 "1, or as many as the data folder has.", "number"),
            Flag("data-dir", "string", "Folder for all data and logs. Default: a new one in the "
                 "system's temporary folder.", "folder"),
            Flag("http-port", "uint", "HTTP port of the first server; RPC and gossip use the "
                 "next two, and each further server has ports 10 higher. Default 4646.", "port"),
            Flag("tls", "bool", "With TLS on both ports, certificates of servers and clients, a "
                 "key for gossip, and ACL with a first token. The variables to set for commands "
                 "are printed. Files are in the data folder, in tls and token."),
            Flag("drill", "string", "A rehearsal: a new cluster of three is broken on purpose, to "
                 "be mended with the ordinary tools. The drill says when it is mended, after what "
                 "time, and which way is the shortest. Nothing is left of it at the end. Exit "
                 "code 1: not mended. `list` names the drills.", "name"),
            Flag("json", "bool", "With -drill: each event as a JSON object, one a line."),
        ),
        (
            Example("quorate dev", "three servers"),
            Example("quorate dev -servers=5 -data-dir=./cluster", "five, kept in a folder"),
            Example("quorate dev -regions=2", "two regions of three, federated"),
            Example("quorate dev -tls", "three that ask for certificates and tokens"),
            Example("quorate dev -drill=lost-quorum", "before the night when it happens"),
        ),
        general=False,
    ),
    Command(
        ("config", "validate"),
        "Check configuration files",
        "Reads files or folders as an agent does, with all checks but those of the network, and "
        "says the first mistake. Ends with 1 if there is one.",
        MODULE + "system:validate",
        examples=(Example("quorate config validate /etc/quorate.d", "may the agent start?"),),
        args=(1, 100),
        args_text="Must specify at least one config file or directory",
        usage="<path> ...",
        general=False,
    ),
    Command(
        ("version",),
        "Show the version",
        "Prints the version of this program.",
        MODULE + "version:run",
        examples=(Example("quorate version", "which one is this?"),),
        args=None,
        usage="",
        general=False,
    ),
    Command(
        ("completion",),
        "Print a completion script for a shell",
        "Prints a script that teaches a shell the words and options of this program.",
        MODULE + "completion:run",
        examples=(
            Example("source <(quorate completion bash)", "bash: in ~/.bashrc"),
            Example("source <(quorate completion zsh)", "zsh: in ~/.zshrc, after compinit"),
            Example("quorate completion fish | source", "fish: in config.fish"),
        ),
        args=(1, 1),
        args_text="This command takes one argument: bash, zsh or fish",
        usage="bash|zsh|fish",
        general=False,
        words=SHELLS,
    ),
)  # fmt: skip
