"""The root keys as an operator sees them: never the keys themselves.

See docs/http-api.md#endpoints.
"""

from __future__ import annotations

import msgspec

from quorate.shapes.shape import Index


class RootKey(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One root key. Times are Unix nanoseconds.

    The last four are ours, left out where they are empty. `wrapped_by` is the ID of the key from
    outside of the cluster with which the root key is wrapped. While older values are sealed again,
    `rekey_phase` of the active key is "values", or "disks" when older snapshots and logs go, and
    `rekeyed` counts the values. `lacked_by` are the addresses of members that do not have the key
    from outside, as the leader knows it.
    """

    algorithm: str = ""
    create_index: Index = 0
    create_time: int = 0
    key_id: str = msgspec.field(name="KeyID", default="")
    modify_index: Index = 0
    publish_time: int = 0
    state: str = ""
    rekey_phase: str = ""
    rekeyed: int = 0
    wrapped_by: str = ""
    lacked_by: tuple[str, ...] = ()


class Rotated(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The new key of a rotation, and the index of its log entry."""

    index: int = 0
    key: RootKey = RootKey()


class KeyRemoved(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The index of the log entry that has removed a key."""

    index: int = 0
