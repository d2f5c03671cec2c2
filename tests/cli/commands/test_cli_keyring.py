"""Gossip keys: what is sent, what is refused unsent, and a rotation cut off at every point."""

import base64
import io
import json

import pytest
from cli_run import Ran, run
from cli_simulated_pool import OLD, OTHER, Pool
from client_fake_agent import FakeAgent, Reply, json_reply, text_reply
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import quorate.cli.commands.operator.keys.rotate
from quorate.cli.commands.operator.keys.rotate import Rotation
from quorate.cli.commands.operator.keys.rotation import (
    Action,
    Ring,
    Step,
    follows,
    new_key,
    next_step,
    unfinished,
)
from quorate.cli.context import Context, Failure
from quorate.cli.flags import Parsed
from quorate.cli.registry.index import BY_PATH
from quorate.cli.text.output import Output

KEYRING = ("operator", "gossip", "keyring")
NAMES = ("s1.global", "s2.global", "s3.global")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quorate.cli.commands.operator.keys.rotate, "POLL_S", 0.001)


def rotate(pool: Pool, *flags: str) -> Ran:
    """One run of the command; the pool stays as it is left."""
    with pool.serve() as agent:
        return run(*KEYRING, "rotate", *flags, env={"NOMAD_ADDR": agent.address})


# -- single steps --------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("operator", "keygen"), (*KEYRING, "generate")])
def test_a_generated_key(words: tuple[str, ...]) -> None:
    made = {run(*words).stdout for _ in range(3)}
    assert len(made) == 3
    assert {len(base64.b64decode(key.strip(), validate=True)) for key in made} == {32}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((*KEYRING, "install", OLD), "Installing new gossip encryption key...\n"),
        ((*KEYRING, "use", OLD), "Changing primary gossip encryption key...\n"),
        ((*KEYRING, "remove", OLD), "Removing gossip encryption key...\n"),
        (("operator", "keyring", f"-install={OLD}"), "Installing new gossip encryption key...\n"),
    ],
)
def test_a_step(words: tuple[str, ...], text: str) -> None:
    operation = words[-2] if words[-1] == OLD else "install"
    routes = {f"PUT /v1/agent/keyring/{operation}": json_reply({"Keys": {}, "NumNodes": 3})}
    with FakeAgent(routes) as agent:
        assert run(*words, env={"NOMAD_ADDR": agent.address}) == Ran(0, text, "")
    assert json.loads(agent.requests[0].body) == {"Key": OLD}


@pytest.mark.parametrize(
    "words", [(*KEYRING, "install", "-"), ("operator", "keyring", "-install=-")]
)
def test_a_key_that_is_piped_in(words: tuple[str, ...]) -> None:
    with FakeAgent({"PUT /v1/agent/keyring/install": json_reply({"Keys": {}})}) as agent:
        env = {"NOMAD_ADDR": agent.address}
        assert run(*words, env=env, stdin=f"{OLD}\n", terminal=True).stderr == ""
        shown = run(*KEYRING, "install", OLD, env=env, terminal=True).stderr
    assert [json.loads(seen.body) for seen in agent.requests] == [{"Key": OLD}] * 2
    assert shown == "Hint: others can see a key on the command line: give - and pipe it in\n"


def test_what_is_piped_in_and_is_no_key_is_not_sent() -> None:
    for stdin in ("", "abc", "x" * 257):
        with FakeAgent({}) as agent:
            ran = run(*KEYRING, "install", "-", env={"NOMAD_ADDR": agent.address}, stdin=stdin)
        assert ran.code == 1
        assert ran.stderr.startswith(("error: Invalid encryption key: ", "Error reading standard"))
        assert not agent.requests


@pytest.mark.parametrize(
    "words",
    [
        (*KEYRING, "install", "abc"),
        (*KEYRING, "use", "abc"),
        (*KEYRING, "remove", "abc"),
        (*KEYRING, "rotate", "-key=abc"),
        ("operator", "keyring", "-install=abc"),
    ],
)
def test_what_is_no_key_is_not_sent(words: tuple[str, ...]) -> None:
    with FakeAgent({}) as agent:
        ran = run(*words, env={"NOMAD_ADDR": agent.address})
    assert (ran.code, agent.asked) == (1, [])
    fault = "illegal base64 data at input byte 0"
    assert ran.stderr == f"error: Invalid encryption key: {fault}\n"


def test_a_step_without_its_key() -> None:
    ran = run(*KEYRING, "install")
    assert ran.code == 1
    assert ran.stderr.startswith("This command requires one argument: <key>\n")


def test_the_list_with_details() -> None:
    pool = Pool(*NAMES)
    pool.rings["s1.global"].append(OTHER)
    pool.away = {"s3.global"}
    with pool.serve() as agent:
        ran = run(*KEYRING, "list", "-verbose", env={"NOMAD_ADDR": agent.address})
    assert ran == Ran(
        0,
        "Gathering installed encryption keys...\n"
        "Key                       Held By  Primary Of\n"
        f"{OLD}  2/2      2/2\n"
        f"{OTHER}  1/2      0/2\n"
        "s3.global: did not answer\n",
        "",
    )


# -- which step is next --------------------------------------------------------------------------

A, B, C = OLD, OTHER, "A" * 43 + "="


@pytest.mark.parametrize(
    ("ring", "used", "step"),
    [
        (Ring(3, {A: 3}, {A: 3}), False, Step(Action.INSTALL, B)),
        (Ring(3, {A: 3, B: 2}, {A: 3}), False, Step(Action.INSTALL, B)),
        (Ring(2, {A: 2, B: 2}, {A: 2}, frozenset({"c"})), False, Step(Action.WAIT)),
        (Ring(2, {A: 2, B: 1}, {A: 2}, frozenset({"c"})), False, Step(Action.INSTALL, B)),
        (Ring(3, {A: 3, B: 3}, {A: 3}), False, Step(Action.USE, B)),
        (Ring(3, {A: 3, B: 3}, {A: 1, B: 2}), False, Step(Action.USE, B)),
        (Ring(3, {A: 3, B: 3}, {B: 3}), False, Step(Action.REMOVE, A)),
        (Ring(2, {A: 2, B: 2}, {B: 2}, frozenset({"c"})), True, Step(Action.WAIT)),
        (Ring(3, {A: 1, B: 3}, {B: 3}), False, Step(Action.REMOVE, A)),
        (Ring(3, {A: 3, B: 3, C: 1}, {B: 3}), False, Step(Action.REMOVE, C)),
        (Ring(3, {A: 3, B: 3}, None), False, Step(Action.USE, B)),
        (Ring(3, {A: 3, B: 3}, None), True, Step(Action.REMOVE, A)),
        (Ring(3, {B: 3}, {B: 3}), False, Step(Action.DONE)),
    ],
)
def test_next_step(ring: Ring, used: bool, step: Step) -> None:
    assert next_step(ring, B, used=used) == step


def test_a_new_key_bears_the_mark_of_the_one_it_follows_and_of_no_other() -> None:
    first = new_key(OLD)
    second = new_key(first)
    assert len(base64.b64decode(first)) == 32
    assert follows(first, OLD)
    assert unfinished([OLD, first]) == first
    assert unfinished([first, OLD]) == first
    assert unfinished([OLD, first, second]) == second  # one was left behind by an earlier one
    rival = new_key(OLD)  # begun by members that did not see the others
    assert unfinished([OLD, first, rival]) == unfinished([rival, OLD, first]) != OLD
    assert unfinished([OLD, OTHER]) is None
    assert unfinished([OLD]) is None


def test_the_key_by_which_the_new_one_is_known_goes_last() -> None:
    second = new_key(OLD)
    newest = new_key(second)
    ring = Ring(3, dict.fromkeys((OLD, second, newest), 3), {newest: 3})
    removed = []
    while (step := next_step(ring, newest, used=True)).action is Action.REMOVE:
        removed.append(step.key)
        left = {key: count for key, count in ring.keys.items() if key != step.key}
        ring = ring._replace(keys=left)
        assert len(left) == 1 or unfinished(left) == newest
    assert removed == [OLD, second]


# -- the whole of it -----------------------------------------------------------------------------


def test_a_rotation() -> None:
    pool = Pool(*NAMES)
    ran = rotate(pool)
    ((new,),) = {tuple(ring) for ring in pool.rings.values()}
    assert follows(new, OLD)
    assert pool.told == ["install", "use", "remove"]
    assert ran == Ran(
        0,
        "Installing the new key on all members...\n"
        "All members have the new key. Changing the primary key...\n"
        "All members use the new key. Removing the old one...\n"
        f"Done. The key of all 3 members is now:\n{new}\n"
        "Write it into server.encrypt of every server's configuration.\n",
        "",
    )


def test_a_rotation_to_a_given_key_as_json() -> None:
    pool = Pool(*NAMES)
    ran = rotate(pool, f"-key={OTHER}", "-json")
    assert json.loads(ran.stdout) == {
        "Absent": [],
        "Failures": {},
        "Finished": True,
        "Key": OTHER,
        "Removed": [OLD],
    }
    again = rotate(pool, f"-key={OTHER}")
    assert again.stdout.startswith("Done.")
    assert pool.told == ["install", "use", "remove"]


def test_the_old_key_is_kept_while_a_member_is_away_and_it_is_named() -> None:
    pool = Pool(*NAMES)
    pool.away = {"s3.global"}
    ran = rotate(pool, "-timeout=20ms")
    assert ran.code == 2
    assert ran.stdout.endswith("Waiting for 1 member: s3.global; the old key is kept.\n")
    assert ran.stderr == "Not finished: s3.global did not answer; the old key is kept\n"
    assert pool.told == ["install"]
    installed = pool.rings["s1.global"][1]
    assert [pool.rings[name][0] for name in NAMES] == [OLD] * 3
    # It comes back, and somebody runs the command again from another machine.
    pool.away.clear()
    ran = rotate(pool)
    assert ran.stdout.startswith("A rotation was begun before and is resumed.\n")
    assert ran.code == 0
    assert list(pool.rings.values()) == [[installed]] * 3


def test_a_member_that_comes_back_while_the_command_waits() -> None:
    pool = Pool(*NAMES)
    pool.away = {"s2.global"}

    def comes_back(_: str) -> None:
        if pool.asked > 12:
            pool.away.clear()

    pool.before = comes_back
    ran = rotate(pool, "-timeout=30s")
    assert ran.code == 0
    assert pool.told == ["install", "install", "use", "remove"]


def test_a_member_that_refuses_is_named_with_its_reason() -> None:
    pool = Pool(*NAMES)
    pool.deaf = {"s2.global"}
    ran = rotate(pool, "-timeout=5ms", "-json")
    assert ran.code == 2
    assert json.loads(ran.stdout)["Failures"] == {"s2.global": "disk is full"}
    assert ran.stderr == "Not finished: s2.global: disk is full; the old key is kept\n"
    assert set(pool.told) == {"install"}


def test_two_keys_of_which_nobody_knows_which_is_the_newer() -> None:
    pool = Pool(*NAMES)
    for ring in pool.rings.values():
        ring.append(OTHER)
    ran = rotate(pool)
    assert (ran.code, pool.told) == (1, [])
    assert "2 keys are installed" in ran.stderr
    assert rotate(pool, f"-key={OTHER}").code == 0
    assert list(pool.rings.values()) == [[OTHER]] * 3


def test_a_pool_without_encryption() -> None:
    pool = Pool(*NAMES)
    pool.encrypted = False
    ran = rotate(pool)
    assert (ran.code, pool.told) == (1, [])
    reason = "s1.global: No keyring to modify (encryption not enabled)"
    assert ran.stderr == f"Error rotating the gossip key: {reason}\n"


def test_servers_that_give_no_details() -> None:
    pool = Pool(*NAMES)
    pool.plain = True
    assert rotate(pool).code == 0
    assert pool.told == ["install", "use", "remove"]


def test_an_agent_that_does_not_gossip() -> None:
    pool = Pool(*NAMES)
    pool.before = lambda _: text_reply(501, "gossip is not enabled on this server")
    ran = rotate(pool)
    assert ran.code == 1
    text = "Unexpected response code: 501 (gossip is not enabled on this server)"
    assert ran.stderr == f"Error rotating the gossip key: {text}\n"


def test_cut_off_before_every_request_it_is_finished_by_the_next_run_with_the_same_key() -> None:
    whole = Pool(*NAMES)
    rotate(whole)
    count = whole.asked
    assert count > 10
    for cut in range(1, count + 1):
        pool = Pool(*NAMES)

        def gone(_: str, pool: Pool = pool, cut: int = cut) -> Reply | None:
            return text_reply(500, "gone") if pool.asked >= cut else None

        pool.before = gone
        assert rotate(pool).code == 1
        keys = {key for ring in pool.rings.values() for key in ring}
        pool.before = lambda _: None
        assert rotate(pool).code == 0
        ((left,),) = {tuple(ring) for ring in pool.rings.values()}
        if len(keys) > 1:
            assert {OLD, left} == keys
        else:  # cut off before the first step, or behind the last
            assert follows(left, *keys)


def run_directly(pool: Pool, timeout_s: float) -> int:
    """One run of the command's work, in this thread; its exit code."""
    out = Output(io.StringIO(), io.StringIO(), {})
    command = BY_PATH[*KEYRING, "rotate"]
    context = Context(command, Parsed({}, []), out, {}, io.StringIO())
    with pool.direct() as client:
        try:
            return Rotation(context, client, timeout_s).run("")
        except Failure as failure:
            return failure.code


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(1, 14), st.sets(st.sampled_from(NAMES), max_size=2)), max_size=5)
)
@example([(1, {"s1.global", "s3.global"}), (9, {"s3.global"}), (11, {"s1.global", "s2.global"})])
@example(  # rotations begun on both sides
    [
        (1, {"s1.global", "s3.global"}),
        (9, {"s3.global"}),
        (1, {"s1.global", "s3.global"}),
        (11, {"s1.global", "s2.global"}),
    ]
)
def test_whoever_goes_away_and_when_all_always_understand_each_other(
    runs: list[tuple[int, set[str]]],
) -> None:
    """`Pool.check` holds after every step; and when all are back, one more run ends it."""
    pool = Pool(*NAMES)
    for when, away in runs:

        def go(_: str, when: int = when, away: set[str] = away) -> None:
            pool.away = away if pool.asked >= when else set()

        pool.before = go
        assert run_directly(pool, 0.004) in {0, 2}
        pool.check()
    pool.before = lambda _: None
    pool.away = set()
    assert run_directly(pool, 10.0) == 0
    ((_,),) = {tuple(ring) for ring in pool.rings.values()}


def test_what_a_server_does_not_tell_is_unknown() -> None:
    """Nomad's servers say how many hold a key, not who encrypts with it."""
    answer = {"Keys": {"cg8StVXbQJ0gPvMd9o7yrg==": 3}, "NumNodes": 3, "Messages": {}}
    with FakeAgent({"GET /v1/agent/keyring/list?details=true": json_reply(answer)}) as agent:
        env = {"NOMAD_ADDR": agent.address}
        ran = run("operator", "gossip", "keyring", "list", "-verbose", env=env)
    assert ran.code == 0
    assert ran.stdout.splitlines()[-1].split() == ["cg8StVXbQJ0gPvMd9o7yrg==", "3/3", "unknown"]
