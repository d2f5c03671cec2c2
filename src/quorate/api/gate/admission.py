"""The admission of one request: the secret that came with it, and what its caller may do.

See docs/acl.md. Invariant: where access control is on, no handler acts for a request whose
admission has not been granted; what a handler forgets to ask for is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import msgspec

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


class Head(msgspec.Struct, gc=False, eq=False):
    """The head of a request: the secret in it, and how near to a server's machine it came from.

    It is kept while a connection repeats it, and with it the caller as last resolved: that counts
    until `until_s` (Unix time), and while nothing of access control has changed since `stamp`.
    """

    headers: Sequence[tuple[bytes, bytes]] = ()
    secret: str = ""
    near: bytes = b""
    caller: Caller | None = None
    stamp: object = None
    until_s: float = 0.0


class Judge(Protocol):
    """The part that knows tokens (`quorate.api.gate.gate`)."""

    def caller(self, head: Head, *, proven: bool) -> Caller:
        """The caller with this head, by the state here.

        `proven`: that state is current, because this server leads. Raises PermissionDenied,
        TokensNotCurrent, StateDamaged.
        """

    def refused(self, error: PermissionDenied, caller: Caller | None, *, again: bool) -> Caller:
        """The caller to go on with although it was refused. Raises `error` if none is to.

        `again`: it went on so before.
        """


class Admission(msgspec.Struct, gc=False, eq=False):
    """See the module. `transitory`: it may be let in while access control is being introduced.

    `asked`: whether the admission was, or will be, asked for. `granted`: whether it was granted
    here; not by a server that the request was passed on to.
    """

    judge: Judge
    capability: Capability
    head: Head
    transitory: bool = True
    needs: tuple[Need, ...] = ()
    admitted: Caller | None = None
    granted: bool = False
    asked: bool = False

    @property
    def near(self) -> bytes:
        """How the request proves to come from a server's own machine; empty: it does not."""
        return self.head.near

    @property
    def caller(self) -> Caller:
        """The caller, from the state here. Raises as `admit` does for one that is not known."""
        if self.admitted is None:
            self.admitted = self.judge.caller(self.head, proven=False)
        return self.admitted

    def need(self, need: Need) -> None:
        """Ask for this as well: the handler of a right on objects says so of each of them."""
        self.needs = (*self.needs, need)

    def admit(self, *, proven: bool, again: bool = False) -> None:
        """Return if the caller may do this now. Raises as `Judge.caller` does.

        `again`: it was admitted before, and what it asked for goes on.
        """
        capability = self.capability
        if capability is Capability.NONE:
            return
        caller: Caller | None = None
        error: PermissionDenied | None = None
        try:
            caller = self.judge.caller(self.head, proven=proven)
        except PermissionDenied as unknown:
            error = unknown
        else:
            rights, needs = caller.rights, self.needs
            decided = bool(needs) if capability in OF_OBJECTS else rights.allows(capability)
            if not decided or (needs and not _all(needs, rights)):
                error = PermissionDenied()
        if error is not None:
            if not self.transitory:
                raise error
            caller = self.judge.refused(error, caller, again=again)
        self.admitted, self.granted = caller, True


def _all(needs: tuple[Need, ...], rights: Rights) -> bool:
    """Whether each holds. In nearly all cases there is one: a generator would show."""
    for need in needs:  # noqa: SIM110  see above
        if not need(rights):
            return False
    return True


VOUCHED: Final = b"x-quorate-vouched"
"""The header by which a member says of a request that it passes on how near it came from."""

NEAR_CONTROL: Final = b"control"
NEAR_HOST: Final = b"host"
"""It came over the control socket, or from the machine of an agent that listens elsewhere too."""


class ControlAdmission(Admission, gc=False, eq=False):
    """That of every request of the control socket: what is not refused by itself is allowed."""

    def admit(self, *, proven: bool, again: bool = False) -> None:
        """It may."""
        del proven, again


class _Nobody:
    """The judge that a control admission does not ask."""

    def caller(self, head: Head, *, proven: bool) -> Caller:
        """Of no token."""
        del head, proven
        return CONTROL

    def refused(self, error: PermissionDenied, caller: Caller | None, *, again: bool) -> Caller:
        """Nothing is refused."""
        del caller, again
        raise error


def of_control() -> ControlAdmission:
    """The admission of a request of the control socket."""
    return ControlAdmission(_NOBODY, Capability.NONE, _CONTROL_HEAD, admitted=CONTROL, asked=True)


_NOBODY: Final = _Nobody()
_CONTROL_HEAD: Final = Head(near=NEAR_CONTROL)
