"""The control socket, `data_dir/control.sock`: the API for those who may use the agent's own files.

It serves the table of endpoints, and the rows of it that are `control only`, which no port serves.
Invariant: at no moment can another user connect. The socket is bound in a folder of mode 0700, gets
mode 0600 there, and is moved to its name, so that it takes the place of one that a killed agent
has left. The data folder is locked by then: a socket that is found there has no owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import Final

from quorate.api.http.listener import HttpListener

log = logging.getLogger("quorate.agent")

NAME: Final = "control.sock"
PATH_BYTES_MAX: Final = 107  # `sun_path` of Linux, without its final zero


class ControlSocket:
    """The open socket. Made by `open_control`."""

    def __init__(self, path: Path, server: asyncio.AbstractServer, listener: HttpListener) -> None:
        self._path = path
        self._inode = path.lstat().st_ino
        self._server = server
        self._listener = listener

    async def close(self, grace_s: float) -> None:
        """Remove the socket, then close its connections, as `HttpListener.close`."""
        with contextlib.suppress(OSError):
            if self._path.lstat().st_ino == self._inode:
                self._path.unlink()
        self._server.close()
        await self._listener.close(grace_s)


async def open_control(data_dir: Path, listener: HttpListener) -> ControlSocket | None:
    """Serve the listener's application there; None, with a warning, where that cannot be.

    An agent is not kept from serving its cluster by it.
    """
    path = data_dir / NAME
    if len(os.fsencode(path)) > PATH_BYTES_MAX:
        why = f"its path is longer than {PATH_BYTES_MAX} bytes; set a shorter data_dir"
        _not_opened(path, why)
        return None
    try:
        bound = _bound(path)
    except OSError as error:
        _not_opened(path, f"{error.strerror or error}; see the owner and mode of {data_dir}")
        return None
    server = await asyncio.get_running_loop().create_unix_server(listener, sock=bound)
    return ControlSocket(path, server, listener)


def _not_opened(path: Path, why: str) -> None:
    log.warning("the control socket %s is not opened: %s", path, why)


def _bound(path: Path) -> socket.socket:
    if path.parent.stat().st_mode & stat.S_IWOTH:  # they could put a socket of theirs there
        raise PermissionError(errno.EPERM, "other users may write to its folder")
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with tempfile.TemporaryDirectory(prefix=".c", dir=path.parent) as private:
            # A long path is bound by its folder's descriptor: the name in between is longer.
            folder = os.open(private, os.O_RDONLY | os.O_DIRECTORY)
            try:
                bound.bind(f"/proc/self/fd/{folder}/s")
            finally:
                os.close(folder)
            made = Path(private, "s")
            made.chmod(0o600)
            made.replace(path)
    except BaseException:
        bound.close()
        raise
    return bound
