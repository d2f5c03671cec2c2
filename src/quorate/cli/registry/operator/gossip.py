"""The commands of gossip's keys, with their older words (docs/cli.md#commands)."""

from __future__ import annotations

from quorate.cli.command import FORMS, Command, Example
from quorate.cli.flags import Flag

MODULE = "quorate.cli.commands.operator.keys.keyring:"
ONE_KEY = "This command requires one argument: <key>"
KEY = "cg8StVXbQJ0gPvMd9o7yrg=="
DETAILS = Flag(
    "verbose",
    "bool",
    "Also how many members hold and use each key, and which members did not answer.",
)


def _with_key(word: str, summary: str, description: str, does: str) -> Command:
    return Command(
        ("operator", "gossip", "keyring", word),
        summary,
        f"{description} With - the key is what is piped in, so that no list of processes shows it.",
        MODULE + word,
        examples=(Example(f"quorate operator gossip keyring {word} {KEY}", does),),
        args=(1, 1),
        args_text=ONE_KEY,
        usage="[options] <key or ->",
    )


GOSSIP = (
    Command(
        ("operator", "gossip", "keyring", "generate"),
        "Make a gossip key",
        "Prints a new random key of 32 bytes in base64. Nothing is sent.",
        MODULE + "generate",
        examples=(Example("quorate operator gossip keyring generate", "a key for server.encrypt"),),
        usage="",
        general=False,
    ),
    Command(
        ("operator", "gossip", "keyring", "list"),
        "List the gossip keys",
        "Asks all members of the pool for the keys that they hold.",
        MODULE + "list_keys",
        (DETAILS, *FORMS),
        (
            Example("quorate operator gossip keyring list", "which keys are there?"),
            Example("quorate operator gossip keyring list -verbose", "do all members have them?"),
        ),
    ),
    _with_key(
        "install",
        "Add a gossip key",
        "Adds a key on all members. They understand it from then on, and go on encrypting with "
        "the one they use. The key is checked before anything is sent.",
        "the first step of a change of keys",
    ),
    _with_key(
        "use",
        "Encrypt with an installed gossip key",
        "Has all members encrypt with this key. A member that does not hold it understands "
        "nothing more: install it everywhere first.",
        "once all members have the key",
    ),
    _with_key(
        "remove",
        "Remove a gossip key",
        "Takes a key away from all members. The key in use cannot be removed.",
        "once no member uses the key any more",
    ),
    Command(
        ("operator", "gossip", "keyring", "rotate"),
        "Replace the gossip key, safely",
        "Makes a new key (or takes -key), installs it on all members, waits until every member "
        "has it, changes to it, and removes the old one. As long as a member does not answer, or "
        "has failed, the old key is kept and that member is named. Run it again at any time and "
        "from any machine: it finds out which step it is in and goes on. Exit code 2 if it did "
        "not end within -timeout.",
        "quorate.cli.commands.operator.keys.rotate:rotate",
        (
            Flag(
                "key",
                "string",
                "The new key, in base64, or - for what is piped in. Default: one is made.",
                "key",
            ),
            Flag("timeout", "duration", "How long to wait for members. Default 60s.", "duration"),
            Flag("json", "bool", "Print what was done as one JSON object, and no progress."),
        ),
        (
            Example("quorate operator gossip keyring rotate", "a new key for the whole pool"),
            Example(
                "quorate operator gossip keyring rotate -timeout=10m",
                "while a member is being restarted",
            ),
        ),
    ),
    Command(
        ("operator", "keygen"),
        "Make a gossip key (older word)",
        "The same as operator gossip keyring generate.",
        MODULE + "generate",
        examples=(Example("quorate operator keygen", "a key for server.encrypt"),),
        usage="",
        general=False,
    ),
    Command(
        ("operator", "keyring"),
        "Manage gossip keys (older words)",
        "The same as the commands below operator gossip keyring, one action at a time.",
        MODULE + "old_words",
        (
            Flag("list", "bool", "List the keys."),
            Flag("install", "string", "Add this key on all members.", "key"),
            Flag("use", "string", "Have all members encrypt with this key.", "key"),
            Flag("remove", "string", "Take this key away from all members.", "key"),
        ),
        (Example("quorate operator keyring -list", "which keys are there?"),),
    ),
)
