"""A restore and ACL: what was deleted stays so, and nobody is locked out."""

from __future__ import annotations

import io
from typing import Any

import pytest
from acl_state import AclState, token
from msgspec.structs import replace

from quorate.state.engine.restore.rules import restored
from quorate.state.engine.snapshot import SnapshotImage, decode_snapshot
from quorate.state.engine.table import Table
from quorate.state.registry import TODAY
from quorate.state.tables.acl import deleted, policies, roles, seals, standing
from quorate.state.tables.acl.standing import ENFORCED, SetAclPhase
from quorate.state.tables.acl.tokens import PutToken
from quorate.state.tables.variables import PutVariable

INDEX = 1 << 20
ACL = frozenset({"acl", "acl_deleted", "acl_policies", "acl_roles", "acl_tokens"})


def archived(state: AclState) -> SnapshotImage:
    """The state as a file brings it back."""
    pieces: list[bytes] = []
    state.store.snapshot()(pieces.append)
    return decode_snapshot(io.BytesIO(b"".join(pieces)).read, TODAY)


def after(state: AclState, archive: SnapshotImage, keep: frozenset[str] = frozenset()) -> None:
    """Restore it."""
    found = restored(state.store.image(), archive, INDEX + state.store.index, TODAY, keep)
    state.store.restore(found.image)


def keys(state: AclState, table: Table[Any]) -> list[str]:
    return list(state.store.rows(table))


def test_a_restore_does_not_bring_deleted_tokens_back() -> None:
    state = AclState()
    state.bootstrap()
    for accessor in "abc":
        state.create(accessor)
    archive = archived(state)
    state.delete("a")
    state.create("later")
    after(state, archive)
    assert state.accessors == ["b", "boss", "c"]
    after(state, archive)  # nor does the next one
    assert state.accessors == ["b", "boss", "c"]


def test_a_token_that_another_restore_took_away_comes_back() -> None:
    """It was never deleted: going back to a later archive has it again."""
    state = AclState()
    state.bootstrap()
    older = archived(state)
    state.create("a")
    newer = archived(state)
    after(state, older)
    assert state.accessors == ["boss"]
    after(state, newer)
    assert state.accessors == ["a", "boss"]


def test_a_deletion_is_remembered_over_archives_of_before_and_after() -> None:
    state = AclState()
    state.bootstrap()
    state.create("a")
    oldest = archived(state)
    state.delete("a")
    newer = archived(state)
    another = AclState("another cluster")
    another.bootstrap("other")
    after(another, newer)
    assert another.accessors == ["boss"]
    after(another, oldest)
    assert another.accessors == ["boss"]


def test_an_archive_from_before_acl_leaves_all_of_it_as_it_is() -> None:
    state = AclState()
    archive = archived(state)
    state.policy("p")
    state.role("r", "ops", "p")
    state.bootstrap()
    state.create("a", roles=("r",))
    after(state, archive)
    assert state.accessors == ["a", "boss"]
    assert keys(state, policies.TABLE) == ["p"]
    assert keys(state, roles.TABLE) == ["r"]
    assert standing.current(state.store).bootstrap_index


def test_a_bootstrapped_cluster_stays_so_and_a_new_one_learns_it() -> None:
    state = AclState()
    state.bootstrap()
    archive = archived(state)
    again = standing.current(state.store).bootstrap_index
    state.bootstrap("b", again)
    latest = standing.current(state.store).bootstrap_index
    after(state, archive)
    assert standing.current(state.store).bootstrap_index == latest
    fresh = AclState("fresh")
    fresh.apply(SetAclPhase(phase=ENFORCED))
    after(fresh, archive)
    assert fresh.accessors == ["boss"]
    assert standing.current(fresh.store).bootstrap_index == again
    assert standing.current(fresh.store).phase == ENFORCED


def test_policies_and_roles_are_those_of_the_archive() -> None:
    state = AclState()
    state.bootstrap()
    state.policy("p", "old")
    state.role("r", "ops", "p")
    archive = archived(state)
    state.policy("p", "new")
    state.policy("q")
    after(state, archive)
    assert {name: row.rules for name, row in state.store.rows(policies.TABLE).items()} == {
        "p": "old"
    }
    assert keys(state, roles.TABLE) == ["r"]


def test_todays_acl_is_kept_whole_where_that_is_asked_for() -> None:
    state = AclState()
    state.bootstrap()
    state.create("a")
    state.policy("p", "old")
    archive = archived(state)
    state.delete("a")
    state.create("later")
    state.policy("p", "new")
    before = {name: dict(rows) for name, rows in state.store.image().rows.items() if name in ACL}
    after(state, archive, ACL)
    assert {
        name: dict(rows) for name, rows in state.store.image().rows.items() if name in ACL
    } == before


def test_forgotten_deletions_keep_older_tokens_of_this_cluster_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deleted, "DELETED_MAX", 4)
    state = AclState()
    state.bootstrap()
    names = [f"t{number}" for number in range(8)]
    for name in names:
        state.create(name)
    state.create("kept")
    archive = archived(state)
    others = AclState("another cluster")
    others.bootstrap()
    for name in names:
        state.delete(name)
    assert len(state.store.rows(deleted.TABLE)) <= 5
    after(state, archive)
    assert state.accessors == ["boss", "kept"]


def test_of_deleted_tokens_those_that_had_expired_are_forgotten_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deleted, "DELETED_MAX", 4)
    state = AclState()
    for name, expires in (("a", 0), ("b", 5), ("c", 500), ("d", 6), ("e", 0)):
        state.create(name, expires=expires)
    for name in "abcde":
        state.delete(name, time_ns=100)
    assert keys(state, deleted.TABLE) == ["a", "c", "e"]
    assert standing.current(state.store).forgotten == 0


def test_root_keys_that_tokens_need_are_known_and_secrets_that_are_gone_too() -> None:
    state = AclState()
    assert seals.key_ids(state.store) == set()
    state.create("a")
    put = PutVariable(namespace="d", path="p", time_ns=1, data=b"x", key_id="v", nonce=b"n")
    state.apply(put)
    assert seals.key_ids(state.store) == {"k", "v"}
    assert not seals.is_redacted(state.store)
    emptied = replace(token("b"), data=b"")
    state.apply(PutToken(accessor="b", token=emptied))
    assert seals.is_redacted(state.store)
