"""`quorate operator root keyring ...` (docs/cli.md#commands)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from quorate.cli.context import Context, doing
from quorate.cli.text.progress import Progress
from quorate.cli.text.tables import format_table
from quorate.client import RootKey

PREFIX = "error: "
LOOK_S = 0.5
SHORT = 8
"""Characters of an ID, unless whole ones are asked for."""

PHASES = {
    "values": "Values are being sealed again with the active key: {} so far",
    "disks": "Values are sealed again; the servers write snapshots, to drop older text",
}


def list_keys(context: Context) -> int:
    """Show all keys as a table."""
    with context.client() as client, doing(PREFIX):
        found = client.root_keys(stale=context.flags.on("stale"))
    return context.show(found.raw, lambda: context.out.table(_text(context, found.keys)))


def rotate(context: Context) -> int:
    """Make a new key, and show it; a person at a terminal sees how far a full rotation is."""
    full = context.flags.on("full")
    with context.client() as client:
        with doing(PREFIX):
            answer = client.rotate_root_key(full=full)
        context.show(answer.raw, lambda: context.out.table(_table(context, [answer.key])))
        context.out.stdout.flush()
        if full and context.out.stderr.isatty() and not context.quiet():
            context.out.hint("the cluster goes on by itself: Ctrl-C ends this command alone")
            with Progress(context.out, "Rotation") as progress, doing(PREFIX):
                while under_way := _under_way(client.root_keys().keys):
                    progress.say(under_way[0])
                    time.sleep(LOOK_S)
            context.out.stderr.write("No server holds text sealed with older keys any more\n")
    return 0


def remove(context: Context) -> int:
    """Remove the key with this ID."""
    (key_id,) = context.flags.args
    with context.client() as client, doing(PREFIX):
        client.remove_root_key(key_id, force=context.flags.on("force"))
    context.out.line(f"Removed encryption key {key_id}")
    return 0


def _text(context: Context, keys: Iterable[RootKey]) -> str:
    keys = tuple(keys)
    wrapping = sorted({key.wrapped_by for key in keys if key.wrapped_by})
    wrapped = [f"Wrapped with key {each}, which is not in the cluster" for each in wrapping]
    lacks = sorted({(who, key.wrapped_by) for key in keys for who in key.lacked_by})
    lacking = [
        f"Server {who} does not have key {each}: it gets no vote and reads no values; give it "
        "the key (server.wrapping_key_file), and reload it (SIGHUP)"
        for who, each in lacks
    ]
    return "\n".join([_table(context, keys), *_under_way(keys), *wrapped, *lacking])


def _under_way(keys: Iterable[RootKey]) -> list[str]:
    return [
        PHASES[key.rekey_phase].format(key.rekeyed) for key in keys if key.rekey_phase in PHASES
    ]


def _table(context: Context, keys: Iterable[RootKey]) -> str:
    length = None if context.flags.on("verbose") else SHORT
    rows = [(key.key_id[:length], key.state, _time(key.create_time)) for key in keys]
    return format_table([("Key", "State", "Create Time"), *rows])


def _time(unix_ns: int) -> str:
    try:
        return f"{datetime.fromtimestamp(unix_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, ValueError, OSError):  # no server of ours sends such a time
        return str(unix_ns)
