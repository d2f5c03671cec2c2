"""The signed challenge that opens every connection between servers of ours, sans-IO.

    dialer    0x11, Hello
    listener  Hello, Proof          or Refusal, and the connection ends
    dialer    Proof, and at once what the connection is for

A message is two bytes of length, big-endian, and a msgpack map of at most 2 KiB. A hello says which
server speaks (identity record, region, RPC address), with which public key, and a nonce. A proof is
an Ed25519 signature (RFC 8032) over a label for the side that signs, and both hellos as they
travelled. So a proof fits no other connection, no other side and no other hello; each side knows
the key of the other from somewhere else (the Raft configuration) and need not believe a word before
the proof is there. The listener looks at a hello before it signs: a stranger costs it no signature.

A server that has been out of reach may meet a leader that its configuration does not have yet. So
each proof may carry a voucher, by which the sender confirms that the other side is a member with
that key, and a hello may show vouchers of others.

The connection is not encrypted, and the proof says nothing of the bytes behind it: an attacker that
can change packets on the way can take it over. TLS is for that (docs/security.md).

Invariant: a reader that has refused stays so, and holds no more than one message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from quorate.errors import BadFrame
from quorate.raft.values.identity import IdentityRecord
from quorate.wire.first_byte import PROVEN_BYTE
from quorate.wire.go.msgpack import bad_frame
from quorate.wire.raft.identity import ID_CHARS_MAX, RECORD_BYTES_MAX, decode_record, encode_record

MESSAGE_BYTES_MAX: Final = 2048
VOUCHERS_MAX: Final = 3
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
REGION_CHARS_MAX: Final = 64
ADDRESS_CHARS_MAX: Final = 262  # a name of 253, brackets, colon and port
REFUSAL_CHARS_MAX: Final = 300

_LENGTH_BYTES: Final = 2
_DIALER: Final = b"quorate connection 1, dialer\n"
_LISTENER: Final = b"quorate connection 1, listener\n"
_VOUCHER: Final = b"quorate voucher 1\n"


class Signer(Protocol):
    """A private key: its public half (32 bytes), and signatures by it."""

    @property
    def public(self) -> bytes:
        """The public Ed25519 key."""

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes."""


class Voucher(msgspec.Struct, frozen=True):
    """Of the server `issuer`: its signature that another one is a member (`voucher_text`)."""

    issuer: str
    signature: bytes


class Speaker(msgspec.Struct, frozen=True, kw_only=True):
    """A side's description of itself. `address` is its own RPC address, "host:port"."""

    record: IdentityRecord
    region: str
    address: str
    key: bytes
    vouchers: tuple[Voucher, ...] = ()


class _Hello(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="hello"):
    record: bytes
    region: str
    address: str
    key: bytes
    nonce: bytes
    vouchers: tuple[Voucher, ...] = ()


class _Proof(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="proof"):
    signature: bytes
    voucher: bytes = b""


class _Refusal(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="refusal"):
    why: str


_Message = _Hello | _Proof | _Refusal
_decode: Final = msgspec.msgpack.Decoder(_Message).decode
_encode: Final = msgspec.msgpack.Encoder().encode

Check = Callable[[Speaker], str]
"""Empty, or why the connection ends, for what the other side says it is."""

Vouch = Callable[[Speaker], bytes]
"""The signature by which this server vouches for the other side, or nothing."""


def no_voucher(_: Speaker) -> bytes:
    """Vouches for nothing."""
    return b""


def _framed(message: _Message) -> tuple[bytes, bytes]:
    body = _encode(message)
    assert len(body) <= MESSAGE_BYTES_MAX, len(body)
    return body, len(body).to_bytes(_LENGTH_BYTES, "big") + body


def _hello(speaker: Speaker, nonce: bytes) -> _Hello:
    assert len(nonce) == NONCE_BYTES
    return _Hello(
        record=encode_record(speaker.record),
        region=speaker.region,
        address=speaker.address,
        key=speaker.key,
        nonce=nonce,
        vouchers=speaker.vouchers[:VOUCHERS_MAX],
    )


def _speaker(hello: _Hello) -> Speaker:
    """Raises BadFrame for what must not be stored or shown."""
    if len(hello.key) != KEY_BYTES or len(hello.nonce) != NONCE_BYTES:
        raise bad_frame("a handshake with a key or nonce of another length")
    if len(hello.record) > RECORD_BYTES_MAX:
        raise bad_frame("a handshake with an identity record that is too long")
    if not (_plain(hello.region, REGION_CHARS_MAX) and _plain(hello.address, ADDRESS_CHARS_MAX)):
        raise bad_frame("a handshake with a region or address that is no printable text")
    vouchers = hello.vouchers
    if len(vouchers) > VOUCHERS_MAX or not all(
        _plain(each.issuer, ID_CHARS_MAX) and len(each.signature) == SIGNATURE_BYTES
        for each in vouchers
    ):
        raise bad_frame("a handshake with vouchers that are none")
    return Speaker(
        record=decode_record(hello.record),
        region=hello.region,
        address=hello.address,
        key=hello.key,
        vouchers=vouchers,
    )


def _plain(text: str, chars_max: int) -> bool:
    return 0 < len(text) <= chars_max and text.isascii() and text.isprintable()


def _transcript(label: bytes, dialer_hello: bytes, listener_hello: bytes) -> bytes:
    size = len(dialer_hello).to_bytes(_LENGTH_BYTES, "big")
    return label + size + dialer_hello + listener_hello


def voucher_text(cluster_id: str, server_id: str, key: bytes) -> bytes:
    """The text that a member signs to confirm that `server_id` is a member, with this key."""
    return _VOUCHER + f"{cluster_id}\n{server_id}\n".encode() + key


def is_signed(key: bytes, signature: bytes, data: bytes) -> bool:
    """True if the signature of `data` is by the private half of this public key."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _verify(key: bytes, signature: bytes, data: bytes) -> None:
    """Raises BadFrame."""
    if not is_signed(key, signature, data):
        raise bad_frame("the other side does not hold the private key that it names")


class _Side:
    """What both sides have in common: cutting messages, and being done."""

    def __init__(self, signer: Signer, check: Check, vouch: Vouch) -> None:
        self._signer = signer
        self._check = check
        self._vouch = vouch
        self._buffer = b""
        self._failed = False
        self.peer: Speaker | None = None
        """The other side, once its proof was right."""
        self.rest = b""
        """What came behind the handshake."""
        self.voucher = b""
        """By which the other side confirms that this server is a member; empty if it does not."""

    def feed(self, data: bytes) -> bytes:
        """Bytes that came; what is to be sent now.

        Raises BadFrame when the connection has to end; its text says why, with no word of the
        other side's that is not printable.
        """
        if self._failed:
            raise bad_frame("a connection was used after its handshake had failed")
        try:
            return self._feed(data)
        except BadFrame:
            self._failed = True
            self._buffer = b""
            raise

    def _feed(self, data: bytes) -> bytes:
        self._buffer += data
        out = b""
        while self.peer is None and (body := self._next()) is not None:
            try:
                message = _decode(body)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                raise bad_frame("a handshake message that cannot be read") from None
            out += self._take(message, body)
        if self.peer is not None:
            self.rest, self._buffer = self._buffer, b""
        return out

    def _next(self) -> bytes | None:
        if len(self._buffer) < _LENGTH_BYTES:
            return None
        size = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
        if size > MESSAGE_BYTES_MAX:
            raise bad_frame(f"a handshake message of {size} bytes, more than {MESSAGE_BYTES_MAX}")
        end = _LENGTH_BYTES + size
        if len(self._buffer) < end:
            return None
        body, self._buffer = self._buffer[_LENGTH_BYTES:end], self._buffer[end:]
        return body

    def _take(self, message: _Message, body: bytes) -> bytes:
        raise NotImplementedError

    def _proof(self, label: bytes, other: Speaker, *hellos: bytes) -> bytes:
        signature = self._signer.sign(_transcript(label, *hellos))
        return _framed(_Proof(signature=signature, voucher=self._vouch(other)))[1]


class DialerHandshake(_Side):
    """The side that opens the connection. `check` looks at the listener before it is answered."""

    def __init__(
        self, me: Speaker, signer: Signer, nonce: bytes, check: Check, vouch: Vouch = no_voucher
    ) -> None:
        super().__init__(signer, check, vouch)
        self._mine, framed = _framed(_hello(me, nonce))
        self.first = bytes((PROVEN_BYTE,)) + framed
        """What the dialer sends first."""
        self._theirs = b""
        self._listener: Speaker | None = None

    def _take(self, message: _Message, body: bytes) -> bytes:
        match message:
            case _Refusal():
                raise RefusedThere(f"it refuses this server: {_shown(message.why)}")
            case _Hello() if self._listener is None:
                listener = _speaker(message)
                if why := self._check(listener):
                    raise bad_frame(why)
                self._listener, self._theirs = listener, body
                return b""
            case _Proof() if self._listener is not None:
                both = (self._mine, self._theirs)
                _verify(self._listener.key, message.signature, _transcript(_LISTENER, *both))
                self.peer, self.voucher = self._listener, message.voucher
                return self._proof(_DIALER, self._listener, *both)
        raise bad_frame("a handshake message out of turn")


class ListenerHandshake(_Side):
    """The side that was dialed; it is fed what comes behind the mode byte.

    `check` looks at the dialer's hello before anything is signed for it.
    """

    def __init__(
        self, me: Speaker, signer: Signer, nonce: bytes, check: Check, vouch: Vouch = no_voucher
    ) -> None:
        super().__init__(signer, check, vouch)
        self._mine, self._framed = _framed(_hello(me, nonce))
        self._theirs = b""
        self._dialer: Speaker | None = None

    def _take(self, message: _Message, body: bytes) -> bytes:
        match message:
            case _Hello() if self._dialer is None:
                dialer = _speaker(message)
                if why := self._check(dialer):
                    raise HandshakeRefused(why)
                self._dialer, self._theirs = dialer, body
                return self._framed + self._proof(_LISTENER, dialer, body, self._mine)
            case _Proof() if self._dialer is not None:
                data = _transcript(_DIALER, self._theirs, self._mine)
                _verify(self._dialer.key, message.signature, data)
                self.peer, self.voucher = self._dialer, message.voucher
                return b""
        raise bad_frame("a handshake message out of turn")


class RefusedThere(BadFrame):
    """The listener says that it refuses this server, and why; nothing proves its words."""


class HandshakeRefused(BadFrame):
    """The listener's own check refused the dialer; `farewell` tells it why."""

    @property
    def farewell(self) -> bytes:
        """The last bytes to send."""
        return _framed(_Refusal(why=self.text[:REFUSAL_CHARS_MAX]))[1]


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:REFUSAL_CHARS_MAX])
