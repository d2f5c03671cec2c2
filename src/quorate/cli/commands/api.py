"""`quorate operator api`: any request, by the settings of the environment.

See docs/cli.md#commands.
"""

from __future__ import annotations

import os
import stat
from typing import TextIO

from quorate.cli.context import Context, Failure, doing
from quorate.client import Answer

BLOCKING_QUERY_TIMEOUT_S = 330.0  # the longest wait of a server is 5 minutes and a sixteenth
BODYLESS = frozenset({"GET", "HEAD"})
SECRETS = frozenset({"x-nomad-token", "authorization"})
CLIENT_ERROR = 400
BODY_BYTES_MAX = 64 << 20


def run(context: Context) -> int:
    """Send the request (or print it as curl), print the answer's body."""
    flags = context.flags
    path = full_path(flags.args[0])
    headers = [_header(text) for text in flags.many("H")]
    wanted = flags.text("X").upper()
    query = [("filter", flags.text("filter"))] if flags.text("filter") else []
    body = None if wanted in BODYLESS else read_piped(context.stdin)
    method = wanted or ("GET" if body is None else "POST")
    if flags.on("dryrun"):
        from quorate.cli.curl import curl_command

        command = curl_command(
            context, method, path, query=query, headers=headers, has_body=body is not None
        )
        context.out.line(command)
        return 0
    with context.client() as client, doing("Error performing request: "):
        if flags.on("verbose"):
            _say_request(context, method, client.url(path, query), headers)
        answer = client.request(
            method,
            path,
            query=query,
            body=body,
            headers=headers,
            timeout_s=BLOCKING_QUERY_TIMEOUT_S,
        )
    return _finish(context, answer)


def full_path(text: str) -> str:
    """A whole URL as it is; anything else as a path below `/v1/`."""
    if text.startswith(("http://", "https://")):
        return text
    path = text.lstrip("/")
    return f"/{path}" if path.startswith("v1/") else f"/v1/{path}"


def read_piped(stdin: TextIO, most: int = BODY_BYTES_MAX) -> bytes | None:
    """The bytes piped in, or None if nothing is (a terminal, a device, an empty pipe).

    Raises Failure for more than `most`.
    """
    try:
        descriptor = stdin.fileno()
    except (OSError, ValueError):
        data = stdin.read(most + 1).encode()
    else:
        if stat.S_ISCHR(os.fstat(descriptor).st_mode):
            return None
        data = stdin.buffer.read(most + 1)
    if len(data) > most:
        raise Failure(
            f"Error reading standard input: it has more than {most} bytes",
            "look what is piped in; an archive is sent by `quorate operator snapshot restore`",
        )
    return data or None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise Failure(f"Error parsing header: {text!r} is not of the form 'Key: Value'")
    return name.strip(), value.strip()


def _say_request(context: Context, method: str, url: str, headers: list[tuple[str, str]]) -> None:
    context.out.stderr.write(f"> {method} {url}\n")
    for name, value in headers:
        shown = "<redacted>" if name.lower() in SECRETS else value
        context.out.stderr.write(f"> {name}: {shown}\n")


def _finish(context: Context, answer: Answer) -> int:
    if context.flags.on("verbose"):
        context.out.stderr.write(f"< {answer.status} {answer.reason}\n")
        for name, value in answer.headers.items():
            context.out.stderr.write(f"< {name}: {value}\n")
    if answer.body:
        context.out.raw(answer.text)
    if answer.status >= CLIENT_ERROR:
        context.out.error(f"Unexpected response code: {answer.status}")
        return 1
    return 0
