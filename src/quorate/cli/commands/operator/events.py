"""`quorate operator events`: what changes, as it changes (docs/events.md)."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from quorate.cli.context import Context, Failure, doing
from quorate.client import Event, RequestError

INDENT = 10
"""Of what a terminal has no room for: behind the index."""


def run(context: Context) -> int:
    """Print events until the server ends the stream, or this command is ended."""
    flags = context.flags
    as_json = flags.on("json")
    begun, index = False, flags.number("index")
    with context.client() as client, doing("Error reading events: "):
        try:
            for event in client.events(flags.many("topic"), index=index):
                if as_json:
                    shown = json.dumps(event.raw, ensure_ascii=False)
                else:
                    shown = fitted(line_of(event), context.out.width)
                context.out.line(shown)
                context.out.stdout.flush()
                begun, index = True, event.index + 1
        except RequestError as error:
            if not begun:
                raise
            raise Failure(
                f"Error reading events: {error.text}",
                f"go on at another server: -address=<another> -index={index}",
            ) from error
    return 0


def line_of(event: Event) -> str:
    """Index, type, key, and what the payload says, in one line."""
    key = f"{event.namespace}/{event.key}" if event.namespace else event.key
    words = [f"{event.index:>8}", f"{event.type:<18}", key or "-"]
    payload = event.payload
    if isinstance(told := payload.get("Operator"), dict):
        words += _told(told)
    elif isinstance(missed := payload.get("Missed"), dict):
        words.append(f"{missed.get('First')} to {missed.get('Last')}: {missed.get('Reason')}")
    elif isinstance(namespace := payload.get("Namespace"), dict):
        words.append(str(namespace.get("Description") or ""))
    text = "  ".join(filter(None, words))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def fitted(line: str, width: int | None) -> str:
    """The line, on several where a terminal is not as wide."""
    if width is None or len(line) <= width:
        return line
    return textwrap.fill(
        *(line, width),
        subsequent_indent=" " * INDENT,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )


def _told(told: dict[str, Any]) -> list[str]:
    details = told.get("Details")
    pairs = details.items() if isinstance(details, dict) else ()
    words = [str(told.get(name) or "") for name in ("Time", "What", "Name", "Cause")]
    return [*words, "by force" if told.get("Force") else "", *(f"{k}={v}" for k, v in pairs)]
