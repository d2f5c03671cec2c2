"""`quorate backup run`: a backup of any cluster by its HTTP API, into a target of this machine.

For clusters that do not back themselves up, as Nomad's. The archive is checked as it came, and once
more as it is at the target; only then older ones go.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

from quorate.archive.meta import ArchiveError
from quorate.archive.reading import read_archive
from quorate.backup.places import open_target
from quorate.backup.target import SUFFIX, Settings, Target, TargetError, reader
from quorate.cli.commands.snapshot.file import Contents, contents, reason
from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_block
from quorate.client import Client, ClientError
from quorate.nomad.state import Read, records

_NOMAD: Final = "Nomad"
_KEYS: Final = "RootKeyMetaSnapshot"
_NO_WORD: Final = re.compile(r"[^A-Za-z0-9_.]")
_UNKNOWN: Final = "cluster"
_REGION_MAX: Final = 100
_RETAIN_MAX: Final = 1000
_PIECE_BYTES: Final = 256 << 10
_DATA_DIR: Final = "<data_dir>"


class Made(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What was made. `key_ids` are root keys that it needs and lacks, `keystore` their folder."""

    name: str
    target: str
    kind: str
    index: int
    size: int
    sha256: str = msgspec.field(name="SHA256")
    key_ids: tuple[str, ...] = msgspec.field(name="KeyIDs", default=())
    keystore: str = ""
    deleted: tuple[str, ...] = ()


def run(context: Context) -> int:
    """Save, check, put, read back, prune."""
    flags = context.flags
    retain = flags.number("retain")
    if not 0 <= retain <= _RETAIN_MAX:
        raise Failure(f"-retain is {retain}, and 0 to {_RETAIN_MAX} may stay")
    settings = Settings(
        url=flags.text("target"),
        endpoint=flags.text("endpoint"),
        region=flags.text("bucket-region"),
        credentials_file=flags.text("credentials-file"),
    )
    with doing("Error opening the target: "):
        target = open_target(settings)
        target.names()  # before anything is asked of the cluster
        target.try_out()
    with context.client() as client, tempfile.TemporaryFile() as file:
        region, data_dir = _agent(client)
        if retain and not region:
            raise Failure(
                "-retain deletes older files of the same region, and the agent does not tell its "
                "region",
                "use a token that may read the agent, or leave -retain out",
            )
        found = _received(client, file)
        name = f"nomad-{region or _UNKNOWN}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-"
        name += f"{found.meta.index}{SUFFIX}"
        size, sha256 = _put(target, name, file)
        keys = _key_ids(file) if found.kind == _NOMAD else ()
    _prove(target, name, sha256)
    made = Made(
        name=name,
        target=settings.url,
        kind=found.kind or "not known",
        index=found.meta.index,
        size=size,
        sha256=sha256,
        key_ids=keys,
        keystore=f"{data_dir}/server/keystore" if keys else "",
        deleted=_pruned(target, name, retain) if retain else (),
    )
    return context.show(msgspec.to_builtins(made), lambda: _print(context, made))


def _agent(client: Client) -> tuple[str, str]:
    """Region and data folder of the agent that is asked, as far as it tells them.

    The region is as it is in a name, where dashes part the words; empty if it is not known.
    """
    try:
        config = client.agent_self().raw.get("config")
    except ClientError:  # it may be forbidden, and the backup is not
        config = None
    config = config if isinstance(config, dict) else {}
    # Two regions have two names: by it older files are found, and deleted.
    region = _NO_WORD.sub("", str(config.get("Region") or "").replace("-", "."))[:_REGION_MAX]
    return region, str(config.get("DataDir") or _DATA_DIR)


def _received(client: Client, file: BinaryIO) -> Contents:
    try:
        with doing("Failed to get snapshot file: "):
            client.save_snapshot(file.write)
        file.flush()
    except OSError as error:
        raise Failure(f"Failed to keep the snapshot: {reason(error)}", "make room") from error
    file.seek(0)
    with doing("Failed to verify snapshot file: "):
        return contents(file.read)


def _put(target: Target, name: str, file: BinaryIO) -> tuple[int, str]:
    size = os.fstat(file.fileno()).st_size
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
    file.seek(0)
    with doing("Error writing the backup: "):
        target.put(name, file.read, size, lambda: True)
    return size, digest.hexdigest()


def _prove(target: Target, name: str, sha256: str) -> None:
    """Read it back from the target; what is not the same goes from there."""
    digest = hashlib.sha256()

    def hashed(pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            digest.update(piece)
            yield piece

    try:
        contents(reader(hashed(target.get(name))))
        why = "" if digest.hexdigest() == sha256 else "its SHA-256 is not that of what was put"
    except TargetError as error:
        raise Failure(
            f"The backup {name} could not be read back: {error.text}", error.next_step
        ) from error
    except ArchiveError as error:
        why = error.text
    if why:
        with doing("Error deleting a backup that is damaged: "):
            target.delete(name)
        raise Failure(f"The backup {name} is damaged at the target: {why}", "look at the target")


def _key_ids(file: BinaryIO) -> tuple[str, ...]:
    found: list[str] = []

    def on_state(state: Read) -> None:
        metas = [each.value for each in records(state, b"", (_KEYS,)) if each.type == _KEYS]
        found.extend(str(meta.get("KeyID", "")) for meta in metas if isinstance(meta, dict))

    file.seek(0)
    read_archive(file.read, on_state)
    return tuple(sorted(found))


def _pruned(target: Target, made: str, retain: int) -> tuple[str, ...]:
    """Delete what is older than the newest `retain`, of the same region."""
    begin = "-".join(made.split("-")[:2]) + "-"
    with doing("Error pruning older backups: "):
        # The time in a name has one length, so in the order of names is the order of time.
        names = [name for name in target.names() if name.startswith(begin)]
        older = sorted(names)[:-retain]
        for name in older:
            if name != made:
                target.delete(name)
    return tuple(name for name in older if name != made)


def _print(context: Context, made: Made) -> None:
    line = context.out.line
    pairs = [("Name", made.name), ("Target", made.target), ("State of", made.kind)]
    pairs += [("Index", str(made.index)), ("Size", str(made.size)), ("SHA-256", made.sha256)]
    line(format_block(pairs))
    for name in made.deleted:
        line(f"Deleted {name}")
    if made.key_ids:
        line(
            "\nNot in this backup: the root keys, without which no variable in it can be\n"
            "read. A backup of Nomad 1.4 to 1.8 never holds them. On each server they are\n"
            f"in {made.keystore}: keep a copy of these files too:"
        )
        for key_id in made.key_ids:
            line(f"  {key_id}.nks.json")
