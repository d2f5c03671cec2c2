"""Each cause by the least that shows it, what stands before what, and a healthy cluster."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from worlds import (
    MEMBERS,
    REFUSED,
    SILENT,
    at,
    folder,
    gossip,
    led,
    listed,
    new,
    refusal,
    report,
    server,
    unnamed,
    world,
)

from quorate.diagnosis.judging import CAUSES, SHOWN_MAX, diagnose
from quorate.diagnosis.picture import Picture
from quorate.diagnosis.values import (
    Asked,
    Begun,
    Failure,
    Member,
    Outcome,
    Server,
    Severity,
    Trouble,
    Waiting,
    World,
)
from quorate.shapes.diagnosis import DiskDetails, GossipDetails, PeerSeen, TlsDetails

ALL = (server(1), server(2), server(3))
OTHERS = (server(2), server(3))
UNREAD = "No installed keys could decrypt the message"
TWO_LEFT = (report(1, 2), report(1, 3, SILENT))


def asked(kind: Trouble, *, guessed: bool = False) -> Asked:
    return Asked(address="https://a:4646", guessed=guessed, failure=Failure(kind, "x509: why"))


def moved(number: int, address: str, **given: object) -> Server:
    return server(number, address=address, **given)


LOOPBACK = (*MEMBERS[:2], Member(id="id-3", address="127.0.0.1:4647"))
NAMED = (*MEMBERS[:2], Member(id="id-3", address="s3.example:4647"))
SEEN = (PeerSeen(id="id-2", node="s2.global", status="failed", silent_s=43.0),)

TABLE: list[tuple[str, World, str]] = [
    # cause, the least that shows it, what the text or its lines must say
    ("quorum-unreachable", world(server(1), reports=TWO_LEFT), "1 of 3 voters can be reached"),
    ("quorum-unreachable", world(server(1), reports=TWO_LEFT), "no server runs there"),
    ("quorum-unreachable", world(server(1), reports=TWO_LEFT), "or the process hangs"),
    (
        "quorum-unreachable",
        world(server(1, peers=SEEN), reports=TWO_LEFT),
        "s2.global (id-2 at 10.0.0.2:4647)",
    ),
    ("quorum-unreachable", world(server(1, peers=SEEN), reports=TWO_LEFT), "last heard 43 s ago"),
    ("no-spare-voter", world(*led(1, 2), reports=(report(1, 3),)), "2 of 3 voters"),
    (
        "voters-not-asked",
        world(server(1, leader=at(2), last_contact_ms=10)),
        "could not be asked from here",
    ),
    (
        "voters-apart",
        world(*ALL, reports=tuple(report(b, o) for b in (1, 2, 3) for o in (1, 2, 3) if b != o)),
        "s1.global does not reach s2.global",
    ),
    ("expect-unmet", world(new(1), new(2)), "3 servers are expected"),
    ("expect-unmet", world(new(1, waiting="2 of 3 answer")), "2 of 3 answer"),
    ("expect-unmet", world(new(1), dialed=(unnamed("s2:4648", "join"),)), "no such host"),
    ("expect-differs", world(new(1), new(2), new(3, expect=5)), "3 on s1.global and s2.global"),
    ("expect-not-set", world(new(1, expect=0)), "bootstrap_expect is not set"),
    (
        "region-differs",
        world(new(1), new(2, region="west"), new(3, region="east")),
        "3 regions",
    ),
    ("region-differs", world(new(1), pool=(listed(1, 2, region="west"),)), "2 regions"),
    (
        "gossip-key-differs",
        world(new(1, gossip=gossip("aa")), new(2, gossip=gossip("bb"))),
        "digest aa",
    ),
    (
        "gossip-key-differs",
        world(new(1, gossip=gossip("aa")), new(2, gossip=gossip())),
        "no encryption",
    ),
    (
        "gossip-key-differs",
        world(new(1, gossip=gossip("aa", join=(at(3),), refused=refusal(UNREAD)))),
        "is sealed with another key",
    ),
    (
        "gossip-key-differs",
        world(
            new(1, gossip=GossipDetails(enabled=True, encrypted=True)),
            new(2, gossip=GossipDetails(enabled=True)),
        ),
        "a key that is not told",
    ),
    (
        "versions-differ",
        world(server(1, make="Nomad", version="1.6.3"), server(2, make="Nomad", version="1.6.4")),
        "1.6.4",
    ),
    ("id-twice", world(*ALL, moved(3, "10.0.0.9:4647", node="s9.global")), "10.0.0.9:4647"),
    ("id-twice", world(*OTHERS, server(1, state="twice")), "id-1"),
    ("id-twice", world(server(1), pool=(listed(1, 3), listed(1, 4, id="id-3"))), "s4.global"),
    ("name-twice", world(*led(1, 2), server(3, problem_kind="namesake", problem="x")), "s3"),
    (
        "rolled-back",
        world(
            server(1, refused=refusal("id-3 runs on an old copy of its data folder: start 2")),
            server(2),
        ),
        "start 2",
    ),
    (
        "epoch-differs",
        world(server(1), server(2), server(3, epoch="1 (ab12)")),
        "of epoch 1 (ab12): s3.global",
    ),
    (
        "epoch-differs",
        world(*OTHERS, server(1, refused=refusal("id-9 was left out of a recovery: epoch 0"))),
        "id-9 was left out",
    ),
    ("other-cluster", world(server(1), server(2), server(3, cluster_id="d")), "of cluster d: s3"),
    ("recovery-prepared", world(server(1, prepared="abc"), server(2)), "prepared: s1.global"),
    ("removed", world(*led(1, 2), server(3, problem_kind="removed", problem="at 812")), "812"),
    ("not-a-member", world(*led(1, 2, 3), server(4, waiting="to be taken in")), "s4.global"),
    ("damaged", world(*OTHERS, server(1, problem_kind="damaged", problem="entry 7")), "entry 7"),
    ("damaged", world(*OTHERS, server(1, state="damaged")), "s1.global"),
    ("states-disagree", world(*OTHERS, server(1, state="disagree")), "no majority"),
    ("held", world(*OTHERS, server(1, held="command 99")), "command 99"),
    ("held", world(*OTHERS, server(1, problem_kind="held", problem="needs 0.3")), "needs 0.3"),
    ("unhealthy", world(*OTHERS, server(1, problem_kind="wrapping", problem="no key")), "no key"),
    ("unhealthy", world(*OTHERS, server(1, facts=None, health="ill")), "ill"),
    ("disk-stalled", world(*OTHERS, server(1, disk=DiskDetails(waits_s=9.0))), "9.0 s"),
    ("disk-slow", world(*OTHERS, server(1, disk=DiskDetails(slowest_s=1.5))), "1.5 s"),
    ("disk-full", world(*OTHERS, server(1, disk=DiskDetails(full=True))), "0.0 MiB free"),
    ("little-room", world(*OTHERS, server(1, disk=DiskDetails(warning="9 left"))), "9 left"),
    ("clocks-apart", world(server(1, clock_off_s=0.0), server(2, clock_off_s=-60.0)), "60 s"),
    ("level-too-low", world(*OTHERS, server(1, level=3)), "level 4"),
    ("versions-differ", world(*OTHERS, server(1, level=5, version="0.3.0")), "0.3.0"),
    (
        "address-dns",
        world(*(server(n, members=NAMED) for n in (1, 2)), dialed=(unnamed("s3.example:4647"),)),
        "of s3.example:4647"[3:],
    ),
    ("address-dns", world(new(1), dialed=(unnamed("s2:4648", "join"),)), "an address to join"),
    (
        "address-loopback",
        world(*(server(n, members=LOOPBACK) for n in (1, 2))),
        "advertises 127.0.0.1:4647",
    ),
    (
        "address-not-reached",
        world(*ALL, reports=(report(1, 3), report(2, 3))),
        "10.0.0.3:4647",
    ),
    ("certificate-expired", world(asked=(asked(Trouble.EXPIRED),)), "x509: why"),
    (
        "certificate-expired",
        world(*OTHERS, server(1, tls=TlsDetails(enabled=True, days_left=-2.0, problem="ended"))),
        "the certificate of s1.global does not count",
    ),
    (
        "certificate-expires",
        world(*OTHERS, server(1, tls=TlsDetails(enabled=True, days_left=12.5))),
        "the certificate of s1.global expires in 12 days",
    ),
    (
        "certificate-expires",
        world(*OTHERS, server(1, tls=TlsDetails(enabled=True, days_left=0.5))),
        "within a day",
    ),
    (
        "certificate-expires",
        world(*OTHERS, server(1, tls=TlsDetails(enabled=True, days_left=3, of_authority=True))),
        "its authority ends first",
    ),
    (
        "tls-warning",
        world(*OTHERS, server(1, tls=TlsDetails(enabled=True, days_left=99, others=("a list",)))),
        "a list",
    ),
    ("tls-refused", world(asked=(asked(Trouble.TLS),)), "x509: why"),
    ("not-an-agent", world(asked=(asked(Trouble.GARBAGE),)), "no agent"),
    ("denied", world(asked=(asked(Trouble.DENIED),)), "token"),
    ("denied", world(asked=(asked(Trouble.UNCHECKED),)), "control.sock"),
    *(
        ("agent-not-reached", world(asked=(asked(kind),)), "https://a:4646")
        for kind in (
            *(Trouble.DNS, Trouble.REFUSED, Trouble.SILENT),
            *(Trouble.UNREACHABLE, Trouble.CLOSED, Trouble.HANGS, Trouble.DNS_SILENT),
        )
    ),
    ("no-leader", world(*ALL), "an election may be under way"),
    ("servers-stopped", world(folders=(folder(1), folder(2))), "which is a majority"),
    ("quorum-unreachable", world(folders=(folder(1),)), "not here: id-2"),
    ("folder-unreadable", world(folders=(folder(1, error="no folder"),)), "no folder"),
    ("no-configuration", world(folders=(folder(1, members=(), id=""),)), "no cluster"),
    ("damaged", world(folders=(folder(1, damage=("entry 7",)),)), "entry 7"),
    ("rolled-back", world(folders=(folder(1, rolled_back="start 2"),)), "start 2"),
    *(
        ("recovery-unfinished", world(folders=(folder(1, waiting=Waiting(begun, "so")),)), said)
        for begun, said in (
            (Begun.PREPARED, "recover live status /mnt/s1"),
            (Begun.CUT_OFF, "finished first"),
            (Begun.PEERS, "start its server"),
        )
    ),
    (
        "peers-json-wrong",
        world(folders=(folder(1, waiting=Waiting(Begun.WRONG_PEERS, "line 2", "/p", "cure")),)),
        "line 2",
    ),
    ("disk-full", world(folders=(folder(1, full=True),)), "/mnt/s1"),
    ("id-twice", world(folders=(folder(1), folder(1, path="/copy", start=4))), "/copy: start 4"),
    ("other-cluster", world(folders=(folder(1), folder(2, cluster_id="d"))), "of cluster d"),
    ("epoch-differs", world(folders=(folder(1), folder(2, epoch="1"))), "epoch 1"),
]


def test_a_survivor_that_is_about_to_follow_is_no_left_out_server() -> None:
    """It would lose its data by the advice for such a one."""
    found = diagnose(
        world(server(1, epoch="1 (ab12)"), server(2, prepared="abc"), server(3, prepared="abc"))
    )
    assert "epoch-differs" not in {finding.cause for finding in found.findings}
    assert "recovery-prepared" in {finding.cause for finding in found.findings}


@pytest.mark.parametrize(("cause", "found", "said"), TABLE)
def test_a_cause_is_named_with_what_shows_it_and_the_next_step(
    cause: str, found: World, said: str
) -> None:
    named = [each for each in diagnose(found).findings if each.cause == cause]
    assert named, [each.cause for each in diagnose(found).findings]
    finding = named[0]
    assert finding.next
    assert said in "\n".join((finding.text, *finding.shown_by, *finding.next))


def test_the_table_has_every_cause() -> None:
    """Each function that finds causes has a row, so that none stays untried."""
    for cause in CAUSES:
        assert any(list(cause(Picture(found))) for _, found, _ in TABLE), cause


def test_a_healthy_cluster_has_no_findings() -> None:
    found = diagnose(world(*led(1, 2, 3)))
    assert (found.outcome, found.leader, found.findings) == (Outcome.HEALTHY, "s1.global", ())


def test_one_voter_lost_of_three_is_a_warning() -> None:
    found = diagnose(world(*led(1, 2), reports=(report(1, 3),)))
    assert found.outcome is Outcome.HEALTHY
    assert [(each.cause, each.severity.value) for each in found.findings] == [
        ("no-spare-voter", "warning")
    ]


def test_a_leader_that_only_its_followers_tell_of() -> None:
    found = diagnose(world(server(1, leader=at(2), last_contact_ms=20), pool=(listed(1, 2),)))
    assert (found.outcome, found.leader) == (Outcome.HEALTHY, "s2.global")


def test_a_leader_that_was_cut_off_does_not_count() -> None:
    """It believes to lead in term 5; the others follow one of term 6."""
    old = server(1, role="leader", leader=at(1))
    others = [server(n, term=6, leader=at(2), role="follower") for n in (2, 3)]
    others[0] = msgspec.structs.replace(others[0], role="leader")
    assert diagnose(world(old, *others)).leader == "s2.global"


def test_nothing_answers() -> None:
    found = diagnose(world(asked=(asked(Trouble.REFUSED),)))
    assert found.outcome is Outcome.SILENT


def test_what_explains_the_others_stands_first() -> None:
    """Two servers with another key are why too few are found; a slow disk is by the way."""
    found = diagnose(
        world(
            new(1, gossip=gossip("aa"), disk=DiskDetails(slowest_s=3.0)),
            new(2, gossip=gossip("bb")),
            dialed=(unnamed("s9:4648", "join"),),
        )
    )
    assert [each.cause for each in found.findings] == [
        "gossip-key-differs",
        "address-dns",
        "expect-unmet",
        "disk-slow",
    ]


def test_damage_and_a_lost_quorum_stand_together() -> None:
    found = diagnose(world(server(1, problem_kind="damaged", problem="entry 7"), reports=TWO_LEFT))
    assert [each.cause for each in found.findings] == ["damaged", "quorum-unreachable"]


def test_a_cluster_that_is_being_founded_is_not_one_that_lost_its_quorum() -> None:
    found = diagnose(world(new(1), new(2)))
    assert [each.cause for each in found.findings] == ["expect-unmet"]


def test_each_region_is_a_cluster_of_its_own() -> None:
    """The smaller one is not lost behind the larger one."""
    members = tuple(Member(id=f"w{m.id}", address=f"w{m.address}") for m in MEMBERS)

    def west(number: int, **given: Any) -> Server:
        names = {"id": f"wid-{number}", "node": f"w{number}.west", "members": members}
        place = {"address": f"w{at(number)}", "region": "west", "cluster_id": "w"}
        return server(number, **names, **place, **given)

    led_there = [west(n, leader=f"w{at(2)}", role="leader" if n == 2 else "") for n in (1, 2, 3)]
    found = diagnose(world(*led(1, 2, 3), *led_there))
    assert (found.outcome, found.leader, found.findings) == (
        *(Outcome.HEALTHY, "s1.global, w2.west"),
        (),
    )
    found = diagnose(world(*led(1, 2, 3), west(1)))
    assert (found.outcome, found.leader) == (Outcome.CAUSE, "s1.global")
    assert [each.cause for each in found.findings] == ["quorum-unreachable"]
    assert "w2.west" not in found.findings[0].text


def test_clocks_within_the_error_of_the_network_are_no_finding() -> None:
    found = diagnose(
        world(
            *led(2, 3),
            server(1, leader=at(2), clock_off_s=-60.0, clock_error_s=30.0),
            server(4, leader=at(2), clock_off_s=0.0, clock_error_s=30.0),
        )
    )
    assert "clocks-apart" not in [each.cause for each in found.findings]


def test_any_mixture_of_these_ends_in_an_ordered_list() -> None:
    """Parts of all rows, thrown together: nothing fails, and each cause has a next step."""
    worlds = [found for _, found, _ in TABLE]
    rng = Random(4)

    def some(field: str) -> tuple[Any, ...]:
        chosen = rng.sample(worlds, 6)
        every = [each for found in chosen for each in getattr(found, field)]
        return tuple(rng.sample(every, min(len(every), rng.randrange(6))))

    for _ in range(300):
        parts: dict[str, Any] = {name: some(name) for name in World.__struct_fields__[:-1]}
        found = diagnose(World(**parts))
        keys = [(each.severity is Severity.WARNING, -each.weight) for each in found.findings]
        assert keys == sorted(keys)
        assert all(each.next and each.text for each in found.findings)
        causes = any(each.severity is Severity.CAUSE for each in found.findings)
        assert causes or found.outcome is not Outcome.CAUSE


def test_lines_are_bounded() -> None:
    many = refusal("runs on an old copy of its data folder") * 1
    found = diagnose(
        world(*(server(n, refused=many, node=f"n{n}") for n in range(1, 4 * SHOWN_MAX)))
    )
    rolled = next(each for each in found.findings if each.cause == "rolled-back")
    assert len(rolled.shown_by) == SHOWN_MAX + 1


def test_garbage_from_strangers_is_no_cause() -> None:
    """The least of a port scan looks like gossip with another key."""
    noise = gossip("aa", refused=refusal(UNREAD, "203.0.113.9"))
    found = diagnose(world(server(1, gossip=noise), reports=TWO_LEFT))
    assert [(each.cause, each.severity.value) for each in found.findings] == [
        ("quorum-unreachable", "cause"),
        ("gossip-key-differs", "warning"),
    ]


def test_a_name_that_only_this_machine_does_not_know_is_no_finding() -> None:
    servers = [server(n, members=NAMED) for n in (1, 2)]
    there = server(3, members=NAMED, address="s3.example:4647", http="")
    found = diagnose(world(*servers, there, dialed=(unnamed("s3.example:4647"),)))
    assert [each.cause for each in found.findings] == ["no-leader"]


def test_a_full_disk_that_waits_for_room_does_not_hang() -> None:
    full = server(1, disk=DiskDetails(full=True, waits_s=60.0))
    causes = [each.cause for each in diagnose(world(full, *OTHERS)).findings]
    assert "disk-full" in causes
    assert "disk-stalled" not in causes


def test_a_certificate_that_ends_is_told_once_by_its_server_or_by_what_it_shows() -> None:
    """A server of another make tells nothing of it; one of ours tells, and shows the same."""
    told = server(1, tls=TlsDetails(enabled=True, days_left=12.0))
    shown = Asked(address=told.http, server="id-1", certificate_days=12.0)
    foreign = Asked(address="https://b:4646", server="id-2", certificate_days=1.5)
    good = Asked(address="https://c:4646", server="id-3", certificate_days=200.0)
    found = diagnose(world(told, *OTHERS, asked=(shown, foreign, good))).findings
    texts = [each.text for each in found if each.cause == "certificate-expires"]
    assert texts == [
        "the certificate at https://b:4646 expires in 1 day; after that it is refused",
        "the certificate of s1.global expires in 12 days; after that it is refused",
    ]
    (step,) = next(each for each in found if each.text == texts[1]).next
    assert "`quorate tls cert create -server -region=global`" in step
    quiet = server(1, tls=TlsDetails(enabled=True, days_left=31.0))
    assert not [e for e in diagnose(world(quiet, *OTHERS)).findings if "certificate" in e.cause]


def test_guessed_addresses_are_no_finding() -> None:
    found = diagnose(world(*led(1, 2, 3), asked=(asked(Trouble.REFUSED, guessed=True),)))
    assert found.findings == ()


def test_recovery_is_not_offered_for_what_can_come_back() -> None:
    (finding,) = diagnose(world(server(1), reports=(report(1, 2), report(1, 3, REFUSED)))).findings
    assert "start 1 of s2" not in finding.next[1]
    assert "with the data folders that they have" in finding.next[0]
