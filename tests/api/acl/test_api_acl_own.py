"""What callers see of ACL without management: their own token, their policies, their roles."""

from __future__ import annotations

import asyncio

from acl_server import BOSS, AclServer, decoded
from api_running import asynchronous

ANONYMOUS = ""


async def filled() -> tuple[AclServer, str, str]:
    """A server with some of all; the secret of a client, and its accessor."""
    server = AclServer()
    await server.bootstrap()
    for name in ("a", "b", "c", "anonymous"):
        await server.make_policy(name)
    ops = await server.make_role("ops", "b")
    await server.make_role("other", "c")
    token = await server.make_token(Name="t", Policies=["a"], Roles=[{"ID": ops["ID"]}])
    return server, token["SecretID"], token["AccessorID"]


@asynchronous
async def test_a_client_sees_the_policies_that_it_has_through_roles_too() -> None:
    server, secret, _ = await filled()
    names = {}
    for who, token in (("client", secret), ("nobody", ANONYMOUS), ("boss", BOSS)):
        found = decoded(await server.ask("GET", "policies", token=token))
        names[who] = [each["Name"] for each in found]
    assert names["client"] == ["a", "b"]
    assert names["nobody"] == ["anonymous"]
    assert names["boss"] == ["a", "anonymous", "b", "c"]
    for name, status in (("a", 200), ("b", 200), ("c", 403), ("none", 403)):
        assert (await server.ask("GET", f"policy/{name}", token=secret)).status == status
    assert (await server.ask("GET", "policy/none")).status == 404
    assert (await server.ask("GET", "policy/a", token=ANONYMOUS)).status == 403


@asynchronous
async def test_a_client_sees_the_roles_that_it_has() -> None:
    server, secret, _ = await filled()
    own = decoded(await server.ask("GET", "role/name/ops"))
    other = decoded(await server.ask("GET", "role/name/other"))
    assert decoded(await server.ask("GET", "roles", token=secret)) == [own]
    assert decoded(await server.ask("GET", "roles", token=ANONYMOUS)) == []
    assert decoded(await server.ask("GET", f"role/{own['ID']}", token=secret)) == own
    for path in (f"role/{other['ID']}", "role/name/other", "role/name/none", "role/none"):
        answer = await server.ask("GET", path, token=secret)
        assert (answer.status, answer.body) == (403, b"Permission denied")
    assert (await server.ask("GET", "role/name/none")).status == 404


@asynchronous
async def test_a_client_reads_its_own_token_and_no_other() -> None:
    server, secret, accessor = await filled()
    own = decoded(await server.ask("GET", "token/self", token=secret))
    assert (own["AccessorID"], own["SecretID"]) == (accessor, secret)
    assert decoded(await server.ask("GET", f"token/{accessor}", token=secret)) == own
    boss = decoded(await server.ask("GET", "token/self"))["AccessorID"]
    for path in (f"token/{boss}", "token/none", "tokens"):
        answer = await server.ask("GET", path, token=secret)
        assert (answer.status, answer.body) == (403, b"Permission denied")
    answer = await server.ask("GET", "token/none")
    assert (answer.status, answer.body) == (404, b"ACL token not found")
    nobody = decoded(await server.ask("GET", "token/self", token=ANONYMOUS))
    assert (nobody["AccessorID"], nobody["SecretID"], nobody["Policies"]) == (
        *("anonymous", ""),
        ["anonymous"],
    )


@asynchronous
async def test_a_client_writes_nothing() -> None:
    server, secret, accessor = await filled()
    before = server.store.index
    for method, path in (
        ("PUT", "token"),
        ("PUT", f"token/{accessor}"),
        ("DELETE", f"token/{accessor}"),
        ("PUT", "policy/a"),
        ("DELETE", "policy/a"),
        ("PUT", "role"),
        ("DELETE", "role/none"),
    ):
        body = {"Name": "a", "AccessorID": accessor, "Type": "management"}
        for token in (secret, ANONYMOUS):
            answer = await server.ask(method, path, body, token=token)
            assert (answer.status, answer.body) == (403, b"Permission denied"), path
    assert server.store.index == before


@asynchronous
async def test_a_policy_of_others_ends_no_wait_of_its_own() -> None:
    """Which of them are there, and which were just deleted, is not for a client to find out."""
    server, secret, _ = await filled()

    async def at_once(path: str, token: str) -> bool:
        waiting = asyncio.ensure_future(server.ask("GET", path, token=token))
        for _ in range(100):
            await asyncio.sleep(0)
        done = waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return done

    index = server.store.table_index("acl_policies")
    assert (await server.ask("DELETE", "policy/c")).status == 200
    for token in (secret, ANONYMOUS):
        for since in (index - 1, index, index + 1):
            for there, absent in (
                ("policies?prefix=c&", "policies?prefix=z&"),
                ("policy/c?", "policy/z?"),
            ):
                more = f"index={since}&wait=30s"
                ends = [await at_once(each + more, token) for each in (there, absent)]
                assert ends[0] == ends[1], (there, since)
