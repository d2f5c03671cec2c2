"""Root keys wrapped with a key from outside: what is stored, what is opened, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.errors import KeyMissing, WrappingKeyMissing
from quorate.server.secrets.ring import KeyRing
from quorate.server.secrets.wrapping import NO_WRAPPING, Wrapping, id_of, needed
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables import root_keys
from quorate.state.tables.root_keys import AddRootKey, Rewrapped, RewrapRootKeys, RootKey

OUTER, OTHER = b"o" * 32, b"p" * 32
ROOT = b"r" * 32


def row_of(key: bytes, wrapped_by: str) -> RootKey:
    return RootKey(key=key, create_time=1, wrapped_by=wrapped_by)


def store_with(key: bytes, wrapped_by: str) -> StateStore:
    store = StateStore(TODAY)
    add = AddRootKey(key_id="k", key=key, create_time=1, wrapped_by=wrapped_by)
    for index, command in enumerate((RaiseLevel(level=3), add), start=1):
        store.apply(index, encode(command))
    return store


@given(st.binary(min_size=32, max_size=32), st.text(max_size=40))
def test_what_is_wrapped_is_unwrapped_and_shows_nothing(key: bytes, key_id: str) -> None:
    wrapping = Wrapping((OUTER,))
    wrapped, by = wrapping.wrap(key_id, key)
    assert by == id_of(OUTER)
    assert key not in wrapped
    assert wrapping.unwrap(key_id, row_of(wrapped, by)) == key
    assert wrapping.wrap(key_id, key)[0] != wrapped, "another nonce each time"


def test_without_a_wrapping_key_nothing_is_wrapped() -> None:
    assert NO_WRAPPING.wrap("k", ROOT) == (ROOT, "")
    assert NO_WRAPPING.unwrap("k", row_of(ROOT, "")) == ROOT


def test_an_older_key_opens_and_the_first_wraps() -> None:
    wrapped, by = Wrapping((OUTER,)).wrap("k", ROOT)
    both = Wrapping((OTHER, OUTER))
    assert both.unwrap("k", row_of(wrapped, by)) == ROOT
    assert both.wrap("k", ROOT)[1] == id_of(OTHER)


def test_a_key_that_is_not_there_is_named() -> None:
    wrapped, by = Wrapping((OUTER,)).wrap("k", ROOT)
    for lacking in (NO_WRAPPING, Wrapping((OTHER,))):
        with pytest.raises(WrappingKeyMissing, match=by):
            lacking.unwrap("k", row_of(wrapped, by))
        ring = KeyRing(store_with(wrapped, by), lacking)
        with pytest.raises(KeyMissing, match="wrapped with key"):
            ring.root_key("k")


@pytest.mark.parametrize("at", [0, 11, 12, 40, 59])
def test_a_wrapped_key_that_was_changed_does_not_open(at: int) -> None:
    wrapping = Wrapping((OUTER,))
    wrapped, by = wrapping.wrap("k", ROOT)
    changed = wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :]
    for key, key_id in ((changed, "k"), (wrapped, "another"), (b"", "k"), (wrapped[:20], "k")):
        with pytest.raises(KeyMissing):
            wrapping.unwrap(key_id, row_of(key, by))


def test_texts_show_no_key() -> None:
    wrapping = Wrapping((OUTER,))
    wrapped, by = wrapping.wrap("k", ROOT)
    texts = [repr(wrapping), repr(Rewrapped("k", 1, wrapped, by)), repr(row_of(wrapped, by))]
    assert not any("ooo" in text or str(wrapped)[3:9] in text for text in texts)
    assert id_of(OUTER) in texts[0]


def test_a_rewrap_changes_the_wrapping_alone_and_only_of_what_it_saw() -> None:
    wrapped, by = Wrapping((OUTER,)).wrap("k", ROOT)
    store = store_with(wrapped, by)
    assert needed(store) == {by}
    before = store.rows(root_keys.TABLE)["k"]
    both = Wrapping((OTHER, OUTER))
    ((key_id, row),) = both.stale(store)
    wrapped, now_by = both.wrap(key_id, both.unwrap(key_id, row))

    def rewrap(index: int, seen: int) -> int:
        rows = (Rewrapped("k", seen, wrapped, now_by), Rewrapped("none", seen, wrapped, now_by))
        done: int = store.apply(index, encode(RewrapRootKeys(rows=rows)))
        return done

    assert rewrap(3, before.modify_index + 1) == 0
    assert rewrap(4, before.modify_index) == 1
    after = store.rows(root_keys.TABLE)["k"]
    assert (after.wrapped_by, after.state, after.create_time) == (now_by, "active", 1)
    assert both.stale(store) == []
    assert KeyRing(store, Wrapping((OTHER,))).root_key("k") == ROOT


def test_unwrapping_is_asked_for_by_name() -> None:
    wrapped, by = Wrapping((OUTER,)).wrap("k", ROOT)
    store = store_with(wrapped, by)
    assert NO_WRAPPING.stale(store) == [], "a server that was given no key wants nothing"
    ending = Wrapping((OUTER,), first_wraps=False)
    ((key_id, row),) = ending.stale(store)
    assert ending.wrap(key_id, ending.unwrap(key_id, row)) == (ROOT, "")
