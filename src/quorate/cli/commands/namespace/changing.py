"""`quorate namespace apply|delete` (docs/namespaces.md)."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from quorate.cli.commands.api import read_piped
from quorate.cli.commands.namespace.spec import parsed
from quorate.cli.context import Context, Failure, doing
from quorate.client import Namespace, StatusError
from quorate.given_files import content

FILE_BYTES_MAX = 64 * 1024
STDIN = "-"


def apply(context: Context) -> int:
    """Make or change a namespace: by its name and options, or by a file that says all of it."""
    source = context.flags.args[0]
    with context.client() as client:
        if source == STDIN or Path(source).is_file():
            namespace = _from_file(context, source)
        else:
            with doing("Error looking up namespace: "):
                try:
                    namespace = client.read_namespace(source)
                except StatusError as error:
                    if error.status != 404:
                        raise
                    namespace = Namespace(name=source)
        given = context.flags.values
        options = {name: given[name] for name in ("description", "quota") if name in given}
        namespace = replace(namespace, **options)
        with doing("Error applying namespace: "):
            client.put_namespace(namespace)
    context.out.line(f'Successfully applied namespace "{namespace.name}"!')
    return 0


def delete(context: Context) -> int:
    """Delete a namespace."""
    name = context.flags.args[0]
    with context.client() as client, doing("Error deleting namespace: "):
        client.delete_namespace(name)
    context.out.line(f'Successfully deleted namespace "{name}"!')
    return 0


def _from_file(context: Context, source: str) -> Namespace:
    try:
        if source == STDIN:
            data = read_piped(context.stdin, FILE_BYTES_MAX) or b""
        else:
            data = content(source, FILE_BYTES_MAX)
    except OSError as error:
        raise Failure(
            f"Error reading input file: {error.strerror or error}",
            "look whether it is the right file, and whether you may read it",
        ) from None
    try:
        return parsed(data.decode(), as_json=context.flags.on("json"))
    except (UnicodeDecodeError, ValueError) as error:
        raise Failure(
            f"Error parsing input file: {error}", "see docs/namespaces.md for its form"
        ) from None
