"""Access control of a server without tables: the callers that a test names, by their secrets."""

from __future__ import annotations

from quorate.acl.caller import ANONYMOUS_ACCESSOR, Caller
from quorate.acl.capability import OF_OBJECTS, Capability
from quorate.acl.rights import EVERYTHING, NOTHING, Rights
from quorate.acl.values import NamespaceRule, PathRule, PolicyRights
from quorate.errors import QuorateError, TokenExpired, TokenNotFound
from quorate.metrics import Metrics
from quorate.server.access.transition import Refusals

MANAGEMENT = "2b778dd9-f5f1-6f29-b4b4-9a5fa948757a"
UNKNOWN = "00000000-0000-0000-0000-000000000000"


class FakeAccess:
    """Off, until `turn_on`. Its fields are changed by the tests at will."""

    def __init__(self) -> None:
        self.enabled = False
        self.transition = False
        self.refusals = Refusals(Metrics())
        self.tokens: dict[str, Caller] = {}
        self.anonymous = NOTHING
        self.problem: QuorateError | None = None
        self.asked = 0

    @property
    def stamp(self) -> object:
        """Each time another one: its fields are changed at will."""
        return object()

    def turn_on(self) -> FakeAccess:
        """With a token of management."""
        self.enabled = True
        self.tokens[MANAGEMENT] = Caller("root", "Bootstrap Token", EVERYTHING)
        return self

    def give(self, secret: str, rights: Rights, expires_ms: int = 0) -> str:
        """Make a token of these rights; the secret."""
        self.tokens[secret] = Caller(f"accessor-of-{secret}", secret, rights, expires_ms)
        return secret

    def caller(self, secret: str, now_s: float) -> Caller:
        self.asked += 1
        if self.problem is not None:
            raise self.problem
        if not secret:
            return Caller(ANONYMOUS_ACCESSOR, "Anonymous Token", self.anonymous)
        caller = self.tokens.get(secret)
        if caller is None:
            raise TokenNotFound
        if 0 < caller.expires_ms <= now_s * 1000:
            raise TokenExpired
        return caller


def rights_of(capability: Capability) -> Rights:
    """Those that have this one alone, as far as a policy can give it."""
    match capability:
        case Capability.NONE:
            return NOTHING
        case Capability.MANAGEMENT:
            return EVERYTHING
        case Capability.NAMESPACE_ANY:
            return Rights([PolicyRights(namespaces=(NamespaceRule("default", policy="read"),))])
    kind, colon, level = capability.partition(":")
    if capability in OF_OBJECTS:
        rule = NamespaceRule("*", variables=(PathRule("*", (level,)),))
        return Rights([PolicyRights(namespaces=(rule,))])
    if colon:
        levels = {kind: level}
        return Rights([PolicyRights(**levels)])  # type: ignore[arg-type]  # names of levels
    return Rights([PolicyRights(operator_capabilities=(capability.value,))])
