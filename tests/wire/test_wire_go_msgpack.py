"""The packers against the msgpack library, and against the facts where Go differs from it."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import BadFrame
from quorate.wire.go.msgpack import (
    MAX_ARRAY_LENGTH,
    MAX_MAP_LENGTH,
    array_header,
    pack_bool,
    pack_int,
    pack_raw,
    pack_uint,
    unpack,
)

EDGES = [edge + step for edge in (0, 1 << 7, 1 << 8, 1 << 16, 1 << 32) for step in (-1, 0, 1)]


@pytest.mark.parametrize("number", [*(n for n in EDGES if n >= 0), 2**64 - 1])
def test_unsigned_numbers(number: int) -> None:
    assert pack_uint(number) == msgpack.packb(number)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "d10080"),
        (200, "d100c8"),
        (32767, "d17fff"),
        (32768, "d200008000"),
        (70000, "d200011170"),
        (2**31 - 1, "d27fffffff"),
        (2**31, "d30000000080000000"),
        (2**63 - 1, "d37fffffffffffffff"),
        (-1, "ff"),
        (-32, "e0"),
        (-33, "d0df"),
        (-128, "d080"),
        (-129, "d1ff7f"),
        (-(2**15) - 1, "d2ffff7fff"),
        (-(2**63), "d38000000000000000"),
    ],
)
def test_signed_numbers(number: int, expected: str) -> None:
    assert pack_int(number).hex() == expected
    assert unpack(pack_int(number)) == number


@pytest.mark.parametrize("length", [0, 31, 32, 255, 256, 65535, 65536])
def test_raw_strings(length: int) -> None:
    data = b"r" * length
    assert pack_raw(data) == msgpack.packb(data, use_bin_type=False)


@pytest.mark.parametrize("length", [0, 15, 16, 65535, 65536])
def test_array_headers(length: int) -> None:
    assert array_header(length) == msgpack.Packer().pack_array_header(length)


def test_bools() -> None:
    assert [unpack(pack_bool(value)) for value in (True, False)] == [True, False]


@given(number=st.integers(0, 2**64 - 1))
def test_any_unsigned_number(number: int) -> None:
    assert unpack(pack_uint(number)) == number


@given(number=st.integers(-(2**63), 2**63 - 1))
def test_any_signed_number(number: int) -> None:
    assert unpack(pack_int(number)) == number


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x01\x01", id="two values"),
        pytest.param(b"\xc1", id="reserved byte"),
        pytest.param(b"\xa5abc", id="cut string"),
        pytest.param(b"\xdb\xff\xff\xff\xff", id="string of 4 GiB"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="array of 4 Gi"),
        pytest.param(b"\xdf\xff\xff\xff\xff", id="map of 4 Gi"),
        pytest.param(b"\xc9\xff\xff\xff\xff\x01", id="ext of 4 GiB"),
        pytest.param(b"\x91" * 100_000, id="deep array"),
        pytest.param(b"\x81\x01" * 100_000, id="deep map"),
        pytest.param(b"\x81\x80\x01", id="map as a key"),
        pytest.param(b"\xc7\x05\xffaaaaa", id="timestamp of 5 bytes"),
        pytest.param(b"\xd7\xff" + b"\xff" * 8, id="timestamp of too many nanoseconds"),
        pytest.param(msgpack.packb([0] * (MAX_ARRAY_LENGTH + 1)), id="long array"),
        pytest.param(msgpack.packb(dict.fromkeys(range(MAX_MAP_LENGTH + 1))), id="long map"),
        pytest.param(msgpack.packb([[[]] * 1024] * 300), id="many values"),
    ],
)
def test_refused(data: bytes) -> None:
    with pytest.raises(BadFrame) as caught:
        unpack(data)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


def test_up_to_the_limits() -> None:
    assert len(unpack(msgpack.packb([0] * MAX_ARRAY_LENGTH))) == MAX_ARRAY_LENGTH
    assert len(unpack(msgpack.packb(dict.fromkeys(range(MAX_MAP_LENGTH))))) == MAX_MAP_LENGTH
    assert len(unpack(msgpack.packb([[0] * 1000] * 255))) == 255


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_value_or_a_bad_frame(data: bytes) -> None:
    refusal = None
    try:
        unpack(data)
    except BadFrame as error:
        refusal = error
    assert refusal is None or refusal.next_step
