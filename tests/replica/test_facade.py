"""`from quorate import ...`: every name of the library, typed, and nothing of the agent with it."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import quorate

ROOT = Path(__file__).parents[2]
OF_THE_AGENT = (
    *("httptools", "uvicorn", "uvloop", "httpx", "hcl2", "lark"),
    *("quorate.api", "quorate.agent", "quorate.cli", "quorate.client", "quorate.config"),
    *("quorate.gossip", "quorate.pool", "quorate.server", "quorate.state", "quorate.testing"),
    *("quorate.loglines", "quorate.shapes", "quorate.autopilot", "cryptography.x509"),
)
AUTHOR = """
from collections.abc import Callable
from pathlib import Path
from quorate import Options, Read, Replica, StateMachine, Write, serve

class Words:
    def apply(self, index: int, command: bytes) -> str: return command.decode()
    def snapshot(self) -> Callable[[Write], object]: return lambda write: write(b"")
    def decode_snapshot(self, read: Read) -> bytes: return read(1)
    def restore(self, image: bytes) -> None: pass

machine: StateMachine[str] = Words()

async def main() -> None:
    replica = await serve("1", {"1": "127.0.0.1:1"}, Words(), Path("x"), Options())
    reveal_type(replica)
    reveal_type((await replica.propose(b"x"))[1])
    reveal_type(replica.propose_threadsafe(b"x").result()[1])
    reveal_type(replica.status().peers[0].behind)
    wrong: Replica[int] = replica
    replica.propose("text")
    replica.no_such_method()

from quorate import NoSuchName
"""
FOUND = [
    'Revealed type is "quorate.replica.replica.Replica[str]"',
    'Revealed type is "str"',
    'Revealed type is "str"',
    'Revealed type is "int"',
    'Incompatible types in assignment (expression has type "Replica[str]", variable has type',
    'Argument 1 to "propose" of "Replica" has incompatible type "str"; expected "bytes"',
    '"Replica[str]" has no attribute "no_such_method"',
    'Module "quorate" has no attribute "NoSuchName"',
]


def loaded(code: str) -> set[str]:
    """The modules that a fresh process has after this."""
    code += "; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_of_it() -> None:
    ours = {name for name in loaded("import quorate") if name.startswith("quorate")}
    assert ours == {"quorate", "quorate.version"}


def test_the_library_loads_nothing_that_only_the_agent_needs() -> None:
    names = ", ".join(quorate.__all__)
    modules = loaded(f"from quorate import {names}")
    assert "quorate.replica.serve" in modules
    wrong = [m for m in sorted(modules) for a in OF_THE_AGENT if m == a or m.startswith(a + ".")]
    assert not wrong


def imported_for_types() -> dict[str, str]:
    """The names of the facade and their modules, as a type checker reads them."""
    tree = ast.parse(Path(quorate.__file__).read_text(encoding="utf-8"))
    return {
        alias.name: node.module or ""
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_each_name_is_what_a_type_checker_sees() -> None:
    homes = imported_for_types()
    assert {*homes, "__version__"} == set(quorate.__all__)
    for name, home in homes.items():
        assert getattr(quorate, name) is getattr(importlib.import_module(home), name), name
    assert set(quorate.__all__) <= set(dir(quorate))


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchName"):
        _ = quorate.NoSuchName  # type: ignore[attr-defined]


def test_results_are_typed_for_the_author(tmp_path: Path) -> None:
    """`apply` returns text, so the future of `propose` gives text."""
    program = tmp_path / "author.py"
    program.write_text(AUTHOR)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--no-pretty"]
    command = [*mypy, "--config-file=", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    lines = [line for line in done.stdout.splitlines() if "note: " in line or "error: " in line]
    assert len(lines) == len(FOUND), done.stdout
    for line, text in zip(lines, FOUND, strict=True):
        assert text in line
