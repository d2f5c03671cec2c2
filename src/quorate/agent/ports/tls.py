"""The TLS of an agent: from its configuration, and again when its files change (docs/tls.md)."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from quorate.config.model import AgentConfig
from quorate.errors import QuorateError
from quorate.net.threads import in_thread
from quorate.net.tls.identity import TlsFiles, TlsIdentity, changed, read_identity
from quorate.net.tls.keeper import TlsKeeper
from quorate.net.tls.spoken import suites_of

log = logging.getLogger("quorate.agent")

LOOKED_AT_S: Final = 10.0
"""How often the files are compared with what is in force."""


def files_of(config: AgentConfig) -> TlsFiles:
    """The files that the configuration names."""
    tls = config.tls
    return TlsFiles(
        ca_file=tls.ca_file,
        cert_file=tls.cert_file,
        key_file=tls.key_file,
        crl_file=tls.crl_file,
        min_version=tls.tls_min_version or "tls12",
        cipher_suites=suites_of(tls.tls_cipher_suites),
    )


def keeper_of(config: AgentConfig) -> TlsKeeper | None:
    """The TLS that is spoken; None: none. Waits for the disk. Raises QuorateError."""
    tls = config.tls
    if not (tls.http or tls.rpc):
        return None
    files = files_of(config)
    keeper = TlsKeeper(
        files,
        read_identity(files),
        region=config.region,
        http=tls.http,
        rpc=tls.rpc,
        verify_clients=tls.verify_https_client,
        upgrading=tls.rpc_upgrade_mode,
        bound=tls.verify_server_id,
    )
    keeper.check_own(keeper.identity)
    return keeper


class Renewal:
    """Exchanges the certificates of a keeper. What cannot be used changes nothing, and is said."""

    def __init__(self, keeper: TlsKeeper) -> None:
        self._keeper = keeper
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Look at the files again and again, for ever."""
        while True:
            await asyncio.sleep(LOOKED_AT_S)
            await self.look(self._keeper.files)

    async def reload(self, config: AgentConfig) -> None:
        """Take what a configuration names that was read again."""
        await self.look(files_of(config))

    async def look(self, files: TlsFiles) -> None:
        """Take the files if they hold something new. What is wrong with them is logged once."""
        keeper = self._keeper
        async with self._lock:
            try:
                identity = await in_thread(_read, files, keeper)
            except QuorateError as error:
                self._refused(error)
                return
            if identity is None:
                keeper.problem = ""
                return
            keeper.replace(files, identity)
            log.info(
                "TLS: a new certificate, with serial number %d, valid until %s",
                identity.facts.serial,
                f"{identity.facts.not_after:%Y-%m-%d %H:%M:%S} UTC",
            )

    def _refused(self, error: QuorateError) -> None:
        problem = f"the TLS certificate was not exchanged: {error.line()}"
        if problem != self._keeper.problem:
            log.error("%s; the former one stays in force", problem)
        self._keeper.problem = problem


def _read(files: TlsFiles, keeper: TlsKeeper) -> TlsIdentity | None:
    if files == keeper.files and not changed(files, keeper.identity):
        return None
    identity = read_identity(files)
    keeper.check_own(identity)
    return identity
