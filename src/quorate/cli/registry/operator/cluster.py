"""The commands below `operator` (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example
from quorate.cli.flags import Flag

MODULE = "quorate.cli.commands."
STALE = Flag(
    "stale",
    "bool",
    "Ask this agent alone: answered without a leader too, but it may be behind.",
)


def _peer(which: str) -> tuple[Flag, ...]:
    return (
        Flag("peer-id", "string", f"ID of the server {which}.", "id"),
        Flag("peer-address", "string", f"RPC address of the server {which}.", "ip:port"),
    )


RAFT = (
    Command(
        ("operator", "raft", "list-peers"),
        "List the servers of the Raft configuration",
        "Lists the servers that agree with each other through Raft: name, ID, address, state "
        "and vote. Sorted by name.",
        MODULE + "operator.raft:list_peers",
        (
            STALE,
            Flag(
                "verbose",
                "bool",
                "Also whether each server is alive, when a failed one was heard last, what an "
                "unknown one was called, and whether it can be removed (from servers that tell).",
            ),
            *FORMS,
        ),
        (
            Example("quorate operator raft list-peers", "which server leads?"),
            Example(
                "quorate operator raft list-peers -stale -address=http://10.0.0.2:4646",
                "what does this server know, now that there is no leader?",
            ),
            Example(
                "quorate operator raft list-peers -t '{{range .Servers}}{{.Address}} {{end}}'",
                "only the addresses",
            ),
        ),
        args=None,
    ),
    Command(
        ("operator", "raft", "remove-peer"),
        "Remove a server from the Raft configuration",
        "Removes a server that is lost for good, so that it no longer counts for the majority. "
        "A server that still runs should be stopped first. Give its ID or its address.",
        MODULE + "operator.raft:remove_peer",
        (
            *_peer("to remove"),
            Flag(
                "force",
                "bool",
                "Remove it even if the servers that remain have no majority, and so no leader.",
            ),
        ),
        (
            Example(
                "quorate operator raft remove-peer -peer-id=990fe718-2e08-2a6f-9689-0955efec4c73",
                "by the ID that list-peers shows",
            ),
            Example(
                "quorate operator raft remove-peer -peer-address=10.0.0.3:4647",
                "by address",
            ),
        ),
        args=None,
    ),
    Command(
        ("operator", "raft", "views"),
        "Show what each server believes",
        "Asks every server of the region for its leader, term and configuration, and shows the "
        "answers side by side. It needs no leader, and a server that does not answer is one "
        "line. A server whose replicated state differs from that of the others is named "
        "too. The agent asks the others over the RPC port; where the network is cut, name agents "
        "of the other side too, and they are asked as well. Exit code 2 if the servers do not "
        "agree, 1 if none knows a leader.",
        MODULE + "operator.views:views",
        (
            Flag(
                "verbose",
                "bool",
                "Also each server's address, and the names of all servers of its configuration.",
            ),
            *FORMS,
        ),
        (
            Example("quorate operator raft views", "do all follow the same leader?"),
            Example(
                "quorate operator raft views http://10.0.0.4:4646",
                "from both sides of a cut network",
            ),
        ),
        args=None,
        usage="[options] [address of another agent ...]",
    ),
    Command(
        ("operator", "raft", "compact"),
        "Compact the log of servers now",
        "Stores a snapshot now and drops the log and the older snapshots that it replaces, as far "
        "as entries are applied. Shows the sizes before and after, and what could not be done. "
        "It needs no leader. Without options the server of the agent asked is compacted; "
        "-address=unix://DATA_DIR/control.sock asks it on its own machine. On a disk without room "
        "for a snapshot it drops what the last one has, and says how much room is needed. Exit "
        "code 1 if a server could not be compacted.",
        MODULE + "operator.compact:compact",
        (
            Flag("server", "string", "The ID or name of the server to compact.", "id"),
            Flag("all", "bool", "Compact all servers of the region."),
            *FORMS,
        ),
        (
            Example("quorate operator raft compact", "a disk has little room left"),
            Example("quorate operator raft compact -all", "all servers"),
        ),
        args=None,
    ),
    Command(
        ("operator", "raft", "transfer-leadership"),
        "Hand leadership to another server",
        "Makes another voter the leader, for instance before the present one is stopped. Give "
        "the ID or the address of the server that is to lead.",
        MODULE + "operator.raft:transfer_leadership",
        _peer("that is to lead"),
        (
            Example(
                "quorate operator raft transfer-leadership -peer-address=10.0.0.2:4647",
                "before maintenance of the leader",
            ),
        ),
    ),
)

AUTOPILOT = (
    Command(
        ("operator", "autopilot", "get-config"),
        "Show the autopilot settings",
        "Shows the settings by which the leader manages servers by itself.",
        MODULE + "operator.autopilot:get_config",
        (STALE, *FORMS),
        (Example("quorate operator autopilot get-config", "all settings"),),
    ),
    Command(
        ("operator", "autopilot", "set-config"),
        "Change autopilot settings",
        "Changes the settings that are given and leaves the others as they are. If they "
        "were changed meanwhile, nothing is written and the command says so.",
        MODULE + "operator.autopilot:set_config",
        (
            Flag("cleanup-dead-servers", "bool", "Remove failed servers by itself. Nomad's servers "
                 "do; Quorate's store it, and it has no effect yet."),
            Flag("max-trailing-logs", "uint", "Entries a server may be behind and still be "
                 "healthy.", "entries"),
            Flag("last-contact-threshold", "duration", "How long a server may be silent and "
                 "still be healthy.", "duration"),
            Flag("server-stabilization-time", "duration", "How long a new server must be healthy "
                 "before its vote counts.", "duration"),
            Flag("min-quorum", "uint", "Never remove dead servers below this number. Quorate's "
                 "servers store it, and it has no effect yet.", "servers"),
            Flag("enable-redundancy-zones", "bool", "One voter per redundancy zone."),
            Flag("disable-upgrade-migration", "bool", "Do not wait for servers of a new version."),
            Flag("enable-custom-upgrades", "bool", "Use upgrade versions of your own."),
        ),
        (
            Example(
                "quorate operator autopilot set-config -cleanup-dead-servers=false",
                "keep dead servers while you look into them",
            ),
        ),
    ),
)  # fmt: skip

HEALTH = Command(
    ("operator", "autopilot", "health"),
    "Show how the servers do",
    "Shows which servers are healthy by the settings of autopilot, and how many voters may fail "
    "now. Ends with 1, and the server's answer as the error, if one is not healthy.",
    MODULE + "operator.autopilot:health",
    FORMS,
    (Example("quorate operator autopilot health", "may one server be stopped now?"),),
)

SCHEDULER = (
    Command(
        ("operator", "scheduler", "get-config"),
        "Show the scheduler settings",
        "Shows the cluster-wide scheduler settings.",
        MODULE + "operator.scheduler:get_config",
        (STALE, *FORMS),
        (Example("quorate operator scheduler get-config", "all settings"),),
    ),
    Command(
        ("operator", "scheduler", "set-config"),
        "Change scheduler settings",
        "Changes the settings that are given and leaves the others as they are. If they "
        "were changed meanwhile, nothing is written and the command says so.",
        MODULE + "operator.scheduler:set_config",
        (
            Flag("scheduler-algorithm", "string", "How work is placed: binpack or spread.",
                 "name", ("binpack", "spread")),
            Flag("preempt-batch-scheduler", "bool", "Batch jobs may push out others."),
            Flag("preempt-service-scheduler", "bool", "Service jobs may push out others."),
            Flag("preempt-system-scheduler", "bool", "System jobs may push out others."),
            Flag("preempt-sysbatch-scheduler", "bool", "System batch jobs may push out others."),
            Flag("memory-oversubscription", "bool", "Tasks may ask for more memory than is "
                 "reserved."),
            Flag("reject-job-registration", "bool", "Refuse new jobs but from management "
                 "tokens."),
            Flag("pause-eval-broker", "bool", "Stop handing out evaluations."),
            Flag("check-index", "uint", "Write only if the settings still have this modify "
                 "index. Default: the index that was read just before.", "index"),
        ),
        (
            Example(
                "quorate operator scheduler set-config -scheduler-algorithm=spread",
                "spread work over the nodes",
            ),
            Example(
                "quorate operator scheduler set-config -check-index=14 "
                "-reject-job-registration=true",
                "only if the settings are unchanged since index 14",
            ),
        ),
    ),
)  # fmt: skip

TOOLS = (
    Command(
        ("operator", "api"),
        "Send any request to the agent's HTTP API",
        "Sends a request with the address, token and certificates of your environment and "
        "prints the body of the answer. What is piped in becomes the body of the request and "
        "makes it a POST. Exit code 1 if the status is 400 or more.",
        MODULE + "api:run",
        (
            Flag("X", "string", "Method; default GET, or POST with a body.", "method",
                 ("GET", "PUT", "POST", "DELETE")),
            Flag("H", "list", "Header to send; may be repeated.", "'Key: Value'"),
            Flag("filter", "string", "Filter expression, sent as query parameter.", "expression"),
            Flag("dryrun", "bool", "Print a curl command in place of sending the request."),
            Flag("verbose", "bool", "Show request and answer with their headers on stderr."),
        ),
        (
            Example("quorate operator api /v1/agent/members?pretty", "the pool, indented"),
            Example(
                "echo '{\"SchedulerAlgorithm\":\"spread\"}' | "
                "quorate operator api -X PUT /v1/operator/scheduler/configuration",
                "a write",
            ),
            Example("quorate operator api -dryrun status/leader", "the same with curl"),
        ),
        args=(1, 1),
        args_text="A path or URL is required",
        usage="[options] <path or url>",
    ),
    Command(
        ("operator", "metrics"),
        "Show the agent's metrics",
        "Prints the metrics of the last complete interval as the agent gives them.",
        MODULE + "operator.metrics:run",
        (
            Flag("pretty", "bool", "Indent the JSON."),
            Flag("format", "string", "prometheus, or nothing for JSON.", "name", ("prometheus",)),
            *FORMS,
        ),
        (
            Example("quorate operator metrics -pretty", "to read"),
            Example("quorate operator metrics -format=prometheus", "to scrape"),
        ),
    ),
)  # fmt: skip

UPGRADE = (
    Command(
        ("operator", "upgrade", "check"),
        "Show what an upgrade of the servers waits for",
        "Shows the cluster's feature level, which versions may be mixed at it, and each server "
        "with its version and the level that it knows, in the order in which to restart them: the "
        "leader last. The level rises by itself once all servers know it. Exit code 2 if a server "
        "holds it back, does not answer, or cannot read the log of a newer one, and if none leads.",
        MODULE + "operator.upgrade:check",
        FORMS,
        (
            Example("quorate operator upgrade check", "before, between and after the restarts"),
            Example(
                "quorate operator upgrade check -t '{{.Level}}'",
                "only the level, for a program",
            ),
        ),
    ),
)

STATE = (
    Command(
        ("operator", "state", "size"),
        "Show how large the state is",
        "Shows how much memory the variables and locks take, in all and by namespace, the bounds, "
        "and the largest prefixes. Exit code 2 if more than 80 % of a bound is taken.",
        MODULE + "operator.state:size",
        FORMS,
        (Example("quorate operator state size", "what fills the state?"),),
    ),
    Command(
        ("operator", "state", "limit"),
        "Set the bound of the state, or of a namespace",
        "Sets how much memory all variables, or those of one namespace, may take. A write that "
        "would go beyond is refused; deletions always pass. 0 takes the bound away: that of the "
        "whole state is then a quarter of the memory of the smallest server.",
        MODULE + "operator.state:limit",
        (Flag("of", "text", "The namespace whose bound it is.", "namespace"),),
        (
            Example("quorate operator state limit 2GiB", "of the whole state"),
            Example("quorate operator state limit -of=web 64MiB", "of one namespace"),
        ),
        args=(1, 1),
        args_text="This command requires one argument: <size>",
        usage="[options] <size>",
    ),
)

OPERATOR = (*RAFT, *AUTOPILOT, HEALTH, *SCHEDULER, *UPGRADE, *STATE, *TOOLS)
