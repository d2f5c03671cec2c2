"""Gossip keys that differ, so that servers do not find each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from quorate.diagnosis.picture import FRESH_S, Picture
from quorate.diagnosis.values import Finding, Server, Severity
from quorate.diagnosis.words import listed
from quorate.shapes.diagnosis import Refused

_SEALED_OTHERWISE = ("No installed keys could decrypt", "encrypted", "Encryption")


def keys(picture: Picture) -> Iterator[Finding]:
    """Servers that seal with a key that others do not have, or not at all."""
    gossiping = [s for s in picture.servers if s.told.gossip.enabled]
    refused = tuple(line for server in gossiping for line in _unread(server))
    if any(not _reads(one, other) for one in gossiping for other in gossiping):
        by_key: dict[str, list[str]] = defaultdict(list)
        for server in gossiping:
            by_key[_ring(server)].append(server.node)
        most = max(by_key.values(), key=len)
        odd = [name for names in by_key.values() if names is not most for name in names]
        yield Finding(
            cause="gossip-key-differs",
            weight=80,
            severity=Severity.CAUSE,
            text=f"the gossip keys differ: {listed(odd)} and the others ({listed(most)}) cannot "
            "read each other",
            shown_by=(*(f"{listed(names)}: {ring}" for ring, names in by_key.items()), *refused),
            next=(
                (
                    "set the same encrypt key on all servers; a key ring that is kept counts more: "
                    "stop the odd server, remove <data_dir>/server/serf.keyring, start it"
                ),
            ),
        )
    elif refused and (picture.missing or not picture.leader_address):
        known = _hosts(picture)
        ours = any(each.where in known for server in gossiping for each in _sealed(server))
        yield Finding(
            cause="gossip-key-differs",
            weight=80 if ours else 18,
            severity=Severity.CAUSE if ours else Severity.WARNING,
            text="a server sends gossip that is sealed with another key, or not sealed"
            if ours
            else "gossip comes that cannot be read, from no address of a server that is known",
            shown_by=refused,
            next=("compare the encrypt key, and serf.keyring, of the server there",),
        )


def _unread(server: Server) -> Iterator[str]:
    """By reason, from where this server has lately got gossip that it cannot read."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in _sealed(server):
        found[each.why].append(each.where)
    for why, hosts in found.items():
        yield f"{server.node} cannot read gossip from {listed(sorted(hosts))}: {why}"


def _sealed(server: Server) -> Iterator[Refused]:
    for each in server.told.gossip.refused:
        if each.ago_s < FRESH_S and any(word in each.why for word in _SEALED_OTHERWISE):
            yield each


def _hosts(picture: Picture) -> set[str]:
    """The hosts of all servers that are known, or are to be joined; garbage comes from others."""
    named = {member.address for member in picture.members}
    named |= {entry.address for entry in picture.world.pool}
    named |= {address for server in picture.servers for address in server.told.gossip.join}
    named |= {peer for server in picture.servers for peer in server.told.founders}
    hosts = {(name.rpartition(":")[0] or name).strip("[]") for name in named}
    if any(host.startswith("127.") for host in hosts):  # streams come from the first address
        hosts.add("127.0.0.1")
    return hosts


def _reads(reader: Server, writer: Server) -> bool:
    ring, other = reader.told.gossip, writer.told.gossip
    if not ring.encrypted and not other.encrypted:
        return True
    if not ring.keys or not other.keys:  # servers of Nomad tell only whether they encrypt
        return ring.encrypted == other.encrypted
    return other.keys[0] in ring.keys


def _ring(server: Server) -> str:
    digests = server.told.gossip.keys
    if not digests:
        return "a key that is not told" if server.told.gossip.encrypted else "no encryption"
    others = f", beside it {listed(digests[1:])}" if digests[1:] else ""
    return f"a key of digest {digests[0]}{others}"
