"""The file with the keys of a pool: a JSON list, the primary key first.

See docs/wire.md#data-folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from quorate.errors import QuorateError
from quorate.given_files import content
from quorate.storage.atomic import make_dir, settle_names, write_atomic
from quorate.storage.disk_errors import clear_errors
from quorate.wire.memberlist.keyring import Keyring, decode_keyring, encode_keyring

_BYTES_MAX: Final = 1 << 20


def read_keyring(path: Path) -> Keyring | None:
    """The ring in the file; None if there is no file. Raises QuorateError if it is damaged."""
    with clear_errors(f"read {path}"):
        try:
            data = content(path, _BYTES_MAX)
        except FileNotFoundError:
            return None
    settle_names(path.parent)
    try:
        return decode_keyring(data)
    except ValueError as error:
        raise QuorateError(
            f"the keyring file {path} cannot be used: {error}",
            "copy it from another server of the pool, or remove it to begin with `encrypt`",
        ) from None


def write_keyring(path: Path, ring: Keyring) -> None:
    """Replace the file, all or nothing, mode 0600. Raises StorageFull or QuorateError."""
    with clear_errors(f"make {path.parent}"):
        make_dir(path.parent)
    write_atomic(path, encode_keyring(ring))
