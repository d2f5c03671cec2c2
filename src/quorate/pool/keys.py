"""The keys of this member: what seals its gossip, and changing them when the pool asks.

A change counts once it is in the file (docs/wire.md#events-and-queries); if that cannot be written,
the old ring stays and the asker is told. Changes are carried out one after another.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from quorate.errors import QuorateError
from quorate.gossip.effects import KeyAction
from quorate.gossip.messages import KeyResponse
from quorate.storage.folder.keyring_file import read_keyring, write_keyring
from quorate.wire.memberlist.keyring import OVERHEAD, Keyring, key_text
from quorate.wire.memberlist.layers import Layers

log = logging.getLogger("quorate.pool")

_DIGEST_OF: Final = b"quorate gossip key:"

NO_RING: Final = "No keyring to modify (encryption not enabled)"
NO_RING_TO_LIST: Final = "Keyring is empty (encryption not enabled)"

OnDisk = Callable[..., Awaitable[Any]]
"""Runs a function with its arguments in the thread that may block on the disk."""


def first_ring(key: bytes | None, path: Path | None) -> Keyring | None:
    """The ring to begin with: that of the file, else one of `key`, which is then written there.

    Raises QuorateError for a damaged file, ValueError for a key of impossible size.
    """
    stored = read_keyring(path) if path is not None else None
    if stored is None:
        if key is None:
            return None
        ring = Keyring([key])
        if path is not None:
            write_keyring(path, ring)
        return ring
    if key is not None and key not in stored.keys:
        log.warning("the configured gossip key is not in %s: the keys there are used", path)
    return stored


class Keys:
    """See the module. `layers` is how packets and streams are wrapped now."""

    def __init__(self, layers: Layers, path: Path | None, on_disk: OnDisk) -> None:
        self.layers = layers
        self._path = path
        self._on_disk = on_disk
        self._one_by_one = asyncio.Lock()

    @property
    def overhead(self) -> int:
        """Bytes that the layers add to a packet."""
        sealed = OVERHEAD if self.layers.ring is not None else 0
        return sealed + len(self.layers.label_header)

    def digests(self) -> tuple[str, ...]:
        """32 bits of the hash of each key, the primary one first."""
        ring = self.layers.ring
        keys = ring.keys if ring is not None else ()
        return tuple(hashlib.sha256(_DIGEST_OF + key).hexdigest()[:8] for key in keys)

    async def carry_out(self, action: KeyAction, key: bytes) -> KeyResponse:
        """Do what a key query asks for; the answer to it."""
        async with self._one_by_one:
            ring = self.layers.ring
            if action is KeyAction.LIST:
                return _listed(ring)
            if ring is None:
                return KeyResponse(False, NO_RING, primary_key="")
            try:
                changed = _changed(ring, action, key)
                if changed.keys != ring.keys and self._path is not None:
                    await self._on_disk(write_keyring, self._path, changed)
            except (ValueError, QuorateError) as error:
                return KeyResponse(False, str(error), primary_key="")
            self.layers = Layers(changed, self.layers.label, self.layers.compress)
            return KeyResponse(True, primary_key="")


def _listed(ring: Keyring | None) -> KeyResponse:
    if ring is None:
        return KeyResponse(False, NO_RING_TO_LIST, primary_key="")
    return KeyResponse(True, "", tuple(map(key_text, ring.keys)), key_text(ring.primary))


def _changed(ring: Keyring, action: KeyAction, key: bytes) -> Keyring:
    match action:
        case KeyAction.INSTALL:
            return ring.install(key)
        case KeyAction.USE:
            return ring.use(key)
        case _:
            return ring.remove(key)
