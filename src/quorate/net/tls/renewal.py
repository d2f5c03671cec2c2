"""Certificates are exchanged when their files change. What cannot be used changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from quorate.errors import QuorateError
from quorate.net.threads import in_thread
from quorate.net.tls.files import TlsFiles
from quorate.net.tls.identity import TlsIdentity, changed, check_valid, read_identity
from quorate.net.tls.keeper import TlsKeeper

LOOKED_AT_S: Final = 10.0
"""How often the files are compared with what is in force."""


class Renewal:
    """Exchanges the certificates of a keeper.

    `renewed` is told of a new certificate, `refused` once of files that cannot be used, and why.
    """

    def __init__(
        self, keeper: TlsKeeper, renewed: Callable[[str], None], refused: Callable[[str], None]
    ) -> None:
        self._keeper = keeper
        self._renewed = renewed
        self._refused = refused
        self._lock = asyncio.Lock()
        self._files = keeper.files  # that are to be used

    async def run(self) -> None:
        """Look at the files again and again, for ever."""
        while True:
            await asyncio.sleep(LOOKED_AT_S)
            await self.look(self._files)

    async def look(self, files: TlsFiles) -> None:
        """Take the files if they hold something new."""
        keeper, self._files = self._keeper, files
        async with self._lock:
            try:
                identity = await in_thread(_read, files, keeper)
            except QuorateError as error:
                problem = f"the TLS certificate was not exchanged: {error.line()}"
                if problem != keeper.problem:
                    self._refused(f"{problem}; the former one stays in force")
                keeper.problem = problem
                return
            if identity is None:
                keeper.problem = ""
                return
            keeper.replace(files, identity)
            ends = f"{identity.facts.not_after:%Y-%m-%d %H:%M:%S} UTC"
            self._renewed(
                f"TLS: certificates were read again; this server's has serial number "
                f"{identity.facts.serial}, and is valid until {ends}"
            )


def _read(files: TlsFiles, keeper: TlsKeeper) -> TlsIdentity | None:
    if files == keeper.files and not changed(files, keeper.identity):
        return None
    identity = read_identity(files)
    keeper.check_own(identity)
    check_valid(identity, datetime.now(UTC))
    return identity
