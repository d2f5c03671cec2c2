"""The commands that ask one agent about itself and its pool (cli.md, section 7)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example
from quorate.cli.flags import Flag

SERVER = (
    Command(
        ("server", "members"),
        "List the servers of the pool",
        "Lists the servers of all regions as the agent sees them, alive or not, and who leads. "
        "Sorted by name.",
        "quorate.cli.commands.server:members",
        (
            Flag("verbose", "bool", "More columns: Raft version and tags."),
            Flag("detailed", "bool", "Names, addresses and tags only; no leader is asked for."),
            *FORMS,
        ),
        (
            Example("quorate server members", "who is alive?"),
            Example(
                "quorate server members -t '{{range .}}{{.Name}} {{.Status}} {{end}}'",
                "names and states on one line",
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
