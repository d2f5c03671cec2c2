"""SIGHUP: read everything again, apply what can be applied, and name what cannot.

See docs/configuration.md#the-process.

Invariant: a mistake in the files changes nothing; the agent goes on as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from quorate.config.build import key_values, with_value
from quorate.config.checks.host import Host
from quorate.config.keys.schema import KEYS
from quorate.config.keys.spec import Effect
from quorate.config.load import THIS_HOST, load
from quorate.config.model import AgentConfig
from quorate.config.read.parse import HclReader, read_hcl_here


class Reload(NamedTuple):
    """`config` is what is in force now; `live` and `restart` are dotted names, sorted.

    `restart` are keys whose new value the files hold and `config` does not: they stay so, and are
    named again by each reload, until the agent is restarted.
    """

    config: AgentConfig
    live: tuple[str, ...]
    restart: tuple[str, ...]


def reload(
    old: AgentConfig,
    paths: Sequence[str | Path],
    flags: Mapping[str, object],
    *,
    host: Host = THIS_HOST,
    read_hcl: HclReader = read_hcl_here,
) -> Reload:
    """Read the files again. Raises ConfigError if anything in them is wrong."""
    new, _ = load(paths, flags, old.dev_mode, host=host, read_hcl=read_hcl)
    before = dict(key_values(old))
    changed = {name: value for name, value in key_values(new) if value != before[name]}
    live = sorted(name for name in changed if KEYS[name].effect == Effect.LIVE)
    restart = sorted(name for name in changed if KEYS[name].effect == Effect.RESTART)
    config = old
    for name in live:
        config = with_value(config, name, changed[name])
    config = replace(
        config, files=new.files, sources=new.sources, without_effect=new.without_effect
    )
    return Reload(config, tuple(live), tuple(restart))
