"""A program whose configuration changes while it runs, and which never runs with a bad one.

    python reload.py ADDRESS [PREFIX]

Its configuration is what the variables under PREFIX hold:

    quorate var put app/greeter/text hello=Hello name=world
    quorate var put app/greeter/pace seconds=5

Change them while it runs. A configuration that it cannot use is told, and the one before stays.
"""

import asyncio
import sys
from contextlib import aclosing
from typing import NamedTuple

from quorate.client import AsyncClient, ClientError, Gap

USAGE = "Usage: python reload.py ADDRESS [PREFIX]"
PREFIX = "app/greeter/"
PACE_MAX_S = 3600.0


class Configuration(NamedTuple):
    """What the program needs to know."""

    hello: str = "Hello"
    name: str = "nobody"
    seconds: float = 60.0


def understood(held: dict[str, dict[str, str]]) -> Configuration:
    """The configuration that the variables hold. Raises ValueError."""
    settings = {key: value for items in held.values() for key, value in items.items()}
    unknown = settings.keys() - set(Configuration._fields)
    if unknown:
        raise ValueError(f"there is no setting {min(unknown)}")
    try:
        seconds = float(settings.pop("seconds", 60.0))
    except ValueError:
        raise ValueError("seconds is no number") from None
    if not 0 < seconds <= PACE_MAX_S:
        raise ValueError(f"seconds is not within 0 and {PACE_MAX_S:g}")
    return Configuration(seconds=seconds, **settings)


class Program:
    """Greets with the last good configuration."""

    def __init__(self) -> None:
        self.configuration = Configuration()
        self.changed = asyncio.Event()

    def reload(self, held: dict[str, dict[str, str]]) -> None:
        """Take the configuration if it is good."""
        try:
            self.configuration = understood(held)
        except ValueError as error:
            print(f"keeps {self.configuration}: {error}", flush=True)
            return
        print(f"runs with {self.configuration}", flush=True)
        self.changed.set()

    async def follow(self, address: str, prefix: str) -> None:
        """Reload whenever the variables change; a lost server is waited for."""
        held: dict[str, dict[str, str]] = {}
        async with (
            AsyncClient(address) as client,
            aclosing(client.variables.watch(prefix, patience_s=None)) as watch,
        ):
            async for told in watch:
                if isinstance(told, Gap):  # what was known does not count any more
                    held.clear()
                    left = len(told.variables)
                elif told.variable is None:
                    held.pop(told.path, None)
                    left = told.left
                else:
                    held[told.path] = told.variable.items or {}
                    left = told.left
                if not left:  # not in the middle of several changes
                    self.reload(held)

    async def work(self) -> None:
        """Greet."""
        while True:
            now = self.configuration
            print(f"{now.hello}, {now.name}!", flush=True)
            self.changed.clear()
            try:
                await asyncio.wait_for(self.changed.wait(), now.seconds)
            except TimeoutError:
                continue


async def main(address: str, prefix: str) -> None:
    """Work and follow until one of them fails."""
    program = Program()
    async with asyncio.TaskGroup() as group:
        group.create_task(program.follow(address, prefix))
        group.create_task(program.work())


if __name__ == "__main__":
    if not 1 <= len(sys.argv) - 1 <= 2 or sys.argv[1].startswith("-"):
        sys.exit(USAGE)
    try:
        asyncio.run(main(sys.argv[1], *(sys.argv[2:] or [PREFIX])))
    except* ClientError as refused:
        sys.exit(str(refused.exceptions[0]))
    except* KeyboardInterrupt:
        pass
