"""The way back of a server that was refused for its folder: an old one, or one of two copies."""

from __future__ import annotations


def after_refusal(server_id: str) -> str:
    """What an operator does next.

    The ID is never proposed for removal without a condition: where a copy was refused, the server
    that was copied goes on with it.
    """
    return (
        "start it again: it moves this data aside, takes a new ID and joins as a new server, which "
        "takes the place of the old ID by itself if no server with that ID is left at its address; "
        f"if another server goes on with the ID {server_id}, leave that one alone, or, if that one "
        "is the copy, stop it first; once no server has that ID, and list-peers still names it: "
        f"quorate operator raft remove-peer -peer-id={server_id}"
    )
