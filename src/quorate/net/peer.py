"""The other end of a connection, once it has proven which server it is."""

from __future__ import annotations

import msgspec

from quorate.raft.values.identity import IdentityRecord


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A proven server. `address` is the RPC address that it says is its own ("host:port").

    `record` is what it said of itself when the connection was made; messages bring newer ones.
    """

    record: IdentityRecord
    region: str
    address: str
    key: bytes
    vouched: bool = False
    """A member of the configuration known here says that it is a member, too."""

    @property
    def server_id(self) -> str:
        """The ID that is proven."""
        return self.record.server_id
