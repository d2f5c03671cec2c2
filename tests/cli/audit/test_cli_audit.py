"""`operator audit list|verify`: what they show, and that a changed record is named."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from audit_life import a_life, answer_of, live_on
from cli_run import Ran, run
from client_fake_agent import FakeAgent, json_reply
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quorate.audit.check import check_file
from quorate.cli.commands.operator.audit.sources import of_file

AUDIT = "GET /v1/operator/audit"
LIFE = answer_of(a_life())
"""Lane `cluster` has an unchained record 0, then 1 to 10; `act` and `setting` have 0 to 4."""


def verify(answer: dict[str, Any], *words: str, other: dict[str, Any] | None = None) -> Ran:
    with (
        FakeAgent({AUDIT: json_reply(answer)}) as one,
        FakeAgent({AUDIT: json_reply(other)}) as two,
    ):
        more = ("-server", two.address) if other is not None else ()
        return run("operator", "audit", "verify", *more, *words, env={"NOMAD_ADDR": one.address})


def record(answer: dict[str, Any], lane: str, number: int) -> dict[str, Any]:
    found: dict[str, Any] = next(
        each for each in answer["Records"] if (each["Lane"], each["Number"]) == (lane, number)
    )
    return found


def lines(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """As a file sink writes them."""
    made, before = [], dict.fromkeys(("act", "cluster", "setting"), "")
    for each in reversed(answer["Records"]):
        if each["Hash"]:
            payload = {"stage": "RecordEntered", "record": each, "before": before[each["Lane"]]}
            made.append({"event_type": "audit", "payload": payload})
            before[each["Lane"]] = each["Hash"]
    return made


def file_of(path: Path, *texts: object) -> str:
    path.write_text("".join(json.dumps(each) + "\n" for each in texts))
    return str(path)


def test_list_says_who_did_what_to_which_object_from_where() -> None:
    with FakeAgent({AUDIT + "?count=50": json_reply(LIFE)}) as agent:
        ran = run("operator", "audit", "list", env={"NOMAD_ADDR": agent.address})
    assert (ran.code, ran.stderr) == (0, "")
    table = ran.stdout.splitlines()
    assert table[0].split() == ["Time", "Who", "What", "Object", "From", "Outcome", "Index", "Note"]
    acts = [line for line in table if "changed 104" in line]
    assert len(acts) == 1
    for word in ("1970-01-01T00:00:00Z", "ann (11111111)", "autopilot", "10.0.0.1:4000", "done"):
        assert word in acts[0]
    assert table[-1] == f"Head {LIFE['Head']} at index {LIFE['Index']}"


def test_list_asks_for_what_is_wanted() -> None:
    with FakeAgent({AUDIT + "?count=3&lane=act": json_reply(LIFE)}) as agent:
        ran = run(
            *("operator", "audit", "list", "-lane=act", "-count=3", "-json"),
            env={"NOMAD_ADDR": agent.address},
        )
    assert json.loads(ran.stdout) == LIFE


def test_a_log_as_it_was_written_is_whole() -> None:
    ran = verify(LIFE)
    assert (ran.code, ran.stderr) == (0, "")
    assert "Every record is as it was written" in ran.stdout
    assert LIFE["Head"] in ran.stdout
    assert "1 records from before the chain" in ran.stdout
    found = json.loads(verify(LIFE, "-json").stdout)
    assert (found["Whole"], found["Sources"][0]["Records"]) == (True, 20)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda a: record(a, "act", 2).update(Accessor="other"), "record act/2 (index"),
        (lambda a: record(a, "setting", 0).update(Outcome="no change"), "record setting/0 (index"),
        (lambda a: record(a, "cluster", 7).update(Hash="00" * 32), "record cluster/7 (index"),
        (lambda a: a["Records"].remove(record(a, "act", 4)), "record act/4: it is missing"),
        (lambda a: a["Records"].remove(record(a, "act", 1)), "record act/1 (index"),
        (lambda a: a["Lanes"][2].update(Head="11" * 32), "not the head of the lane"),
        (lambda a: a.update(Head="22" * 32), "the head is not that of the lanes"),
        (lambda a: record(a, "act", 3).update(Hash="zz"), "none of a chain: "),
        (lambda a: record(a, "act", 3).update(Hash=""), "record act/3 (index"),
        (lambda a: a.update(Damaged=["slot 4 is damaged"]), "slot 4 is damaged"),
    ],
)
def test_each_change_is_exit_code_2_and_names_the_first_broken_record(
    change: Callable[[dict[str, Any]], object], named: str
) -> None:
    answer = copy.deepcopy(LIFE)
    change(answer)
    ran = verify(answer)
    assert ran.code == 2, ran
    assert "the audit log was changed: s1: " in ran.stderr
    assert named in ran.stderr


def test_servers_are_compared_where_both_have_the_record() -> None:
    behind, ahead = a_life(), live_on(a_life(), range(5, 7))
    assert verify(answer_of(ahead), other=answer_of(behind)).code == 0
    other = live_on(a_life(), range(5, 6))
    forked = live_on(other, range(50, 52))  # whole in itself, and another story
    ran = verify(answer_of(ahead), other=answer_of(forked, "s2"))
    assert ran.code == 2
    assert "record act/6: it differs from that of http://" in ran.stderr


def test_the_file_of_a_sink_proves_itself_and_is_compared(tmp_path: Path) -> None:
    request = {"payload": {"stage": "OperationReceived", "request": {"endpoint": "/x"}}}
    good = file_of(tmp_path / "good", request, *lines(LIFE), request)
    assert verify(LIFE, good).code == 0
    changed = lines(copy.deepcopy(LIFE))
    changed[4]["payload"]["record"]["What"] = "nothing"
    ran = verify(LIFE, file_of(tmp_path / "changed", *changed))
    assert ran.code == 2
    lane = changed[4]["payload"]["record"]["Lane"]
    number = changed[4]["payload"]["record"]["Number"]
    assert f"record {lane}/{number} (index" in ran.stderr
    other = answer_of(live_on(a_life(), range(70, 71)))
    ran = verify(answer_of(live_on(a_life(), range(5, 6))), file_of(tmp_path / "o", *lines(other)))
    assert (ran.code, "record act/5: it differs" in ran.stderr) == (2, True)


def test_a_file_with_gaps_is_whole_and_one_with_nonsense_is_not(tmp_path: Path) -> None:
    some = lines(LIFE)
    ran = verify(LIFE, file_of(tmp_path / "gaps", *some[:6], *some[10:]))
    assert ran.code == 0
    assert "gaps" in ran.stdout
    bad = tmp_path / "bad"
    bad.write_bytes(b'{"payload": {"stage": "RecordEntered", "record": [}\n\xff\xfe\n')
    ran = verify(LIFE, str(bad))
    assert (ran.code, "line 1 cannot be read" in ran.stderr) == (2, True)
    ran = verify(LIFE, str(tmp_path / "missing"))
    assert (ran.code, "cannot read" in ran.stderr) == (1, True)
    ran = verify(LIFE, str(tmp_path))
    assert ran.code == 1


def test_a_head_that_was_written_down_must_have_been_its_head() -> None:
    store = a_life()
    known = answer_of(store)["Head"]
    later = answer_of(live_on(store, range(5, 8)))
    assert verify(later, f"-head={known}").code == 0
    assert verify(later, f"-head={later['Head']}").code == 0
    other = answer_of(live_on(a_life(), range(30, 33)))["Head"]
    ran = verify(later, f"-head={other}")
    assert (ran.code, "is none of its heads" in ran.stderr) == (2, True)


@pytest.mark.parametrize("word", ["abc", "0" * 63, "0" * 65, "g" * 64, f"{'0' * 63}!"])
def test_what_is_no_head_is_a_mistake_and_no_sign_of_a_change(word: str) -> None:
    ran = verify(LIFE, f"-head={word}")
    assert (ran.code, ran.stdout) == (1, "")
    assert "-head takes a head of 64 hexadecimal digits" in ran.stderr


def test_an_outcome_of_several_lines_is_shown_on_one() -> None:
    answer = json.loads(json.dumps(LIFE))
    answer["Records"][0]["Outcome"] = "token 0 invalid: 1 error occurred:\n\t* it is bad\n\n"
    with FakeAgent({AUDIT + "?count=50": json_reply(answer)}) as agent:
        ran = run("operator", "audit", "list", env={"NOMAD_ADDR": agent.address})
    assert "  token 0 invalid: 1 error occurred: * it is bad  " in ran.stdout


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        ({"Kind": "act", "By": "server-id"}, "operator"),
        ({"Kind": "election", "By": "server-id"}, "server-id"),
        ({"Kind": "act", "Name": "root (uid 0)"}, "root (uid 0)"),
        ({"Kind": "act", "Accessor": "12345678-9", "Name": "ann"}, "ann (12345678)"),
        ({"Kind": "refusal", "Accessor": "12345678-9"}, "12345678-9"),
    ],
)
def test_who_acted(record: dict[str, Any], shown: str) -> None:
    answer = {"Records": [{"What": "x", **record}]}
    with FakeAgent({AUDIT + "?count=50": json_reply(answer)}) as agent:
        ran = run("operator", "audit", "list", env={"NOMAD_ADDR": agent.address})
    assert f"  {shown}  " in ran.stdout.splitlines()[1]


TEXTS = st.sampled_from(["act", "setting", "", "00" * 32, "ab" * 32, "zz", "é" * 9])
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from([-1, 2**63, 2**70]), st.floats(), TEXTS
)
KEYS = st.sampled_from(
    ["Lane", "Number", "Index", "Time", "Kind", "What", "Hash", "Count", "Details", "Force"]
)
RECORDS = st.dictionaries(KEYS, st.one_of(VALUES, st.lists(st.lists(TEXTS, max_size=3))))
PAYLOADS = st.fixed_dictionaries(
    {"stage": st.just("RecordEntered"), "record": RECORDS}, optional={"before": VALUES}
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(PAYLOADS, VALUES), max_size=4), st.binary(max_size=40))
def test_whatever_a_file_holds_is_whole_or_named_and_never_an_accident(
    payloads: list[Any], garbage: bytes
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        lines = [json.dumps({"payload": each}).encode() for each in payloads]
        path.write_bytes(b"\n".join([*lines, garbage, b'"RecordEntered"' + garbage]))
        records, unread = of_file(str(path))
        check_file("f", records)
        assert all(each.startswith("line ") for each in unread)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"Records": [{"Lane": "act", "Number": 2**70}]}, "is no number of a record"),
        ({"Lanes": [{"Lane": "act", "Next": 2**64}]}, "is no number of a record"),
        ({"Records": [{"Lane": "other", "Number": 1}]}, "names no such lane"),
    ],
)
def test_a_server_that_answers_with_what_cannot_be_is_named(
    change: dict[str, Any], says: str
) -> None:
    ran = verify({**LIFE, **change}, f"-head={'0' * 64}")
    assert (ran.code, says in ran.stderr) == (2, True)
