"""`operator recover live prepare | commit | abort | status`: survivors go on while they run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from quorate.cli.commands.operator.folder_named import folder_named
from quorate.cli.context import Context, Failure
from quorate.client import Client, ClientError, LiveRecovery, RequestError
from quorate.recovery import plan as plans

_SOCKET = "control.sock"


def prepare(context: Context) -> int:
    """Prepare the server for a plan."""
    file = Path(context.flags.args[0])
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Failure(f"cannot read {file}: {error.strerror or error}") from error
    flags = context.flags
    if len(data) > plans.BYTES_MAX:
        raise Failure(f"{file} is no plan of a recovery: it has {len(data)} bytes")
    done = _asked(
        context,
        lambda client: client.prepare_recovery(
            data,
            lost=flags.text("lost"),
            timeout=flags.text("timeout"),
            data_may_be_lost=flags.on("data-may-be-lost"),
        ),
    )
    return context.show(done.raw, lambda: _say_prepared(context, done))


def commit(context: Context) -> int:
    """Carry the plan out."""
    done = _asked(context, lambda client: client.commit_recovery())
    return context.show(done.raw, lambda: _say_done(context, done))


def abort(context: Context) -> int:
    """Give the plan up."""
    force = context.flags.on("force")
    done = _asked(context, lambda client: client.abort_recovery(force=force))
    return context.show(
        done.raw,
        lambda: context.out.line(f"Given up: {done.server_id} goes on in epoch {done.epoch}."),
    )


def status(context: Context) -> int:
    """The plan for which the server is prepared."""
    found = _asked(context, lambda client: client.live_recovery())
    return context.show(found.raw, lambda: _say_prepared(context, found))


def _asked(context: Context, ask: Callable[[Client], LiveRecovery]) -> LiveRecovery:
    folder = folder_named(context.flags.args[-1])
    path = folder.absolute() / _SOCKET
    if not path.exists():
        raise _unanswered(path, "there is no such socket")
    with context.client(f"unix://{path}") as client:
        try:
            return ask(client)
        except RequestError as error:
            raise _unanswered(path, error.reason) from error
        except ClientError as error:
            raise Failure(error.text, error.next_step) from error


def _unanswered(path: Path, why: str) -> Failure:
    return Failure(
        f"no server answers on {path}: {why}",
        "run this on the machine of the server, as its user; if it is stopped, use "
        "`quorate operator recover apply`",
    )


def _say_prepared(context: Context, found: LiveRecovery) -> None:
    out = context.out
    out.line(f"server:    {found.server_id}, in epoch {found.epoch}")
    if not found.prepared:
        out.line("prepared:  for no recovery")
        return
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.until_ms / 1000))
    out.line(f"prepared:  for epoch {found.plan_epoch}; given up after {until}")
    out.line(f"decides:   {found.leads}")
    out.line(f"committed: {found.becomes_committed}")
    out.line(f"lost:      {found.may_be_lost}, if there are any")
    out.line(
        f"\nWhen all survivors are prepared, on the machine of {found.leads}:\n"
        "quorate operator recover live commit DATA_DIR"
    )


def _say_done(context: Context, done: LiveRecovery) -> None:
    out = context.out
    out.line(f"server:    {done.server_id}")
    out.line(f"goes on:   at entry {done.index}, in epoch {done.epoch}")
    out.line(f"kept:      the folder as it was, in {done.kept}")
    if done.leads == done.server_id:
        out.line(f"committed: {done.becomes_committed}")
        out.line(f"lost:      {done.may_be_lost}, if there were any")
        out.line("\nIt leads in a moment, and fills the others, which follow by themselves.")
    else:
        out.line(f"\nIt is filled by {done.leads}.")
