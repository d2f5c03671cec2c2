"""HCL configuration, read with python-hcl2.

Its import and its grammar take a quarter of a second and some 25 MB, so both are loaded by the
first HCL file only, and an agent leaves that to a child (`hcl_apart`). Of its result the plain
syntax tree is used, for that knows lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from quorate.config.read.hcl1 import as_hcl2
from quorate.config.read.hcl_tree import TreeReader
from quorate.config.read.tree import Body, MalformedError

if TYPE_CHECKING:
    from lark.exceptions import UnexpectedInput

_QUOTED_MAX: Final = 20


def read_hcl(text: str) -> Body:
    """The items of an HCL text. Raises MalformedError."""
    from hcl2.api import parses_to_tree
    from lark.exceptions import LarkError, UnexpectedInput

    hcl2 = as_hcl2(text)
    try:
        tree = parses_to_tree(hcl2.text)
    except UnexpectedInput as error:
        raise MalformedError(_where_and_what(error, text)) from None
    except LarkError as error:
        raise MalformedError(str(error).partition("\n")[0]) from None
    return TreeReader(text, hcl2.names).body(tree.children[0])


def _where_and_what(error: UnexpectedInput, text: str) -> str:
    position = error.pos_in_stream or 0
    rest = text[position:]
    line = rest.partition("\n")[0].strip()
    if line:
        found = f'"{line.split()[0][:_QUOTED_MAX]}"'
    else:
        found = "end of the line" if rest.strip() else "end of the file"
    line_number = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"At {line_number}:{column}: unexpected {found}"
