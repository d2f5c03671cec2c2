"""From the URL of a target to the target. URLs come from configurations alone, never from calls."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from quorate.backup.folder import FolderTarget
from quorate.backup.target import SUFFIX, Settings, Target, is_name
from quorate.errors import QuorateError

_FORMS: Final = 'write "file:///folder" or "s3://bucket/prefix"'
_URL_MAX: Final = 1000


def open_target(settings: Settings) -> Target:
    """The target. Nothing is asked of it yet. Raises QuorateError."""
    check_endpoint(settings.endpoint)
    check_url(settings.url)
    parts = urlsplit(settings.url)
    if parts.scheme == "file":
        return FolderTarget(unquote(parts.path))
    from quorate.backup.bucket import BucketTarget

    return BucketTarget(settings, parts.netloc, unquote(parts.path).strip("/"))


def check_url(url: str) -> None:
    """Raises QuorateError for what names no target."""
    if len(url) > _URL_MAX or not url.isprintable():
        raise QuorateError("the target is longer than 1,000 characters, or not printable", _FORMS)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise QuorateError(f"the target {url!r} is no URL: {error}", _FORMS) from error
    if "\0" in unquote(parts.path):  # no path has one
        raise QuorateError(f"the target {url!r} has a zero byte in its path", _FORMS)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise QuorateError(
            "the target holds more than a place",
            "credentials come from the environment, a file, or the instance, never from a URL",
        )
    if parts.scheme == "file":
        if parts.netloc or not parts.path.startswith("/"):
            raise QuorateError(f"the target {url!r} is no absolute path", _FORMS)
    elif parts.scheme == "s3":
        if not parts.netloc:
            raise QuorateError(f"the target {url!r} names no bucket", _FORMS)
        if find_spec("obstore") is None:
            raise QuorateError(
                "the target is a bucket, and the package obstore is not installed",
                "run: pip install 'quorate[backup]'",
            )
    else:
        raise QuorateError(f"the target {url!r} is neither a folder nor a bucket", _FORMS)


def check_endpoint(url: str) -> None:
    """Raises QuorateError for what is no address of a server; empty is that of AWS."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in url
        sound = sound and url.isprintable() and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if url and not sound:
        # What is wrong may be a secret: the text is not shown.
        raise QuorateError(
            "the endpoint is not the URL of a server", 'write "https://host" or "https://host:port"'
        )


def split_file(settings: Settings) -> tuple[Settings, str]:
    """Where a URL names one file of a target: the target, and the file's name; else no name."""
    above, _, last = settings.url.rstrip("/").rpartition("/")
    if last.endswith(SUFFIX) and is_name(last):
        return replace(settings, url=above + "/" if above.endswith("/") else above), last
    return settings, ""
