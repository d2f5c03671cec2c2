"""Keys that do nothing here, or not yet: what would mislead is refused, the rest is told.

Invariant: nothing that was set is ignored in silence. A key of which an operator could believe that
it protects them (encryption, access control) is refused when it is switched on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from quorate.config.build import key_values
from quorate.config.keys.schema import KEYS
from quorate.config.keys.spec import Effect
from quorate.config.model import AgentConfig
from quorate.errors import ConfigError

_REFUSED: Final = {
    "client.enabled": ("client mode", "remove it: Quorate runs servers only"),
}
_TLS_FILES: Final = (
    *("tls.ca_file", "tls.cert_file", "tls.key_file", "tls.crl_file"),
    *("tls.tls_cipher_suites", "tls.tls_min_version"),
)
_OF_ACL: Final = (
    *("acl.transition", "acl.token_ttl"),
    *("acl.token_min_expiration_ttl", "acl.token_max_expiration_ttl"),
)
_BY_GOSSIP: Final = (
    "server.gossip_profile",
    "server.rejoin_after_leave",
    "server.retry_interval",
    "server.retry_max",
    "server.server_join.retry_interval",
    "server.server_join.retry_max",
)
_NOT_IN_DEV: Final = ("data_dir", "server.bootstrap_expect", "server.initial_servers")


def error_at(config: AgentConfig, key: str, text: str, next_step: str = "") -> ConfigError:
    """An error about a key, with the line that set it if it was a file's."""
    source = config.sources.get(key)
    where = f" ({source})" if source is not None and source.is_file else ""
    return ConfigError(f"{text}{where}", next_step)


def refusals(config: AgentConfig) -> Iterator[ConfigError]:
    """Refusals of keys that are switched on and not supported."""
    values = dict(key_values(config))
    for key, (what, cure) in _REFUSED.items():
        if values[key]:
            text = f"{key}: {what} is not supported by this version of Quorate; {cure}"
            yield error_at(config, key, text)


def effect_warnings(config: AgentConfig) -> Iterator[str]:
    """One line for each reason why something that was set does nothing, or less than elsewhere."""
    names = _without_effect(config)
    if names:
        yield f"WARNING: No effect in this version of Quorate: {', '.join(names)}"
    yield from _idle_tls(config)
    yield from _of_acl(config)
    if config.server.gossips:
        return
    idle = [key for key in _BY_GOSSIP if key in config.sources]
    if idle:
        yield f"WARNING: No effect without gossip: {', '.join(idle)}"
    if config.leave_on_interrupt or config.leave_on_terminate:
        yield (
            "WARNING: A server that leaves hands leadership over and stops; it stays in the"
            " Raft configuration, because its servers are a fixed list"
        )


def _idle_tls(config: AgentConfig) -> Iterator[str]:
    """Keys of a `tls` block whose port speaks no TLS, or not it alone: easily believed to."""
    tls = config.tls
    of_http = ("tls.verify_https_client",) if not tls.http else ()
    of_rpc = ("tls.rpc_upgrade_mode", "tls.verify_server_id") if not tls.rpc else ()
    both = () if tls.http or tls.rpc else _TLS_FILES
    for keys, missing in (
        (of_http, "tls.http"),
        (of_rpc, "tls.rpc"),
        (both, "tls.http or tls.rpc"),
    ):
        idle = [key for key in keys if key in config.sources]
        if idle:
            yield f"WARNING: No effect without {missing}: {', '.join(idle)}"
    if tls.rpc and tls.rpc_upgrade_mode:
        yield (
            "WARNING: tls.rpc_upgrade_mode is on: connections without TLS are taken, until it is"
            " taken out and the server is restarted"
        )


def _of_acl(config: AgentConfig) -> Iterator[str]:
    acl = config.acl
    if not acl.enabled:
        idle = [key for key in _OF_ACL if key in config.sources]
        if idle:
            yield f"WARNING: No effect without acl.enabled: {', '.join(idle)}"
        return
    if acl.transition:
        yield (
            "WARNING: acl.transition is on: requests that access control would refuse are allowed,"
            " until the transition is ended"
        )
    if not config.tls.http and not config.dev_mode:
        yield "WARNING: acl.enabled without tls.http: tokens travel in the clear"


def dev_warnings(config: AgentConfig) -> Iterator[str]:
    """Warnings of keys that are put aside in dev mode; `config` as it was written."""
    names = [
        key
        for key in _NOT_IN_DEV
        if key in config.sources and config.sources[key].origin != DEV_ORIGIN
    ]
    if names:
        yield f"WARNING: Not used in dev mode: {', '.join(names)}"


DEV_ORIGIN: Final = "dev mode"
"""Where a setting comes from that nobody but dev mode made."""


def _without_effect(config: AgentConfig) -> list[str]:
    """Sorted names; of a block without any effect only its own."""
    names = {_shown(name) for name in config.without_effect}
    for name, value in key_values(config):
        if KEYS[name].effect == Effect.NONE and value != KEYS[name].default:
            names.add(name)
    return sorted(names)


def _shown(name: str) -> str:
    """Of a block that is not looked at its name; of one that is, the whole key."""
    block = name.partition(".")[0]
    return name if name in KEYS or block == "backup" else block
