"""Captured requests of a real server with ACL on, decided by our table of endpoints and our rights.

The same requests are sent to a whole server elsewhere; here only the rules decide.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from acl_cases import MANAGEMENT, AclCase, cases, policies

from quorate.acl.capability import Capability
from quorate.acl.rights import EVERYTHING, NOTHING, Rights
from quorate.api.endpoint import ANY, Endpoint
from quorate.api.endpoints.table import TABLE

DEFAULT = "default"

# Says "Permission denied" with another status, or fails in a race of the refusal with the body.
REFUSED_OTHERWISE = {"msgpack encode error: io: read/write on closed pipe", "Permission denied"}

# Nomad 1.6.3 shows root keys (without the keys) to any token; here that needs keyring-read.
STRICTER = "/v1/operator/keyring/keys"

VERBS = {
    "get": Capability.VARIABLES_READ,
    "put": Capability.VARIABLES_WRITE,
    "cas": Capability.VARIABLES_WRITE,
    "del": Capability.VARIABLES_DESTROY,
}


def rights_of(case: AclCase) -> Rights:
    if case.by == MANAGEMENT:
        return EVERYTHING
    return Rights([policies()[case.by]]) if case.by else NOTHING


def row_of(case: AclCase) -> Endpoint:
    """The row of the table that answers the request."""
    path = urlsplit(case.path).path
    fitting = [
        row
        for row in TABLE
        if case.method in row.methods or row.methods == ANY
        if path == row.path or (row.start and path.startswith(row.start))
    ]
    return max(fitting, key=lambda row: len(row.start or row.path))


def refused(case: AclCase) -> bool:
    return case.status == 403 or (case.status == 500 and case.text in REFUSED_OTHERWISE)


MATRIX = [case for case in cases("m-") if "/v1/namespaces" not in case.path]


@pytest.mark.parametrize("case", MATRIX, ids=lambda case: case.name.removeprefix("v16acl-m-"))
def test_the_matrix_of_policies_and_endpoints(case: AclCase) -> None:
    allowed = rights_of(case).allows(row_of(case).capability)
    if case.path == STRICTER:
        assert case.status == 200
        assert not allowed
    else:
        assert allowed is not refused(case)


def test_the_matrix_has_both_answers() -> None:
    answers = {refused(case) for case in MATRIX}
    assert answers == {True, False}
    assert len(MATRIX) > 80


@pytest.mark.parametrize("case", cases("m-GET-v1-namespaces"), ids=lambda case: case.by)
def test_namespaces_are_filtered(case: AclCase) -> None:
    seen = [each["Name"] for each in case.answer]
    assert rights_of(case).sees_namespace(DEFAULT) is (seen == [DEFAULT])


@pytest.mark.parametrize("case", cases("var-"), ids=lambda case: case.name[11:])
def test_variables_by_path_and_verb(case: AclCase) -> None:
    verb = case.name.split("-")[2]
    capability = VERBS.get(verb, Capability.VARIABLES_READ)
    path = urlsplit(case.path).path.removeprefix("/v1/var/")
    allowed = rights_of(case).allows_variable(capability, DEFAULT, path)
    assert allowed is (case.status != 403)


@pytest.mark.parametrize("case", cases("vars-"), ids=lambda case: case.name[12:])
def test_lists_of_variables_are_filtered(case: AclCase) -> None:
    stored = {"app/secret", "app/x", "app/new", "other/x"}
    shown = {each["Path"] for each in case.answer}
    rights = rights_of(case)
    mine = {p for p in stored if rights.allows_variable(Capability.VARIABLES_LIST, DEFAULT, p)}
    assert shown <= mine
    assert stored - shown <= stored - mine | {"app/new"}  # not there for all of them
