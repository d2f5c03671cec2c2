"""The useful part of Go's text templates, for `-t`.

Understood: `{{.}}`, field paths `{{.A.B}}`, `$` and `{{$.A}}` (the outermost value), `{{range X}}`,
`{{if X}}`, `{{else}}`, `{{else if X}}`, `{{end}}`, the functions `len`, `json`, `not`, `eq`, `ne`,
`index`, literals ("text", `text`, numbers, true, false), comments, and `{{-`, `-}}`, which eat the
white space beside them. Anything else is refused by name: a template never prints half of what
was meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class TemplateError(Exception):
    """The template cannot be read, or does not fit the data; one line for a person."""


class Node(NamedTuple):
    """A piece of the parsed template. `kind` is text, print, if or range."""

    kind: str
    text: str = ""
    expression: tuple[str, ...] = ()
    body: tuple[Node, ...] = ()
    otherwise: tuple[Node, ...] = ()


ACTION = re.compile(r"\{\{(?:-(?=\s))?(.*?)(?:(?<=\s)-)?\}\}", re.DOTALL)
WORD = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|[^\s"`]+')
PATH = re.compile(r"\$?(\.[A-Za-z_][A-Za-z0-9_]*)+|\$|\.")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
ESCAPE = {"n": "\n", "t": "\t", "r": "\r"}


def render(template: str, data: Any) -> str:
    """Fill in the template. Raises TemplateError."""
    return _render(parsed(template), data, data)


def parsed(template: str) -> tuple[Node, ...]:
    """Its pieces. Raises TemplateError for what is wrong whatever the data are."""
    tokens = _tokens(template)
    nodes, ended_by, _ = _parse(tokens, 0)
    if ended_by:
        raise TemplateError(f"{{{{{ended_by}}}}} without a range or if before it")
    return nodes


def _tokens(template: str) -> list[tuple[bool, str]]:
    """(is an action, its inside or the plain text), white space eaten where asked."""
    tokens: list[tuple[bool, str]] = []
    at = 0
    eat_left = False
    for match in ACTION.finditer(template):
        plain = template[at : match.start()]
        plain = plain.lstrip() if eat_left else plain
        opening = match.group()
        if opening.startswith("{{-") and opening[3:4].isspace():
            plain = plain.rstrip()
        eat_left = opening.endswith("-}}") and opening[-4].isspace()
        tokens += [(False, plain)] if plain else []
        inside = match.group(1).strip()
        if not (inside.startswith("/*") and inside.endswith("*/")):
            tokens.append((True, inside))
        at = match.end()
    tail = template[at:]
    if "{{" in tail:
        raise TemplateError("unclosed action: {{ without }}")
    tail = tail.lstrip() if eat_left else tail
    return tokens + ([(False, tail)] if tail else [])


def _parse(tokens: Sequence[tuple[bool, str]], at: int) -> tuple[tuple[Node, ...], str, int]:
    """Nodes up to the end or an unmatched `end` or `else`; (nodes, that action, next place)."""
    nodes: list[Node] = []
    while at < len(tokens):
        is_action, inside = tokens[at]
        at += 1
        if not is_action:
            nodes.append(Node("text", text=inside))
            continue
        words = tuple(WORD.findall(inside))
        if not words:
            raise TemplateError("missing value for command: {{}}")
        if words[0] in {"end", "else"}:
            return tuple(nodes), inside, at
        if words[0] in {"range", "if"}:
            node, at = _block(words, tokens, at)
            nodes.append(node)
        else:
            nodes.append(Node("print", expression=_checked(words)))
    return tuple(nodes), "", at


def _block(words: tuple[str, ...], tokens: Sequence[tuple[bool, str]], at: int) -> tuple[Node, int]:
    kind, expression = words[0], _checked(words[1:])
    body, ended_by, at = _parse(tokens, at)
    otherwise: tuple[Node, ...] = ()
    closing = ended_by.split()
    if closing[:2] == ["else", "if"] and kind == "if":
        # The chained `if` takes the `end` that closes all of them.
        nested, at = _block(tuple(WORD.findall(ended_by))[1:], tokens, at)
        return Node(kind, expression=expression, body=body, otherwise=(nested,)), at
    if closing == ["else"]:
        otherwise, ended_by, at = _parse(tokens, at)
    if ended_by != "end":
        found = f"{{{{{ended_by}}}}}" if ended_by else "the end of the template"
        raise TemplateError(f"{{{{{' '.join(words)}}}}} has no {{{{end}}}}: found {found}")
    return Node(kind, expression=expression, body=body, otherwise=otherwise), at


def _checked(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of an expression, refused if they are beyond what is understood."""
    if not words:
        raise TemplateError("missing value: range and if need one, such as {{range .Servers}}")
    function = FUNCTIONS.get(words[0])
    for word in words[1:] if function else words:
        if word == "|":
            raise TemplateError("pipelines are not supported; write {{json .Field}}")
        if not (PATH.fullmatch(word) or NUMBER.fullmatch(word) or _is_literal(word)):
            known = ", ".join(sorted(FUNCTIONS))
            raise TemplateError(f'"{word}" is not supported; functions are {known}')
    if function and not function.least <= len(words) - 1 <= function.most:
        raise TemplateError(f"wrong number of arguments for {words[0]}: {len(words) - 1}")
    if not function and len(words) > 1:
        raise TemplateError(f'"{words[0]}" is not a function: {" ".join(words)}')
    return words


def _is_literal(word: str) -> bool:
    return word[0] in '"`' or word in {"true", "false"}


def _render(nodes: Sequence[Node], here: Any, root: Any) -> str:
    return "".join(_render_node(node, here, root) for node in nodes)


def _render_node(node: Node, here: Any, root: Any) -> str:
    if node.kind == "text":
        return node.text
    value = _evaluate(node.expression, here, root)
    if node.kind == "print":
        return _show(value)
    if node.kind == "if":
        return _render(node.body if _truth(value) else node.otherwise, here, root)
    if value is not None and not isinstance(value, (list, tuple, dict)):
        raise TemplateError(f"range can't iterate over {_show(value)}")
    items = [value[key] for key in sorted(value)] if isinstance(value, dict) else value
    if not items:
        return _render(node.otherwise, here, root)
    return "".join(_render(node.body, item, root) for item in items)


def _evaluate(words: tuple[str, ...], here: Any, root: Any) -> Any:
    function = FUNCTIONS.get(words[0])
    if function:
        return function.call(*(_operand(word, here, root) for word in words[1:]))
    return _operand(words[0], here, root)


def _operand(word: str, here: Any, root: Any) -> Any:
    if word[0] == '"':
        return re.sub(r"\\(.)", lambda m: ESCAPE.get(m[1], m[1]), word[1:-1])
    if word[0] == "`":
        return word[1:-1]
    if word in {"true", "false"}:
        return word == "true"
    if NUMBER.fullmatch(word):
        return float(word) if "." in word else int(word)
    value = root if word.startswith("$") else here
    for field in filter(None, word.lstrip("$").split(".")):
        value = _field(value, field)
    return value


def _field(value: Any, field: str) -> Any:
    if isinstance(value, dict):
        if field in value:
            return value[field]
        raise TemplateError(f"can't find field {field}; there are: {', '.join(sorted(value))}")
    if isinstance(value, (list, tuple)):
        raise TemplateError(f"can't find field {field} in a list; write {{{{range .}}}} first")
    raise TemplateError(f"can't find field {field} in {_show(value)}")


def _truth(value: Any) -> bool:
    return bool(value)


def _show(value: Any) -> str:
    """A value as Go prints it."""
    match value:
        case None:
            return "<no value>"
        case bool():
            return "true" if value else "false"
        case dict():
            return "map[" + " ".join(f"{k}:{_show(value[k])}" for k in sorted(value)) + "]"
        case list() | tuple():
            return "[" + " ".join(map(_show, value)) + "]"
        case float():
            return f"{value:g}" if value != int(value) else str(int(value))
    return str(value)


def _length(value: Any) -> int:
    if isinstance(value, (str, list, tuple, dict)):
        return len(value)
    raise TemplateError(f"len of {_show(value)}: it has no length")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            raise TemplateError(f"index: no {_show(key)} in {_show(value)}") from None
    return value


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Function(NamedTuple):
    """A function of the template language and how many arguments it takes."""

    call: Callable[..., Any]
    least: int
    most: int


FUNCTIONS = {
    "len": Function(_length, 1, 1),
    "json": Function(_json, 1, 1),
    "not": Function(lambda value: not _truth(value), 1, 1),
    "eq": Function(lambda first, *others: first in others, 2, 8),
    "ne": Function(lambda first, second: first != second, 2, 2),
    "index": Function(_index, 2, 8),
}
