"""The flags of `quorate agent` (docs/configuration.md#flags) as data, and what they set.

A flag is one more source of settings, merged after all files. `target` is the dotted name of the
key, or empty for the two that are no key (`-config`, `-dev`) and for those that are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from quorate.config.keys.schema import KEYS
from quorate.config.keys.spec import Key, Kind
from quorate.config.read.convert import convert
from quorate.config.read.value import Partial, Setting, Source
from quorate.errors import ConfigError


class AgentFlag(NamedTuple):
    """One flag. `kind` is bool, string, int, duration or list (may be repeated)."""

    name: str
    kind: str
    target: str
    help: str
    refused: str = ""  # why it is not supported, with what to do instead


_NO_EFFECT: Final = "Accepted without effect."
_CLIENT: Final = "Accepted without effect: Quorate runs servers only."

_MAIN: Final = (
    AgentFlag("config", "list", "", "A file, or a folder of .hcl and .json files; repeatable."),
    AgentFlag("dev", "bool", "", "One server on loopback, its state in memory only."),
    AgentFlag("server", "bool", "server.enabled", "Run a server."),
    AgentFlag("client", "bool", "client.enabled", "Not supported: Quorate runs servers only."),
    AgentFlag("bind", "string", "bind_addr", "Address for all services to bind to."),
    AgentFlag("data-dir", "string", "data_dir", "Absolute path of the data folder."),
    AgentFlag("dc", "string", "datacenter", "Name of the datacenter."),
    AgentFlag("region", "string", "region", "Name of the region."),
    AgentFlag("node", "string", "name", "Name of this agent; the host name if not given."),
    AgentFlag("log-level", "string", "log_level", "TRACE, DEBUG, INFO, WARN or ERROR."),
    AgentFlag("log-json", "bool", "log_json", "Write the log as JSON."),
    AgentFlag(
        "log-include-location", "bool", "log_include_location", "Name the line of the source."
    ),
)
_SERVER: Final = (
    AgentFlag(
        "bootstrap-expect", "int", "server.bootstrap_expect", "Found a cluster of this many."
    ),
    AgentFlag("raft-protocol", "int", "server.raft_protocol", "Version of the protocol: 3."),
    AgentFlag(
        "retry-join", "list", "server.server_join.retry_join", "A server to join; tried again."
    ),
    AgentFlag("join", "list", "server.server_join.start_join", "A server to join at start."),
    AgentFlag(
        "retry-interval", "duration", "server.server_join.retry_interval", "Between two tries."
    ),
    AgentFlag("retry-max", "int", "server.server_join.retry_max", "How many tries; 0: no limit."),
    AgentFlag(
        "rejoin", "bool", "server.rejoin_after_leave", "Join the old pool again after a leave."
    ),
    AgentFlag("encrypt", "string", "server.encrypt", "Gossip key: base64 of 16, 24 or 32 bytes."),
    AgentFlag("acl-enabled", "bool", "acl.enabled", "Ask callers for tokens."),
    AgentFlag("acl-replication-token", "string", "acl.replication_token", _NO_EFFECT),
)
_USE_DEV: Final = "use -dev"
_REFUSED: Final = (
    AgentFlag("dev-connect", "bool", "", "Not supported.", _USE_DEV),
    AgentFlag("dev-consul", "bool", "", "Not supported.", _USE_DEV),
    AgentFlag("dev-vault", "bool", "", "Not supported.", _USE_DEV),
)
_WITHOUT_EFFECT: Final = (
    AgentFlag("plugin-dir", "string", "plugin_dir", _NO_EFFECT),
    *(
        AgentFlag(name, kind, f"client.{name.replace('-', '_')}", _CLIENT)
        for name, kind in (
            ("alloc-dir", "string"),
            ("meta", "list"),
            ("network-interface", "string"),
            ("network-speed", "int"),
            ("node-class", "string"),
            ("node-pool", "string"),
            ("servers", "list"),
            ("state-dir", "string"),
        )
    ),
    *(
        AgentFlag(f"consul-{name}", kind, "consul", _NO_EFFECT)
        for name, kind in (
            ("address", "string"),
            ("auth", "string"),
            ("auto-advertise", "bool"),
            ("ca-file", "string"),
            ("cert-file", "string"),
            ("checks-use-advertise", "bool"),
            ("client-auto-join", "bool"),
            ("client-http-check-name", "string"),
            ("client-service-name", "string"),
            ("key-file", "string"),
            ("namespace", "string"),
            ("server-auto-join", "bool"),
            ("server-http-check-name", "string"),
            ("server-rpc-check-name", "string"),
            ("server-serf-check-name", "string"),
            ("server-service-name", "string"),
            ("ssl", "bool"),
            ("token", "string"),
            ("verify-ssl", "bool"),
        )
    ),
    *(
        AgentFlag(f"vault-{name}", kind, "vault", _NO_EFFECT)
        for name, kind in (
            ("address", "string"),
            ("allow-unauthenticated", "bool"),
            ("ca-file", "string"),
            ("ca-path", "string"),
            ("cert-file", "string"),
            ("create-from-role", "string"),
            ("enabled", "bool"),
            ("key-file", "string"),
            ("namespace", "string"),
            ("tls-server-name", "string"),
            ("tls-skip-verify", "bool"),
            ("token", "string"),
        )
    ),
)

FLAGS: Final[tuple[AgentFlag, ...]] = (*_MAIN, *_SERVER, *_REFUSED, *_WITHOUT_EFFECT)
"""In the order in which help shows them."""

_BY_NAME: Final = {flag.name: flag for flag in FLAGS}


def apply_flags(values: Mapping[str, object]) -> Partial:
    """The settings that these flags make; `values` has the flags that were given, by name.

    Raises ConfigError: an unknown flag, a value that is not of its kind, a flag that is refused.
    """
    settings: dict[str, Setting] = {}
    for name, value in values.items():
        flag = _BY_NAME.get(name)
        if flag is None:
            raise ConfigError(f"flag provided but not defined: -{name}")
        if flag.refused and value:
            raise ConfigError(
                f"-{name} is not supported by this version of Quorate; {flag.refused}"
            )
        if flag.target:
            settings[flag.target] = Setting(_value(flag, value), Source(f"flag -{name}"))
    return settings


def _value(flag: AgentFlag, value: object) -> object:
    rules = KEYS.get(flag.target, Key(kind=Kind.ANY))
    node = list(value) if isinstance(value, list | tuple) else value
    if not isinstance(node, str | int | float | list):
        raise ConfigError(f"flag -{flag.name} must be of kind {flag.kind}")
    try:
        converted = convert(rules, node)
    except ValueError as error:
        raise ConfigError(f"flag -{flag.name} {error}") from None
    return "" if converted is None else converted
