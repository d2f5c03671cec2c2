"""The checks that a log store passes before anything of it is believed.

Three things can be wrong with a file that another program, a copy or a disk has changed:

1. The tree of LMDB pages. LMDB has no checksums and trusts its pages: a wrong page number can
   end the process. `lmdb.verify` walks the file without LMDB and proves that it is safe to open.
2. The choice between the two newest states. LMDB takes the one with the higher transaction
   number, so damage to that number would bring back the state before the last write: a
   forgotten vote. Transaction n is written to page n mod 2, and numbers have no gaps; so the
   two numbers in a healthy file differ by exactly one.
3. The contents: a checksum at every value, contiguous indexes, terms that never fall, and as
   many records as the tree says it has.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import lmdb
import lmdb.verify

from quorate.errors import LogDamaged
from quorate.storage.log_extent import LogExtent
from quorate.storage.log_format import (
    ENTRY_HEAD,
    entry_damaged,
    entry_key,
    read_entry_term,
    read_setting,
)

_verify: Callable[[str], list[str]] = lmdb.verify.verify

# LMDB's meta page, in the byte order and word size of this host: the magic number follows the
# page header; offsets of the others count from the magic.
_MAGIC: Final = struct.pack("=I", 0xBEEFC0DE)
_HEADER_SIZE_MAX: Final = 64
_U32: Final = struct.Struct("=I")
_U64: Final = struct.Struct("=Q")
_PAGE_SIZE_AT: Final = 24
_TRANSACTION_AT: Final = 128
_META_SIZE: Final = 136


def check_file(path: Path) -> None:
    """Checks 1 and 2, without LMDB. Raises LogDamaged, OSError when the file is not readable."""
    try:
        problems = _verify(str(path))
    except lmdb.verify.VerifyError as error:
        problems = [str(error)]
    if not problems:
        older, newer = sorted(_transaction_numbers(path))
        if newer - older > 1:
            problems = [f"transaction {newer} follows transaction {older}"]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise LogDamaged(f"{path} is damaged: {problems[0]}{more}", path=str(path))


def _transaction_numbers(path: Path) -> list[int]:
    """The numbers in the two meta pages of a file that `lmdb.verify` found sound."""
    with path.open("rb") as file:
        meta_at = file.read(_HEADER_SIZE_MAX).index(_MAGIC)
        file.seek(meta_at + _PAGE_SIZE_AT)
        page_size = _U32.unpack(file.read(_U32.size))[0]
        numbers = []
        for page in (0, 1):
            file.seek(page * page_size + meta_at)
            numbers.append(_U64.unpack_from(file.read(_META_SIZE), _TRANSACTION_AT)[0])
    return numbers


def check_settings(txn: lmdb.Transaction[bytes], conf: Any, path: str) -> dict[bytes, bytes]:
    """Check 3 for database `conf`: all payloads by key. Raises LogDamaged."""
    found = {key: read_setting(key, value, path) for key, value in txn.cursor(conf)}
    _check_count(txn, conf, len(found), path)
    return found


def check_entries(
    txn: lmdb.Transaction[bytes], logs: Any, base: tuple[int, int], path: str
) -> tuple[LogExtent, int]:
    """Check 3 for database `logs`: what it holds, and how many compacted records still lie there.

    Raises LogDamaged. Records up to the base are garbage, and are only counted.
    """
    garbage = 0
    index, term = base
    runs: list[tuple[int, int]] = []
    first_key = entry_key(index + 1)
    unpack_head = ENTRY_HEAD.unpack_from
    for key, value in txn.cursor(logs):
        if key < first_key:
            garbage += 1
            continue
        index += 1
        expected_key = entry_key(index)
        if key != expected_key:
            raise entry_damaged(index, path, "it is missing")
        # The common case is inlined: it is the whole cost of opening a log.
        try:
            crc, entry_term, _ = unpack_head(value)
        except struct.error:
            crc = -1
        if crc32(value[4:], crc32(expected_key)) != crc:
            entry_term = read_entry_term(index, value, path)
        if entry_term != term or not runs:
            if entry_term < term:
                raise entry_damaged(index, path, f"its term {entry_term} is below {term}")
            term = entry_term
            runs.append((index, term))
    _check_count(txn, logs, garbage + index - base[0], path)
    return LogExtent(base[0], base[1], index, tuple(runs)), garbage


def _check_count(txn: lmdb.Transaction[bytes], db: Any, found: int, path: str) -> None:
    expected = txn.stat(db)["entries"]
    if found != expected:
        what = f"{found} records found where {expected} were written"
        raise LogDamaged(f"{path} is damaged: {what}", path=path)
