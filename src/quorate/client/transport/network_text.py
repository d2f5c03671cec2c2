"""Why there was no answer, in the words of the Go client (docs/cli.md#rules).

httpx wraps what the operating system and OpenSSL said in several layers; the innermost cause is
the one that tells an operator what to do, so the chain is walked down to it.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl

import httpx

from quorate.client.transport.address import Address

ALERT_WORDS = {
    "BAD_CERTIFICATE": "bad certificate",
    "CERTIFICATE_REQUIRED": "certificate required",
    "CERTIFICATE_EXPIRED": "expired certificate",
    "CERTIFICATE_UNKNOWN": "unknown certificate",
    "UNKNOWN_CA": "unknown certificate authority",
    "HANDSHAKE_FAILURE": "handshake failure",
    "PROTOCOL_VERSION": "protocol version not supported",
    "UNRECOGNIZED_NAME": "unrecognized name",
}
UNTRUSTED = {18, 19, 20, 21}  # X509_V_ERR_*: self-signed, or no path to a trusted authority
START_AGENT = "check that the agent runs there, or give -address (NOMAD_ADDR) another one"


def explain(error: Exception, address: Address) -> tuple[str, str]:
    """(reason, next step) for an error of httpx met on the way to `address`."""
    cause = _innermost(error)
    if address.tls and _is_closed(error, cause):
        return _CLOSED_IN_TLS
    return _explain(error, cause, address)


def _explain(error: Exception, cause: BaseException, address: Address) -> tuple[str, str]:
    if isinstance(cause, ssl.SSLError):
        return _tls(cause)
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return _dial(error, cause, address)
    if isinstance(error, httpx.TimeoutException):
        return (
            "no answer in time (Client.Timeout exceeded while awaiting headers)",
            "the agent accepts connections but does not answer: ask another one",
        )
    if isinstance(error, httpx.RemoteProtocolError):
        return _protocol(error)
    if isinstance(cause, OSError):
        wants = "; it may want another client certificate" if address.tls else ""
        return _os_text(cause), f"the connection broke: try again, or ask another agent{wants}"
    return str(error) or type(error).__name__, ""


def _dial(error: Exception, cause: BaseException, address: Address) -> tuple[str, str]:
    target = f"unix {address.socket}" if address.socket else f"tcp {address.dialled}"
    if isinstance(error, httpx.ConnectTimeout):
        return f"dial {target}: i/o timeout", START_AGENT
    if isinstance(cause, socket.gaierror):
        return f"dial tcp: lookup {address.host}: no such host", "check the name in the address"
    said = _os_text(cause) if isinstance(cause, OSError) else str(error)
    return f"dial {target}: connect: {said}", START_AGENT


_WANTED = (
    "EOF: the server closed the connection in the TLS handshake: it probably wants a client "
    "certificate (-client-cert, -client-key)"
)
_CLOSED_IN_TLS = (
    _WANTED,
    "give a certificate of its authority; if you did, the log of the agent says why it is refused",
)


def _is_closed(error: Exception, cause: BaseException) -> bool:
    """True if a connection with TLS was ended before anything was answered.

    A server that misses or refuses a certificate may do so without an alert. With TLS 1.3 that
    comes behind the handshake, to a client that has sent its request.
    """
    if isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return True
    if isinstance(error, httpx.ConnectError):
        return isinstance(cause, OSError) and cause.errno in {errno.ECONNRESET, errno.EPIPE}
    ended = isinstance(error, httpx.RemoteProtocolError) and "without sending" in str(error)
    return ended and "complete message body" not in str(error)


_CLOSED = (
    "the agent closed the connection: if it wants TLS, use https://; if it wants a certificate, "
    "give -client-cert and -client-key"
)


def _innermost(error: BaseException) -> BaseException:
    while True:
        below = error.__cause__ or error.__context__
        if below is None:
            return error
        error = below


def _os_text(error: OSError) -> str:
    if error.errno == errno.ECONNRESET:
        return "connection reset by peer"
    text = error.strerror or str(error) or type(error).__name__
    if text.startswith("Connect call failed") and error.errno:  # asyncio's words
        text = os.strerror(error.errno)
    return text[:1].lower() + text[1:]


def _protocol(error: httpx.RemoteProtocolError) -> tuple[str, str]:
    if "without sending complete message body" in str(error):
        return "unexpected EOF", "the agent ended in the middle of its answer: ask another one"
    if "without sending" in str(error):
        return "EOF", _CLOSED
    return f"malformed HTTP response ({error})", "check that this is an agent's HTTP address"


def _tls(error: ssl.SSLError) -> tuple[str, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in UNTRUSTED:
            return (
                "x509: certificate signed by unknown authority",
                "give the authority's certificate by -ca-cert (NOMAD_CACERT)",
            )
        return f"x509: {error.verify_message}", "see -tls-server-name, or renew the certificate"
    reason = error.reason or ""
    if "ALERT" in reason:
        alert = reason.partition("ALERT_")[2]
        words = ALERT_WORDS.get(alert, alert.replace("_", " ").lower())
        return (
            f"remote error: tls: {words}",
            "the agent wants a client certificate it trusts: -client-cert and -client-key",
        )
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        return (
            "tls: first record does not look like a TLS handshake",
            "the agent speaks plain HTTP there: use http://",
        )
    return f"tls: {reason.replace('_', ' ').lower() or error}", ""
