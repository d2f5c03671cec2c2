"""Checks of the `tls` block, each with its cure. The files are read at the start, not here."""

from __future__ import annotations

from collections.abc import Iterator

from quorate.config.keys.effects import error_at
from quorate.config.model import AgentConfig
from quorate.errors import ConfigError, QuorateError
from quorate.net.tls.spoken import check_version, openssl_names, suites_of


def tls_problems(config: AgentConfig) -> Iterator[ConfigError]:
    """What is wrong with it as it was written."""
    tls = config.tls
    if tls.http or tls.rpc:
        switched = "tls.http" if tls.http else "tls.rpc"
        for key, path in (
            ("tls.ca_file", tls.ca_file),
            ("tls.cert_file", tls.cert_file),
            ("tls.key_file", tls.key_file),
        ):
            if not path:
                yield error_at(
                    config,
                    switched,
                    f"{switched} is on, and {key} is not set",
                    "make the files with quorate tls ca create and quorate tls cert create "
                    "-server, and name them",
                )
    try:
        check_version(tls.tls_min_version or "tls12")
    except QuorateError as error:
        yield error_at(
            config, "tls.tls_min_version", f"tls.tls_min_version: {error.text}", error.next_step
        )
    try:
        openssl_names(suites_of(tls.tls_cipher_suites))
    except QuorateError as error:
        yield error_at(
            config,
            "tls.tls_cipher_suites",
            f"tls.tls_cipher_suites: {error.text}",
            error.next_step,
        )
