"""`/v1/operator/keyring/`: captured answers of 1.6, better ones, and that no key is shown."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from api_running import asynchronous
from fake_server import FakeServer, answered
from golden_setups import load

from quorate.api.http.messages import Request
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.tables import root_keys
from quorate.state.tables.backups import Backup, BeginBackup, PlaceBackup

KEYS = "/v1/operator/keyring/keys"
ROTATE = "/v1/operator/keyring/rotate"
KEY = "/v1/operator/keyring/key/"
OWN = {"Index", "CreateIndex", "ModifyIndex", "CreateTime", "KeyID"}
LATER = {"PublishTime", "RekeyPhase"}


def server(level: int = 3) -> FakeServer:
    """A leader of that level, with its first root key if there are any."""
    fake = FakeServer().write_defaults()
    fake.commit(encode(RaiseLevel(level=level)))
    return fake


async def ask(fake: FakeServer, method: str, target: str) -> tuple[int, Any, dict[str, str]]:
    answer = await answered(fake.application(), Request(method, target.encode()))
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    body = answer.body.decode()
    return answer.status, msgspec.json.decode(body) if body[:1] in {"[", "{"} else body, headers


def reduced(value: Any) -> Any:
    """Without what differs from run to run, and in the order of keys' creation."""
    if isinstance(value, list):
        return [reduced(each) for each in sorted(value, key=lambda each: int(each["CreateIndex"]))]
    if isinstance(value, dict):
        return {
            key: type(each).__name__ if key in OWN else reduced(each)
            for key, each in value.items()
            if key not in LATER
        }
    return value


@asynchronous
async def test_the_captured_keys_before_and_after_three_rotations() -> None:
    """They were made by `rotate`, `rotate?full` and `rotate?algo=rot13`, which we refuse."""
    fake = server()
    for name, target in (("v16-keys", ""), ("v16-rotate", ROTATE), ("", ROTATE + "?full")):
        if target:
            status, body, headers = await ask(fake, "PUT", target)
            assert headers["X-Nomad-Index"] == str(body["Index"])
        else:
            status, body, headers = await ask(fake, "GET", KEYS)
            assert {"X-Nomad-Index", "X-Nomad-Knownleader", "X-Nomad-Lastcontact"} <= set(headers)
        assert status == 200
        if name:
            assert reduced(body) == reduced(load(name).json)
    await ask(fake, "PUT", ROTATE)
    status, body, _ = await ask(fake, "GET", KEYS)
    assert reduced(body) == reduced(load("v16-keys-after").json)
    assert [key["KeyID"] for key in body] == sorted(key["KeyID"] for key in body)


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("v16-keyring-root", 405, ""),
        ("v16-keys-post", 405, ""),
        ("v16-rotate-get", 405, ""),
        ("v16-key-del-none", 400, ""),
        ("v16-key-del-unknown", 404, "root key not found"),
        ("v16-key-del-bad", 404, "root key not found"),
        (
            "v16-rotate-bad-algo",
            400,
            'unknown algorithm "rot13": there is aes256-gcm alone',
        ),
    ],
)
@asynchronous
async def test_captured_refusals(name: str, status: int, text: str) -> None:
    """Some with a better status, or a refusal where nothing was done (docs/divergence.md)."""
    case = load(name)
    got = await ask(server(), case.method, case.path)
    assert got[:2] == (status, text or case.body)


@asynchronous
async def test_full_is_a_switch() -> None:
    fake = server()
    index = fake.log_index
    status, body, _ = await ask(fake, "PUT", ROTATE + "?full=maybe")
    assert (status, body) == (400, "Expect `true` or `false` for `full` query string parameter")
    assert fake.log_index == index
    for value, full in (("false", False), ("true", True)):
        _, body, _ = await ask(fake, "PUT", f"{ROTATE}?full={value}")
        row = fake.store.rows(root_keys.TABLE)[body["Key"]["KeyID"]]
        assert row.full is full


@asynchronous
async def test_the_active_key_is_not_removed() -> None:
    fake = server()
    (key_id,) = fake.store.rows(root_keys.TABLE)
    status, body, headers = await ask(fake, "DELETE", KEY + key_id)
    assert (status, body) == (409, load("v16-key-del-active").body)
    assert "keyring rotate" in headers["X-Quorate-Next"]


async def sealed_again(fake: FakeServer) -> None:
    """What the leader does in three rounds after a rotation: begin, seal again, find nothing."""
    for _ in range(3):
        await fake.root_keys.round()


@asynchronous
async def test_an_older_key_is_removed_once_nothing_is_sealed_with_it() -> None:
    fake = server()
    (key_id,) = fake.store.rows(root_keys.TABLE)
    await ask(fake, "PUT", ROTATE)
    status, body, _ = await ask(fake, "DELETE", KEY + key_id)
    assert status == 409
    assert body.startswith("root key in use, cannot delete: ")
    await sealed_again(fake)
    status, body, _ = await ask(fake, "DELETE", KEY + key_id)
    assert (status, body) == (200, {"Index": fake.log_index})
    assert key_id not in fake.store.rows(root_keys.TABLE)


@asynchronous
async def test_a_key_that_disks_need_is_removed_by_force_alone() -> None:
    fake = server()
    (key_id,) = fake.store.rows(root_keys.TABLE)
    await ask(fake, "PUT", ROTATE)
    await sealed_again(fake)
    fake.holding = ["10.0.0.2:4647"]
    status, body, _ = await ask(fake, "DELETE", KEY + key_id)
    assert status == 409
    assert body.endswith("may hold values sealed with it on 10.0.0.2:4647")
    assert (await ask(fake, "DELETE", f"{KEY}{key_id}?force=maybe"))[:2] == (
        422,
        "invalid force parameter",
    )
    assert (await ask(fake, "DELETE", f"{KEY}{key_id}?force=true"))[0] == 200


@asynchronous
async def test_a_key_that_a_listed_backup_needs_is_removed_by_force_alone() -> None:
    fake = server()
    (key_id,) = fake.store.rows(root_keys.TABLE)
    await ask(fake, "PUT", ROTATE)
    await sealed_again(fake)
    since = fake.commit(encode(BeginBackup(slot=1, by="a", since=0, time_ms=1)))
    backup = Backup(
        name="quorate-c-1-7.snap",
        slot=1,
        by="a",
        index=7,
        term=1,
        state_index=7,
        time_ms=1,
        size=1,
        sha256="",
        state_bytes=1,
        digest="",
        holders=1,
        key_ids=(key_id,),
    )
    assert fake.commit(encode(PlaceBackup(backup=backup, since=since)))
    status, body, _ = await ask(fake, "DELETE", KEY + key_id)
    assert status == 409
    assert body.endswith("values are sealed with it in the backup quorate-c-1-7.snap")
    assert (await ask(fake, "DELETE", f"{KEY}{key_id}?force=true"))[0] == 200


@asynchronous
async def test_a_full_rotation_waits_for_the_disks() -> None:
    fake = server()
    await ask(fake, "PUT", ROTATE + "?full")
    fake.holding = ["10.0.0.2:4647"]
    await sealed_again(fake)
    keys = (await ask(fake, "GET", KEYS))[1]
    assert sorted((key["State"], key.get("RekeyPhase")) for key in keys) == [
        ("active", "disks"),
        ("rekeying", None),
    ]
    fake.holding = []
    await fake.root_keys.round()
    keys = (await ask(fake, "GET", KEYS))[1]
    assert sorted((key["State"], key.get("RekeyPhase")) for key in keys) == [
        ("active", None),
        ("inactive", None),
    ]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("publish_time=1", "keys are not prepublished here"),
        ("full&publish_time=1", "keyring cannot be prepublished and full rotated"),
        ("algo=", ""),
    ],
)
@asynchronous
async def test_parameters_of_a_rotation(query: str, text: str) -> None:
    status, body, _ = await ask(server(), "PUT", f"{ROTATE}?{query}")
    assert status == (400 if text else 200)
    assert text in str(body)


@asynchronous
async def test_below_the_level_there_are_no_keys() -> None:
    fake = server(level=2)
    await fake.root_keys.round()
    assert (await ask(fake, "GET", KEYS))[:2] == (200, [])


@asynchronous
async def test_no_answer_and_no_record_of_the_journal_has_a_key() -> None:
    fake = server()
    await ask(fake, "PUT", ROTATE)
    keys = [row.key for row in fake.store.rows(root_keys.TABLE).values()]
    answer = await answered(fake.application(), Request("GET", KEYS.encode()))
    told = msgspec.json.encode(
        [record for _, record in fake.store.scan(fake.store.registry.by_name["journal"])]
    )
    assert b"rotate the root key" in told
    for key in keys:
        assert len(key) == 32
        for form in (key, key.hex().encode(), msgspec.json.encode(key)[1:-1], repr(key).encode()):
            assert form not in answer.body
            assert form not in told


@asynchronous
async def test_a_blocking_query_waits_for_a_rotation() -> None:
    fake = server()
    index = fake.store.table_index(root_keys.TABLE.name)
    status, body, headers = await ask(fake, "GET", f"{KEYS}?index={index}&wait=10ms")
    assert (status, len(body), headers["X-Nomad-Index"]) == (200, 1, str(index))
    await ask(fake, "PUT", ROTATE)
    status, body, headers = await ask(fake, "GET", f"{KEYS}?index={index}&wait=5m")
    assert (status, len(body)) == (200, 2)
