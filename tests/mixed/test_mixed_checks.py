"""The checks at the end of every test bite: what they are to find, they find."""

from __future__ import annotations

import gc
import os
import socket
from pathlib import Path

import pytest
from mixed_cluster import cluster, until
from mixed_wires import Wires

pytestmark = pytest.mark.process


def test_a_write_that_is_not_there_is_missed(tmp_path: Path) -> None:
    with cluster(tmp_path, "gq") as mixed:
        mixed.write(3, "there")
        mixed.acknowledged["never written;"] = 5
        with pytest.raises(AssertionError, match="never written"):
            mixed.check()
        del mixed.acknowledged["never written;"]
        mixed.acknowledged["there-1;"] += 1
        with pytest.raises(AssertionError, match="there-1"):
            mixed.check()
        mixed.acknowledged["there-1;"] -= 1


@pytest.mark.parametrize("make", ["g", "q"])
def test_a_bad_frame_is_seen(tmp_path: Path, make: str) -> None:
    with cluster(tmp_path, "gq") as mixed:
        peer = next(peer for peer in mixed.founders if peer.make == make)
        # An unknown request, no msgpack, an unknown mode byte.
        for sent in (b"\x02\x09\x80", b"\x02\x00\xc1", b"\x09"):
            with socket.create_connection(("127.0.0.1", peer.bind)) as stranger:
                stranger.sendall(sent)
                assert not stranger.recv(1)
            until(lambda: peer.wrong_lines(""), f"a line about {sent!r}")
            with pytest.raises(AssertionError, match=peer.name):
                mixed.check_logs()
            os.truncate(peer.log_path, 0)


def test_wires_end_while_peers_dial() -> None:
    """Connections in all stages: dialled a moment ago, held by a cut, and carrying bytes."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as peer:
        for _ in range(4):
            wires = Wires()
            port = wires.lead_to("peer", peer.getsockname()[1])
            clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
            wires.cut(("?", "peer"))
            clients += [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
            wires.stop()
            gc.collect()  # a transport that is still open warns now
            for client in clients:
                client.close()
