"""The wrapping keys of this server, from a file, the environment, or a command (docs/security.md).

They are read at the start, and again at each reload, but for those of the environment. No error and
no log line holds what was read.
"""

from __future__ import annotations

import os
import selectors
import signal
import stat
import subprocess
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final

from quorate.config.model import AgentConfig
from quorate.errors import QuorateError
from quorate.given_files import opened
from quorate.server.secrets.wrapping import NO_WRAPPING, Wrapping, parsed

TEXT_BYTES_MAX: Final = 64 * 1024
COMMAND_TIMEOUT_S: Final = 30.0

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def wrapping_of(
    config: AgentConfig,
    environ: MutableMapping[str, str],
    *,
    timeout_s: float = COMMAND_TIMEOUT_S,
) -> Wrapping:
    """The keys that the configuration names; takes as long as its command. Raises QuorateError.

    A variable is taken out of `environ`, so that no child process gets it.
    """
    server = config.server
    if server.wrapping_key_file:
        where = f"server.wrapping_key_file {server.wrapping_key_file}"
        return parsed(_from_file(server.wrapping_key_file, where), where)
    if server.wrapping_key_env:
        where = f"server.wrapping_key_env {server.wrapping_key_env}"
        text = environ.pop(server.wrapping_key_env, None)
        if text is None:
            raise QuorateError(f"{where}: there is no such variable", "set it for the agent alone")
        return parsed(text, where)
    if server.wrapping_key_command:
        where = f"server.wrapping_key_command {server.wrapping_key_command[0]}"
        return parsed(_from_command(server.wrapping_key_command, where, timeout_s), where)
    return NO_WRAPPING


def wrapping_again(config: AgentConfig) -> Wrapping | None:
    """The keys as file or command give them now; None where neither is configured.

    Takes as long as the command. Raises QuorateError.
    """
    server = config.server
    if not (server.wrapping_key_file or server.wrapping_key_command):
        return None
    return wrapping_of(config, {})


def _from_file(path: str, where: str) -> str:
    try:
        with opened(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OTHERS:
                raise QuorateError(
                    f"{where}: others than its owner may use it (mode {stat.S_IMODE(mode):04o})",
                    "run: chmod 600 on it; and take it that the key has been read",
                )
            return _decoded(file.read(TEXT_BYTES_MAX + 1), where)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise QuorateError(f"{where}: {reason}", "see its path, owner and mode") from None


def _from_command(command: tuple[str, ...], where: str, timeout_s: float) -> str:
    """What it prints, within the deadline. No shell reads the words; its errors are the agent's."""
    try:
        process = subprocess.Popen(  # noqa: S603  the operator's own words, without a shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise QuorateError(f"{where}: it cannot be run: {reason}", "name a program") from None
    try:
        data, ended = _output(process, time.monotonic() + timeout_s)
        code = process.poll()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it has started too
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    if len(data) > TEXT_BYTES_MAX:
        return _decoded(data, where)
    if not ended:
        raise QuorateError(f"{where}: it has not ended within {timeout_s:g} s", "see what it does")
    if code:
        raise QuorateError(f"{where}: it ended with {code}", "see its own message")
    return _decoded(data, where)


def _output(process: subprocess.Popen[bytes], until: float) -> tuple[bytes, bool]:
    """What it prints, not much more than the limit; and whether it has ended by then."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    os.set_blocking(descriptor, False)
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while len(data) <= TEXT_BYTES_MAX:
            left = until - time.monotonic()
            if left <= 0 or not selector.select(left):
                return data, False
            piece = os.read(descriptor, TEXT_BYTES_MAX)
            if not piece:
                break
            data += piece
        else:
            return data, False  # it would wait for ever for a reader
    try:
        process.wait(max(until - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        return data, False
    return data, True


def _decoded(data: bytes, where: str) -> str:
    if len(data) > TEXT_BYTES_MAX:
        raise QuorateError(
            f"{where}: it gives more than {TEXT_BYTES_MAX} bytes", "give keys alone, one a line"
        )
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise QuorateError(
            f"{where}: it gives other bytes than text", "write keys as base64, one a line"
        ) from None
