"""`quorate operator diagnose`: why there is no leader, and what to do next."""

from __future__ import annotations

import asyncio
import base64
import re
import shlex
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from quorate.cli.commands.operator.diagnosed import as_json, show
from quorate.cli.commands.operator.folder_named import folder_named
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.progress import Progress
from quorate.client.transport.address import addresses_of, parse_address
from quorate.client.transport.environment import Settings, settings_from_environment
from quorate.client.transport.tls import TlsOptions, build_context
from quorate.diagnosis.asking.network import Place
from quorate.diagnosis.asking.servers import DEADLINE_S, Gatherer, How
from quorate.diagnosis.judging import diagnose as judged
from quorate.diagnosis.reading import folder_at
from quorate.diagnosis.values import Folder, Outcome, World
from quorate.errors import QuorateError
from quorate.net.threads import in_thread

CODES: Final = {Outcome.HEALTHY: 0, Outcome.CAUSE: 2, Outcome.SILENT: 3}
_SCHEMES: Final = ("http://", "https://", "unix://")
_HOST_AND_PORT: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9_.-]*):[0-9]{1,5}")
_TOLD_AGAIN: Final = (
    *("ca-cert", "ca-path", "client-cert", "client-key", "tls-server-name"),
    "token-file",
)


def diagnose(context: Context) -> int:
    """Ask all servers that can be found, and name the causes; the exit code says how it ended."""
    addresses, folders = _named(context)
    settings = _settings(context)
    joins: Sequence[str] = ()
    port = 4646
    if (path := context.flags.text("config")) != "":
        own, joins, port = _configured(path)
        addresses = addresses or own
    if not addresses and not (folders and "address" not in context.flags.values):
        addresses = list(addresses_of(settings.address))
    how = How(_placing(settings), _headers(settings))
    for address in addresses:
        with doing("Error initializing client: "):
            how.place(address)  # a mistake is the user's, and nothing is asked then
    with Progress(context.out, "Asking servers", quiet=context.quiet()) as progress:
        gathering = Gatherer(how, progress.say).gather(addresses, joins, port)
        world = asyncio.run(_gathered(gathering, folders))
    world = msgspec.structs.replace(world, options=_given(context))
    found = judged(world)
    context.show(as_json(world, found), lambda: show(context, world, found))
    return CODES[found.outcome]


def _named(context: Context) -> tuple[list[str], list[Path]]:
    addresses, folders = [], []
    for arg in context.flags.args:
        if arg.startswith(_SCHEMES):
            addresses.append(arg)
        elif _HOST_AND_PORT.fullmatch(arg) and not Path(arg).exists():
            addresses.append(f"{_scheme(context)}://{arg}")
        else:
            folders.append(folder_named(arg))
    for given in reversed(context.flags.many("address")):
        with doing("Error initializing client: "):
            addresses = [*addresses_of(given), *addresses]
    return addresses, folders


def _scheme(context: Context) -> str:
    """That of an address which names none: TLS, if anything was given for it."""
    settings = _settings(context)
    return "http" if settings.tls == TlsOptions() else "https"


def _given(context: Context) -> tuple[str, ...]:
    """Options that were typed and a command told next needs too: of TLS, and where the token is."""
    found = [
        f"-{name}={shlex.quote(value)}"
        for name in _TOLD_AGAIN
        if isinstance(value := context.flags.values.get(name), str) and value
    ]
    unchecked = context.flags.on("tls-skip-verify") or context.flags.on("insecure")
    return (*found, "-tls-skip-verify") if unchecked else tuple(found)


def _settings(context: Context) -> Settings:
    given = {k: v for k, v in context.flags.values.items() if isinstance(v, (str, bool))}
    if "insecure" in given:
        given.setdefault("tls-skip-verify", given["insecure"])
    with doing("Error initializing client: "):
        return settings_from_environment(context.environ, given)


def _configured(path: str) -> tuple[list[str], Sequence[str], int]:
    """The agent of a configuration, the servers that it is to join, and its HTTP port.

    It is taken as it is written: the file may be of another machine, and have mistakes elsewhere.
    Raises Failure.
    """
    from quorate.config.load import assemble, files_of
    from quorate.config.read.parse import parse_file, read_hcl_here

    try:
        partials = [parse_file(Path(file), read_hcl_here) for file in files_of(path)]
        config = assemble(partials, {}, dev=False)
    except QuorateError as error:
        raise Failure(f"Error reading the configuration: {error.text}", error.next_step) from error
    host = next(iter(config.addresses.http.split()), config.bind_addr)
    host = "127.0.0.1" if host in {"", "0.0.0.0", "::"} else host  # noqa: S104  not bound to
    shown = f"[{host}]" if ":" in host else host
    joining = config.server.join
    joins = (*joining.retry_join, *joining.start_join)
    scheme = "https" if config.tls.http else "http"
    return [f"{scheme}://{shown}:{config.ports.http}"], joins, config.ports.http


def _placing(settings: Settings) -> Any:
    contexts: dict[str, Any] = {}

    def place(text: str) -> Place:
        address = parse_address(text)
        if address.tls and "tls" not in contexts:
            contexts["tls"] = build_context(settings.tls)
        named = f"unix://{address.socket}" if address.socket else address.base
        return Place(
            base=named,
            host=address.host,
            port=address.port,
            socket=address.socket,
            tls=contexts["tls"] if address.tls else None,
            server_name=settings.tls.server_name,
        )

    if settings.tls != TlsOptions():  # a wrong path is told whatever the scheme
        with doing("Error initializing client: "):
            contexts["tls"] = build_context(settings.tls)
    return place


def _headers(settings: Settings) -> dict[str, str]:
    headers = {"User-Agent": "quorate"}
    if token := settings.token.strip():
        headers["X-Nomad-Token"] = token
    if settings.http_auth is not None:
        pair = ":".join(settings.http_auth).encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    if any("\r" in value or "\n" in value for value in headers.values()):
        raise Failure("The token, or QUORATE_HTTP_AUTH, has a line end within")
    return headers


async def _gathered(gathering: Coroutine[Any, Any, World], folders: Sequence[Path]) -> World:
    """The servers and the folders, side by side, within one deadline."""
    reading = [asyncio.ensure_future(in_thread(folder_at, path)) for path in folders]
    until = asyncio.get_running_loop().time() + DEADLINE_S
    world = await gathering
    if reading:
        await asyncio.wait(reading, timeout=max(0.1, until - asyncio.get_running_loop().time()))
    found = tuple(
        each.result()
        if each.done()
        else Folder(path=str(path), error=f"it was not read within {DEADLINE_S:g} s")
        for path, each in zip(folders, reading, strict=True)
    )
    return msgspec.structs.replace(world, folders=found)
