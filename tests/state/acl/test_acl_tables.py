"""The tables of ACL: tokens by their secrets, roles by their names, bootstrap, expiry, seals."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from acl_state import AclState, token
from hypothesis import given
from hypothesis import strategies as st

from quorate.levels import LEVEL
from quorate.state.engine.commands import encode
from quorate.state.engine.store import StateStore
from quorate.state.registry import TODAY
from quorate.state.tables import limits, root_keys
from quorate.state.tables.acl import policies, roles, standing, tokens
from quorate.state.tables.acl.policies import AclPolicy, DeletePolicy
from quorate.state.tables.acl.roles import CHANGED, AclRole, DeleteRole
from quorate.state.tables.acl.standing import ENFORCED, SetAclPhase
from quorate.state.tables.acl.tokens import (
    AclToken,
    ExpireTokens,
    PutToken,
    ReplaceTokenSeals,
)
from quorate.state.tables.limits import Full, SetLimit
from quorate.state.tables.root_keys import VALUES, AddRootKey, Resealed


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_hashes_are_those_of_todays_servers() -> None:
    """As captured: acl-bootstrap, acl-token-create-client, v16acl-token-role, v16acl-role-get."""
    role_id = "6fb1cf0a-caaa-83de-49bf-85b781bd8f01"
    for row, wanted in (
        (
            token("a", name="Bootstrap Token", type=tokens.MANAGEMENT, is_global=True),
            "BUJ3BerTfrqFVm1P+vZr1gz9ubOkd+JAvYjNAJyaU9Y=",
        ),
        (
            token("a", name="reader", policies=("op-read",)),
            "Ih8PlP4vuyR5JsJ72qTNMPuLgHXDRRmwV8ll8jyHQtY=",
        ),
        (
            token("a", name="byrole", roles=(role_id,)),
            "1X39p9ijlsbsCS7K/pmYDgatcYbfN640xwsFWirDZpc=",
        ),
        (
            AclRole(name="ops", description="d", policies=("op-read", "agent-read")),
            "IS2dlnr/GyMs0FvQ8lZC9+iJFjg058EjLotlAzc/TEk=",
        ),
        (
            AclPolicy(name="evp", rules='operator { policy = "read" }'),
            "JN1vgiBRr/oHZUxse6c/Vd5Lkq2vgTgZLjsy+eeUNjM=",
        ),
    ):
        assert base64_of(row.content_hash()) == wanted


def test_a_token_is_found_by_the_digest_of_its_secret() -> None:
    state = AclState()
    assert state.create("a", "one") == state.create("b", "two") == ""
    found = tokens.by_digest(state.store, sha256(b"two").digest())
    assert found is not None
    assert found[0] == "b"
    assert tokens.by_digest(state.store, sha256(b"three").digest()) is None
    assert state.update("b", "four") == ""
    assert tokens.by_digest(state.store, sha256(b"two").digest()) is None


def test_two_tokens_never_have_one_secret() -> None:
    state = AclState()
    state.create("a", "one")
    before = state.store.digest()
    assert state.create("b", "one") == "another token has this secret"
    assert state.store.digest() == before
    assert state.update("a", "one", name="the same may keep it") == ""


def test_a_token_is_written_only_over_what_the_leader_had_read() -> None:
    state = AclState()
    state.create("a")
    assert state.create("a", "other") == CHANGED
    row = state.store.rows(tokens.TABLE)["a"]
    state.update("a", name="first")
    assert state.apply(PutToken(accessor="a", token=row, since=row.modify_index)) == CHANGED
    assert state.apply(PutToken(accessor="gone", token=token("x"), since=9)) == CHANGED
    assert state.store.rows(tokens.TABLE)["a"].name == "first"


def test_a_token_names_roles_that_are_there_and_any_policies() -> None:
    state = AclState()
    assert state.create("a", roles=("r",)) == "cannot find role r"
    state.policy("p")
    state.role("r", "ops", "p")
    assert state.create("a", roles=("r",), policies=("none",)) == ""


def test_roles_have_names_of_their_own_and_policies_that_are_there() -> None:
    state = AclState()
    assert state.role("r", "ops", "p") == "cannot find policy p"
    state.policy("p")
    assert state.role("r", "ops", "p") == ""
    assert state.role("q", "ops", "p") == "role with name ops already exists"
    assert state.role("r", "ops") == CHANGED
    row = state.store.rows(roles.TABLE)["r"]
    assert state.role("r", "renamed", "p", since=row.modify_index) == ""
    assert roles.by_name(state.store, "ops") is None
    found = roles.by_name(state.store, "renamed")
    assert found is not None
    assert found[0] == "r"
    assert state.apply(DeleteRole(role_id="r")) is True
    assert state.apply(DeleteRole(role_id="r")) is False
    assert state.apply(DeletePolicy(name="p")) is True
    assert state.apply(DeletePolicy(name="p")) is False


def test_acl_is_bootstrapped_once_and_again_with_its_index() -> None:
    state = AclState()
    assert state.bootstrap() == ""
    first = standing.current(state.store).bootstrap_index
    assert first == state.store.applied_index
    again = f"ACL bootstrap already done (reset index: {first})"
    assert state.bootstrap("b") == state.bootstrap("b", first - 1) == again
    assert state.accessors == ["boss"]
    assert state.bootstrap("b", first) == ""
    assert state.accessors == ["b", "boss"]
    assert standing.current(state.store).bootstrap_index == state.store.applied_index


def test_a_bootstrap_with_a_secret_that_is_there_changes_nothing() -> None:
    state = AclState()
    state.create("a", "boss")
    before = state.store.digest()
    assert state.bootstrap() == "another token has this secret"
    assert state.store.digest() == before


def test_a_transition_ends_and_may_begin_again() -> None:
    state = AclState()
    state.apply(SetAclPhase(phase=ENFORCED))
    assert standing.current(state.store).phase == ENFORCED
    state.bootstrap()
    assert standing.current(state.store).phase == ENFORCED
    state.apply(SetAclPhase(phase="what no version knows"))
    assert standing.current(state.store).phase == ""
    assert standing.current(state.store).bootstrap_index


def test_tokens_are_deleted_all_or_none() -> None:
    state = AclState()
    for accessor in "abc":
        state.create(accessor)
    before = state.store.digest()
    assert state.delete("a", "x", "b", "y") == ("x", "y")
    assert state.store.digest() == before
    assert state.delete("a", "c", "a") == ()
    assert state.accessors == ["b"]


def test_what_has_expired_goes_and_nothing_else() -> None:
    state = AclState()
    for accessor, expires in (("a", 100), ("b", 101), ("c", 0), ("d", 99)):
        state.create(accessor, expires=expires)
    assert [accessor for accessor, _ in tokens.that_expire(state.store)] == ["a", "b", "d"]
    assert [accessor for accessor, _ in tokens.that_expire(state.store, "a")] == ["b", "d"]
    every = ExpireTokens(accessors=("a", "b", "c", "d", "x"), time_ns=100)
    assert state.apply(every) == 2
    assert state.accessors == ["b", "c"]


def test_tokens_are_listed_by_age_and_from_a_place_on() -> None:
    state = AclState()
    created = {}
    for accessor in "cab":
        state.create(accessor)
        created[accessor] = state.store.applied_index
    state.update("c", name="later")

    def listed(start: tuple[int, str] | None = None) -> list[str]:
        return [accessor for accessor, _ in tokens.by_age(state.store, start)]

    assert listed() == ["c", "a", "b"]
    assert listed((created["a"], "a")) == ["a", "b"]
    state.delete("a")
    assert listed((created["a"], "a")) == ["b"]
    assert listed((1 << 62, "")) == []


def test_secrets_are_sealed_again_without_a_change_that_a_reader_sees() -> None:
    state = AclState()
    state.apply(AddRootKey(key_id="k", key=bytes(32), create_time=1))
    state.create("a")
    state.create("b")
    state.apply(AddRootKey(key_id="n", key=bytes(32), prev="k", create_time=1))
    active = root_keys.active(state.store)
    assert active is not None
    assert active[1].phase == VALUES
    was = {accessor: row.nonce for accessor, row in state.store.rows(tokens.TABLE).items()}
    state.update("b", "changed")  # since the leader looked
    table_index = state.store.table_index("acl_tokens")
    rows = tuple(Resealed(each, was[each], b"again", b"nonce") for each in ("a", "b"))
    command = ReplaceTokenSeals(key_id="n", modify_index=active[1].modify_index, rows=rows)
    done = state.apply(command)
    found = state.store.rows(tokens.TABLE)
    assert (found["a"].key_id, found["a"].data) == ("n", b"again")
    assert found["b"].key_id == "k"
    assert state.store.table_index("acl_tokens") == table_index
    assert done == state.store.applied_index
    assert state.store.rows(root_keys.TABLE)["n"].resealed == 1
    assert state.apply(command) == 0  # the record has changed since


def test_a_full_state_takes_no_token_but_a_bootstrap() -> None:
    state = AclState()
    state.create("a")
    state.apply(SetLimit(bytes_max=limits.state_bytes(state.store) + 100))
    assert isinstance(state.create("b"), Full)
    assert isinstance(state.policy("p"), Full)
    assert state.update("a") == ""
    assert state.bootstrap() == ""


def test_nothing_is_written_in_the_clear() -> None:
    state = AclState()
    state.create("a", "a secret of somebody")
    pieces: list[bytes] = []
    state.store.snapshot()(pieces.append)
    assert b"a secret of somebody" not in b"".join(pieces)
    row = state.store.rows(tokens.TABLE)["a"]
    assert row.digest.hex() not in repr(row)
    assert repr(row.data) not in repr(row)


@pytest.mark.parametrize("table", [policies, roles, tokens, standing])
def test_every_command_is_of_the_level_of_acl(table: object) -> None:
    found = vars(table)["TABLE"]
    assert found.level == LEVEL == 4
    assert {command.LEVEL for command in found.commands} == {4}


@given(st.lists(st.tuples(st.sampled_from("cuder"), st.sampled_from("abc"), st.integers(0, 3))))
def test_indexes_and_weights_follow_whatever_is_done(steps: list[tuple[str, str, int]]) -> None:
    state = AclState()
    for kind, accessor, number in steps:
        secret = str(number)
        match kind:
            case "c":
                state.create(accessor, secret, name="n" * number, expires=number)
            case "u":
                state.update(accessor, secret, policies=("p",) * number)
            case "d":
                state.delete(accessor)
            case "e":
                state.apply(ExpireTokens(accessors=(accessor,), time_ns=number))
            case _:
                state.bootstrap(accessor, standing.current(state.store).bootstrap_index)
    rows = state.store.rows(tokens.TABLE)
    assert len({row.digest for row in rows.values()}) == len(rows)
    for accessor, row in rows.items():
        assert tokens.by_digest(state.store, row.digest) == (accessor, row)
    weights = sum(tokens.weigh(row)[1] for row in rows.values())
    assert state.store.weight("acl_tokens") == weights
    assert not state.store.changed_in_memory()
    again = StateStore(TODAY)
    again.restore(state.store.image())
    assert again.digest() == state.store.digest()


def test_a_row_takes_no_more_bytes_than_are_kept_from_it() -> None:
    """Fields at their defaults are left out, so a token without names is short."""
    row = AclToken(digest=bytes(32), data=bytes(52), key_id="k" * 36, nonce=bytes(24))
    assert len(encode(PutToken(accessor="a" * 36, token=row))) < 300
