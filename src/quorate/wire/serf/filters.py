"""The members that a query is for: the filters in it (docs/wire.md#serf-messages)."""

from __future__ import annotations

from typing import Final

from quorate.gossip.messages import NodeFilter, TagFilter
from quorate.wire.go.fields import read_text
from quorate.wire.go.msgpack import array_header, bad_frame, unpack
from quorate.wire.memberlist.fields import fields_of, pack_map, pack_string

_NODES: Final = 0
_TAG: Final = 1


def encode_filter(wanted: NodeFilter | TagFilter) -> bytes:
    """One filter with its type byte."""
    if isinstance(wanted, NodeFilter):
        names = b"".join(map(pack_string, wanted.names))
        return bytes((_NODES,)) + array_header(len(wanted.names)) + names
    tag, expression = pack_string(wanted.tag), pack_string(wanted.expression)
    return bytes((_TAG,)) + pack_map((b"Expr", expression), (b"Tag", tag))


def decode_filter(data: bytes) -> NodeFilter | TagFilter:
    """The reverse. Raises BadFrame."""
    if not data:
        raise bad_frame("an empty filter of a query")
    if data[0] == _TAG:
        fields = fields_of(data[1:], "a filter by tag")
        return TagFilter(fields.text(b"Tag"), fields.text(b"Expr"))
    if data[0] != _NODES:
        raise bad_frame(f"an unknown filter of a query: {data[0]}")
    names = unpack(data[1:])
    if names is not None and type(names) is not tuple:
        raise bad_frame("a filter by name is no list of names")
    return NodeFilter(tuple(read_text(name, "a filter by name") for name in names or ()))
