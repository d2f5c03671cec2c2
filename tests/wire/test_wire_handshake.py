"""The signed challenge: each side learns which server the other is, or the connection ends."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import BadFrame
from quorate.net.key_pair import KeyPair
from quorate.raft.values.identity import Epoch, IdentityRecord, Start, objection
from quorate.wire.first_byte import PROVEN_BYTE, FirstByte, classify
from quorate.wire.handshake import (
    MESSAGE_BYTES_MAX,
    Check,
    DialerHandshake,
    HandshakeRefused,
    ListenerHandshake,
    Speaker,
    Voucher,
    is_signed,
    voucher_text,
)

CLUSTER = "00000000-0000-0000-0000-00000000000a"
KEYS = [KeyPair(bytes([n]) * 32) for n in range(4)]


def speaker(number: int, **changes: object) -> Speaker:
    record = IdentityRecord(
        server_id=f"server-{number}", cluster_id=CLUSTER, level=1, start=Start(1, b"12345678")
    )
    said: dict[str, object] = {
        "record": msgspec.structs.replace(
            record, **{k: v for k, v in changes.items() if k in record.__struct_fields__}
        ),
        "region": changes.get("region", "global"),
        "address": f"127.0.0.1:{4000 + number}",
        "key": KEYS[number].public,
    }
    return Speaker(**said)  # type: ignore[arg-type]


def anybody(_: Speaker) -> str:
    return ""


def only(number: int) -> Check:
    return lambda other: "" if other.key == KEYS[number].public else "another key is on record"


def dialer(number: int = 1, check: Check = anybody, nonce: bytes = b"d" * 32) -> DialerHandshake:
    return DialerHandshake(speaker(number), KEYS[number], nonce, check)


def listener(
    number: int = 2, check: Check = anybody, nonce: bytes = b"l" * 32
) -> ListenerHandshake:
    return ListenerHandshake(speaker(number), KEYS[number], nonce, check)


def hello_of(side: DialerHandshake) -> bytes:
    return side.first[1:]


def test_both_sides_learn_which_server_the_other_is() -> None:
    one, two = dialer(check=only(2)), listener(check=only(1))
    assert classify(one.first[0]) is FirstByte.PROVEN
    answer = two.feed(one.first[1:])
    proof = one.feed(answer)
    assert one.peer == speaker(2)
    assert two.feed(proof + b"\x02 and what follows") == b""
    assert two.peer == speaker(1)
    assert two.rest == b"\x02 and what follows"


@given(st.lists(st.integers(1, 40), max_size=60))
def test_bytes_may_be_cut_anywhere(cuts: list[int]) -> None:
    one, two = dialer(), listener()

    def fed(side: DialerHandshake | ListenerHandshake, data: bytes) -> bytes:
        out = b""
        for size in [*cuts, len(data)]:
            piece, data = data[:size], data[size:]
            out += side.feed(piece) if piece else b""
        return out

    two.feed(fed(one, fed(two, one.first[1:])) + b"R")
    assert two.peer is not None
    assert one.peer is not None
    assert two.rest == b"R"


def test_a_listener_with_another_key_than_the_one_on_record_gets_nothing() -> None:
    one, two = dialer(check=only(3)), listener()
    answer = two.feed(hello_of(one))
    with pytest.raises(BadFrame, match="another key is on record"):
        one.feed(answer)
    assert one.peer is None


def test_a_key_that_is_named_and_not_held_is_refused_on_both_sides() -> None:
    liar = DialerHandshake(speaker(1), KEYS[3], b"d" * 32, anybody)
    two = listener()
    proof = liar.feed(two.feed(hello_of(liar)))
    with pytest.raises(BadFrame, match="does not hold the private key"):
        two.feed(proof)
    assert two.peer is None

    one = dialer()
    false_listener = ListenerHandshake(speaker(2), KEYS[3], b"l" * 32, anybody)
    answer = false_listener.feed(hello_of(one))
    with pytest.raises(BadFrame, match="does not hold the private key"):
        one.feed(answer)


def test_a_proof_of_another_connection_is_refused() -> None:
    one, two = dialer(), listener()
    proof = one.feed(two.feed(hello_of(one)))
    again = listener(nonce=b"m" * 32)
    again.feed(hello_of(one))
    with pytest.raises(BadFrame, match="does not hold"):
        again.feed(proof)

    answer = listener().feed(hello_of(dialer()))
    other = dialer(nonce=b"e" * 32)
    with pytest.raises(BadFrame, match="does not hold"):
        other.feed(answer)


def test_a_dialer_that_is_sent_its_own_words_believes_nothing() -> None:
    """Nor does a listener whose own hello and proof come back to it."""
    one = dialer()
    one.feed(hello_of(one))
    with pytest.raises(BadFrame):
        one.feed(hello_of(one))

    two = listener()
    answer = two.feed(hello_of(dialer(2)))
    with pytest.raises(BadFrame):
        two.feed(answer)


@pytest.mark.parametrize("changed", range(0, 220, 7))
def test_a_hello_that_was_changed_on_its_way_fits_no_proof(changed: int) -> None:
    one, two = dialer(), listener()
    hello = bytearray(hello_of(one))
    hello[changed % len(hello)] ^= 1
    with suppress(BadFrame):  # unless it waits for bytes that never come
        two.feed(one.feed(two.feed(bytes(hello))))
    assert two.peer is None


def test_a_stranger_costs_no_signature_and_is_told_why() -> None:
    class Counting:
        public = KEYS[2].public
        signed = 0

        def sign(self, data: bytes) -> bytes:
            self.signed += 1
            return KEYS[2].sign(data)

    signer = Counting()
    two = ListenerHandshake(speaker(2), signer, b"l" * 32, lambda _: "it is no member")
    one = dialer()
    with pytest.raises(HandshakeRefused) as refused:
        two.feed(hello_of(one))
    assert signer.signed == 0
    with pytest.raises(BadFrame, match="it refuses this server: it is no member"):
        one.feed(refused.value.farewell)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"cluster_id": "another"}, "belongs to cluster another"),
        ({"epoch": Epoch(1, bytes(16))}, "belongs to a later recovery"),
        ({"start": Start(0, b"")}, "old copy of its data folder"),
        ({"start": Start(1, b"87654321")}, "two copies of one data folder"),
    ],
)
def test_another_cluster_epoch_or_start_is_refused_by_name(
    changes: dict[str, object], word: str
) -> None:
    ours = speaker(2).record

    def check(other: Speaker) -> str:
        return objection(ours, other.record, Start(1, b"12345678"))

    one = DialerHandshake(speaker(1, **changes), KEYS[1], b"d" * 32, anybody)
    two = listener(check=check)
    with pytest.raises(HandshakeRefused, match="server-1.*" + word):
        two.feed(hello_of(one))


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff\xff",
        (MESSAGE_BYTES_MAX + 1).to_bytes(2, "big"),
        b"\0\0",
        b"\0\x01\xc0",
        b"\0\x02\x81\xa2",
        b"GET / HTTP/1.1\r\n\r\n" * 100,
    ],
)
def test_anything_else_is_refused_and_holds_nothing(junk: bytes) -> None:
    for side in (dialer(), listener()):
        with pytest.raises(BadFrame):
            side.feed(junk)
        with pytest.raises(BadFrame):
            side.feed(b"x")


@pytest.mark.parametrize(
    "fields",
    [
        {"key": b"short"},
        {"nonce": b"short"},
        {"region": ""},
        {"region": "r" * 65},
        {"region": "line\nbreak"},
        {"address": "a" * 263},
        {"address": "\x1b[2J"},
        {"record": b"x" * 300},
        {"record": b""},
        {"vouchers": [["a", b"s" * 64]] * 4},
        {"vouchers": [{"issuer": "a", "signature": b"s"}]},
        {"vouchers": [{"issuer": "line\n", "signature": b"s" * 64}]},
    ],
)
def test_each_field_of_a_hello_is_bounded(fields: dict[str, object]) -> None:
    size = int.from_bytes(hello_of(dialer())[:2], "big")
    hello = msgspec.msgpack.decode(hello_of(dialer())[2 : 2 + size])
    body = msgspec.msgpack.encode({**hello, **fields})
    with pytest.raises(BadFrame):
        listener().feed(len(body).to_bytes(2, "big") + body)


@given(st.binary(max_size=200))
def test_a_hello_cut_off_waits_and_holds_at_most_a_message(data: bytes) -> None:
    two = listener()
    with_length = (len(data) + 1).to_bytes(2, "big") + data
    assert two.feed(with_length) == b""
    assert two.peer is None


def test_a_member_vouches_for_another_in_its_proof() -> None:
    def vouch(other: Speaker) -> bytes:
        return KEYS[2].sign(voucher_text(CLUSTER, other.record.server_id, other.key))

    one = dialer()
    two = ListenerHandshake(speaker(2), KEYS[2], b"l" * 32, anybody, vouch)
    two.feed(one.feed(two.feed(hello_of(one))))
    assert is_signed(KEYS[2].public, one.voucher, voucher_text(CLUSTER, "server-1", KEYS[1].public))
    assert not is_signed(KEYS[2].public, one.voucher, voucher_text("x", "server-1", KEYS[1].public))
    assert two.voucher == b""

    shown = msgspec.structs.replace(speaker(1), vouchers=(Voucher("server-2", one.voucher),))
    heard: list[Speaker] = []

    def hear(other: Speaker) -> str:
        heard.append(other)
        return ""

    listener(3, check=hear).feed(DialerHandshake(shown, KEYS[1], b"d" * 32, anybody).first[1:])
    assert heard == [shown]


def test_the_mode_byte_stays_what_it_is() -> None:
    assert PROVEN_BYTE == 0x11
    assert dialer().first[:1] == b"\x11"
