"""`quorate agent`: read the configuration, start, wait for a signal, stop in good order."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import uvloop

from quorate import __version__
from quorate.agent import logs
from quorate.agent.gauges import Gauges
from quorate.agent.options import keyring_path, server_options
from quorate.agent.texts import banner, keyring_warning
from quorate.api.app import HttpApplication
from quorate.api.http.limits import ListenerConfig
from quorate.api.http.listener import create_protocol_factory
from quorate.api.internal import RpcApplication
from quorate.api.parts import parts_of
from quorate.config.checks.network import http_binds
from quorate.config.load import load
from quorate.config.model import AgentConfig
from quorate.config.read.hcl_apart import read_hcl_apart
from quorate.config.reload import reload
from quorate.errors import QuorateError
from quorate.metrics import Metrics
from quorate.server.server import Server

log = logging.getLogger("quorate.agent")

LEAVE_TIMEOUT_S = 5.0
_GRACE_S = 0.5


def run_agent(flags: dict[str, Any]) -> int:
    """Run one agent until a signal ends it; the exit code (agent-config 6)."""
    try:
        config, notes = load(_paths(flags), flags, read_hcl=read_hcl_apart)
    except QuorateError as error:
        return _refuse(error)
    for line in notes.error_lines():
        print(line, file=sys.stderr)
    if warning := keyring_warning(config, keyring_path(Path(config.data_dir))):
        print(warning, file=sys.stderr)
    print(f"{notes.loaded_line()}\n{banner(config)}", flush=True)
    with ExitStack() as stack:
        folder = config.data_dir
        if config.dev_mode and not folder:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="quorate-dev-"))
        try:
            logs.set_up(config)
            return uvloop.run(Agent(config, Path(folder), flags).run())
        except QuorateError as error:
            return _refuse(error)
        except OSError as error:
            return _refuse(_explained(error, config))


def _paths(flags: dict[str, Any]) -> list[str]:
    return list(flags.get("config", ()))


def _refuse(error: QuorateError) -> int:
    line = f"{error.text}; {error.next_step}" if error.next_step else error.text
    print(f"==> {line}", file=sys.stderr, flush=True)
    return 1


def _explained(error: OSError, config: AgentConfig) -> QuorateError:
    text = f"Error starting agent: {error.strerror or error}"
    if error.errno == errno.EADDRINUSE:
        ports = f"{config.ports.http} (http) and {config.ports.rpc} (rpc)"
        return QuorateError(
            f"Error starting agent: {error.strerror or error}",
            f"another process uses a port: this agent needs {ports} of {config.bind_addr}; "
            "stop it, or set other ports",
        )
    return QuorateError(text)


class Agent:
    """One agent at run time."""

    def __init__(self, config: AgentConfig, folder: Path, flags: dict[str, Any]) -> None:
        self._config = config
        self._folder = folder
        self._flags = flags
        self.signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self._failure: BaseException | None = None
        self._failed = asyncio.Event()

    async def run(self) -> int:
        """Start, serve, stop; the exit code."""
        config = self._config
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.signals.put_nowait, number)
        labels = {} if config.telemetry.disable_hostname else {"host": config.name}
        interval_s = config.telemetry.in_memory_collection_interval_ns / 1e9
        metrics = Metrics(labels=labels, interval_s=interval_s)
        options = server_options(config, self._folder)
        server = Server(options, on_fatal=self._fatal, metrics=metrics)
        await server.open()
        try:
            parts = parts_of(server)
            rpc = RpcApplication(parts, metrics, time.time, Random(), server.answers.answer)
            rpc_http = create_protocol_factory(rpc, ListenerConfig(max_conns_per_client=0))
            await server.start(rpc_http)
            application = HttpApplication(parts, metrics, time.time, Random())
            limits = ListenerConfig(max_conns_per_client=config.limits.http_max_conns_per_client)
            factory = create_protocol_factory(application, limits)
            listeners = [
                await loop.create_server(factory, bind.host, bind.port, backlog=1024)
                for bind in http_binds(config)
            ]
            gauges = loop.create_task(Gauges(server, metrics).run())
            # What stands now stays for good: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            log.info("Quorate %s serves HTTP at %s", __version__, config.advertise.http)
            code = await self._serve(server)
            gauges.cancel()
            for listener in listeners:
                listener.close()
            # Whoever waits for an answer may still get it; whoever blocks does not hold us up.
            await asyncio.gather(factory.close(_GRACE_S), rpc_http.close(_GRACE_S))
        finally:
            await server.stop()
        return code

    def _fatal(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._failed.set()

    async def _serve(self, server: Server) -> int:
        while True:
            number = await self._next_signal()
            if number is None:
                failure = self._failure
                assert failure is not None
                if not isinstance(failure, QuorateError):
                    log.error("cannot go on", exc_info=failure)
                    return 1
                return _refuse(failure)
            print(f"==> Caught signal: {_name(number)}", flush=True)
            if number is signal.SIGHUP:
                await self._reload(server)
                continue
            return await self.end(server, number)

    async def _next_signal(self) -> signal.Signals | None:
        """The next signal, or None when the server cannot go on."""
        got = asyncio.ensure_future(self.signals.get())
        failed = asyncio.ensure_future(self._failed.wait())
        await asyncio.wait((got, failed), return_when=asyncio.FIRST_COMPLETED)
        failed.cancel()
        if got.done():
            return got.result()
        got.cancel()
        return None

    async def end(self, server: Server, number: signal.Signals) -> int:
        """Leave first, if the configuration says so for this signal; the exit code."""
        interrupt = number is signal.SIGINT
        config = self._config
        if not (config.leave_on_interrupt if interrupt else config.leave_on_terminate):
            return 1
        print("==> Gracefully shutting down agent...", flush=True)
        leaving = asyncio.ensure_future(server.leave())
        forced = asyncio.ensure_future(self._second_signal())
        await asyncio.wait(
            (leaving, forced), timeout=LEAVE_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        forced.cancel()
        if not leaving.done():
            leaving.cancel()
            print("==> Stopped without having left", file=sys.stderr, flush=True)
            return 1
        try:
            leaving.result()
        except QuorateError as error:
            return _refuse(error)
        return 0

    async def _second_signal(self) -> None:
        """Until somebody does not want to wait any longer; a reload is none of that."""
        while await self.signals.get() is signal.SIGHUP:
            pass

    async def _reload(self, server: Server) -> None:
        """Read the files again; a broken one changes nothing (agent-config 6)."""
        print("==> Reloading configuration...", flush=True)
        try:
            config, live, later = await asyncio.to_thread(
                reload, self._config, _paths(self._flags), self._flags, read_hcl=read_hcl_apart
            )
        except QuorateError as error:
            print(f"==> {error.text}", file=sys.stderr)
            print("==> Failed to reload configs", file=sys.stderr, flush=True)
            return
        self._config = config
        logs.set_level(config)
        server.reconfigure(server_options(config, self._folder))
        for key in live:
            log.info("reloaded %s", key)
        for key in later:
            log.warning("%s has changed; it takes effect at the next start", key)


def _name(number: signal.Signals) -> str:
    return {
        signal.SIGINT: "interrupt",
        signal.SIGTERM: "terminated",
        signal.SIGHUP: "hangup",
    }[number]
