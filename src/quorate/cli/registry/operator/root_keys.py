"""The commands of the root keys (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example
from quorate.cli.flags import Flag

MODULE = "quorate.cli.commands.operator.keys.root_keys:"
VERBOSE = Flag("verbose", "bool", "Whole IDs of keys.")

ROOT_KEYS = (
    Command(
        ("operator", "root", "keyring", "list"),
        "List the root keys",
        "Lists the root keys: ID, state, and when they were made. While values are sealed again "
        "after a rotation, a line below says how far that is.",
        MODULE + "list_keys",
        (
            VERBOSE,
            Flag(
                "stale",
                "bool",
                "Ask this agent alone: answered without a leader too, but it may be behind.",
            ),
            *FORMS,
        ),
        (
            Example("quorate operator root keyring list", "which key is active?"),
            Example("quorate operator root keyring list -verbose", "with whole IDs, for remove"),
        ),
    ),
    Command(
        ("operator", "root", "keyring", "rotate"),
        "Make a new root key",
        "Makes a new root key, which seals all values from then on. The leader seals the older "
        "values again in the background, and list shows how far it is. With -full, each server "
        "then writes a snapshot and drops the older part of its log, older snapshots, and the "
        "safety snapshots of restores: copy one that you still want before.",
        MODULE + "rotate",
        (
            Flag("full", "bool", "Also remove text sealed with older keys from the disks."),
            VERBOSE,
            *FORMS,
        ),
        (
            Example("quorate operator root keyring rotate", "as a matter of routine"),
            Example("quorate operator root keyring rotate -full", "a key may have leaked"),
        ),
    ),
    Command(
        ("operator", "root", "keyring", "remove"),
        "Remove a root key",
        "Removes a root key that nothing needs any more. The active key cannot be removed, nor one "
        "that values, logs, snapshots or listed backups need.",
        MODULE + "remove",
        (
            Flag(
                "force",
                "bool",
                "Also if logs, snapshots or backups need it: what they hold of it cannot be read.",
            ),
        ),
        (
            Example(
                "quorate operator root keyring remove c97d2330-aa51-4a65-219c-395644383cf1",
                "a key of before the last rotation, by its whole ID",
            ),
        ),
        args=(1, 1),
        args_text="This command requires one argument: <key ID>",
        usage="[options] <key ID>",
    ),
)
