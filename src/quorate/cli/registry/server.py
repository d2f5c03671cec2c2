"""The commands that ask one agent about itself and its pool (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example
from quorate.cli.flags import Flag

ADDRESSES_MAX = 200
"""More would not fit into a request."""

SYSTEM = (
    Command(
        ("status",),
        "Show one server",
        "Shows where a server is, whether it lives, and whether it leads and votes, as the agent "
        "that is asked knows it. Without an argument that is the agent's own server.",
        "quorate.cli.commands.system:status",
        (),
        (Example("quorate status s2.global", "does it live, does it vote?"),),
        args=(0, 1),
        args_text="This command takes one argument at most: a name or an ID",
        usage="[options] [<name or ID>]",
    ),
    Command(
        ("monitor",),
        "Show the log of a server while it goes on",
        "Prints the lines that a server logs from now on, until Ctrl-C. Lines that are read too "
        "slowly are left out, and their number is shown.",
        "quorate.cli.commands.system:monitor",
        (
            Flag("log-level", "string", "Lines of this level and above. Default INFO.", "level",
                 ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")),
            Flag("server-id", "string", "Of the server with this name or ID, or of the leader "
                 "(leader), through the server asked.", "id"),
            Flag("json", "bool", "Each line as JSON."),
        ),
        (Example("quorate monitor -log-level=debug", "what happens there?"),),
    ),
    Command(
        ("system", "gc"),
        "Have the cluster collect garbage",
        "Has a cluster of Nomad servers collect what is no longer needed. Servers of Quorate keep "
        "no jobs: there it is done at once. Prints nothing.",
        "quorate.cli.commands.system:collect",
        (),
        (Example("quorate system gc", "now, in place of at some time"),),
    ),
    Command(
        ("system", "reconcile", "summaries"),
        "Have the cluster count its jobs again",
        "Has a cluster of Nomad servers count its jobs again. Servers of Quorate keep no jobs: "
        "there it is done at once. Prints nothing.",
        "quorate.cli.commands.system:reconcile",
        (),
        (Example("quorate system reconcile summaries", "after counts were wrong"),),
    ),
)  # fmt: skip

SERVER = (
    Command(
        ("server", "members"),
        "List the servers of the pool",
        "Lists the servers of all regions as the agent sees them, alive or not, and the leader. "
        "Sorted by name.",
        "quorate.cli.commands.server:members",
        (
            Flag("verbose", "bool", "More columns: Raft version and tags."),
            Flag("detailed", "bool", "Names, addresses and tags only; no leader is asked for."),
            *FORMS,
        ),
        (
            Example("quorate server members", "which servers are alive?"),
            Example(
                "quorate server members -t '{{range .}}{{.Name}} {{.Status}} {{end}}'",
                "names and states on one line",
            ),
        ),
    ),
    Command(
        ("server", "join"),
        "Join the agent to a pool",
        "Has the agent that is asked join the servers at these gossip addresses. Without a port "
        "4648 is meant. One server that is reached is enough: it tells of all others.",
        "quorate.cli.commands.server:join",
        (),
        (Example("quorate server join 10.0.0.2:4648", "one of the pool will do"),),
        args=(1, ADDRESSES_MAX),
        args_text="One or more node addresses must be given as arguments",
        usage="[options] <addr> ...",
    ),
    Command(
        ("server", "force-leave"),
        "Declare a failed server left",
        "Declares a failed member left, so that the pool no longer waits for it. Give its full "
        "name as server members shows it (<name>.<region>): any other name is accepted "
        "and has no effect, and a server that lives says so and stays.",
        "quorate.cli.commands.server:force_leave",
        (Flag("prune", "bool", "Forget it at once, in place of listing it as left for a day."),),
        (
            Example("quorate server force-leave s3.global", "it will not come back"),
            Example("quorate server force-leave -prune s3.global", "and is to be forgotten"),
        ),
        args=(1, 1),
        args_text="This command takes one argument: <node>",
        usage="[options] <node>",
    ),
    Command(
        ("server", "rejoin"),
        "Bring a removed server back",
        "Has the agent that is asked come back into the cluster that removed it from the Raft "
        "configuration. Nothing is wiped by hand: data that it cannot go on with are moved "
        "aside, and it says where to. Ask the server itself, by -address.",
        "quorate.cli.commands.server:rejoin",
        FORMS,
        (
            Example(
                "quorate server rejoin -address=http://10.0.0.3:4646",
                "after its removal turned out to be a mistake",
            ),
        ),
    ),
    Command(
        ("agent-info",),
        "Show the agent's inner figures",
        "Shows state and counters of the agent that is asked: Raft, gossip and runtime.",
        "quorate.cli.commands.server:agent_info",
        FORMS,
        (
            Example("quorate agent-info", "all sections"),
            Example("quorate agent-info -t '{{.stats.raft.commit_index}}'", "one figure"),
        ),
    ),
)
