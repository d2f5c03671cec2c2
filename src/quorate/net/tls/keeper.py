"""The TLS of one server: what is spoken at its ports, and with which certificate, now.

`replace` exchanges the certificate while connections stand. Those that were made before are ended
by their ports within a minute (`accepting`): a certificate that was taken back counts no longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

from quorate.certificates.names import Role, name_of
from quorate.errors import QuorateError
from quorate.net.tls.files import TlsFiles
from quorate.net.tls.identity import TlsIdentity, check_valid
from quorate.net.tls.names import Certified, certified, no_server, other_server

WARNED_DAYS: Final = 30
"""For so many days before the end of a certificate its renewal is asked for."""

_NEW_AUTHORITY: Final = "see docs/tls.md for the way to a new one"
_RENEW: Final = (
    "make a new one (quorate tls cert create -server) and put it in the place of the old one, the "
    "key first (docs/tls.md#renewal)"
)


class TlsKeeper:
    """See the module. It belongs to the loop.

    `http` and `rpc` say at which ports TLS is spoken, `verify_clients` whether clients of the HTTP
    port need a certificate, `upgrading` that the RPC port takes connections without TLS too, and
    dials servers so that have none yet. With `bound` a server's certificate has to name its ID.
    """

    def __init__(
        self,
        files: TlsFiles,
        identity: TlsIdentity,
        *,
        region: str,
        http: bool = False,
        rpc: bool = True,
        verify_clients: bool = False,
        upgrading: bool = False,
        bound: bool = False,
    ) -> None:
        self.files = files
        self.identity = identity
        self.region = region
        self.http = http
        self.rpc = rpc
        self.verify_clients = verify_clients
        self.upgrading = upgrading
        self.bound = bound
        self.on_replaced: list[Callable[[], None]] = []
        self.problem = ""
        """Why the files that are there now are not used; empty: they are."""

    def replace(self, files: TlsFiles, identity: TlsIdentity) -> None:
        """From now on these count."""
        self.files, self.identity, self.problem = files, identity, ""
        for tell in self.on_replaced:
            tell()

    def check_own(self, identity: TlsIdentity) -> None:
        """Raise QuorateError if other servers would not believe this certificate."""
        names, wanted = identity.facts.dns_names, name_of(Role.SERVER, self.region)
        if self.rpc and wanted not in names:
            raise QuorateError(
                f"the certificate in tls.cert_file is for {', '.join(names[:3]) or 'no name'}, and "
                f"a server of region {self.region} needs one for {wanted}",
                f"make one: quorate tls cert create -server -region={self.region}",
            )

    def shown(self, transport: asyncio.BaseTransport) -> Certified | None:
        """What the other end of a connection has shown; None: nothing. Raises BadFrame."""
        return certified(transport)

    def stranger(self, shown: Certified | None) -> str:
        """Empty, or why a connection to the RPC port with this certificate is of no server."""
        if shown is None:
            return "" if self.upgrading else "a connection without a certificate"
        return self._taken_back(shown) or no_server(shown)

    def other(self, shown: Certified | None, region: str, server_id: str) -> str:
        """Empty, or why the certificate is not that of the server which proved this ID."""
        if shown is None:
            return self.stranger(None)
        return self._taken_back(shown) or other_server(shown, region, server_id, bound=self.bound)

    def unproven(self, shown: Certified | None) -> str:
        """Empty, or why a peer that proves no ID is no server of this region."""
        if shown is None:
            return self.stranger(None)
        return self._taken_back(shown) or other_server(shown, self.region, "", bound=False)

    def client(self, shown: Certified | None) -> str:
        """Empty, or why a client of the HTTP port is refused, whose handshake was good."""
        return "" if shown is None else self._taken_back(shown)

    def worries(self, now: datetime, server_id: str) -> tuple[str, ...]:
        """What will stop working soon, or is not as it was asked for, each with the next step.

        `server_id` is the ID of this server.
        """
        found = list(self.other_worries(now, server_id))
        if wrong := self.invalid(now):
            found.append(wrong)
        else:
            days = self.identity.days_left(now)
            if days < WARNED_DAYS:
                of_all = self.ends_with_authority
                whose = "authority of the TLS certificate" if of_all else "TLS certificate"
                left = f"in {int(days)} days" if days >= 1 else "within a day"
                cure = _NEW_AUTHORITY if of_all else _RENEW
                found.append(f"the {whose} expires {left}: {cure}")
        return tuple(found)

    @property
    def ends_with_authority(self) -> bool:
        """True if the authorities end before the certificate."""
        return self.identity.authorities_end < self.identity.facts.not_after

    def other_worries(self, now: datetime, server_id: str) -> tuple[str, ...]:
        """Of the worries those that are not about the end of the certificate."""
        found = []
        if self.problem:
            found.append(self.problem)
        if self.bound and server_id not in self.identity.facts.server_ids:
            found.append(
                f"the TLS certificate does not name this server, so others refuse it "
                f"(tls.verify_server_id): make one with quorate tls cert create -server "
                f"-region={self.region} -server-id={server_id}"
            )
        revoked = self.identity.revoked
        if revoked is not None and revoked.ended(now):
            found.append(
                f"the list of revoked certificates is older than it may be: put a newer one into "
                f"{self.files.crl_file}"
            )
        return tuple(found)

    def invalid(self, now: datetime) -> str:
        """Empty, or why no other server believes the certificate of this one."""
        try:
            check_valid(self.identity, now)
        except QuorateError as error:
            return f"TLS: {error.line()}"
        return ""

    def _taken_back(self, shown: Certified) -> str:
        revoked = self.identity.revoked
        if revoked is None or not revoked.has(shown.issuer, shown.serial):
            return ""
        return f"its certificate with serial number {shown.serial} was revoked"
