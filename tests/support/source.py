"""The repository's own code, read: what test_tidy.py looks at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from places import ROOT

PACKAGE = ROOT / "src" / "quorate"


class Import(NamedTuple):
    """One imported name, fully spelled; `line` is where."""

    name: str
    line: int


class Module(NamedTuple):
    """One file of ours, read."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def place(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def part(self) -> str:
        """The folder below the package, or the module's own name at the top of it."""
        first = self.path.relative_to(PACKAGE).parts[0]
        return first.removesuffix(".py")

    def imports(self) -> Iterator[Import]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (Import(alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                # A relative import keeps its dots: it fits no layer and no library.
                source = "." * node.level + (node.module or "")
                yield from (Import(f"{source}.{a.name}", node.lineno) for a in node.names)


def read(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    return Module(path, text, ast.parse(text, str(path)))


@cache
def package_modules() -> tuple[Module, ...]:
    return tuple(read(path) for path in sorted(PACKAGE.rglob("*.py")))


@cache
def all_modules() -> tuple[Module, ...]:
    others = [
        path
        for folder in ("bench", "examples", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    return (*package_modules(), *map(read, others))
