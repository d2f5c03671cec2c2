"""`quorate acl` against the real endpoints, with the real rights, over a port."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from acl_server import BOSS, AclServer
from api_running import asynchronous
from api_server import serving
from cli_run import Ran, run

BACKUP = 'operator { capabilities = ["backup-run"] }\nnode { policy = "read" }\n'


class Typed:
    """Command lines against one served application."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __call__(self, *argv: str, code: int = 0, by: str = "boss") -> Ran:
        env = {"NOMAD_ADDR": self._url, "QUORATE_TOKEN_FILE": by} if by else {}
        ran = await asyncio.to_thread(run, *argv, env={"NOMAD_ADDR": self._url} | env)
        assert ran.code == code, ran
        return ran

    async def json(self, *argv: str, **more: Any) -> Any:
        """The answer to a command that shows one."""
        words = (*argv[:3], "-json", *argv[3:])
        return json.loads((await self(*words, **more)).stdout)


@asynchronous
async def whole_story() -> None:
    async with serving(AclServer().application(control=False)) as served:
        typed = Typed(served.url)
        await typed("acl", "bootstrap", "boss", by="")
        again = await typed("acl", "bootstrap", "boss", by="", code=1)
        assert "ACL bootstrap already done (reset index: " in again.stderr
        await policies(typed)
        await roles(typed)
        await tokens(typed)
        await transition(typed)


async def policies(typed: Typed) -> None:
    await typed("acl", "policy", "apply", "-description=d", "backup", "backup.hcl")
    assert (await typed("acl", "policy", "list")).stdout == "Name    Description\nbackup  d\n"
    assert (await typed("acl", "policy", "info", "backup")).stdout.endswith(f"\n\n{BACKUP}")
    refused = await typed("acl", "policy", "apply", "bad", "bad.hcl", code=1)
    assert refused.stderr == (
        "Error writing ACL policy: Unexpected response code: 400 (policy 0 invalid: 1 error "
        "occurred:\n\t* failed to parse rules: Failed to parse ACL Policy: At 1:12: object "
        "expected closing RBRACE got: EOF)\n"
    )


async def roles(typed: Typed) -> None:
    made = await typed.json("acl", "role", "create", "-name=ops", "-policy=backup")
    shown = await typed.json("acl", "role", "info", "-by-name", "ops")
    assert shown == made
    changed = await typed.json("acl", "role", "update", "-description=e", made["ID"])
    assert (changed["Description"], changed["Policies"]) == ("e", [{"Name": "backup"}])
    assert made["ID"] in (await typed("acl", "role", "list")).stdout
    none = await typed("acl", "role", "create", "-name=x", "-policy=none", code=1)
    assert "cannot find policy none" in none.stderr


async def tokens(typed: Typed) -> None:
    made = await typed.json("acl", "token", "create", "-name=cron", "-role-name=ops", "-ttl=8h")
    await asyncio.to_thread(Path("cron").write_text, made["SecretID"] + "\n")
    mine = await typed("acl", "token", "self", by="cron")
    assert (
        f"Accessor ID  = {made['AccessorID']}\nSecret ID    = {made['SecretID']}\n" in mine.stdout
    )
    assert "\n\nRoles\nID" in mine.stdout
    assert (await typed("acl", "policy", "self", by="cron")).stdout.splitlines()[1] == "backup  d"
    await typed("server", "members", by="cron")
    for words in (("acl", "token", "list"), ("operator", "raft", "list-peers")):
        refused = await typed(*words, by="cron", code=1)
        assert refused.stderr.endswith("403 (Permission denied)\n")
    changed = await typed.json("acl", "token", "update", "-name=new", made["AccessorID"])
    assert {**changed, "Hash": 0, "ModifyIndex": 0, "Name": 0} == {
        **made,
        "Hash": 0,
        "ModifyIndex": 0,
        "Name": 0,
    }
    listed = (await typed("acl", "token", "list")).stdout
    assert made["AccessorID"] in listed
    assert made["SecretID"] not in listed
    assert BOSS not in listed
    await typed("acl", "token", "delete", made["AccessorID"])
    refused = await typed("acl", "token", "self", by="cron", code=1)
    assert refused.stderr.startswith("Error fetching self token: Unexpected response code: 403 (")


async def transition(typed: Typed) -> None:
    assert "Ended      = false\n" in (await typed("acl", "transition")).stdout
    await typed("acl", "transition", "-end")
    assert "Ended      = true\n" in (await typed("acl", "transition")).stdout
    refused = await typed("acl", "transition", "-resume", by="", code=1)
    assert refused.stderr.endswith("403 (Permission denied)\n")


def test_the_life_of_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("boss").write_text(BOSS)
    Path("backup.hcl").write_text(BACKUP)
    Path("bad.hcl").write_text("operator {")
    whole_story()
