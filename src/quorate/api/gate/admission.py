"""The admission of one request: the secret that came with it, and what its caller may do.

See docs/acl.md. Invariant: where access control is on, no handler acts for a request whose
admission has not been granted; what a handler forgets to ask for is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from quorate.acl.caller import CONTROL, Caller
from quorate.acl.capability import OF_OBJECTS, Capability
from quorate.acl.rights import Rights
from quorate.errors import PermissionDenied

TOKEN: Final = b"x-nomad-token"
AUTHORIZATION: Final = b"authorization"
_BEARER: Final = b"bearer"

SECRET_BYTES_MAX: Final = 64
"""More of a secret is not looked at: a UUID has 36 characters, so a longer one is unknown."""

Need = Callable[[Rights], bool]


def shown_what_it_sees(_: Rights) -> bool:
    """The need of a list: any caller may ask, and the handler leaves out what it may not see."""
    return True


def secret_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The secret that the headers (names in lower case) carry, or empty.

    `X-Nomad-Token` counts before `Authorization: Bearer`, unless it is empty.
    """
    bearer = b""
    for name, value in headers:
        if name == TOKEN:
            if secret := value.strip():
                return secret[:SECRET_BYTES_MAX].decode("latin-1")
        elif name == AUTHORIZATION and not bearer:
            scheme, _, rest = value.strip().partition(b" ")
            if scheme.lower() == _BEARER:
                bearer = rest.strip().partition(b" ")[0]
    return bearer[:SECRET_BYTES_MAX].decode("latin-1")


class Judge(Protocol):
    """The part that knows tokens (`quorate.api.gate.gate`)."""

    def caller(self, secret: str, *, proven: bool) -> Caller:
        """The caller with this secret, by the state here.

        `proven`: that state is current, because this server leads. Raises PermissionDenied,
        TokensNotCurrent, StateDamaged.
        """

    def refused(self, error: PermissionDenied, caller: Caller | None, *, again: bool) -> Caller:
        """The caller to go on with although it was refused. Raises `error` if none is to.

        `again`: it went on so before.
        """


class Admission:
    """See the module. `near` says how the request proves to come from a server's own machine.

    `asked`: whether the admission was, or will be, asked for. `transitory`: what is refused may be
    allowed while access control is being introduced.
    """

    __slots__ = (
        *("_caller", "_capability", "_granted", "_judge", "_needs", "_transitory"),
        *("asked", "near", "secret"),
    )

    def __init__(
        self,
        judge: Judge,
        capability: Capability,
        secret: str,
        near: bytes = b"",
        *,
        transitory: bool = True,
    ) -> None:
        self._judge = judge
        self._capability = capability
        self._transitory = transitory
        self._needs: tuple[Need, ...] = ()
        self._caller: Caller | None = None
        self._granted = False
        self.secret = secret
        self.near = near
        self.asked = False

    @property
    def granted(self) -> bool:
        """Whether it was granted here; not by a server that the request was passed on to."""
        return self._granted

    @property
    def caller(self) -> Caller:
        """The caller, from the state here. Raises as `admit` does for one that is not known."""
        if self._caller is None:
            self._caller = self._judge.caller(self.secret, proven=False)
        return self._caller

    def need(self, need: Need) -> None:
        """Ask for this as well: the handler of a right on objects says so of each of them."""
        self._needs = (*self._needs, need)

    def admit(self, *, proven: bool, again: bool = False) -> None:
        """Return if the caller may do this now. Raises as `Judge.caller` does.

        `again`: it was admitted before, and what it asked for goes on.
        """
        if self._capability is Capability.NONE:
            return
        caller: Caller | None = None
        error: PermissionDenied | None = None
        try:
            caller = self._judge.caller(self.secret, proven=proven)
        except PermissionDenied as unknown:
            error = unknown
        else:
            if not self._allowed(caller.rights):
                error = PermissionDenied()
        if error is not None:
            if not self._transitory:
                raise error
            caller = self._judge.refused(error, caller, again=again)
        self._caller, self._granted = caller, True

    def _allowed(self, rights: Rights) -> bool:
        needs = self._needs
        if self._capability in OF_OBJECTS:
            return bool(needs) and all(need(rights) for need in needs)
        return rights.allows(self._capability) and all(need(rights) for need in needs)


VOUCHED: Final = b"x-quorate-vouched"
"""The header by which a member says of a request that it passes on how near it came from."""

NEAR_CONTROL: Final = b"control"
NEAR_HOST: Final = b"host"
"""It came over the control socket, or from the machine of an agent that listens elsewhere too."""


class ControlAdmission(Admission):
    """That of every request of the control socket: what is not refused by itself is allowed."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_Nobody(), Capability.NONE, "", NEAR_CONTROL)
        self._caller, self.asked = CONTROL, True

    def admit(self, *, proven: bool, again: bool = False) -> None:
        """It may."""
        del proven, again


class _Nobody:
    """The judge that a control admission does not ask."""

    def caller(self, secret: str, *, proven: bool) -> Caller:
        """Of no token."""
        del secret, proven
        return CONTROL

    def refused(self, error: PermissionDenied, caller: Caller | None, *, again: bool) -> Caller:
        """Nothing is refused."""
        del caller, again
        raise error
