"""The sealer of a leader: refusals, nonces over leaders and restarts, and what it costs."""

from __future__ import annotations

import os
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quorate.errors import CannotSealYet, KeyMissing, SealBroken
from quorate.server.secrets.ring import KeyRing
from quorate.server.secrets.sealer import Sealer
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.state.tables.root_keys import TABLE, VALUES, AddRootKey, EndPhase, RemoveRootKey
from quorate.state.tables.variables import Sealed, Variable

ITEMS = {"user": "app", "password": "of the database"}


class Cluster:
    """The replicated state, and the sealers of its servers."""

    def __init__(self, level: int = 3) -> None:
        self.store = StateStore(TODAY)
        self.apply(RaiseLevel(level=level))
        self.leads = True

    def apply(self, command: Command) -> None:
        self.store.apply(self.store.applied_index + 1, encode(command))

    def add(self, key_id: str, prev: str = "") -> None:
        key = os.urandom(32)
        self.apply(AddRootKey(key_id=key_id, key=key, create_time=1, prev=prev))

    def server(self) -> Sealer:
        """A server that has just started."""
        return Sealer(self.store, KeyRing(self.store), lambda: self.leads)


def record(sealed: Sealed, path: str = "a/b", namespace: str = "default") -> Variable:
    return Variable(
        namespace=namespace,
        path=path,
        data=sealed.data,
        key_id=sealed.key_id,
        nonce=sealed.nonce,
        create_time=1,
        modify_time=1,
    )


def keyed() -> Cluster:
    cluster = Cluster()
    cluster.add("k-1")
    return cluster


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=50), max_size=5))
def test_any_server_opens_what_a_leader_has_sealed(items: dict[str, str]) -> None:
    cluster = keyed()
    sealed = cluster.server().seal("default", "a/b", items)
    assert cluster.server().open(record(sealed)) == items


def test_no_item_is_in_the_clear() -> None:
    sealed = keyed().server().seal("default", "a/b", ITEMS)
    for text in (*ITEMS, *ITEMS.values()):
        assert text.encode() not in sealed.data


def test_a_value_opens_at_its_place_alone_and_the_error_names_it() -> None:
    cluster = keyed()
    sealed = cluster.server().seal("default", "a/b", ITEMS)
    for moved in (record(sealed, path="a/c"), record(sealed, namespace="other")):
        with pytest.raises(SealBroken, match=f'variable "{moved.path}" in namespace') as caught:
            cluster.server().open(moved)
        assert "k-1" in str(caught.value)
        assert f"operator api '/v1/var/{moved.path}?stale&namespace=" in caught.value.next_step


@pytest.mark.parametrize("part", ["data", "nonce"])
def test_a_flipped_byte_is_an_error(part: str) -> None:
    cluster = keyed()
    whole = record(cluster.server().seal("default", "a/b", ITEMS))
    data = bytearray(getattr(whole, part))
    data[len(data) // 2] ^= 1
    with pytest.raises(SealBroken):
        cluster.server().open(replace(whole, **{part: bytes(data)}))


def test_a_key_that_is_gone_is_named() -> None:
    cluster = keyed()
    server = cluster.server()
    older = record(server.seal("default", "a/b", ITEMS))
    cluster.add("k-2", "k-1")
    assert server.seal("default", "a/b", ITEMS).key_id == "k-2"
    assert server.open(older) == ITEMS
    index = cluster.store.rows(TABLE)["k-2"].modify_index
    cluster.apply(EndPhase(key_id="k-2", phase=VALUES, modify_index=index))
    index = cluster.store.rows(TABLE)["k-1"].modify_index
    cluster.apply(RemoveRootKey(key_id="k-1", modify_index=index))
    for reader in (server, cluster.server()):
        with pytest.raises(KeyMissing, match="root key k-1"):
            reader.open(older)


def test_nothing_is_sealed_by_a_server_that_does_not_know_all_that_was_written() -> None:
    cluster = keyed()
    cluster.leads = False
    with pytest.raises(CannotSealYet):
        cluster.server().seal("default", "a/b", ITEMS)


def test_nothing_is_passed_on_in_the_clear_before_the_first_key() -> None:
    with pytest.raises(CannotSealYet):
        Cluster().server().seal("default", "a/b", ITEMS)


def test_no_key_and_nonce_meet_twice_over_leaders_and_restarts() -> None:
    cluster = keyed()
    seen: set[tuple[str, bytes]] = set()
    servers = [cluster.server() for _ in range(3)]
    rounds = 0
    for turn in range(60):
        server = servers[turn % 3]
        if turn % 7 == 0:
            server = servers[turn % 3] = cluster.server()  # it has restarted
        if turn % 20 == 10:
            cluster.add(f"k-{turn}", KeyRing(cluster.store).active_id)
        server.renew()  # it is elected
        for number in range(5):
            sealed = server.seal("default", f"a/{number}", ITEMS)
            assert (sealed.key_id, sealed.nonce) not in seen
            seen.add((sealed.key_id, sealed.nonce))
            rounds += 1
    # Each leadership has a salt, and so a data key, of its own.
    assert len({nonce[:16] for _, nonce in seen}) >= 60
    assert len(seen) == rounds == 300


def test_sealing_costs_little() -> None:
    """Of a write of some 200 us. It takes 5 us; the bound is wide for machines under load."""
    server = keyed().server()
    items = {"value": "x" * 256}
    quickest = 1.0
    for _ in range(20):
        started = thread_time()
        for _ in range(100):
            server.seal("default", "app/db", items)
        quickest = min(quickest, (thread_time() - started) / 100)
    assert quickest < 50e-6, f"{quickest * 1e6:.1f} us"
