"""A fake server whose access control is the real one, on its own state."""

from __future__ import annotations

import json
from typing import Any

from fake_server import NOW, FakeServer, answered

from quorate.api.http.messages import Request, Response
from quorate.levels import LEVEL
from quorate.metrics import Metrics
from quorate.server.access.level import LevelRule
from quorate.server.access.resolving import Resolver
from quorate.server.access.tokens import TokenAccess
from quorate.server.access.transition import Refusals
from quorate.server.options import AclOptions
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel

BOSS = "2b778dd9-f5f1-6f29-b4b4-9a5fa948757a"
"""The secret of the first token."""


class AclServer(FakeServer):
    """A leader with ACL on. `now` is the clock of its HTTP."""

    def __init__(self, options: AclOptions = AclOptions(enabled=True)) -> None:  # noqa: B008
        super().__init__()
        self.write_defaults().commit(encode(RaiseLevel(level=LEVEL)))
        refusals = Refusals(Metrics())
        resolver = Resolver(self.store, lambda: self.store)
        level = LevelRule(self.store, self.upgrade_check, self._ended)
        self.access: Any = TokenAccess(options, self.store, resolver, refusals, level)
        self.app = self.application(control=False)
        self.now = NOW

    def _ended(self, error: BaseException) -> None:
        raise AssertionError(error)

    async def ask(self, method: str, path: str, body: Any = None, *, token: str = BOSS) -> Response:
        """Ask with that secret; `body` is sent as JSON, or as it is if it is bytes."""
        headers = ((b"x-nomad-token", token.encode()),) if token else ()
        data = (
            body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        )
        return await answered(self.app, Request(method, f"/v1/acl/{path}".encode(), headers, data))

    async def bootstrap(self) -> dict[str, Any]:
        """The first token, with the secret BOSS."""
        answer = await self.ask("PUT", "bootstrap", {"BootstrapSecret": BOSS}, token="")
        assert answer.status == 200, answer.body
        made: dict[str, Any] = decoded(answer)
        return made

    async def make_token(self, **fields: Any) -> dict[str, Any]:
        """Make a client token."""
        answer = await self.ask("PUT", "token", {"Type": "client", **fields})
        assert answer.status == 200, answer.body
        made: dict[str, Any] = decoded(answer)
        return made

    async def make_policy(self, name: str, rules: str = 'operator { policy = "read" }') -> None:
        """Write a policy."""
        answer = await self.ask("PUT", f"policy/{name}", {"Name": name, "Rules": rules})
        assert answer.status == 200, answer.body

    async def make_role(self, name: str, *policies: str, **more: Any) -> dict[str, Any]:
        """Make a role."""
        links = [{"Name": each} for each in policies]
        answer = await self.ask("PUT", "role", {"Name": name, "Policies": links, **more})
        assert answer.status == 200, answer.body
        made: dict[str, Any] = decoded(answer)
        return made


def decoded(answer: Response) -> Any:
    """The JSON of an answer."""
    return json.loads(answer.body)
