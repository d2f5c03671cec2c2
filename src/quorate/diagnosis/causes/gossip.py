"""Gossip keys that differ, so that servers do not find each other."""

from __future__ import annotations

from collections.abc import Iterator

from quorate.diagnosis.picture import Picture
from quorate.diagnosis.values import Finding, Server, Severity
from quorate.diagnosis.words import listed

_SEALED_OTHERWISE = ("No installed keys could decrypt", "encrypted", "Encryption")


def keys(picture: Picture) -> Iterator[Finding]:
    """Servers that seal with a key that others do not have, or not at all."""
    gossiping = [s for s in picture.servers if s.told.gossip.enabled]
    deaf = [
        (reader, writer)
        for reader in gossiping
        for writer in gossiping
        if not _reads(reader, writer)
    ]
    refused = tuple(
        f"{server.node} cannot read gossip from {each.where}: {each.why} ({each.count} times)"
        for server in gossiping
        for each in server.told.gossip.refused
        if any(word in each.why for word in _SEALED_OTHERWISE)
    )
    if deaf:
        lines = [f"{server.node} {_ring(server)}" for server in gossiping]
        readers = listed(reader.node for reader, _ in deaf)
        yield Finding(
            cause="gossip-key-differs",
            weight=80,
            severity=Severity.CAUSE,
            text=f"the gossip keys differ: {readers} cannot read what other servers send",
            shown_by=(*lines, *refused),
            next=(
                (
                    "set the same encrypt key on all servers; a key ring that is kept counts more: "
                    "stop the odd server, remove <data_dir>/server/serf.keyring, start it"
                ),
            ),
        )
    elif refused and (picture.missing or not picture.leader_address):
        yield Finding(
            cause="gossip-key-differs",
            weight=80,
            severity=Severity.CAUSE,
            text="a server sends gossip that is sealed with another key, or not sealed",
            shown_by=refused,
            next=("compare the encrypt key, and serf.keyring, of the server there",),
        )


def _reads(reader: Server, writer: Server) -> bool:
    ring, other = reader.told.gossip, writer.told.gossip
    if not ring.encrypted and not other.encrypted:
        return True
    return bool(ring.encrypted and other.keys and other.keys[0] in ring.keys)


def _ring(server: Server) -> str:
    digests = server.told.gossip.keys
    if not digests:
        return "does not encrypt"
    others = f", and has {listed(digests[1:])}" if digests[1:] else ""
    return f"seals with the key of digest {digests[0]}{others}"
