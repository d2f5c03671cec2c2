"""A pool of members with key rings, behind the agent's key endpoints.

Import `cli_run` before this: it makes the fake agent of the client's tests importable.
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from client_fake_agent import FakeAgent, Reply, json_reply, text_reply

from quorate.client import Answer, Client

OLD = "cg8StVXbQJ0gPvMd9o7yrg=="
OTHER = "pUqJrVyVRj5jsiYEkM/tFQ=="
PREFIX = "/v1/agent/keyring/"


class Pool(dict[str, Reply]):
    """Routes of a `FakeAgent`, answered from the rings. `away` members keep theirs, unasked.

    `before` is called ahead of each request with its route, and may answer it. `told` are the
    changes that were asked for. After each of them every member, away or not, must still
    understand every other: what it encrypts with is in the ring of all.
    """

    def __init__(self, *names: str, key: str = OLD) -> None:
        super().__init__()
        self.rings = {name: [key] for name in names}
        self.away: set[str] = set()
        self.deaf: set[str] = set()  # answer with a failure
        self.encrypted = True
        self.plain = False  # servers that know no details
        self.told: list[str] = []
        self.before: Callable[[str], Reply | None] = lambda _: None
        self.agent: FakeAgent  # that of the newest run
        self.asked = 0

    def serve(self) -> FakeAgent:
        """A new agent before the same pool."""
        self.asked = 0
        self.agent = FakeAgent(self)
        return self.agent

    def direct(self) -> "DirectClient":
        """The same without a socket between."""
        self.asked = 0
        return DirectClient(self)

    def get(self, route: str, default: Any = None) -> Any:
        return self.answered(route, lambda: self.agent.requests[-1].body) or default

    def answered(self, route: str, body: Callable[[], bytes]) -> Reply | None:
        """The answer to one request, or None if nobody knows the route."""
        self.asked += 1
        early = self.before(route)
        if early is not None:
            return early
        if route == "GET /v1/agent/members":
            members = [
                {"Name": name, "Status": "failed" if name in self.away else "alive"}
                for name in self.rings
            ]
            return json_reply({"Members": members})
        path = route.split(" ")[1].partition("?")[0]
        if not path.startswith(PREFIX):
            return None
        details = route.endswith("details=true") and not self.plain
        return self._keyring(path.removeprefix(PREFIX), body, details=details)

    def _keyring(self, operation: str, body: Callable[[], bytes], *, details: bool) -> Reply:
        here = [name for name in self.rings if name not in self.away]
        messages = {name: "disk is full" for name in here if name in self.deaf}
        if not self.encrypted:
            messages = dict.fromkeys(here, "No keyring to modify (encryption not enabled)")
        if operation != "list":
            key = json.loads(body())["Key"]
            self.told.append(operation)
            for name in here:
                if name not in messages:
                    change(self.rings[name], operation, key)
            self.check()
        if messages and not details:
            return text_reply(500, f"{len(messages)}/{len(here)} nodes reported failure")
        return json_reply(self._answer(operation, here, messages, details=details))

    def _answer(
        self, operation: str, here: list[str], messages: dict[str, str], *, details: bool
    ) -> dict[str, Any]:
        listed = here if operation == "list" and self.encrypted else []
        keys = sorted({key for name in listed for key in self.rings[name]})
        answer: dict[str, Any] = {
            "Keys": {k: sum(k in self.rings[name] for name in listed) for k in keys},
            "Messages": messages if details and (operation != "list" or not listed) else {},
            "NumNodes": len(here),
        }
        if details:
            primaries = [self.rings[name][0] for name in listed]
            answer |= {
                "NumErr": len(answer["Messages"]),
                "NumResp": len(here),
                "PrimaryKeys": {k: primaries.count(k) for k in set(primaries)},
                "Unanswered": sorted(self.away),
            }
        return answer

    def check(self) -> None:
        """Everybody understands everybody, or the rotation has torn the pool apart."""
        for speaker, ring in self.rings.items():
            for hearer, known in self.rings.items():
                assert ring[0] in known, f"{hearer} does not understand {speaker}"


def change(ring: list[str], operation: str, key: str) -> None:
    """What one member does to its ring."""
    if operation == "install" and key not in ring:
        ring.append(key)
    elif operation == "use":
        ring.remove(key)
        ring.insert(0, key)
    elif operation == "remove" and key in ring[1:]:
        ring.remove(key)


class DirectClient(Client):
    """The typed client, its requests answered by the pool itself."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self._pool = pool

    def request(self, method: str, path: str, **given: Any) -> Answer:
        """One request."""
        query = urlencode(given.get("query") or [])
        route = f"{method} {path}{'?' if query else ''}{query}"
        reply = self._pool.answered(route, lambda: given["body"])
        assert reply is not None, route
        return Answer(reply.status, "", {}, reply.body)
