"""A bucket that speaks S3 as the target of backups, by obstore (an optional extra).

An object appears whole or not at all, so an upload needs no other name. Parts of one that was cut
off are no object; a rule of the bucket can remove them. Credentials come from the environment, from
the file that the configuration names, or from the instance, in this order if several are there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from configparser import Error as ParserError
from contextlib import contextmanager, suppress
from datetime import timedelta
from io import BufferedIOBase
from typing import Any, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from quorate.backup.target import Absent, Read, Settings, TargetError, checked_name, is_name
from quorate.given_files import opened

_TRIAL: Final = "quorate-trial"
_PART_BYTES: Final = 8 << 20
_PIECE_BYTES: Final = 1 << 20
_RETRIES: Final = 2
_RETRY_S: Final = 20
_SILENCE: Final = "30s"
_CONNECT: Final = "5s"
_TEXT_MAX: Final = 300
_FILE_BYTES_MAX: Final = 64 << 10
_SECRETS: Final = ("access_key_id", "secret_access_key", "session_token")
_DENIED: Final = re.compile(r"\b40[13]\b|Denied|Forbidden|AccessKey|Signature|Token|[Cc]redential")
_OTHERS: Final = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""Variables that name another source of credentials."""

_INSTANCE: Final = (
    "those of the instance, since AWS_ACCESS_KEY_ID is not in the environment and no "
    "credentials_file is given"
)
_CURE: Final = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or name a "
    "credentials_file of mode 0600; then look at the rights that they have in the bucket, and at "
    "endpoint and region"
)
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_STATUS: Final = re.compile(r"\b([345]\d\d) [A-Z][A-Za-z ]{2,40}")


class BucketTarget:
    """See the module. `prefix` is the folder in the bucket, or empty."""

    def __init__(self, settings: Settings, bucket: str, prefix: str) -> None:
        self._where = f"bucket {bucket}"
        self._credentials = _source(settings.credentials_file)
        config: Any = dict(_credentials(settings.credentials_file))
        if settings.endpoint:
            config["endpoint"] = settings.endpoint
        if settings.region:
            config["region"] = settings.region
        endpoint = settings.endpoint or os.environ.get("AWS_ENDPOINT_URL", "")
        with self._clearly("reach files"):
            self._store = S3Store(
                bucket,
                prefix=prefix or None,
                config=config,
                client_options={
                    "timeout": _SILENCE,
                    "connect_timeout": _CONNECT,
                    "allow_http": endpoint.startswith("http://"),
                },
                retry_config={
                    "max_retries": _RETRIES,
                    "retry_timeout": timedelta(seconds=_RETRY_S),
                },
            )

    def put(self, name: str, read: Read, size: int, may: Callable[[], bool]) -> None:
        """See `Target`."""
        source = _Source(read, size, may)
        with self._clearly(f"write {name}"):
            obstore.put(
                self._store,
                checked_name(name),
                source,
                use_multipart=size > _PART_BYTES,
                chunk_size=_PART_BYTES,
                max_concurrency=1,
            )

    def try_out(self) -> None:
        """See `Target`. The object stays where nothing may be deleted: one, with this name."""
        with self._clearly("write"):
            obstore.put(self._store, _TRIAL, b"tried")
        with suppress(BaseError, OSError, ValueError):
            obstore.delete(self._store, _TRIAL)

    def get(self, name: str) -> Iterator[bytes]:
        """See `Target`."""
        with self._clearly(f"read {name}"):
            result = obstore.get(self._store, checked_name(name))
            for piece in result.stream(min_chunk_size=_PIECE_BYTES):
                yield bytes(piece)

    def names(self) -> list[str]:
        """See `Target`."""
        with self._clearly("list the files"):
            found = obstore.list_with_delimiter(self._store)["objects"]
            names = [str(each["path"]).rpartition("/")[2] for each in found]
            return sorted(name for name in names if is_name(name))

    def delete(self, name: str) -> None:
        """See `Target`."""
        with self._clearly(f"delete {name}"):
            try:
                obstore.delete(self._store, checked_name(name))
            except FileNotFoundError:
                return

    @contextmanager
    def _clearly(self, what: str) -> Iterator[None]:
        try:
            yield
        except TargetError:
            raise
        except FileNotFoundError as error:
            reason = _reason(error)
            if "NoSuchBucket" in reason:
                raise TargetError(
                    f"cannot {what} in {self._where}: {reason}", "make the bucket first"
                ) from error
            raise Absent(f"cannot {what} in {self._where}: {reason}") from error
        except (BaseError, OSError, ValueError) as error:
            reason = _reason(error)
            text = f"cannot {what} in {self._where}: {reason}"
            if self._credentials == _INSTANCE or _DENIED.search(reason):
                raise TargetError(f"{text}; credentials: {self._credentials}", _CURE) from error
            raise TargetError(text, "look at endpoint, bucket, rights and credentials") from error


class _Source(BufferedIOBase):
    """The bytes as a file that is read once. At its end it asks whether it may be an object."""

    def __init__(self, read: Read, size: int, may: Callable[[], bool]) -> None:
        self._read = read
        self._left = size
        self._may = may

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes. Raises TargetError where the upload must not come to its end."""
        wanted = _PART_BYTES if size is None or size < 0 else size
        piece = self._read(wanted)
        self._left -= len(piece)
        if not self._left or not piece:
            if self._left:
                raise TargetError(f"{self._left} bytes are missing", "it is tried again")
            if not self._may():
                raise TargetError("this server leads no more", "the leader makes the backup")
        return piece


def _source(path: str) -> str:
    """Where the credentials come from, in words: never a value of them."""
    if "AWS_ACCESS_KEY_ID" in os.environ:
        if "AWS_SECRET_ACCESS_KEY" in os.environ:
            return "those of the environment (AWS_ACCESS_KEY_ID)"
        return "of the environment, which has AWS_ACCESS_KEY_ID and no AWS_SECRET_ACCESS_KEY"
    if path:
        return f"those of credentials_file {path}"
    for name in _OTHERS:
        if name in os.environ:
            return f"those that {name} in the environment names"
    return _INSTANCE


def _credentials(path: str) -> Iterator[tuple[str, str]]:
    """Of the file, if the environment has none. Raises TargetError; never with a value in it."""
    if not path or "AWS_ACCESS_KEY_ID" in os.environ:
        return
    try:
        with opened(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_FILE_BYTES_MAX).decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise TargetError(f"cannot read credentials_file {path}: {reason}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise TargetError(
            f"credentials_file {path} can be read by other users",
            f"run: chmod 600 {path}",
        )
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
        section = parser["default"]
    except (ParserError, KeyError):
        raise TargetError(
            f"credentials_file {path} has no section [default]",
            "write it as AWS's own: [default], aws_access_key_id and aws_secret_access_key",
        ) from None
    for name in _SECRETS:
        if value := section.get("aws_" + name, ""):
            yield name, value


def _reason(error: BaseException) -> str:
    """The text of an error in one bounded line, without requests, headers or bodies."""
    text = " ".join(str(error).split())
    code = _CODE.search(text)
    if code is not None:
        return code[1]
    status = _STATUS.search(text)
    if status is not None:
        return status[0]
    return text.partition(" Debug source:")[0][:_TEXT_MAX]
