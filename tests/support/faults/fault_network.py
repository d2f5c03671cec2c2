"""A network of its own for the servers of one test, with links to cut and to spoil.

Each server has a network namespace with one address; a bridge in another namespace, the hub, joins
them. Clients run in the hub, so that they reach every server whatever happens between servers.
Nothing of this touches the machine's own network, and all of it goes with `close`.

Links are cut and made lossy by nftables at the receiving server, and made slow by a token bucket
(`tc tbf`: a narrow link with a queue). Delay without narrowness would need `netem`, which many
kernels lack.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_TOOLS = ("ip", "nft", "tc", "nsenter")
_CLONE_NEWNET = 0x40000000
_counter = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


def _run(*command: str, text: str | None = None) -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def _require() -> None:
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs network namespaces: {', '.join(missing)} not installed")
    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")


class Network:
    """`count` servers, each in a namespace. Skips the test where there can be none."""

    def __init__(self, count: int) -> None:
        _require()
        self.count = count
        self._name = f"qf{os.getpid()}-{next(_counter)}"
        self._made: list[str] = []
        try:
            self._build()
        except OSError as error:
            self.close()
            pytest.skip(f"needs network namespaces, nftables and tbf: {error}")

    def _build(self) -> None:
        hub = self._add_namespace("hub")
        _run("ip", "-n", hub, "link", "add", "br0", "type", "bridge")
        _run("ip", "-n", hub, "address", "add", "10.99.0.254/24", "dev", "br0")
        _run("ip", "-n", hub, "link", "set", "br0", "up")
        for number in range(self.count):
            name = self._add_namespace(str(number))
            _run(
                *("ip", "-n", hub, "link", "add", f"s{number}", "type", "veth"),
                *("peer", "name", "eth0", "netns", name),
            )
            _run("ip", "-n", hub, "link", "set", f"s{number}", "master", "br0", "up")
            _run("ip", "-n", name, "address", "add", f"{self.address(number)}/24", "dev", "eth0")
            _run("ip", "-n", name, "link", "set", "eth0", "up")
            self.set_rules(number, [])
        self.narrow(0, True)  # found out now whether this kernel can
        self.narrow(0, False)

    def _add_namespace(self, suffix: str) -> str:
        name = f"{self._name}-{suffix}"
        _run("ip", "netns", "add", name)
        self._made.append(name)
        _run("ip", "-n", name, "link", "set", "lo", "up")
        return name

    def close(self) -> None:
        """Remove all of it. The servers in it have ended."""
        while self._made:
            with contextlib.suppress(OSError):
                _run("ip", "netns", "delete", self._made.pop())

    def address(self, number: int) -> str:
        """The address of a server."""
        return f"10.99.0.{number + 1}"

    def entering(self, number: int) -> list[str]:
        """What stands before a command that shall run as that server."""
        return ["nsenter", f"--net=/run/netns/{self._name}-{number}"]

    # -- faults -----------------------------------------------------------------------------------

    def set_rules(self, number: int, rules: list[str]) -> None:
        """Replace what server `number` does to incoming packets, in nftables' words."""
        lines = "\n".join(rules)
        chain = f"chain in {{ type filter hook input priority 0; policy accept;\n{lines}\n}}"
        text = f"table inet faults\ndelete table inet faults\ntable inet faults {{\n{chain}\n}}\n"
        _run(*self.entering(number), "nft", "-f", "-", text=text)

    def cut(self, sources: set[int], targets: set[int]) -> None:
        """Nothing that one of `sources` sends reaches one of `targets`; the rest is as it was."""
        for number in targets:
            self.set_rules(
                number, [f"ip saddr {self.address(s)} drop" for s in sorted(sources - {number})]
            )

    def lose(self, number: int, percent: int) -> None:
        """Of what other servers send to server `number`, so many percent get lost."""
        spoil = f"numgen random mod 100 < {percent} drop"
        others = [n for n in range(self.count) if n != number]
        self.set_rules(number, [f"ip saddr {self.address(n)} {spoil}" for n in others])

    def narrow(self, number: int, is_narrow: bool) -> None:
        """Let server `number` send no more than 40 kB a second, with up to 0.3 s of queue."""
        change = [*self.entering(number), "tc", "qdisc"]
        if is_narrow:
            limits = ("rate", "320kbit", "burst", "4kb", "latency", "300ms")
            _run(*change, "replace", "dev", "eth0", "root", "tbf", *limits)
        else:
            with contextlib.suppress(OSError):  # it was not narrow
                _run(*change, "delete", "dev", "eth0", "root")

    def heal(self) -> None:
        """All links are whole again."""
        for number in range(self.count):
            self.set_rules(number, [])
            self.narrow(number, False)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread uses the hub's network, and so do threads and processes that it starts."""
        with (
            Path("/proc/thread-self/ns/net").open("rb") as before,
            Path(f"/run/netns/{self._name}-hub").open("rb") as hub,
        ):
            _enter(hub.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())


def _enter(namespace_fd: int) -> None:
    if _libc.setns(namespace_fd, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")
