"""Captured answers of real servers by right (1.0.18 and 1.6.3): the same callers are refused here.

What an allowed request is answered is not looked at: test_api_golden.py and others do.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from acl_server import BOSS, AclServer
from api_running import asynchronous
from fake_access import UNKNOWN
from fake_server import answered
from places import GOLDEN

from quorate.api.http.messages import Request

CASES = sorted(path.stem for path in (GOLDEN / "rights").glob("*.json"))

POLICIES: dict[str, str | tuple[str, str, str]] = {
    # Of 1.0.18.
    "opread": 'operator { policy = "read" } agent { policy = "read" } node { policy = "read" }',
    "opwrite": 'operator { policy = "write" } agent { policy = "write" }'
    ' namespace "default" { policy = "write" }',
    "nsread": 'namespace "default" { policy = "read" }',
    # Of 1.6.3.
    "agent-read": 'agent { policy = "read" }',
    "agent-write": 'agent { policy = "write" }',
    "node-read": 'node { policy = "read" }',
    "ns-read": 'namespace "default" { policy = "read" }',
    "ns-deny": 'namespace "default" { policy = "deny" }',
    "op-read": 'operator { policy = "read" }',
    "op-write": 'operator { policy = "write" }',
    "vars-list": ("*", '["list"]', ""),
    "vars-ro": ("app/*", '["read","list"]', ""),
    "vars-wo": ("app/*", '["write"]', ""),
    "vars-rw": (
        "app/*",
        '["write","read","list","destroy"]',
        'path "app/secret" { capabilities = ["deny"] }',
    ),
}

DENIED = "Permission denied"
UNKNOWN_TOKEN = "ACL token not found"

OTHERWISE = {
    "acl-bad-snapshot": (403, UNKNOWN_TOKEN),
    "acl-bad-snapshot-put": (403, UNKNOWN_TOKEN),
    "v16acl-m-PUT-v1-operator-snapshot-agent-write": (403, DENIED),
    **{
        name: (403, DENIED)
        for name in CASES
        if "operator-keyring-keys" in name or ("event-stream" in name and "-role" not in name)
    },
}
"""Docs: divergence.md#access-control."""

ELSEWHERE = {
    "acl-opread-host": "the machine is shown by what was configured: test_gate_matrix.py",
    "acl-opread-pprof": "no profiles are served",
    "acl-anon-pprof": "the same",
}


def of_variables(path: str, words: str, more: str) -> str:
    """A policy on the variables of `default`."""
    rule = f'path "{path}" {{ capabilities = {words} }}'
    return f'namespace "default" {{ variables {{\n{rule}\n{more}\n}} }}'


def holder(name: str) -> str:
    """Whose token the case was asked with."""
    old = name.split("-")[1]
    if name.startswith("acl-"):
        return {"anon": "", "bad": UNKNOWN, "mgmt": BOSS}.get(old, old)
    if name.endswith("-anon"):
        return ""
    found = [each for each in (*POLICIES, "role") if f"-{each}" in name]
    who = max(found, key=len)
    return BOSS if who == "role" else who


async def served() -> tuple[AclServer, dict[str, str]]:
    """A server with all callers, by the name of their policy; and the variables of the cases."""
    server = AclServer()
    await server.bootstrap()
    secrets = {"": "", UNKNOWN: UNKNOWN, BOSS: BOSS}
    for name, given in POLICIES.items():
        rules = given if isinstance(given, str) else of_variables(*given)
        await server.make_policy(name, rules)
        made = await server.make_token(Policies=[name])
        secrets[name] = made["SecretID"]
    for path in ("app/x", "app/secret", "other/x"):
        await ask(server, "PUT", f"/v1/var/{path}", BOSS, {"Items": {"k": "v"}})
    return server, secrets


async def ask(
    server: AclServer, method: str, path: str, secret: str, body: Any = None
) -> tuple[int, str]:
    headers = ((b"x-nomad-token", secret.encode()),) if secret else ()
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    answer = await answered(server.app, Request(method, path.encode(), headers, text.encode()))
    return answer.status, answer.body.decode()


@asynchronous
async def test_the_same_are_refused() -> None:
    server, secrets = await served()
    wrong, refused = [], 0
    for name in CASES:
        if name in ELSEWHERE:
            continue
        case = json.loads((GOLDEN / "rights" / f"{name}.json").read_text())
        asked, told = case["request"], case["response"]
        expected = OTHERWISE.get(name, (told["status"], told.get("body") or ""))
        found = await ask(
            server, asked["method"], asked["path"], secrets[holder(name)], asked.get("body")
        )
        same = found == expected if expected[0] == 403 else found[0] != 403
        refused += expected[0] == 403
        if not same:
            wrong.append(f"{name}: {found[0]} {found[1][:70]!r}, not {expected[0]}")
        if expected[1] == "[]":
            assert found == (200, "[]"), name
    assert not wrong, "\n".join(wrong)
    assert refused > 90


@pytest.mark.parametrize("name", [each for each in CASES if each.startswith("v16acl-vars-")])
@asynchronous
async def test_the_same_variables_are_listed(name: str) -> None:
    server, secrets = await served()
    case = json.loads((GOLDEN / "rights" / f"{name}.json").read_text())
    _, text = await ask(server, "GET", "/v1/vars", secrets[holder(name)])
    paths = [each["Path"] for each in case["response"]["body_json"]]
    assert [each["Path"] for each in json.loads(text)] == [
        path
        for path in paths
        if path != "app/new"  # written between the captures
    ]


def test_what_differs_is_captured() -> None:
    assert set(OTHERWISE) | set(ELSEWHERE) <= set(CASES)
