"""The TLS of an agent, as its configuration says (docs/tls.md)."""

from __future__ import annotations

import logging

from quorate.config.model import AgentConfig
from quorate.net.tls.files import TlsFiles
from quorate.net.tls.identity import read_identity
from quorate.net.tls.keeper import TlsKeeper
from quorate.net.tls.renewal import Renewal
from quorate.net.tls.spoken import suites_of

log = logging.getLogger("quorate.agent")


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


def keeper_of(config: AgentConfig) -> TlsKeeper:
    """The TLS that is spoken. Waits for the disk. Raises QuorateError."""
    tls = config.tls
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


def renewal_of(keeper: TlsKeeper) -> Renewal:
    """The exchange of its certificates, which the log tells of."""
    return Renewal(keeper, log.info, log.error)
