"""HCL read by a process of its own, so that its reader's memory is not the agent's for life.

python-hcl2 with its grammar is 25 MB, half of what a fresh server weighs, for a file that is read
once. The child gets the text on standard input and answers with the items as JSON.

Run as `python -m quorate.config.read.hcl_apart` it is that child.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

from quorate.config.read.tree import Body, Expression, Item, MalformedError, Node

_TIMEOUT_S: Final = 60.0
_MALFORMED: Final = 3  # exit code: what is wrong stands on standard output


def read_hcl_apart(text: str) -> Body:
    """The items of an HCL text. Raises MalformedError, also when the child cannot do its work."""
    argv = [sys.executable, "-m", "quorate.config.read.hcl_apart"]
    try:
        done = subprocess.run(  # noqa: S603  this very program, and no word of the user
            argv, input=text.encode(), capture_output=True, timeout=_TIMEOUT_S, check=False
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


if __name__ == "__main__":
    sys.exit(main())
