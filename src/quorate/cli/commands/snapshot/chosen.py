"""`-filter` of `operator snapshot state`: the expressions of lists of variables, over any record.

Fields are `Type`, `Key`, and `Value.` with the names that are shown, as in `Value.namespace`. A
field that a record does not have is empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from quorate.api.codec.filters import BadFilter, Filter, Get, OutOfSteps, parsed
from quorate.cli.context import Failure

_VALUE: Final = "Value"
_AT_ONCE: Final = 64
"""Records after which a filter may take as many steps as before: its bound is for a request."""


class _Fields(Mapping[str, Get]):
    """All names that a record can have."""

    def __getitem__(self, name: str) -> Get:
        names = name.split(".")
        if names[0] == _VALUE:
            return lambda record: _text(record, names)
        if name in {"Type", "Key"}:
            return lambda record: str(record.get(name, ""))
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(("Type", "Key", "Value.<name>"))

    def __len__(self) -> int:
        return 3


def _text(record: Any, names: list[str]) -> str:
    for name in names:
        record = record.get(name) if isinstance(record, dict) else None
    if record is None:
        return ""
    return record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)


class Chosen:
    """The records that an expression chooses; all if it is empty. Raises Failure for a bad one."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._filter = self._made() if expression else None
        self._seen = 0

    def _made(self) -> Filter:
        try:
            return parsed(self._expression, _Fields())
        except BadFilter as error:
            raise Failure(f"Failed to read filter expression: {error}") from error

    def fits(self, record: dict[str, Any]) -> bool:
        """Whether it is chosen."""
        if self._filter is None:
            return True
        if self._seen % _AT_ONCE == 0:
            self._filter = self._made()
        self._seen += 1
        try:
            return self._filter.fits(record)
        except OutOfSteps:
            self._filter = self._made()
        try:
            return self._filter.fits(record)
        except OutOfSteps as error:
            raise Failure(
                "The regular expression takes too many steps for one record",
                "write a simpler one, or use contains",
            ) from error
