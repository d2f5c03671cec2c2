"""From paths and flags to a configuration that is complete and checked.

Order, later wins (docs/configuration.md#files-flags-and-order): defaults or dev defaults, each path
in the order given, flags. Of a folder all files that end in .hcl or .json are read, sorted by name
and not recursively; temporary files of editors are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from quorate.config.build import build
from quorate.config.checks.addresses import resolve_addresses
from quorate.config.checks.check import address_problems, problems
from quorate.config.checks.endpoint import parse_endpoint
from quorate.config.checks.host import Host
from quorate.config.keys.effects import DEV_ORIGIN, dev_warnings, effect_warnings
from quorate.config.model import AgentConfig
from quorate.config.read.flags import apply_flags
from quorate.config.read.merge import merge
from quorate.config.read.parse import HclReader, parse_file, read_hcl_here, reason
from quorate.config.read.value import Partial, Setting, Source
from quorate.errors import ConfigError

THIS_HOST: Final = Host()

DEV: Final[Partial] = MappingProxyType(
    {
        key: Setting(value, Source(DEV_ORIGIN))
        for key, value in {
            "bind_addr": "127.0.0.1",
            "log_level": "DEBUG",
            "server.enabled": True,
            "server.bootstrap_expect": 1,
            "telemetry.prometheus_metrics": True,
        }.items()
    }
)
"""What dev mode sets (docs/configuration.md#flags), except for the client that Quorate has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """Notes for people about a configuration that was loaded."""

    files: tuple[str, ...]
    empty_folders: tuple[str, ...]
    warnings: tuple[str, ...]

    def loaded_line(self) -> str:
        """The line for stdout (golden case agent-merge)."""
        if not self.files:
            return "==> No configuration files loaded"
        return f"==> Loaded configuration from {', '.join(self.files)}"

    def error_lines(self) -> tuple[str, ...]:
        """The lines for stderr (golden case agent-empty-config-dir)."""
        empty = tuple(f"No configuration loaded from {folder}" for folder in self.empty_folders)
        return (*empty, *(f"==> {warning}" for warning in self.warnings))


def load(
    paths: Sequence[str | Path],
    flags: Mapping[str, object] = MappingProxyType({}),
    dev: bool = False,
    *,
    host: Host = THIS_HOST,
    read_hcl: HclReader = read_hcl_here,
) -> tuple[AgentConfig, Notes]:
    """The configuration of an agent. Reads files and asks the host for its addresses.

    `flags` are those given, by name (`quorate.config.read.flags`); `dev` is the same as its "dev".
    A process that lives on reads HCL with `quorate.config.read.hcl_apart`. Raises ConfigError with
    the first mistake.
    """
    found = {str(path): files_of(path) for path in paths}
    files = tuple(file for each in found.values() for file in each)
    partials = [parse_file(Path(file), read_hcl) for file in files]
    draft = assemble(partials, flags, dev=dev)
    for problem in problems(draft):
        raise problem
    config = complete(draft, host)
    for problem in address_problems(config):
        raise problem
    notes = Notes(
        files=files,
        empty_folders=tuple(path for path, inside in found.items() if not inside),
        warnings=tuple(_warnings(draft, config)),
    )
    return replace(config, files=files), notes


def files_of(path: str | Path) -> tuple[str, ...]:
    """The configuration files that a path stands for. Raises ConfigError if it is not there."""
    try:
        if not Path(path).is_dir():
            Path(path).stat()
            return (str(path),)
        names = sorted(each.name for each in Path(path).iterdir() if not each.is_dir())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"Error loading configuration from {path}: stat {path}: {reason(error)}"
        ) from None
    return tuple(str(Path(path) / name) for name in names if _is_configuration(name))


def _is_configuration(name: str) -> bool:
    is_temporary = name.endswith("~") or name.startswith((".#", "#"))
    return name.endswith((".hcl", ".json")) and not is_temporary


def assemble(partials: Sequence[Partial], flags: Mapping[str, object], *, dev: bool) -> AgentConfig:
    """Defaults, files and flags together, as written: neither checked nor resolved."""
    dev = dev or flags.get("dev") is True
    settings = merge([*((DEV,) if dev else ()), *partials, apply_flags(flags)])
    return replace(build(settings), dev_mode=dev)


def complete(draft: AgentConfig, host: Host) -> AgentConfig:
    """A checked draft with what dev mode forces, the host name and real addresses.

    Raises ConfigError if an address is none, or must not be told to others.
    """
    server = draft.server
    initial = tuple(str(parse_endpoint(text, None)) for text in server.initial_servers)
    config = replace(
        draft,
        name=draft.name or host.name(),
        log_level=draft.log_level.upper(),
        server=replace(server, initial_servers=initial),
    )
    if config.dev_mode:
        alone = replace(server, enabled=True, initial_servers=(), bootstrap_expect=1)
        config = replace(config, data_dir="", server=alone)
    return resolve_addresses(config, host)


def _warnings(draft: AgentConfig, config: AgentConfig) -> Iterator[str]:
    count = len(config.server.initial_servers) or config.server.bootstrap_expect
    if config.dev_mode:
        yield from dev_warnings(draft)
    elif count == 1:
        yield "WARNING: Bootstrap mode enabled! Potentially unsafe operation."
    elif count and count % 2 == 0:
        yield (
            f"WARNING: A cluster of {count} servers survives no more failures than one of"
            f" {count - 1}; use an odd number"
        )
    yield from effect_warnings(config)
