"""Texts that a person gives in a file, or pipes in: a policy, a secret, a key."""

from __future__ import annotations

from typing import Final

from quorate.cli.commands.api import read_piped
from quorate.cli.context import Context, Failure
from quorate.given_files import content

STDIN: Final = "-"


def text_of(context: Context, source: str, most: int) -> str:
    """The text of a file of at most `most` bytes, or what is piped in for `-`. Raises Failure."""
    try:
        if source == STDIN:
            data = read_piped(context.stdin, most) or b""
        else:
            data = content(source, most, stream=True)
        return data.decode()
    except UnicodeDecodeError:
        raise Failure(f"Failed to read file: {source} is no text in UTF-8") from None
    except FileNotFoundError:
        raise Failure(f"Failed to read file: open {source}: no such file or directory") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise Failure(
            f"Failed to read {'stdin' if source == STDIN else f'file: open {source}'}: {why}",
            f"give a file of at most {most} bytes, or - for what is piped in",
        ) from None
