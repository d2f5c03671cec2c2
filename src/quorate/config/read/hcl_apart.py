"""HCL read by a process of its own, so that its reader's memory is not the agent's for life.

python-hcl2 with its grammar is 25 MB, half of what a fresh server weighs, for a file that is read
once. The child gets the text on standard input and answers with the items as JSON.

The child imports from where this process imports, and never from the working folder: an agent is
started as root in any folder, and reads its files again at each SIGHUP. So its interpreter is
isolated (`-I`: no working folder, no PYTHONPATH, no user site), and the folders of this process
come last in its path, behind the standard library and the installed packages.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from quorate.config.read.tree import Body, Expression, Item, MalformedError, Node

_TIMEOUT_S: Final = 60.0
_MALFORMED: Final = 3  # exit code: what is wrong stands on standard output
_CHILD: Final = (
    "import sys; sys.path += sys.argv[1:]; "
    "from quorate.config.read.hcl_apart import main; sys.exit(main())"
)


def read_hcl_apart(text: str) -> Body:
    """The items of an HCL text. Raises MalformedError, also when the child cannot do its work."""
    try:
        done = subprocess.run(  # noqa: S603  this very program, and no word of the user
            [sys.executable, "-I", "-c", _CHILD, *_folders()],
            input=text.encode(),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MalformedError(f"its reader could not be run: {error}") from None
    if done.returncode == _MALFORMED:
        raise MalformedError(done.stdout.decode())
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise MalformedError(f"its reader ended with {done.returncode}: {last}")
    body = _from_json(json.loads(done.stdout))
    assert isinstance(body, Body)
    return body


def _folders() -> list[str]:
    """Where the child finds this package and its libraries if they are not installed."""
    here = str(Path(__file__).resolve().parents[3])
    working = _working_folder()
    path = (each for each in sys.path if each.startswith("/") and each != working)
    return list(dict.fromkeys((here, *path)))


def _working_folder() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was deleted
        return ""


def _to_json(node: Node) -> Any:
    if isinstance(node, Body):
        items = [[i.key, _to_json(i.value), i.line, list(i.labels)] for i in node.items]
        return {"body": items}
    if isinstance(node, Expression):
        return {"expression": node.text}
    if isinstance(node, list):
        return [_to_json(each) for each in node]
    return node


def _from_json(value: Any) -> Node:
    if isinstance(value, list):
        return [_from_json(each) for each in value]
    if not isinstance(value, dict):
        plain: Node = value
        return plain
    if "expression" in value:
        return Expression(value["expression"])
    return Body(
        [
            Item(key, _from_json(inner), line, tuple(labels))
            for key, inner, line, labels in value["body"]
        ]
    )


def main() -> int:
    """The child: text in, items out."""
    from quorate.config.read.hcl_text import read_hcl

    try:
        body = read_hcl(sys.stdin.buffer.read().decode())
    except MalformedError as error:
        sys.stdout.buffer.write(str(error).encode())
        return _MALFORMED
    sys.stdout.write(json.dumps(_to_json(body)))
    return 0
