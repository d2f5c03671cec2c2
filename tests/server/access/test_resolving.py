"""Callers by their secrets: rights, expiry, and that what is kept never outlives a change."""

from __future__ import annotations

import pytest
from acl_state import AclState
from hypothesis import given
from hypothesis import strategies as st

from quorate.acl.capability import Capability
from quorate.acl.rights import EVERYTHING
from quorate.acl.values import NamespaceRule, PathRule, PolicyRights
from quorate.errors import (
    PermissionDenied,
    StateDamaged,
    TokenExpired,
    TokenNotFound,
    TooManyRules,
)
from quorate.server.access import resolving
from quorate.server.access.resolving import Resolver
from quorate.state.engine.store import StateStore
from quorate.state.tables.acl.policies import AclPolicy, DeletePolicy, PutPolicy
from quorate.state.tables.acl.roles import DeleteRole

READ, WRITE = Capability.OPERATOR_READ, Capability.OPERATOR_WRITE


def resolver_of(state: AclState) -> Resolver:
    return Resolver(state.store, lambda: state.store)


def policy(state: AclState, name: str, level: str) -> None:
    row = AclPolicy(name=name, rights=PolicyRights(operator=level))
    assert state.apply(PutPolicy(policy=row)) == ""


def test_a_client_has_the_rights_of_its_policies_and_of_its_roles() -> None:
    state = AclState()
    policy(state, "read", "read")
    policy(state, "write", "write")
    state.role("r", "writers", "write", "gone-soon")
    state.policy("gone-soon")
    state.role("r", "writers", "write", "gone-soon")
    state.create("a", policies=("read", "none"))
    state.create("b", policies=("read",), roles=("r",))
    found = resolver_of(state)
    reader, writer = found.caller("a", 0), found.caller("b", 0)
    assert (reader.accessor, reader.rights.everything) == ("a", False)
    assert reader.rights.allows(READ)
    assert not reader.rights.allows(WRITE)
    assert writer.rights.allows(WRITE)


def test_more_rules_than_a_server_looks_at_are_refused_before_they_are_put_together() -> None:
    state = AclState()
    whole = tuple(PathRule(f"p{number}/*", ("list",)) for number in range(1300))
    for number in range(4):
        rule = NamespaceRule(f"n{number}", variables=whole)
        row = AclPolicy(name=f"p{number}", rights=PolicyRights(namespaces=(rule,)))
        assert state.apply(PutPolicy(policy=row)) == ""
    state.create("two", policies=("p0", "p1"))
    state.create("four", policies=("p0", "p1", "p2", "p3"))
    found = resolver_of(state)
    assert found.caller("two", 0).rights.allows(Capability.VARIABLES_LIST)
    for _ in range(2):
        with pytest.raises(TooManyRules, match="more than 4096 rules together"):
            found.caller("four", 0)
    assert found.kept == 1
    assert state.apply(DeletePolicy(name="p3"))
    assert found.caller("four", 0).rights.allows(Capability.VARIABLES_LIST)


def test_management_has_all_rights_and_an_unknown_secret_none() -> None:
    state = AclState()
    state.bootstrap()
    found = resolver_of(state)
    boss = found.caller("boss", 0)
    assert boss.rights is EVERYTHING
    assert boss.name == "Bootstrap Token"
    for secret in ("bos", "boss ", "accessor", "\udcff", "x" * 1000):
        with pytest.raises(TokenNotFound, match="ACL token not found"):
            found.caller(secret, 0)


def test_without_a_secret_the_rights_are_those_of_the_policy_anonymous() -> None:
    state = AclState()
    found = resolver_of(state)
    nobody = found.caller("", 0)
    assert (nobody.accessor, nobody.rights.allows(READ)) == ("anonymous", False)
    policy(state, "anonymous", "read")
    assert found.caller("", 0).rights.allows(READ)
    state.apply(DeletePolicy(name="anonymous"))
    assert not found.caller("", 0).rights.allows(READ)


def test_a_token_counts_until_its_time_is_over() -> None:
    state = AclState()
    state.create("a", expires=5_000_000_001)
    found = resolver_of(state)
    assert found.caller("a", 5.0).expires_ms == 5001
    with pytest.raises(TokenExpired, match="ACL token expired"):
        found.caller("a", 5.001)
    assert found.caller("a", 4.9)  # a clock that was set back


def test_what_was_resolved_does_not_outlive_a_change() -> None:
    state = AclState()
    policy(state, "p", "read")
    policy(state, "q", "write")
    state.role("r", "ops", "p")
    state.create("a", policies=("p",))
    state.create("b", roles=("r",))
    found = resolver_of(state)

    def rights() -> list[bool]:
        return [found.caller(each, 0).rights.allows(WRITE) for each in "ab"]

    assert rights() == [False, False]
    policy(state, "p", "write")
    assert rights() == [True, True]
    policy(state, "p", "read")
    state.update("a", policies=("q",))
    assert rights() == [True, False]
    state.apply(DeleteRole(role_id="r"))
    assert not found.caller("b", 0).rights.allows(READ)
    state.delete("a")
    with pytest.raises(TokenNotFound):
        found.caller("a", 0)


def test_a_restore_counts_at_once() -> None:
    state, other = AclState(), AclState()
    state.create("a")
    found = resolver_of(state)
    assert found.caller("a", 0)
    other.create("b")
    state.store.restore(other.store.image())
    with pytest.raises(TokenNotFound):
        found.caller("a", 0)
    assert found.caller("b", 0)


def test_with_damaged_state_nobody_is_known() -> None:
    state = AclState()
    state.create("a")
    damage: list[StateDamaged] = []

    def readable() -> StateStore:
        if damage:
            raise damage[0]
        return state.store

    found = Resolver(state.store, readable)
    assert found.caller("a", 0)
    damage.append(StateDamaged("the state differs"))
    for secret in ("a", ""):
        with pytest.raises(StateDamaged):
            found.caller(secret, 0)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolving, "CALLERS_MAX", 3)
    monkeypatch.setattr(resolving, "RIGHTS_MAX", 2)
    state = AclState()
    for number in range(8):
        policy(state, f"p{number}", "read")
        state.create(f"t{number}", policies=(f"p{number}",))
    found = resolver_of(state)
    for _ in range(2):
        for number in range(8):
            caller = found.caller(f"t{number}", 0)
            assert (caller.accessor, caller.rights.allows(READ)) == (f"t{number}", True)
    assert found.kept <= 3


STEP = st.tuples(
    st.sampled_from("cudprs"), st.sampled_from("ab"), st.sampled_from(["read", "write"])
)


@given(st.lists(STEP, max_size=30))
def test_callers_are_always_those_of_a_resolver_that_keeps_nothing(
    steps: list[tuple[str, str, str]],
) -> None:
    state = AclState()
    kept = resolver_of(state)
    for kind, name, level in steps:
        match kind:
            case "c":
                state.create(name, policies=("a",))
            case "u":
                state.update(name, policies=("a", "b") if level == "read" else ())
            case "d":
                state.delete(name)
            case "p":
                policy(state, name, level)
            case "r":
                state.role(name, name, "a")
            case _:
                state.update(name, roles=("a",))
        for secret in ("a", "b", "", "x"):
            assert seen(kept, secret) == seen(resolver_of(state), secret)


def seen(found: Resolver, secret: str) -> object:
    try:
        caller = found.caller(secret, 0)
    except PermissionDenied as error:
        return type(error)
    return caller.accessor, caller.rights.allows(READ), caller.rights.allows(WRITE)
