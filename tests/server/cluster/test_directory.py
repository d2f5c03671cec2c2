"""Who is known, who is alive, and who took whose place."""

from __future__ import annotations

import time
from itertools import pairwise

import msgspec

from quorate.server.cluster.directory import ALIVE, FAILED, LEFT, SERVERS_MAX, Directory
from quorate.server.cluster.identity import Identity

ME = Identity(
    id="me",
    name="s1",
    region="global",
    datacenter="dc1",
    address="10.0.0.1:4647",
    serf_port=4648,
    version="0",
)
OTHER = msgspec.structs.replace(ME, id="other", name="s2", address="10.0.0.2:4647")
WEST = msgspec.structs.replace(ME, id="west", name="w1", region="west", address="10.1.0.1:4647")


def test_a_silent_server_fails_and_its_region_goes() -> None:
    directory = Directory(ME, fail_after_s=5.0)
    directory.heard(OTHER, 100.0)
    directory.heard(WEST, 100.0)
    directory.refresh(104.0)
    assert directory.regions() == ["global", "west"]
    directory.refresh(106.0)
    assert directory.regions() == ["global"]
    assert [k.status for k in directory.all()] == ["alive", "failed", "failed"]
    assert directory.alive("global") == [ME]


def test_a_live_id_does_not_move_to_another_name() -> None:
    """As of a copied data folder: the second one takes the place when the first is gone."""
    copy = msgspec.structs.replace(OTHER, name="copy", address="10.0.0.9:4647")
    directory = Directory(ME, fail_after_s=None)
    directory.seen(OTHER, ALIVE, 1.0)
    directory.seen(copy, ALIVE, 2.0)
    assert _of(directory, "other") == OTHER
    assert [known.identity for known in directory.rivals()] == [copy]
    for named in ("ID other", "s2.global at 10.0.0.2:4647", "copy.global at 10.0.0.9:4647"):
        assert named in directory.two_bodies("other")
    assert directory.two_bodies("me") == ""

    directory.seen(copy, FAILED, 3.0)  # which says nothing of the first one
    assert (_of(directory, "other"), directory.rivals()) == (OTHER, [])
    directory.seen(copy, ALIVE, 4.0)
    directory.seen(OTHER, FAILED, 5.0)
    assert (_of(directory, "other"), directory.rivals()) == (copy, [])
    directory.seen(OTHER, ALIVE, 6.0)
    directory.forget(copy)
    assert (_of(directory, "other"), directory.rivals()) == (OTHER, [])


def test_an_answer_does_not_move_a_live_id_either() -> None:
    """Without a pool servers are only known by their answers."""
    copy = msgspec.structs.replace(OTHER, name="copy", address="10.0.0.9:4647")
    pool = Directory(ME, fail_after_s=None)
    pool.seen(OTHER, ALIVE, 1.0)
    pool.seen(copy, ALIVE, 1.0)
    assert not pool.heard(copy, 2.0)
    assert (_of(pool, "other"), [k.identity for k in pool.rivals()]) == (OTHER, [copy])

    directory = Directory(ME, fail_after_s=5.0)
    directory.heard(OTHER, 100.0)
    assert directory.heard(copy, 101.0)
    assert _of(directory, "other") == OTHER
    assert "copy.global" in directory.two_bodies("other")
    directory.heard(copy, 104.0)
    directory.refresh(105.5)  # the first one is silent
    assert (_of(directory, "other"), directory.rivals()) == (copy, [])
    directory.heard(OTHER, 106.0)
    directory.heard(copy, 110.0)
    directory.refresh(112.0)  # and now the other one
    assert (_of(directory, "other"), directory.rivals()) == (copy, [])


def test_another_server_with_the_own_id_is_named() -> None:
    copy = msgspec.structs.replace(ME, name="copy", address="10.0.0.9:4647")
    directory = Directory(ME, fail_after_s=None)
    directory.seen(copy, ALIVE, 1.0)
    assert "copy.global at 10.0.0.9:4647" in directory.two_bodies("me")
    assert _of(directory, "me") == ME
    directory.seen(copy, LEFT, 2.0)
    assert directory.two_bodies("me") == ""


def test_a_server_that_was_started_under_another_name_is_itself() -> None:
    renamed = msgspec.structs.replace(OTHER, name="new")
    directory = Directory(ME, fail_after_s=None)
    directory.seen(OTHER, ALIVE, 1.0)
    directory.seen(renamed, ALIVE, 2.0)
    directory.seen(OTHER, FAILED, 3.0)  # its old name
    directory.forget(OTHER)
    known = directory.by_id("other")
    assert known is not None
    assert (known.identity, known.status, directory.rivals()) == (renamed, ALIVE, [])


def _of(directory: Directory, server_id: str) -> Identity:
    known = directory.by_id(server_id)
    assert known is not None
    assert known.status == ALIVE
    return known.identity


def test_being_told_of_a_server_does_not_make_it_alive() -> None:
    directory = Directory(ME, fail_after_s=5.0)
    directory.told(OTHER)
    assert directory.alive("global") == [ME]
    known = directory.by_id("other")
    assert known is not None
    assert known.status == "failed"


def test_another_id_at_an_address_takes_the_place() -> None:
    directory = Directory(ME, fail_after_s=5.0)
    directory.heard(OTHER, 1.0)
    fresh = msgspec.structs.replace(OTHER, id="fresh")
    before = directory.version
    assert directory.heard(fresh, 2.0)
    assert directory.by_id("other") is None
    assert directory.version > before
    assert not directory.heard(fresh, 3.0)


def test_the_version_rises_with_every_change_of_a_status_and_only_then() -> None:
    directory = Directory(ME, fail_after_s=5.0)
    directory.heard(OTHER, 1.0)
    versions = [directory.version]
    for change in (
        lambda: directory.refresh(3.0),  # alive still
        lambda: directory.refresh(7.0),  # failed
        lambda: directory.refresh(8.0),
        lambda: directory.heard(OTHER, 9.0),  # alive again
        lambda: directory.heard(OTHER, 10.0),
    ):
        change()
        versions.append(directory.version)
    assert [b - a for a, b in pairwise(versions)] == [0, 1, 0, 1, 0]


def test_invented_servers_cost_little_and_have_a_limit() -> None:
    """16,000 of them held a leader for 19 s: each was compared with all others."""
    directory = Directory(ME, fail_after_s=None)
    began = time.thread_time()
    for number in range(16_000):
        host = f"10.9.{number >> 8}.{number & 255}:4647"
        invented = msgspec.structs.replace(OTHER, id=f"x{number}", name=f"x{number}", address=host)
        directory.seen(invented, ALIVE, 1.0)
        directory.told(invented)
        assert directory.by_address(OTHER.address) is None
    assert time.thread_time() - began < 16_000 * 100e-6
    assert len(directory.all()) == SERVERS_MAX
    for known in directory.all():
        directory.forget(known.identity)
    directory.seen(OTHER, ALIVE, 2.0)
    assert _of(directory, "other") == OTHER
    found = directory.by_address(OTHER.address)
    assert found is not None
    assert found.identity == OTHER
