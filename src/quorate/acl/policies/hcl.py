"""A reader of HCL 1, as policies are written in it.

The reader of the configuration is not used: it needs a quarter of a second and 25 MB for a grammar
of HCL 2, and a server reads policies while it serves. Time and memory here are in proportion to the
text, which is bounded.
"""

from __future__ import annotations

from typing import Final

from quorate.acl.policies.scanning import Kind, Scanner, Word, shown
from quorate.acl.policies.tree import Body, Budget, Item, Value, Values, malformed

_KEYS: Final = frozenset({Kind.WORD, Kind.STRING})
_BOOLEANS: Final = {"true": True, "false": False}


def read_hcl(text: str) -> Body:
    """The items of a text. Raises PolicyInvalid."""
    return _Reader(text).whole()


class _Reader:
    """Recursive descent, as deep as DEPTH_MAX at most. `_word` is the word that is looked at."""

    def __init__(self, text: str) -> None:
        self._scanner = Scanner(text)
        self._budget = Budget()
        self._word = self._scanner.next()

    def whole(self) -> Body:
        """The text as a body without braces."""
        body = self._items(Kind.END)
        assert self._word.kind is Kind.END
        return body

    def _taken(self) -> Word:
        word = self._word
        self._word = self._scanner.next()
        return word

    def _items(self, closing: Kind) -> Body:
        """Items up to the closing word, which is not taken."""
        body = Body()
        while self._word.kind is not closing:
            if self._word.kind not in _KEYS:
                raise self._unexpected()
            body.append(self._item())
            if self._word.kind is Kind.COMMA:
                self._taken()
        return body

    def _unexpected(self) -> Exception:
        """Where a key or the end was expected."""
        where = f"At {self._word.place}: "
        if self._word.kind is Kind.END:
            return malformed(f"{where}object expected closing RBRACE got: EOF")
        return malformed(f"{where}expected a key, got: {shown(self._word)}")

    def _item(self) -> Item:
        self._budget.count()
        first = self._taken()
        keys = [first.text]
        while self._word.kind in _KEYS:
            keys.append(self._taken().text)
        if self._word.kind is Kind.OPEN:
            return Item(tuple(keys), self._body(), first.place)
        if self._word.kind is Kind.ASSIGN and len(keys) == 1:
            self._taken()
            return Item((first.text,), self._value(), first.place)
        if self._word.kind is Kind.END:
            raise self._unexpected()
        raise malformed(
            f"At {self._word.place}: key '{' '.join(keys)[:60]}' expected start of object ('{{') "
            "or assignment ('=')"
        )

    def _body(self) -> Body:
        self._budget.enter(f"At {self._word.place}: ")
        self._taken()
        body = self._items(Kind.CLOSE)
        self._taken()
        self._budget.leave()
        return body

    def _value(self) -> Value:
        match self._word.kind:
            case Kind.STRING | Kind.NUMBER:
                return self._taken().text
            case Kind.WORD if self._word.text in _BOOLEANS:
                return _BOOLEANS[self._taken().text]
            case Kind.OPEN:
                return self._body()
            case Kind.OPEN_LIST:
                return self._list()
            case Kind.END:
                raise self._unexpected()
        raise malformed(f"At {self._word.place}: Unknown token: {shown(self._word)}")

    def _end_of_value(self) -> None:
        """A comma, which is taken, or the end of the list."""
        word = self._word
        if word.kind is Kind.COMMA:
            self._taken()
        elif word.kind is not Kind.CLOSE_LIST:
            raise malformed(
                f"At {word.place}: error parsing list, expected comma or list end, "
                f"got: {shown(word)}"
            )

    def _list(self) -> Values:
        self._budget.enter(f"At {self._word.place}: ")
        self._taken()
        values = Values()
        while self._word.kind is not Kind.CLOSE_LIST:
            self._budget.count()
            values.append(self._value())
            self._end_of_value()
        self._taken()
        self._budget.leave()
        return values
