"""`quorate completion bash|zsh|fish`."""

from __future__ import annotations

from quorate.cli.command import resolve
from quorate.cli.context import Context, Failure


def run(context: Context) -> int:
    """Print the script of a shell."""
    shell = context.flags.args[0]
    shells = context.command.words
    if shell not in shells:
        raise Failure(f'unknown shell "{shell}"; there are scripts for {", ".join(shells)}')
    context.out.raw(resolve(f"quorate.cli.completion.{shell}:script")())
    return 0
