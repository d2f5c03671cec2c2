"""The settings of a client, and the URLs of its requests."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Final, Self

from quorate.client.calls.call import Query, names_in, routed
from quorate.client.transport.address import DEFAULT_ADDRESS, addresses_of
from quorate.client.transport.environment import Settings
from quorate.client.transport.tls import TlsOptions
from quorate.client.transport.wire import Reaching, Wire

DEFAULT_TIMEOUT_S: Final = 60.0


class Settled:
    """A client without its connections. Raises AddressError, TlsError and ClientError.

    Args:
        address: `http://`, `https://` or `unix://` address of an agent's HTTP API; several of one
            cluster as a sequence, or with commas between. If one does not answer the next is asked.
        region: region that requests are for; empty is the agent's own.
        token: secret ID, sent as X-Nomad-Token; empty is anonymous.
        namespace: sent when not empty.
        tls: certificates, used with `https://`.
        http_auth: user and password of HTTP basic authentication.
        timeout_s: longest silence of the server in seconds; None waits for ever.
    """

    def __init__(
        self,
        address: str | Sequence[str] = DEFAULT_ADDRESS,
        *,
        region: str = "",
        token: str = "",
        namespace: str = "",
        tls: TlsOptions | None = None,
        http_auth: tuple[str, str] | None = None,
        timeout_s: float | None = DEFAULT_TIMEOUT_S,
    ) -> None:
        self.region = region
        self.namespace = namespace
        headers = {"User-Agent": "quorate"}
        if token.strip():  # a line end at the end of a token file is no part of it
            headers["X-Nomad-Token"] = token.strip()
        self._connect(
            [
                Reaching(each, tls or TlsOptions(), headers, http_auth, timeout_s)
                for each in addresses_of(address)
            ]
        )

    @abstractmethod
    def _connect(self, reaching: Sequence[Reaching]) -> None:
        """Make the transports."""

    @property
    @abstractmethod
    def _wire(self) -> Wire:
        """That of the address that is asked next."""

    @classmethod
    def from_settings(
        cls, settings: Settings, *, timeout_s: float | None = DEFAULT_TIMEOUT_S
    ) -> Self:
        """A client by settings that were read from flags and variables."""
        return cls(
            settings.address,
            region=settings.region,
            token=settings.token,
            namespace=settings.namespace,
            tls=settings.tls,
            http_auth=settings.http_auth,
            timeout_s=timeout_s,
        )

    @property
    def address(self) -> str:
        """The address of the agent that is asked next, as it was understood."""
        address = self._wire.address
        return f"unix://{address.socket}" if address.socket else address.base

    def url(self, path: str, query: Query | None = None) -> str:
        """The URL that a request of `path` with `query` goes to."""
        return self._wire.url(path, query or [])

    def _routed(self, path: str, query: Query | None) -> Query:
        """The query with region and namespace of this client, unless they are named."""
        return routed(list(query or []), self.region, self.namespace, names_in(path))
