"""The agent configuration: files, flags, defaults, merging and checking (docs/configuration.md).

`load(paths, flags, dev)` gives an `AgentConfig` and `Notes` for a person; `reload` is SIGHUP's;
`validate` checks files only; `config_view` is what the API shows. The way of a setting: `parse`
reads a file (`json_text`, `hcl_text`) into a `tree`, `decode` makes settings of it by the
`schema`, `merge` puts files and `flags` together, `build` makes the record of `model`, `check`
looks at it, `addresses` resolves it. All mistakes are `quorate.errors.ConfigError`.
"""

from __future__ import annotations

from quorate.config.checks.network import (
    gossip_addresses,
    http_binds,
    join_addresses,
    rpc_bind,
    serf_bind,
)
from quorate.config.load import Notes, load
from quorate.config.model import AgentConfig
from quorate.config.read.flags import FLAGS, AgentFlag, apply_flags
from quorate.config.reload import Reload, reload
from quorate.config.validate import validate
from quorate.config.view.agent import config_view

__all__ = [
    "FLAGS",
    "AgentConfig",
    "AgentFlag",
    "Notes",
    "Reload",
    "apply_flags",
    "config_view",
    "gossip_addresses",
    "http_binds",
    "join_addresses",
    "load",
    "reload",
    "rpc_bind",
    "serf_bind",
    "validate",
]
