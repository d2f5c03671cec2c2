"""`quorate operator gossip keyring ...`, and the older words for it (docs/cli.md#commands)."""

from __future__ import annotations

import base64
import os

from quorate.cli.commands.given import STDIN, text_of
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_table
from quorate.client import Keyring
from quorate.wire.gossip_key import key_fault

PREFIX = "error: "
KEY_BYTES = 32
KEY_TEXT_MAX = 256
DOING = {
    "list": "Gathering installed encryption keys...",
    "install": "Installing new gossip encryption key...",
    "use": "Changing primary gossip encryption key...",
    "remove": "Removing gossip encryption key...",
}


def generate(context: Context) -> int:
    """Print a new key."""
    context.out.line(base64.b64encode(os.urandom(KEY_BYTES)).decode())
    return 0


def list_keys(context: Context) -> int:
    """Show the keys of the pool."""
    plain = context.flags.on("json") or "t" in context.flags.values
    if not plain:
        context.out.line(DOING["list"])
    verbose = context.flags.on("verbose")
    with context.client() as client, doing(PREFIX):
        answer = client.keyring("list", details=verbose)
    return context.show(
        answer.raw, lambda: context.out.table(_details(answer) if verbose else _keys(answer))
    )


def _keys(answer: Keyring) -> str:
    return format_table([("Key",), *((key,) for key in sorted(answer.keys))])


def _details(answer: Keyring) -> str:
    """How many members hold each key, how many encrypt with it; who did not answer, below."""
    primary, total = answer.primary_keys, answer.num_nodes
    rows = [
        # Nomad's servers do not tell with which key their members encrypt.
        (key, f"{count}/{total}", f"{primary.get(key, 0)}/{total}" if primary else "unknown")
        for key, count in sorted(answer.keys.items())
    ]
    lines = [format_table([("Key", "Held By", "Primary Of"), *rows])]
    lines += [f"{name}: {why}" for name, why in sorted(answer.messages.items())]
    lines += [f"{name}: did not answer" for name in answer.unanswered]
    return "\n".join(lines)


def install(context: Context) -> int:
    """Add a key on all members."""
    return _change(context, "install", context.flags.args[0])


def use(context: Context) -> int:
    """Have all members encrypt with an installed key."""
    return _change(context, "use", context.flags.args[0])


def remove(context: Context) -> int:
    """Take a key away from all members."""
    return _change(context, "remove", context.flags.args[0])


def _change(context: Context, operation: str, given: str) -> int:
    context.out.line(DOING[operation])
    key = given_key(context, given)
    with context.client() as client, doing(PREFIX):
        client.keyring(operation, key)
    return 0


def given_key(context: Context, given: str) -> str:
    """The key that is given, or piped in for `-`. Raises Failure if it is none."""
    if given == STDIN:
        given = text_of(context, STDIN, KEY_TEXT_MAX).strip()
    else:
        context.out.hint("others can see a key on the command line: give - and pipe it in")
    check_key(given)
    return given


def check_key(key: str) -> None:
    """Raise Failure if that is no key: then nothing was sent."""
    fault = key_fault(key)
    if fault:
        raise Failure(
            f"{PREFIX}Invalid encryption key: {fault}",
            "a key is base64 of 16, 24 or 32 bytes: quorate operator gossip keyring generate",
        )


def old_words(context: Context) -> int:
    """`operator keyring` with its action as an option."""
    flags = context.flags
    given = [name for name in ("install", "use", "remove") if flags.text(name)]
    given += ["list"] if flags.on("list") else []
    help_line = f"For additional help try '{context.command.name} -help'"
    if not given:
        context.out.error("No actionable argument was passed")
        raise Failure(
            "Either the '-install', '-use', '-remove' or '-list' flag must be set\n" + help_line
        )
    if len(given) > 1:
        raise Failure(f"Only a single action is allowed\n{help_line}")
    if given == ["list"]:
        return list_keys(context)
    return _change(context, given[0], flags.text(given[0]))
