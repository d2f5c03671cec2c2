"""A console that keeps what is printed, for tests of an agent within this process."""

from __future__ import annotations

from quorate.agent.console import Console


class KeptConsole(Console):
    """`said` and `complained` are the lines."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.complained: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def complain(self, text: str) -> None:
        self.complained.append(text)
