"""The program, with a note of the longest callback of its event loop, in CPU time of its thread.

uvloop has no hook for that, so everything by which it calls Python is wrapped: what is scheduled,
readers of descriptors, and the methods of protocols. What the thread works between two of these
calls counts as one too: there uvloop itself works, and TLS. The figures stand in a mapped file,
which the run of the attacks reads and sets back (`attack_measure.Loop`).
"""

from __future__ import annotations

import asyncio
import mmap
import os
import sys
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Final

import uvloop

FILE: Final = "ATTACK_LOOP_FILE"
"""In the environment: the mapped file."""
FILE_BYTES: Final = 4096
NAME_AT: Final = 16  # after the longest (ns) and the number of callbacks

_SCHEDULING: Final = ("call_soon", "call_soon_threadsafe")
_MAKING: Final = (
    *("create_server", "create_unix_server", "create_connection", "connect_accepted_socket"),
)
_METHODS: Final = (
    "connection_made",
    "connection_lost",
    "data_received",
    "datagram_received",
    "eof_received",
    "get_buffer",
    "buffer_updated",
    "pause_writing",
    "resume_writing",
)


class Notes:
    """The mapped file of this process."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR)
        self.map = mmap.mmap(descriptor, FILE_BYTES)
        os.close(descriptor)
        self.numbers = memoryview(self.map).cast("Q")
        self._ended = time.thread_time_ns()
        self._depth = 0

    def measured(self, callback: Callable[..., Any], *arguments: Any) -> Any:
        """Call it, and note how long it took if that was the longest."""
        began = time.thread_time_ns()
        if not self._depth and began - self._ended > self.numbers[0]:
            self._note(began - self._ended, "uvloop")
        self._depth += 1
        try:
            return callback(*arguments)
        finally:
            self._depth -= 1
            self._ended = time.thread_time_ns()
            self.numbers[1] += 1
            if self._ended - began > self.numbers[0]:
                self._note(self._ended - began, _name(callback))

    def _note(self, took_ns: int, what: str) -> None:
        self.numbers[0] = took_ns
        self.map[NAME_AT : NAME_AT + 200] = what.encode()[:200].ljust(200)


def _name(callback: Any) -> str:
    if isinstance(callback, partial):
        return _name(callback.func)
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return f"task {getattr(owner.get_coro(), '__qualname__', owner)}"
    name = getattr(callback, "__qualname__", None)
    return f"{type(owner).__qualname__}: {name}" if owner is not None else str(name or callback)


def watch(notes: Notes) -> None:
    """Wrap uvloop's ways into Python."""
    loop: Any = uvloop.Loop
    for name in _SCHEDULING:
        setattr(loop, name, _scheduling(getattr(loop, name), notes))
    loop.call_later = _later(loop.call_later, notes)
    loop.add_reader = _later(loop.add_reader, notes)
    protocols = _Protocols(notes)
    for name in _MAKING:
        setattr(loop, name, _making(getattr(loop, name), protocols))


def _scheduling(original: Any, notes: Notes) -> Any:
    @wraps(original)
    def schedule(loop: Any, callback: Any, *arguments: Any, context: Any = None) -> Any:
        return original(loop, notes.measured, callback, *arguments, context=context)

    return schedule


def _later(original: Any, notes: Notes) -> Any:
    @wraps(original)
    def later(loop: Any, first: Any, callback: Any, *arguments: Any, **keywords: Any) -> Any:
        return original(loop, first, notes.measured, callback, *arguments, **keywords)

    return later


def _making(original: Any, protocols: _Protocols) -> Any:
    @wraps(original)
    def make(loop: Any, factory: Any, *arguments: Any, **keywords: Any) -> Any:
        return original(loop, partial(protocols.made_by, factory), *arguments, **keywords)

    return make


class _Protocols:
    """Wraps the methods of all classes of protocols; `made_by` is a wrapped factory."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._wrapped: set[type] = set()

    def made_by(self, factory: Callable[[], Any]) -> Any:
        protocol = self._notes.measured(factory)
        if type(protocol) not in self._wrapped:
            self._wrap(asyncio.BaseProtocol)
        return protocol

    def _wrap(self, kind: Any) -> None:
        if kind not in self._wrapped:
            self._wrapped.add(kind)
            for name in _METHODS:
                if name in kind.__dict__:
                    setattr(kind, name, self._method(kind.__dict__[name]))
        for subclass in kind.__subclasses__():
            self._wrap(subclass)

    def _method(self, original: Any) -> Any:
        @wraps(original)
        def method(protocol: Any, *arguments: Any) -> Any:
            return self._notes.measured(original, protocol, *arguments)

        return method


if __name__ == "__main__":
    from quorate.cli.main import main

    watch(Notes(os.environ[FILE]))
    sys.exit(main())
