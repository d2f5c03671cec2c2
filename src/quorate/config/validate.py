"""Check configuration files without starting anything: all mistakes, not only the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from quorate.config.checks.check import address_problems, problems
from quorate.config.checks.host import Host
from quorate.config.load import THIS_HOST, assemble, complete, files_of
from quorate.config.read.parse import parse_file
from quorate.config.read.value import Partial
from quorate.errors import ConfigError


def validate(paths: Sequence[str | Path], *, host: Host = THIS_HOST) -> list[str]:
    """One line for each mistake; empty if an agent would start with these files."""
    partials: list[Partial] = []
    errors: list[ConfigError] = []
    for path in paths:
        try:
            files = files_of(path)
        except ConfigError as error:
            errors.append(error)
            continue
        for file in files:
            try:
                partials.append(parse_file(Path(file)))
            except ConfigError as error:
                errors.append(error)
    if not errors:
        errors = _check(partials, host)
    return [_line(error) for error in errors]


def _check(partials: Sequence[Partial], host: Host) -> list[ConfigError]:
    draft = assemble(partials, {}, dev=False)
    errors = list(problems(draft))
    if errors:
        return errors
    try:
        return list(address_problems(complete(draft, host)))
    except ConfigError as error:
        return [error]


def _line(error: ConfigError) -> str:
    return f"{error.text}; {error.next_step}" if error.next_step else error.text
