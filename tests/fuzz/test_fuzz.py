"""Every decoder meets every saved input, cut and changed inputs, and plain noise."""

from __future__ import annotations

import random

import pytest
from fuzz_bounds import examine
from fuzz_corpus import saved
from fuzz_targets import TARGETS, Target
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.errors import ConfigError

EXAMPLES = 40
MUTANTS = 100


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    """Grammars and listeners are made at their first use, once; that is not the input's cost."""
    TARGETS["http-request"].decode(b"")
    with pytest.raises(ConfigError):
        TARGETS["configuration"].decode(b"a = 1")


def mutated(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """A few cuts, repeats, splices and flips."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(result))
        end = rng.randint(start, min(len(result), start + 8))
        match rng.randrange(5):
            case 0:
                result[start:end] = rng.randbytes(rng.randint(0, 4))
            case 1:
                del result[start:end]
            case 2:
                result[start:start] = result[start:end] * rng.randint(1, 40)
            case 3:
                other = rng.choice(others)
                at = rng.randint(0, len(other))
                result[start:end] = other[at : at + rng.randint(0, 40)]
            case _ if result:
                result[min(start, len(result) - 1)] ^= 1 << rng.randrange(8)
    return bytes(result)


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_saved_inputs(target: Target) -> None:
    inputs = saved(target.name)
    assert inputs, "every target has seeds"
    for data in inputs:
        examine(target, data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_changed_inputs(target: Target) -> None:
    rng = random.Random(f"mutants of {target.name}")
    inputs = saved(target.name)
    for _ in range(MUTANTS):
        data = mutated(rng, rng.choice(inputs), inputs)
        try:
            examine(target, data, bounded=rng.random() < 0.2)
        except BaseException as error:
            error.add_note(f"{target.name}: input {data!r}")
            raise


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_noise(target: Target) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None)
    @given(data=st.binary(max_size=300))
    def any_bytes(data: bytes) -> None:
        examine(target, data, bounded=False)

    any_bytes()


BOMBS = {
    "nested": b"[" * 60_000,
    "nested objects": b'{"a":' * 30_000,
    "digits": b"9" * 60_000,
    "zeros": bytes(60_000),
    "quotes": b'"' * 60_000,
    "escapes": b"%41" * 20_000,
    "pairs": b"a=b&" * 15_000,
    "braces": b"a {\n" * 10_000,
    "msgpack arrays": b"\x91" * 60_000,
    "ones": b"\xff" * 60_000,
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(target: Target, bomb: str) -> None:
    examine(target, BOMBS[bomb])


def test_the_check_finds_what_it_should() -> None:
    def hungry(data: bytes) -> None:
        del data
        bytearray(64 << 20)

    with pytest.raises(AssertionError, match="bytes of memory"):
        examine(Target("hungry", hungry, ()), b"x")

    def rude(data: bytes) -> None:
        raise KeyError(data)

    with pytest.raises(KeyError):
        examine(Target("rude", rude, (ValueError,)), b"x")
