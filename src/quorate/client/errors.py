"""Errors between a caller and an agent (docs/cli.md#rules).

    QuorateError
    `- ClientError          base of all; `str()` is one line for a person, `next_step` the cure
       |- AddressError      the address is no address: nothing was sent
       |- TlsError          a certificate or key cannot be loaded: nothing was sent
       |- RequestError      no answer: refused, reset, timed out, or TLS did not agree
       |- StatusError       an answer with a status other than success; `status` and `body`
       |  `- StateFull      the state, or a namespace, would grow beyond its bound
       `- AnswerError       success, but the body is not what the endpoint promises

The texts are those of the Go client where it has one, because scripts look for them.
"""

from __future__ import annotations

from quorate.errors import QuorateError


class ClientError(QuorateError):
    """Base of all errors of this package."""


class AddressError(ClientError):
    """The agent's address cannot be used; nothing was sent."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"invalid address '{address}': {reason}",
            "write it as http://127.0.0.1:4646, https://host:4646 or unix:///path/to/socket",
        )
        self.address = address


class TlsError(ClientError):
    """A certificate, a key or a folder of certificates cannot be loaded; nothing was sent."""


class RequestError(ClientError):
    """There is no answer. A write may or may not have reached the server.

    `method` and `url` name the request, `reason` is what the network or TLS said. `was_sent` is
    False if the request certainly was not sent.
    """

    def __init__(
        self, method: str, url: str, reason: str, next_step: str = "", *, was_sent: bool = True
    ) -> None:
        super().__init__(f'{method.capitalize()} "{url}": {reason}', next_step)
        self.method = method
        self.url = url
        self.reason = reason
        self.was_sent = was_sent


class StatusError(ClientError):
    """The server answered with an error; `status` is its code, `body` its text."""

    def __init__(self, status: int, body: str, next_step: str = "") -> None:
        shown = body.removesuffix("\n\n")  # behind a list of faults, one on each line
        told = f" ({shown})" if shown else ""
        super().__init__(f"Unexpected response code: {status}{told}", next_step)
        self.status = status
        self.body = body


class StateFull(StatusError):
    """The write would take the state, or a namespace, beyond its bound; nothing was written."""


class AnswerError(ClientError):
    """The server said success, but its body is not what this endpoint promises."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"unexpected answer to {path}: {reason}",
            "check that the address is that of a Quorate or Nomad agent's HTTP API",
        )
        self.path = path
