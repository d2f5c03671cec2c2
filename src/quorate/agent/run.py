"""`quorate agent`: read the configuration, start, wait for a signal, stop in good order."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import uvloop

from quorate.agent.console import Console
from quorate.agent.control import open_control
from quorate.agent.descriptors import FEW, for_http, for_rpc, raise_limit
from quorate.agent.gauges import Gauges
from quorate.agent.logs import Logs, set_level
from quorate.agent.notify import Notifier, telling
from quorate.agent.options import browsers_sites, keyring_path, metric_labels, server_options
from quorate.agent.ports.http import listen_http
from quorate.agent.signals import NAMES, PROCESS, RELOADING, Signals
from quorate.agent.sinks.statsd import Statsd
from quorate.agent.texts import STARTED, banner, data_dir_problem, keyring_warning
from quorate.agent.wrapping_key import wrapping_again, wrapping_of
from quorate.api.app import HttpApplication
from quorate.api.http.limits import ListenerConfig
from quorate.api.http.listener import HttpListener, create_protocol_factory
from quorate.api.internal import RpcApplication
from quorate.api.parts import Parts, parts_of
from quorate.config.load import load
from quorate.config.model import AgentConfig
from quorate.config.read.hcl_apart import read_hcl_apart
from quorate.config.reload import Reload, reload
from quorate.errors import QuorateError
from quorate.metrics import Metrics
from quorate.net.listening import stop_accepting
from quorate.net.threads import in_thread
from quorate.server.secrets.wrapping import Wrapping
from quorate.server.server import Server
from quorate.version import __version__

if TYPE_CHECKING:
    from quorate.net.tls.keeper import TlsKeeper
    from quorate.net.tls.renewal import Renewal

log = logging.getLogger("quorate.agent")

LEAVE_TIMEOUT_S = 5.0
_GRACE_S = 0.5


def run_agent(flags: dict[str, Any]) -> int:
    """Run one agent until a signal ends it; the exit code (docs/configuration.md#the-process)."""
    PROCESS.install()
    # What is cancelled before its first step, at the end of the process, is no news for people.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    notifier = Notifier(os.environ)
    try:
        console = Console()
    except RuntimeError as error:
        print(f"==> {_explained_thread(error).line()}", file=sys.stderr, flush=True)
        return 1
    try:
        return _run(flags, console, notifier)
    finally:
        console.close()


def _run(flags: dict[str, Any], console: Console, notifier: Notifier) -> int:
    try:
        config, notes = load(_paths(flags), flags, read_hcl=read_hcl_apart)
    except QuorateError as error:
        return _refuse(error, console)
    for line in notes.error_lines():
        console.complain(line)
    if warning := keyring_warning(config, keyring_path(Path(config.data_dir))):
        console.complain(warning)
    if config.data_dir and (problem := data_dir_problem(config.data_dir)):
        return _refuse(QuorateError(problem), console)
    console.say(f"{notes.loaded_line()}\n{banner(config)}")
    with ExitStack() as stack:
        folder = config.data_dir
        if config.dev_mode and not folder:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="quorate-dev-"))
        try:
            log_lines = Logs(config, console)
            stack.callback(log_lines.close)
            agent = Agent(
                config,
                Path(folder),
                flags,
                console=console,
                signals=PROCESS,
                notifier=notifier,
                log_lines=log_lines,
            )
            return uvloop.run(agent.run())
        except QuorateError as error:
            return _refuse(error, console)
        except OSError as error:
            return _refuse(_explained(error), console)
        except RuntimeError as error:
            if "new thread" not in str(error):
                raise
            return _refuse(_explained_thread(error), console)


def _paths(flags: dict[str, Any]) -> list[str]:
    return list(flags.get("config", ()))


def _refuse(error: QuorateError, console: Console) -> int:
    console.complain(f"==> {error.line()}")
    return 1


def _explained(error: OSError) -> QuorateError:
    text = error.strerror or str(error)
    place = f" {error.filename}" if error.filename else ""
    return QuorateError(f"Error starting agent: {text}{place}")


def _tls_of(config: AgentConfig) -> TlsKeeper | None:
    """What reads certificates takes a few megabytes: it is loaded by an agent that has some."""
    if not (config.tls.http or config.tls.rpc):
        return None
    from quorate.agent.ports.tls import keeper_of

    return keeper_of(config)


def _control(parts: Parts, metrics: Metrics) -> HttpListener:
    """What answers on the control socket. Its own limit: a flooded HTTP port does not shut it."""
    application = HttpApplication(parts, metrics, time.time, Random(), control=True)
    return create_protocol_factory(application, ListenerConfig())


def _explained_thread(error: RuntimeError) -> QuorateError:
    return QuorateError(
        f"Error starting agent: the system gives no thread ({error})",
        "raise the limit of processes and threads: ulimit -u, TasksMax of its unit, or pids.max of "
        "its container",
    )


class Agent:
    """One agent at run time."""

    def __init__(
        self,
        config: AgentConfig,
        folder: Path,
        flags: dict[str, Any],
        *,
        console: Console,
        signals: Signals,
        notifier: Notifier,
        log_lines: Logs | None = None,
    ) -> None:
        self._config = config
        self._folder = folder
        self._flags = flags
        self._console = console
        self._signals = signals
        self._notifier = notifier
        self._log_lines = log_lines
        self._failure: BaseException | None = None
        self._renewal: Renewal | None = None
        self._failed = asyncio.Event()

    async def run(self) -> int:
        """Start, serve, stop; the exit code."""
        self._signals.attach()
        config = self._config
        descriptors = raise_limit()
        if descriptors < FEW:
            log.warning(
                "the limit of open files is %d, which is few for clients and servers; raise it "
                "(ulimit -Hn, LimitNOFILE of a unit)",
                descriptors,
            )
        loop = asyncio.get_running_loop()
        labels = metric_labels(config)
        interval_s = config.telemetry.in_memory_collection_interval_ns / 1e9
        metrics = Metrics(labels=labels, interval_s=interval_s)
        wrapping = await in_thread(wrapping_of, config, os.environ)
        tls = await in_thread(_tls_of, config)
        options = server_options(config, self._folder, for_rpc(descriptors), wrapping, tls)
        server = Server(options, on_fatal=self._fatal, metrics=metrics)
        if not await self._started(server.open()):
            return 1
        try:
            parts = parts_of(server)
            rpc = RpcApplication(parts, metrics, time.time, Random(), server.answers)
            rpc_http = create_protocol_factory(rpc, ListenerConfig(max_conns_per_client=0))
            await server.start(lambda peer: rpc_http.serving(rpc.of(peer)))
            application = HttpApplication(parts, metrics, time.time, Random())
            limits = ListenerConfig(
                max_conns_per_client=config.limits.http_max_conns_per_client,
                max_conns=for_http(descriptors),
            )
            factory = create_protocol_factory(application, limits, browsers_sites(config))
            listeners = await listen_http(config, factory, tls)
            control = await open_control(self._folder, _control(parts, metrics))
            self._console.say(STARTED)
            log.info("Quorate %s serves HTTP at %s", __version__, config.advertise.http)
            tasks = [
                loop.create_task(Gauges(server, metrics, self._dropped).run()),
                *(loop.create_task(work.run()) for work in Statsd.of(config.telemetry, metrics)),
                *(loop.create_task(work) for work in telling(self._notifier, server)),
                *(loop.create_task(work) for work in self._renewing(tls)),
            ]
            # What stands now stays for good: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            self._notifier.ready()
            code = await self._serve(server)
            for task in tasks:
                task.cancel()
            for listener in listeners:
                await stop_accepting(listener)
            # A client that waits for an answer may still get it; a blocked one is cut off.
            ends = [factory.close(_GRACE_S), rpc_http.close(_GRACE_S)]
            if control is not None:
                ends.append(control.close(_GRACE_S))
            await asyncio.gather(*ends)
        finally:
            self._notifier.stopping()
            await server.stop()
        return code

    async def _started(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether it has started; False if a signal stops the agent before that."""
        starting = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self._signals.stop())
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if starting.done():
            starting.result()
            return True
        starting.cancel()
        await asyncio.wait((starting,), timeout=_GRACE_S)
        self._say_caught(await self._signals.next())
        return False

    def _renewing(self, tls: TlsKeeper | None) -> list[Coroutine[Any, Any, None]]:
        """What exchanges certificates while the agent runs."""
        if tls is None:
            return []
        from quorate.agent.ports.tls import renewal_of

        self._renewal = renewal_of(tls)
        return [self._renewal.run()]

    def _dropped(self) -> int:
        return self._log_lines.dropped if self._log_lines is not None else 0

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
                return _refuse(failure, self._console)
            self._say_caught(number)
            if number is RELOADING:
                await self._reload(server)
                continue
            self._notifier.stopping()
            return await self.end(server, number)

    def _say_caught(self, number: signal.Signals) -> None:
        self._console.say(f"==> Caught signal: {NAMES[number]}")

    async def _next_signal(self) -> signal.Signals | None:
        """The next signal, or None when the server cannot go on."""
        got = asyncio.ensure_future(self._signals.next())
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
        self._console.say("==> Gracefully shutting down agent...")
        leaving = asyncio.ensure_future(server.leave())
        forced = asyncio.ensure_future(self._signals.stop())
        await asyncio.wait(
            (leaving, forced), timeout=LEAVE_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        forced.cancel()
        if not leaving.done():
            leaving.cancel()
            self._console.complain("==> Stopped without having left")
            return 1
        try:
            leaving.result()
        except QuorateError as error:
            return _refuse(error, self._console)
        return 0

    async def _reload(self, server: Server) -> None:
        """Read the files again; a broken one changes nothing (docs/configuration.md#the-process).

        The log's file is opened again in any case: a program that rotates it sends this signal.
        A signal that stops the agent does not wait for the files.
        """
        if self._log_lines is not None:
            self._log_lines.reopen()
        self._notifier.reloading()
        self._console.say("==> Reloading configuration...")
        reading = in_thread(self._read_again)
        stopped = asyncio.ensure_future(self._signals.stop())
        await asyncio.wait((reading, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not reading.done():
            reading.cancel()
            return
        try:
            (config, live, later), wrapping = reading.result()
        except QuorateError as error:
            self._console.complain(f"==> {error.line()}\n==> Failed to reload configs")
        else:
            self._config = config
            set_level(config)
            server.reconfigure(server_options(config, self._folder))
            for key in live:
                log.info("reloaded %s", key)
            if self._renewal is not None:
                from quorate.agent.ports.tls import files_of

                await self._renewal.look(files_of(config))
            if wrapping is not None:
                self._take(server, wrapping)
            for key in later:
                log.warning("%s has changed; it takes effect at the next start", key)
        self._notifier.ready()

    def _read_again(self) -> tuple[Reload, Wrapping | None]:
        paths = _paths(self._flags)
        found = reload(self._config, paths, self._flags, read_hcl=read_hcl_apart)
        return found, wrapping_again(found.config)

    def _take(self, server: Server, wrapping: Wrapping) -> None:
        try:
            changed = server.options.wrapping.take(wrapping, server.machine.store)
        except QuorateError as error:
            self._console.complain(f"==> {error.line()}")
            return
        if changed:
            log.info("reloaded the wrapping keys: %r", wrapping)
