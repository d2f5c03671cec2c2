"""Two new files, a certificate's and its key's, or none. Existing ones are left alone."""

from __future__ import annotations

import os
from pathlib import Path

from quorate.certificates.made import Pair
from quorate.cli.context import Failure

_CERTIFICATE_MODE = 0o644
_KEY_MODE = 0o600


def check_free(path: Path, what: str) -> None:
    """Raise Failure if something has this name."""
    if os.path.lexists(path):
        raise Failure(
            f"{what} file '{path}' already exists",
            "move it away first, or work in another folder: it is never overwritten",
        )


def save(pair: Pair, certificate: Path, key: Path) -> None:
    """Write both, the key for its owner alone. Raises Failure, and then neither is there."""
    _write(key, pair.key, _KEY_MODE)
    try:
        _write(certificate, pair.certificate, _CERTIFICATE_MODE)
    except BaseException:
        key.unlink(missing_ok=True)
        raise


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        raise Failure(
            f"cannot write {path}: {error.strerror or error}", "check the folder and its owner"
        ) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise Failure(f"cannot write {path}: {error.strerror or error}") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise
