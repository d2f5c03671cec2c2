"""A server that runs twice, or on an old copy: what is advised has to fit what servers do."""

from __future__ import annotations

import pytest
from worlds import at, folder, led, listed, refusal, report, server, world

from quorate.diagnosis.judging import diagnose
from quorate.diagnosis.values import Finding, World
from quorate.server.cluster.copies import after_refusal

TWICE = "id-3 runs on one of two copies of one data folder, or on a folder that was put back"
REMOVAL = "`quorate operator raft remove-peer -peer-id=id-3 -address=http://10.0.0.1:4646`"


def causes(found: World) -> dict[str, Finding]:
    return {each.cause: each for each in diagnose(found).findings}


def test_which_of_two_bodies_is_the_member_decides_what_is_done() -> None:
    """The ID of the original that goes on is not to be removed: it would lose a good voter."""
    clone = server(3, address="10.0.0.9:4647", node="s9.global")
    found = causes(world(*led(1, 2, 3), clone))
    original, copy = found["id-twice"].next
    assert original.startswith(f"if the original is the one at {at(3)}: stop the copy")
    assert "remove-peer" not in original
    assert copy.startswith(f"if the copy is the one at {at(3)}: stop it")
    assert "start the original again: it moves its data aside, takes a new ID" in copy
    assert copy.endswith(f"then take the old ID out: {REMOVAL}")


@pytest.mark.parametrize(
    ("why", "cause"),
    [
        (f"{TWICE}; one was at {at(3)}, one is at {at(9)}: its folder was copied", "id-twice"),
        (f"{TWICE}; both at {at(3)}: its folder was put back to an older state", "rolled-back"),
        ("id-3 runs on two copies of one data folder", "id-twice"),
        ("id-3 runs on an old copy of its data folder: start 2", "rolled-back"),
    ],
)
def test_a_refusal_says_whether_a_folder_was_copied_or_put_back(why: str, cause: str) -> None:
    told = server(1, role="leader", leader=at(1), refused=refusal(why))
    found = causes(world(told, server(2, leader=at(1)), reports=(report(1, 3),)))
    assert {"id-twice", "rolled-back"} & set(found) == {cause}
    (removal,) = [step for step in found[cause].next if "remove-peer" in step]
    assert removal.endswith(REMOVAL)


def test_one_that_was_put_back_takes_its_place_by_itself() -> None:
    told = server(1, role="leader", leader=at(1), refused=refusal("id-3 " + TWICE[5:] + "; both "
        "at 10.0.0.3:4647: its folder was put back to an older state"))  # fmt: skip
    (step,) = causes(world(told, server(2, leader=at(1))))["rolled-back"].next
    assert "takes the place of the old ID by itself; only where list-peers still names" in step


def test_of_two_folders_the_one_that_runs_is_kept_though_the_copy_was_started_later() -> None:
    """The copy was started once more, and refused: its start is the newer one."""
    refused = folder(3, path="/copy", start=9, rolled_back="two copies")
    (step,) = causes(world(folders=(folder(3, user=4711), refused)))["id-twice"].next
    assert step.startswith("keep /mnt/s3, on which a server runs")
    (step,) = causes(world(folders=(folder(3), refused)))["id-twice"].next
    assert step.startswith("keep /mnt/s3, which was started and written last")
    both = (folder(3, rolled_back="x"), refused)
    (step,) = causes(world(folders=both))["id-twice"].next
    assert "each joins as a new server" in step


def test_a_member_of_the_pool_with_the_id_of_another_one_has_its_steps_too() -> None:
    found = causes(world(*led(1, 2, 3), pool=(listed(1, 3), listed(1, 9, id="id-3"))))
    assert len(found["id-twice"].next) == 2


def test_a_refused_server_does_not_say_to_remove_an_id_that_another_one_uses() -> None:
    text = after_refusal("id-3")
    assert text.startswith("start it again: it moves this data aside, takes a new ID")
    before, _, command = text.partition("quorate operator raft remove-peer -peer-id=id-3")
    assert "leave that one alone" in before
    assert "once no server has that ID, and list-peers still names it" in before
    assert not command
