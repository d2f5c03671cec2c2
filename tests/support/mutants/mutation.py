"""Deliberate bugs: one piece of text in one function is another for as long as a `with` lasts."""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any, cast


@contextmanager
def replaced(name: str, function: Callable[..., Any], old: str, new: str) -> Iterator[None]:
    """`new` stands where `old` stood, which must occur once in the source of `function`."""
    changed = cast("FunctionType", function)
    source = textwrap.dedent(inspect.getsource(changed))
    assert source.count(old) == 1, f"{name}: look at {changed.__qualname__} again"
    flags = __future__.annotations.compiler_flag
    code = compile(source.replace(old, new), f"<{name}>", "exec", flags)
    names: dict[str, Any] = {}
    exec(code, changed.__globals__, names)
    kept = changed.__code__
    changed.__code__ = names[changed.__name__].__code__
    try:
        yield
    finally:
        changed.__code__ = kept
