"""`quorate operator diagnose`: why there is no leader, and what to do next."""

from __future__ import annotations

import asyncio
import base64
import textwrap
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from quorate.cli.commands.operator.folder_named import folder_named
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.progress import Progress
from quorate.client.address import addresses_of, parse_address
from quorate.client.environment import Settings, settings_from_environment
from quorate.client.tls import TlsOptions, build_context
from quorate.diagnosis.asking.network import Place
from quorate.diagnosis.asking.servers import ASKED_MAX, DEADLINE_S, Gatherer, How
from quorate.diagnosis.judging import diagnose as judged
from quorate.diagnosis.reading import folder_at
from quorate.diagnosis.values import Asked, Diagnosis, Finding, Folder, Outcome, Server, World
from quorate.errors import QuorateError
from quorate.net.threads import in_thread

CODES: Final = {Outcome.HEALTHY: 0, Outcome.CAUSE: 2, Outcome.SILENT: 3}
_SCHEMES: Final = ("http://", "https://", "unix://")
_WIDTH: Final = 80


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
    found = judged(world)
    context.show(_as_json(world, found), lambda: _print(context, world, found))
    return CODES[found.outcome]


def _named(context: Context) -> tuple[list[str], list[Path]]:
    args = context.flags.args
    addresses = [arg for arg in args if arg.startswith(_SCHEMES)]
    folders = [folder_named(arg) for arg in args if not arg.startswith(_SCHEMES)]
    for given in reversed(context.flags.many("address")):
        with doing("Error initializing client: "):
            addresses = [*addresses_of(given), *addresses]
    return addresses, folders


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


# -- shown ----------------------------------------------------------------------------------------


def _print(context: Context, world: World, found: Diagnosis) -> None:
    for line in _lines(world, found, context.out.width or _WIDTH):
        context.out.line(line)


def _lines(world: World, found: Diagnosis, width: int) -> Iterator[str]:
    yield from _filled(_heading(world, found), "", width)
    for count, finding in enumerate(found.findings, start=1):
        yield ""
        yield from _finding(count, finding, width)
    asked = [_asked_line(each, world) for each in world.asked if not each.guessed or each.server]
    if asked:
        yield ""
        yield "Asked:"
        for line in asked:
            yield from _filled(line, "  ", width)
    if world.late:
        yield from _filled(
            f"Not all was asked: the time was up, or more than {ASKED_MAX} addresses were given.",
            *("", width),
        )


def _heading(world: World, found: Diagnosis) -> str:
    causes = sum(finding.severity == "cause" for finding in found.findings)
    if found.outcome is Outcome.SILENT:
        return "No server answers, and no data folder was given."
    if found.leader:
        term = f" in term {found.leader_term}" if found.leader_term else ""
        state = f"There is a leader: {found.leader}{term}."
        if not causes:
            warned = " Still, look at this:" if found.findings else ""
            return state + warned
        return f"{state} Not all servers take part:"
    where = "" if world.servers else " No server answers; the data folders say:"
    if causes > 1:
        return f"There is no leader.{where} {causes} causes, the weightiest first:"
    return f"There is no leader.{where or ' The cause:'}"


def _finding(count: int, finding: Finding, width: int) -> Iterator[str]:
    kind = "" if finding.severity == "cause" else "warning: "
    text = f"{count}. {kind}{finding.text} [{finding.cause}]"
    yield from _filled(text, "", width, after="   ")
    for line in finding.shown_by:
        yield from _filled(f"- {line}", "   ", width, after="     ")
    for line in finding.next:
        yield from _filled(f"Next: {line}", "   ", width, after="     ")


def _asked_line(asked: Asked, world: World) -> str:
    if asked.failure is not None:
        return f"{asked.address}: {asked.failure.text}"
    server = next((s for s in world.servers if s.id == asked.server), None)
    if server is None:
        return f"{asked.address}: {asked.server}"
    term = f", term {server.term}" if server.term else ""
    return f"{asked.address}: {server.node}, {server.role or server.make}{term}"


def _filled(text: str, before: str, width: int, after: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=before,
        subsequent_indent=before + "  " if after is None else after,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _as_json(world: World, found: Diagnosis) -> dict[str, Any]:
    return {
        "Outcome": found.outcome.value,
        "Leader": found.leader,
        "Term": found.leader_term,
        "Findings": [
            {
                "Cause": each.cause,
                "Severity": each.severity.value,
                "Weight": each.weight,
                "Text": each.text,
                "ShownBy": list(each.shown_by),
                "Next": list(each.next),
            }
            for each in found.findings
        ],
        "Asked": [
            {
                "Address": each.address,
                "Guessed": each.guessed,
                "Server": each.server,
                "Failure": each.failure.kind.value if each.failure is not None else "",
                "Error": each.failure.text if each.failure is not None else "",
            }
            for each in world.asked
        ],
        "Servers": [_server_json(server) for server in world.servers],
        "Folders": [_folder_json(folder) for folder in world.folders],
        "Late": world.late,
    }


def _server_json(server: Server) -> dict[str, Any]:
    return {
        "ID": server.id,
        "Node": server.node,
        "Address": server.address,
        "HTTP": server.http,
        "Make": server.make,
        "Version": server.version,
        "Role": server.role,
        "Term": server.term,
        "Leader": server.leader,
        "LastIndex": server.last_index,
        "CommitIndex": server.commit_index,
        "Voters": sum(member.voter for member in server.members),
        "Details": msgspec.to_builtins(server.facts),
    }


def _folder_json(folder: Folder) -> dict[str, Any]:
    return {
        "Path": folder.path,
        "Make": folder.make,
        "UsedBy": folder.user,
        "ServerID": folder.id,
        "ClusterID": folder.cluster_id,
        "Epoch": folder.epoch,
        "LastTerm": folder.reach[0],
        "LastIndex": folder.reach[1],
        "Damage": list(folder.damage),
        "Error": folder.error,
    }
