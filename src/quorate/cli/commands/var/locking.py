"""`quorate var lock`."""

from __future__ import annotations

import os
import subprocess

from quorate.cli.commands.var.forms import help_line
from quorate.cli.context import Context, Failure, doing
from quorate.cli.ending import unwinding
from quorate.cli.text.duration import seconds
from quorate.client import Lock

DEFAULT_S = 15.0
LOOK_S = 0.05
PATIENCE_S = 5.0


def lock(context: Context) -> int:
    """Run a program while the lock is held."""
    flags = context.flags
    if len(flags.args) < 2:
        raise Failure(f"This command takes a path and a program\n{help_line(context)}")
    path, *program = flags.args
    with unwinding():  # the lock is released, and not left to its TTL
        return _held(context, path, program)


def _held(context: Context, path: str, program: list[str]) -> int:
    with context.client() as client, doing("Error holding the lock: "):
        held = Lock(
            client.variables,
            path,
            ttl_s=_seconds(context, "ttl"),
            delay_s=_seconds(context, "delay"),
        )
        _say(context, f'Waiting for the lock of "{path}"')
        with held:
            _say(context, f'Holding the lock of "{path}", fencing number {held.fence}')
            code = _run(program, held)
        if held.lost.is_set():
            held.check()
    _say(context, f'Released the lock of "{path}"')
    return code if code >= 0 else 128 - code


def _run(program: list[str], held: Lock) -> int:
    """Run the program to its end, or until the lock is lost."""
    told = {"QUORATE_LOCK_ID": held.id, "QUORATE_LOCK_FENCE": str(held.fence)}
    try:
        process = subprocess.Popen(program, env={**os.environ, **told})  # noqa: S603  the caller's own
    except (OSError, ValueError) as error:
        raise Failure(f"Failed to start {program[0]!a}: {error}") from error
    try:
        while (code := process.poll()) is None:
            if held.lost.wait(LOOK_S):
                break
        else:
            return code
    finally:
        _end(process)
    return process.wait()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what still runs: politely first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _seconds(context: Context, name: str) -> float:
    text = context.flags.text(name)
    return seconds(text) if text else DEFAULT_S


def _say(context: Context, text: str) -> None:
    if context.flags.on("verbose"):
        context.out.stderr.write(text + "\n")
        context.out.stderr.flush()
