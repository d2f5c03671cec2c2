"""Names of hosts are looked up side by side: none waits behind one that resolves slowly.

The loop's own resolver uses the loop's default threads. There are few of them (four more than
processors), so a few names whose DNS server does not answer would hold up every other name, and
each new try of theirs would take another thread. Here each name has a thread of its own, and one
only, whatever number of callers ask for it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from quorate.net.threads import in_thread

LOOKUPS_MAX: Final = 128
"""Names that are looked up at one time. The next one waits until one of these has its answer."""

NO_DNS: Final = (
    "no DNS server answers this machine; look at /etc/resolv.conf, or write IP addresses"
)

P = TypeVar("P", bound=asyncio.BaseProtocol)

_Lookup = asyncio.Future[list[Any]]
_running: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Lookup]] = WeakKeyDictionary()


async def lookup(host: str) -> list[str]:
    """The IP addresses of a host, each once; of an IP address itself. Raises OSError, UnicodeError.

    A caller that is cancelled leaves the lookup to those that ask for the same name later.
    """
    if _is_literal(host):
        return [host]
    running = _running.setdefault(asyncio.get_running_loop(), {})
    while host not in running and len(running) >= LOOKUPS_MAX:
        await asyncio.wait(running.values(), return_when=asyncio.FIRST_COMPLETED)
    found = running.get(host) or _begin(host, running)
    entries = await asyncio.shield(found)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


def unanswered(host: str) -> str:
    """Empty, or that the DNS has not answered for this host: for one whose time is up."""
    if host not in _running.get(asyncio.get_running_loop(), {}):
        return ""
    return f"lookup {host}: i/o timeout: {NO_DNS}"


def _begin(host: str, running: dict[str, _Lookup]) -> _Lookup:
    try:
        found: _Lookup = in_thread(socket.getaddrinfo, host, None, 0, socket.SOCK_STREAM)
    except RuntimeError as error:  # the machine has no thread left
        raise OSError(f"{host} is not looked up: {error}") from None

    def ended(done: _Lookup) -> None:
        del running[host]
        done.exception()  # its callers may be gone; then nobody else takes it

    found.add_done_callback(ended)
    running[host] = found
    return found


Opener = Callable[[Callable[[], P], str, int], Awaitable[tuple[asyncio.Transport, P]]]
"""Opens a connection to an IP address and a port. Raises OSError."""


async def connect(
    make_protocol: Callable[[], P], host: str, port: int, opener: Opener[P] | None = None
) -> tuple[asyncio.Transport, P]:
    """`loop.create_connection`, with names looked up here. Raises OSError, UnicodeError."""
    failures: list[OSError] = []
    for address in await lookup(host):
        try:
            transport, protocol = await (opener or _open)(make_protocol, address, port)
        except OSError as error:
            failures.append(error)
        else:
            return transport, protocol
    if len(failures) == 1:
        raise failures[0]
    raise OSError("; ".join(map(str, failures)) or f"{host} has no address")


async def _open(
    make_protocol: Callable[[], P], address: str, port: int
) -> tuple[asyncio.Transport, P]:
    return await asyncio.get_running_loop().create_connection(make_protocol, address, port)


async def open_stream(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """`asyncio.open_connection`, with names looked up here. Raises OSError, UnicodeError."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    transport, protocol = await connect(
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop), host, port
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
