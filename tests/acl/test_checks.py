"""Tokens and roles as callers give them."""

from __future__ import annotations

import pytest
from acl_cases import AclCase, cases

from quorate.acl.checks.roles import check_role
from quorate.acl.checks.tokens import ExpiryBounds, check_token, is_uuid
from quorate.acl.invalid import AclInvalid
from quorate.wire.go.duration import HOUR, SECOND, parse_duration

# As the captured server had them.
BOUNDS = ExpiryBounds(2 * SECOND, 24 * HOUR)
TOKENS = [case for case in cases("token-") if case.status == 400 and "invalid:" in case.text]


def check(body: dict[str, object]) -> None:
    ttl = body.get("ExpirationTTL")
    check_token(
        str(body["Name"]),
        str(body["Type"]),
        body.get("Policies") or (),  # type: ignore[arg-type]
        body.get("Roles") or (),  # type: ignore[arg-type]
        ttl_ns=parse_duration(str(ttl)) if ttl else None,
        bounds=BOUNDS,
    )


@pytest.mark.parametrize("case", TOKENS, ids=lambda case: case.name.removeprefix("v16acl-"))
def test_captured_tokens(case: AclCase) -> None:
    with pytest.raises(AclInvalid) as refused:
        check(case.body)
    assert refused.value.text == case.text


@pytest.mark.parametrize("case", cases("role-"), ids=lambda case: case.name.removeprefix("v16acl-"))
def test_captured_roles(case: AclCase) -> None:
    policies = [each["Name"] for each in case.body.get("Policies") or ()]
    with pytest.raises(AclInvalid) as refused:
        check_role(case.body["Name"], case.body.get("Description", ""), policies)
    assert refused.value.text == case.text


def test_the_captured_cases_are_there() -> None:
    assert len(TOKENS) >= 4
    assert len(cases("role-")) == 2


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"Name": "n", "Type": "client"}, "client token missing policies or roles"),
        ({"Name": "n", "Type": ""}, "token type must be client or management"),
        ({"Name": "n" * 257, "Type": "management"}, "token name too long"),
        ({"Name": "n", "Type": "management", "Roles": ["r"]}, "management token cannot be"),
        ({"Name": "n", "Type": "client", "Policies": ["p"] * 257}, "more than 256 policies"),
    ],
)
def test_other_tokens_that_are_refused(given: dict[str, object], fault: str) -> None:
    with pytest.raises(AclInvalid, match="token 0 invalid: 1 error occurred") as refused:
        check(given)
    assert f"\t* {fault}" in refused.value.text


@pytest.mark.parametrize(
    "given",
    [
        {"Name": "", "Type": "management"},
        {"Name": "n", "Type": "client", "Policies": ["p"], "ExpirationTTL": "2s"},
        {"Name": "n", "Type": "client", "Roles": ["r"], "ExpirationTTL": "24h"},
    ],
)
def test_tokens_that_may_be_written(given: dict[str, object]) -> None:
    check(given)


def test_roles() -> None:
    check_role("ops-1", "d" * 256, ["p"])
    with pytest.raises(AclInvalid) as refused:
        check_role("", "d" * 257, ["p"] * 257)
    assert refused.value.text == (
        "role 0 invalid: 3 errors occurred:\n\t* invalid name ''\n"
        "\t* description longer than 256\n\t* more than 256 policies\n\n"
    )


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2b778dd9-f5f1-6f29-b4b4-9a5fa948757a", True),
        ("2B778DD9-F5F1-6F29-B4B4-9A5FA948757A", True),
        ("", False),
        ("2b778dd9f5f16f29b4b49a5fa948757a", False),
        ("2b778dd9-f5f1-6f29-b4b4-9a5fa948757", False),
        ("2b778dd9-f5f1-6f29-b4b4-9a5fa948757g", False),
        ("2b778dd9-f5f1-6f29-b4b4-9a5fa94875-a", False),
        ("--------------------------------------", False),
    ],
)
def test_the_form_of_ids(text: str, form: bool) -> None:
    assert is_uuid(text) is form
