"""Values are sealed again after a rotation: all of them, over leaders, and unseen by clients."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from quorate.errors import ChangeRefused, QuorateError, RestoreUnderWay
from quorate.server.access.secrets import seal_secret, secret_of
from quorate.server.leader.acts import Acts
from quorate.server.secrets.keeper import RootKeeper
from quorate.server.secrets.resealer import Resealer
from quorate.server.secrets.ring import KeyRing
from quorate.server.secrets.sealer import Sealer
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.restore.rules import restored
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.state.tables import root_keys, variables
from quorate.state.tables.acl import tokens
from quorate.state.tables.acl.standing import ACL_LEVEL
from quorate.state.tables.acl.tokens import AclToken, DeleteTokens, PutToken
from quorate.state.tables.locks import AcquireLock
from quorate.state.tables.root_keys import VALUES, AddRootKey
from quorate.state.tables.variables import PutVariable

COUNT = 300


class Cluster:
    """The replicated state of a cluster at the level of root keys, with its first key."""

    def __init__(self) -> None:
        self.store = StateStore(TODAY)
        self.commit(RaiseLevel(level=3))
        self.commit(AddRootKey(key_id="k-1", key=os.urandom(32), create_time=1))
        self.waiting: list[bytes] = []  # written by the leader, not applied as yet
        self.server = Server(self)

    def commit(self, command: Command | bytes) -> Any:
        data = command if isinstance(command, bytes) else encode(command)
        return self.store.apply(self.store.applied_index + 1, data)

    def rotate(self, key_id: str = "k-2", prev: str = "k-1", *, full: bool = False) -> None:
        key = os.urandom(32)
        self.commit(AddRootKey(key_id=key_id, key=key, create_time=1, prev=prev, full=full))

    def fill(self, count: int = COUNT) -> None:
        for number in range(count):
            self.commit(self.put(f"app/{number:04}"))

    def put(self, path: str, value: str = "v") -> PutVariable:
        sealed = self.server.sealer.seal("default", path, {"value": value + path})
        return PutVariable(
            namespace="default",
            path=path,
            time_ns=1,
            data=sealed.data,
            key_id=sealed.key_id,
            nonce=sealed.nonce,
        )

    def put_token(self, accessor: str) -> PutToken:
        secret = f"secret of {accessor}"
        sealed = seal_secret(self.server.sealer, accessor, secret)
        token = AclToken(
            digest=secret.encode(), data=sealed.data, key_id=sealed.key_id, nonce=sealed.nonce
        )
        return PutToken(accessor=accessor, token=token)

    def tokens(self) -> Mapping[str, AclToken]:
        return self.store.rows(tokens.TABLE)

    def sealed_with(self) -> set[str]:
        return {row.key_id for row in self.store.rows(variables.TABLE).values()}

    def phase(self) -> tuple[str, int]:
        found = root_keys.active(self.store)
        assert found is not None
        return found[1].phase, found[1].resealed


class Server:
    """A leader of that cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        store = cluster.store
        self.leads = True
        self.sealer = Sealer(store, KeyRing(store), lambda: self.leads)
        self.keeper = RootKeeper(
            state=store,
            apply=self.apply,
            acts=Acts(store, lambda: 1),
            leads=lambda: self.leads,
            unix_ns=lambda: 1,
            resealer=self.resealer(self.apply),
            holders=self.holders,
        )

    async def apply(self, command: bytes) -> tuple[int, Any]:
        while self.cluster.waiting:
            self.cluster.commit(self.cluster.waiting.pop(0))
        result = self.cluster.commit(command)
        return self.cluster.store.applied_index, result

    def resealer(self, apply: Callable[[bytes], Awaitable[tuple[int, Any]]]) -> Resealer:
        store = self.cluster.store
        return Resealer(store, self.sealer, apply)

    async def holders(self, _: int) -> list[str]:
        return []

    async def until_done(self) -> int:
        """How many rounds it took."""
        for rounds in range(1000):
            if not self.cluster.phase()[0]:
                return rounds
            await self.keeper.round()
        raise AssertionError("the work never ended")


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def test_all_values_are_sealed_again_and_still_open() -> None:
    cluster = Cluster()
    cluster.fill()
    cluster.rotate()
    assert cluster.sealed_with() == {"k-1"}
    run(cluster.server.until_done())
    assert cluster.sealed_with() == {"k-2"}
    reader = Sealer(cluster.store, KeyRing(cluster.store), lambda: False)
    for row in cluster.store.rows(variables.TABLE).values():
        assert reader.open(row) == {"value": "v" + row.path}
    assert cluster.store.rows(root_keys.TABLE)["k-1"].unused_index > 0
    assert not cluster.store.changed_in_memory()


def test_clients_see_no_difference() -> None:
    cluster = Cluster()
    cluster.fill()
    store = cluster.store
    before = dict(store.rows(variables.TABLE))
    index, woken = store.table_index(variables.TABLE.name), []
    store.watch(variables.TABLE.name, lambda: woken.append(1))
    cluster.rotate()
    run(cluster.server.until_done())
    assert not woken
    assert store.table_index(variables.TABLE.name) == index
    for key, row in store.rows(variables.TABLE).items():
        as_before = {"data": before[key].data, "key_id": "k-1", "nonce": before[key].nonce}
        assert replace(row, **as_before) == before[key]
        assert row.data != before[key].data


def test_another_leader_goes_on_where_the_last_one_ended() -> None:
    cluster = Cluster()
    cluster.fill()
    cluster.rotate()
    for _ in range(2):
        run(cluster.server.keeper.round())
    phase, resealed = cluster.phase()
    assert phase == VALUES
    assert 0 < resealed < COUNT
    rounds = run(Server(cluster).until_done())
    assert rounds <= COUNT // 128 + 3
    assert cluster.sealed_with() == {"k-2"}


def test_a_value_that_was_under_way_with_the_older_key_is_sealed_again_too() -> None:
    """The leader sealed it before the rotation was applied, and its entry comes behind that."""
    cluster = Cluster()
    cluster.fill(10)
    late = cluster.put("app/0000", "late ")
    cluster.waiting.append(encode(late))
    cluster.rotate()
    run(cluster.server.until_done())
    assert cluster.sealed_with() == {"k-2"}
    row = variables.by_path(cluster.store, "default", "app/0000")
    assert row is not None
    assert cluster.server.sealer.open(row) == {"value": "late app/0000"}


@pytest.mark.parametrize("failing", [1, 2])
def test_values_of_a_batch_that_was_refused_are_looked_at_again(failing: int) -> None:
    """As while an archive is restored, which may be given up."""
    cluster = Cluster()
    cluster.fill()
    cluster.rotate()
    sealing, batches = cluster.server.apply, 0

    async def refused_once(command: bytes) -> tuple[int, Any]:
        nonlocal batches
        batches += 1
        if batches == failing:
            raise RestoreUnderWay
        return await sealing(command)

    resealer = cluster.server.resealer(refused_once)

    async def all_rounds() -> None:
        while True:
            found = root_keys.active(cluster.store)
            assert found is not None
            try:
                if await resealer.step(*found):
                    return
            except RestoreUnderWay:
                continue

    run(all_rounds())
    assert cluster.sealed_with() == {"k-2"}


def test_a_key_is_not_removed_while_a_value_needs_it() -> None:
    """Whatever its record says: the value could never be read again."""
    cluster = Cluster()
    cluster.fill(3)
    late = cluster.put("app/0001", "late ")
    cluster.rotate()
    run(cluster.server.until_done())
    cluster.commit(late)
    with pytest.raises(ChangeRefused, match="the value of app/0001 is sealed with it"):
        run(cluster.server.keeper.remove("k-1", force=True))
    cluster.commit(cluster.put("app/0001"))
    run(cluster.server.keeper.remove("k-1", force=True))
    assert set(cluster.store.rows(root_keys.TABLE)) == {"k-2"}


def first_batch(cluster: Cluster, meanwhile: Callable[[], object]) -> None:
    """The first batch is written, and something else is applied right before it."""
    writes = 0

    async def overtaken(command: bytes) -> tuple[int, Any]:
        nonlocal writes
        writes += 1
        if writes == 2:
            meanwhile()
        return await cluster.server.apply(command)

    resealer = cluster.server.resealer(overtaken)
    for _ in range(2):
        found = root_keys.active(cluster.store)
        assert found is not None
        run(resealer.step(*found))


def test_a_value_written_meanwhile_is_not_overwritten() -> None:
    cluster = Cluster()
    cluster.fill(10)
    cluster.rotate()
    first_batch(cluster, lambda: cluster.commit(cluster.put("app/0003", "newer ")))
    row = variables.by_path(cluster.store, "default", "app/0003")
    assert row is not None
    assert cluster.server.sealer.open(row) == {"value": "newer app/0003"}
    assert cluster.phase() == (VALUES, 9)


def test_a_lock_that_comes_meanwhile_keeps_no_older_seal() -> None:
    """It raises the modify index, and leaves the value as it is sealed."""
    cluster = Cluster()
    cluster.fill(10)
    cluster.rotate()
    lock = AcquireLock(
        namespace="default",
        path="app/0003",
        time_ns=2,
        lock_id="l-1",
        ttl_ns=10**10,
        delay_ns=10**10,
        data=b"",
        keep=True,
    )
    first_batch(cluster, lambda: cluster.commit(lock))
    row = variables.by_path(cluster.store, "default", "app/0003")
    assert row is not None
    assert (row.lock_id, row.key_id) == ("l-1", "k-2")
    assert cluster.server.sealer.open(row) == {"value": "vapp/0003"}
    assert cluster.phase() == (VALUES, 10)


def test_a_rotation_during_a_rotation_leaves_nothing_behind() -> None:
    cluster = Cluster()
    cluster.fill()
    cluster.rotate()
    for _ in range(2):
        run(cluster.server.keeper.round())
    cluster.rotate("k-3", "k-2")
    assert cluster.sealed_with() == {"k-1", "k-2"}
    run(cluster.server.until_done())
    assert cluster.sealed_with() == {"k-3"}


def test_a_value_that_does_not_open_keeps_its_key_in_use() -> None:
    cluster = Cluster()
    cluster.fill(10)
    broken = cluster.put("app/0005")
    cluster.commit(replace(broken, data=broken.data[:-1] + bytes((broken.data[-1] ^ 1,))))
    cluster.rotate()

    async def rounds() -> None:
        for _ in range(5):
            await cluster.server.keeper.round()

    with pytest.raises(QuorateError, match="do not open"):
        run(rounds())
    assert cluster.phase()[0] == VALUES
    assert cluster.store.rows(root_keys.TABLE)["k-1"].unused_index == 0
    # The next leader meets it as well: the place in the state does not lie behind it.
    with pytest.raises(QuorateError, match="do not open"):
        run(Server(cluster).until_done())
    cluster.commit(cluster.put("app/0005", "again "))
    run(cluster.server.until_done())
    assert cluster.sealed_with() == {"k-2"}


def test_values_of_an_archive_are_sealed_again_with_the_own_key() -> None:
    """They are sealed with keys of the archive, and come while nothing is left to do."""
    archive = Cluster()
    archive.rotate("a-2", "k-1")
    archive.fill(20)
    cluster = Cluster()
    cluster.rotate()
    cluster.fill(5)
    for _ in range(2):  # the second time right after the first
        run(cluster.server.until_done())
        index = max(cluster.store.applied_index, archive.store.applied_index) + 100
        found = restored(cluster.store.image(), archive.store.image(), index, TODAY)
        cluster.store.restore(found.image)
        assert cluster.sealed_with() == {"a-2"}
        assert cluster.phase() == (VALUES, 0)
        row = variables.by_path(cluster.store, "default", "app/0007")
        assert row is not None
        assert cluster.server.sealer.open(row) == {"value": "vapp/0007"}
    run(cluster.server.until_done())
    assert cluster.sealed_with() == {"k-2"}
    assert cluster.store.rows(root_keys.TABLE)["a-2"].unused_index > 0


def test_a_restore_during_the_work_begins_it_once_more() -> None:
    cluster = Cluster()
    cluster.fill()
    image = cluster.store.image()
    cluster.rotate()
    run(cluster.server.keeper.round())
    found = restored(cluster.store.image(), image, cluster.store.applied_index + 100, TODAY)
    cluster.store.restore(found.image)
    assert cluster.phase() == (VALUES, 0)
    run(cluster.server.until_done())
    assert cluster.sealed_with() == {"k-2"}


def test_secrets_of_tokens_are_sealed_again_too_and_still_open() -> None:
    cluster = Cluster()
    cluster.commit(RaiseLevel(level=ACL_LEVEL))
    cluster.fill(10)
    names = [f"t{number:03}" for number in range(COUNT)]
    for name in names:
        cluster.commit(cluster.put_token(name))
    cluster.rotate()
    assert {row.key_id for row in cluster.tokens().values()} == {"k-1"}
    index = cluster.store.table_index(tokens.TABLE.name)
    run(cluster.server.until_done())
    assert cluster.sealed_with() == {"k-2"}
    assert {row.key_id for row in cluster.tokens().values()} == {"k-2"}
    assert cluster.store.table_index(tokens.TABLE.name) == index
    for name in names:
        assert secret_of(cluster.server.sealer, name, cluster.tokens()[name]) == f"secret of {name}"
    assert run(cluster.server.keeper.remove("k-1", force=True))


def test_a_token_that_was_changed_meanwhile_keeps_its_newer_seal() -> None:
    """The leader had read it before it was sealed again, and wrote the older seal."""
    cluster = Cluster()
    cluster.commit(RaiseLevel(level=ACL_LEVEL))
    cluster.commit(cluster.put_token("t"))
    known = cluster.tokens()["t"]
    cluster.rotate()
    run(cluster.server.until_done())
    changed = PutToken(accessor="t", token=replace(known, name="n"), since=known.modify_index)
    assert cluster.commit(changed) == ""
    row = cluster.tokens()["t"]
    assert (row.name, row.key_id) == ("n", "k-2")
    assert secret_of(cluster.server.sealer, "t", row) == "secret of t"


def test_a_key_that_a_token_needs_is_not_removed() -> None:
    cluster = Cluster()
    cluster.commit(RaiseLevel(level=ACL_LEVEL))
    cluster.commit(cluster.put_token("t"))
    stale = cluster.tokens()["t"]
    cluster.rotate()
    run(cluster.server.until_done())
    cluster.commit(PutToken(accessor="u", token=replace(stale, digest=b"other")))
    with pytest.raises(ChangeRefused, match="the secret of token u is sealed with it"):
        run(cluster.server.keeper.remove("k-1", force=True))


def test_a_secret_that_does_not_open_keeps_its_key_in_use() -> None:
    cluster = Cluster()
    cluster.commit(RaiseLevel(level=ACL_LEVEL))
    broken = cluster.put_token("t")
    cluster.commit(replace(broken, token=replace(broken.token, data=b"broken")))
    cluster.commit(cluster.put_token("u"))
    cluster.rotate()
    with pytest.raises(QuorateError, match="do not open, so their root key stays in use"):
        run(cluster.server.until_done())
    assert cluster.tokens()["u"].key_id == "k-2"
    cluster.commit(DeleteTokens(accessors=("t",), time_ns=1))
    run(cluster.server.until_done())
    assert not cluster.phase()[0]
