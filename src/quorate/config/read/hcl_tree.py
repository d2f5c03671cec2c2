"""From python-hcl2's syntax tree to a `Body` of constants with their lines.

The names of branches are those of its grammar. What would have to be computed becomes an
`Expression`, which only keys without effect may have.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias, TypeGuard

from quorate.config.read.hcl1 import PERCENT
from quorate.config.read.tree import (
    DEPTH_MAX,
    Body,
    Expression,
    Item,
    MalformedError,
    Node,
    too_deep,
)

if TYPE_CHECKING:
    from lark import Token, Tree

Branch: TypeAlias = "Tree[Token]"
Child: TypeAlias = "Tree[Token] | Token"

_CONSTANTS: Final = {"true": True, "false": False, "null": None}
_LAYOUT: Final = "new_line_or_comment"


def _is_branch(node: Child) -> TypeGuard[Branch]:
    """Whether a node of the syntax tree has children."""
    return hasattr(node, "children")


def _children(tree: Child) -> list[Child]:
    """What a branch consists of, without comments and ends of lines."""
    assert _is_branch(tree)
    return [each for each in tree.children if not _is_branch(each) or each.data != _LAYOUT]


class TreeReader:
    """Reads the tree of one text, which it needs for lines and for what is no constant.

    The tree is that of `hcl1.as_hcl2`, which has put stand-ins in the place of `names`.

    Invariant: `_depth` counts the bodies, lists and objects around what is being read.
    """

    def __init__(self, text: str, names: Mapping[int, str]) -> None:
        self._text = text
        self._names = names
        self._depth = 0
        self._readers: dict[str, Callable[[Branch], Node]] = {
            "expr_term": self._term,
            "float_lit": lambda tree: float(str(tree.children[0])),
            "heredoc_template": _here_document,
            "heredoc_template_trim": lambda tree: textwrap.dedent(_here_document(tree)),
            "int_lit": _integer,
            "literal_value": lambda tree: _CONSTANTS[str(tree.children[0])],
            "object": self._object,
            "string": self._string,
            "tuple": self._list,
            "unary_op": self._negative,
        }

    def body(self, tree: Child) -> Body:
        """The inside of a block or of the file. Raises MalformedError."""
        self._enter()
        items: list[Item] = []
        for child in _children(tree):
            assert _is_branch(child)
            items.append(self._attribute(child) if child.data != "block" else self._block(child))
        self._depth -= 1
        return Body(items)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise too_deep()

    def _attribute(self, tree: Branch) -> Item:
        name, _, value = _children(tree)
        return Item(self._name(name), self._value(value), self._line(tree))

    def _block(self, tree: Branch) -> Item:
        name, *labels, body = (each for each in _children(tree) if _is_branch(each))
        return Item(
            self._name(name),
            self.body(body),
            self._line(tree),
            tuple(self._name(label) for label in labels),
        )

    def _name(self, tree: Child) -> str:
        """An identifier, a word of the language used as a name, a string, a number."""
        assert _is_branch(tree)
        if (given := self._names.get(tree.meta.start_pos)) is not None:
            return given
        if tree.data in {"object_elem_key", "expr_term"} and len(tree.children) == 1:
            return self._name(tree.children[0])
        text = self._string(tree) if tree.data == "string" else self._source(tree)
        return text.text if isinstance(text, Expression) else text

    def _value(self, tree: Child) -> Node:
        assert _is_branch(tree)
        reader = self._readers.get(str(tree.data), self._source)
        return reader(tree)

    def _term(self, tree: Branch) -> Node:
        parts = _children(tree)
        return self._value(parts[0]) if len(parts) == 1 else self._source(tree)

    def _list(self, tree: Branch) -> Node:
        self._enter()
        values = [self._value(each) for each in _children(tree) if _is_branch(each)]
        self._depth -= 1
        return values

    def _object(self, tree: Branch) -> Node:
        self._enter()
        elements = [each for each in _children(tree) if _is_branch(each)]
        items = [self._attribute(element) for element in elements]
        self._depth -= 1
        return Body(items)

    def _negative(self, tree: Branch) -> Node:
        sign, operand = _children(tree)
        value = self._value(operand)
        if sign == "-" and isinstance(value, int | float) and not isinstance(value, bool):
            return -value
        return self._source(tree)

    def _string(self, tree: Branch) -> str | Expression:
        """The value of a string in quotes."""
        from hcl2.utils import process_escape_sequences

        source = self._source(tree)
        pieces = [part.children[0] for part in tree.children if _is_branch(part)]
        texts = [str(piece) for piece in pieces if getattr(piece, "type", "") == "STRING_CHARS"]
        if len(texts) < len(pieces):
            return source
        return process_escape_sequences("".join(texts)).replace(PERCENT, "%")

    def _line(self, tree: Branch) -> int:
        return self._text.count("\n", 0, tree.meta.start_pos) + 1

    def _source(self, tree: Branch) -> Expression:
        return Expression(self._text[tree.meta.start_pos : tree.meta.end_pos])


def _integer(tree: Branch) -> int:
    try:
        return int(str(tree.children[0]))
    except ValueError:  # Python refuses to convert thousands of digits
        raise MalformedError(f"At {tree.meta.line}:{tree.meta.column}: too many digits") from None


def _here_document(tree: Branch) -> str:
    """The lines between the marks."""
    _, _, rest = str(tree.children[0]).partition("\n")
    lines, _, _ = rest.rstrip("\r\n").rpartition("\n")
    return f"{lines}\n" if lines else ""
