"""Between the two steps of a recovery of running servers: who is prepared, and what comes next."""

from __future__ import annotations

from typing import Any

from worlds import SILENT, folder, report, server, world

from quorate.diagnosis.judging import diagnose
from quorate.diagnosis.values import Finding, Server, World
from quorate.shapes.diagnosis import RecoveryDetails

PLAN = RecoveryDetails(
    plan="abcdef0123456789",
    epoch="1 (ab12)",
    leads="id-1",
    survivors=("id-1", "id-2"),
    lost=("id-3",),
    until_ms=400_000,
)
PREPARE = "-data-may-be-lost -lost=id-3 PLAN_FILE DATA_DIR"
NEITHER = ("start 1 of", "recover plan")


def prepared(number: int, plan: RecoveryDetails = PLAN, **given: Any) -> Server:
    facts = {"recovery": plan, "problem_kind": "prepared", "problem": "prepared"}
    return server(number, **{"prepared": plan.plan, "clock_ms": 100_000, **facts, **given})


def causes(found: World) -> dict[str, Finding]:
    return {each.cause: each for each in diagnose(found).findings}


def said(finding: Finding) -> str:
    return "\n".join((finding.text, *finding.shown_by, *finding.next))


def test_one_of_two_survivors_is_prepared() -> None:
    found = causes(world(prepared(1), server(2), reports=(report(1, 3), report(2, 3))))
    text = said(found["recovery-prepared"])
    assert "plan abcdef012345, by which epoch 1 (ab12) begins" in text
    assert "\nprepared: s1.global\nnot prepared: s2.global\n" in text
    assert "given up by itself in 5 min" in text
    live = "`quorate operator recover live"
    assert found["recovery-prepared"].next == (
        f"to go on, on the machine of s2.global: {live} prepare {PREPARE}`",
        f"then, on the machine of s1.global, which decides: {live} commit DATA_DIR`",
        f"or give it up, first on the machine of s1.global: {live} abort DATA_DIR`",
    )
    assert "unhealthy" not in found


def test_nothing_else_is_advised_while_a_plan_is_prepared() -> None:
    """To start lost servers, or to make another plan, is what the plan has put an end to."""
    reports = tuple(report(by, 3, SILENT) for by in (1, 2))
    alone = causes(world(prepared(1), reports=(report(1, 2), report(1, 3))))
    both = causes(world(prepared(1), prepared(2), reports=reports))
    assert "not prepared: id-2 at 10.0.0.2:4647, which does not answer" in said(
        alone["recovery-prepared"]
    )
    steps = [step for found in (alone, both) for each in found.values() for step in each.next]
    assert not [step for step in steps for word in NEITHER if word in step]
    assert "see above" in said(alone["quorum-unreachable"])
    assert next(iter(alone)) == next(iter(both)) == "recovery-prepared"


def test_the_commands_name_the_folders_that_were_given() -> None:
    found = causes(world(prepared(1), prepared(2), folders=(folder(1), folder(2))))
    (commit, abort, other) = found["recovery-prepared"].next
    assert commit.endswith("`quorate operator recover live commit /mnt/s1`")
    assert abort.endswith("`quorate operator recover live abort /mnt/s1`")
    assert other.startswith("and then on the machine of s2.global")
    assert other.endswith("`quorate operator recover live abort /mnt/s2`")


def test_two_plans_at_once_are_told_apart() -> None:
    other = RecoveryDetails(plan="99", epoch="1 (ff)", leads="id-2", survivors=("id-1", "id-2"))
    found = diagnose(world(prepared(1), prepared(2, other))).findings
    assert [each.cause for each in found][:3] == ["plans-differ", *("recovery-prepared",) * 2]
    assert "plan 99: s2.global" in found[0].shown_by
    assert "not prepared: s1.global" in said(found[1]) + said(found[2])


def test_a_time_that_is_up_is_told() -> None:
    text = said(causes(world(prepared(1, clock_ms=400_000)))["recovery-prepared"])
    assert "its time is up" in text
