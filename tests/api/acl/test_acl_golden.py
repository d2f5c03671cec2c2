"""The captured story of ACL in 1.6.3, told again to ours: each answer, and where ours is another.

Each run makes IDs and secrets of its own, so those of the capture are translated as they appear.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from acl_server import BOSS, AclServer
from api_running import asynchronous
from fake_server import answered
from places import GOLDEN

from quorate.api.http.messages import Request, Response

FOLDERS: Final = (GOLDEN / "acl-1.6", GOLDEN / "acl-answers-1.6")
"""The first has what policies, and the faults of callers, are told from."""

IDS: Final = {"AccessorID", "SecretID", "ID"}
VOLATILE: Final = {"CreateIndex", "ModifyIndex", "CreateTime", "ExpirationTime"}

OTHERS: Final = {
    "v16acl-bootstrap-again": "without a secret ours is refused over a port",
    "v16acl-self-anon": "200 and the anonymous token, as later versions have it",
    "v16acl-anon-policy-self": "the same",
    "v16acl-self-bad": "403",
    "v16acl-expired-self": "403: the token has expired",
    "v16acl-policy-put-bad-json": "the text is that of our decoder",
    "v16acl-role-del-missing": "404, as of a role that is asked for",
    "v16acl-tokens-global": "ours has the global ones alone, as the parameter says",
}
"""Cases with another answer of ours (docs/divergence.md)."""

ROLE: Final = "6fb1cf0a-caaa-83de-49bf-85b781bd8f01"
BY_ROLE: Final = "43dfa993-d057-1c30-4621-20cd1686d3ac"

VARS_LIST: Final = 'namespace "default" { variables { path "*" { capabilities = ["list"] } } }'

# What happened in between, and was not kept: by the number before which it happened.
BETWEEN: Final[dict[int, list[tuple[str, str, dict[str, Any]]]]] = {
    46: [
        ("PUT", "token", {"Name": f"t-{name}", "Type": "client", "Policies": [name]})
        for name in ("op-write", "agent-read")
    ],
    49: [("PUT", "token", {"Name": "t-node-read", "Type": "client", "Policies": ["node-read"]})],
    20: [
        (
            *("PUT", "policy/vars-list"),
            {
                "Name": "vars-list",
                "Description": "d vars-list",
                "Rules": VARS_LIST,
            },
        )
    ],
    70: [
        (
            *("PUT", "role"),
            {
                "Name": "ops",
                "Description": "d",
                "Policies": [{"Name": "op-read"}, {"Name": "agent-read"}],
            },
        )
    ],
    78: [
        (
            *("PUT", f"role/{ROLE}"),
            {"ID": ROLE, "Name": "ops", "Description": "e", "Policies": [{"Name": "op-read"}]},
        )
    ],
}


class Story:
    """The server, and the captured IDs in the words of this run."""

    def __init__(self) -> None:
        self.server = AclServer()
        self.words: dict[str, str] = {}

    def translated(self, text: str) -> str:
        for theirs, ours in self.words.items():
            text = text.replace(theirs, ours)
        return text

    def learn(self, theirs: Any, ours: Any) -> None:
        if isinstance(theirs, dict) and isinstance(ours, dict):
            for name in theirs.keys() & ours.keys():
                if name in IDS and theirs[name]:
                    self.words[theirs[name]] = ours[name]
                self.learn(theirs[name], ours[name])

    async def asked(self, method: str, path: str, headers: dict[str, str], body: str) -> Response:
        by_role = self.words.get(BY_ROLE, BY_ROLE)
        path = path.replace(f"prefix={BY_ROLE[:4]}", f"prefix={by_role[:4]}")
        request = Request(
            method,
            self.translated(path).encode(),
            [(k.lower().encode(), self.translated(v).encode()) for k, v in headers.items()],
            self.translated(body).encode(),
        )
        return await answered(self.server.app, request)


def cases() -> list[dict[str, Any]]:
    files = [path for folder in FOLDERS for path in folder.glob("*.json")]
    found = [json.loads(path.read_text()) for path in files]
    return sorted(
        (case for case in found if "/acl/" in case["request"]["path"]), key=lambda case: case["seq"]
    )


def reduced(value: Any) -> Any:
    """Without what differs from run to run; an empty list is as null."""
    if isinstance(value, list):
        return [reduced(each) for each in value] or None
    if isinstance(value, dict):
        return {
            name: "some" if name in VOLATILE and each else reduced(each)
            for name, each in value.items()
            if name not in {"SecretID", "RulesJSON"} or each
        }
    return value


def named(value: Any) -> Any:
    """Lists of tokens name the roles of tokens, which Nomad leaves empty there."""
    if isinstance(value, list):
        return [named(each) for each in value]
    if isinstance(value, dict) and value.get("Roles"):
        return {**value, "Roles": [{"ID": each["ID"]} for each in value["Roles"]]}
    return value


@asynchronous
async def test_the_story_of_1_6_3() -> None:
    story = Story()
    told = set()
    number = 0
    for case in cases():
        name, request, expected = case["name"], case["request"], case["response"]
        for before in range(number + 1, case["seq"] + 1):
            for method, path, fields in BETWEEN.get(before, []):
                body = json.dumps(fields)
                headers = {"X-Nomad-Token": BOSS}
                made = await story.asked(method, f"/v1/acl/{path}", headers, body)
                assert made.status == 200, made.body
                if path == "role":
                    story.words[ROLE] = json.loads(made.body)["ID"]
        number = case["seq"]
        found = await story.asked(
            request["method"], request["path"], request["headers"], request["body"] or ""
        )
        told.add(name)
        if name in OTHERS:
            continue
        assert found.status == expected["status"], (name, found.body)
        if expected.get("body_json") is None:
            assert found.body.decode() == story.translated(expected["body"]), name
        else:
            check_json(story, name, expected["body_json"], json.loads(found.body))
        index = {header.lower() for header in expected["headers"] if header.startswith("X-Nomad")}
        sent = {header.decode().lower() for header, _ in found.headers}
        assert sent >= index, name
    assert told >= OTHERS.keys()


def check_json(story: Story, name: str, theirs: Any, ours: Any) -> None:
    if isinstance(theirs, list) and name.startswith("v16acl-tokens"):
        # Tokens of which no step was kept are missing in ours, and the page is the first one.
        known = {token["AccessorID"] for token in ours}
        theirs = [t for t in theirs if story.translated(t["AccessorID"]) in known]
        assert theirs
        kept = {story.translated(token["AccessorID"]) for token in theirs}
        ours = [token for token in ours if token["AccessorID"] in kept]
    story.learn(theirs, ours)
    wanted = json.loads(story.translated(json.dumps(theirs)))
    if ROLE in json.dumps(theirs):  # a hash over the ID of a role is of this run
        for each in (wanted, ours):
            without_hashes(each)
    assert reduced(named(ours)) == reduced(named(wanted)), name


def without_hashes(value: Any) -> None:
    for each in value if isinstance(value, list) else [value]:
        if each.get("Roles"):
            each["Hash"] = ""


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_what_is_said_to_differ_was_captured(name: str) -> None:
    assert any((folder / f"{name}.json").exists() for folder in FOLDERS)
