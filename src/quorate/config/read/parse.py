"""One configuration file: HCL or JSON, whatever its name ends in.

See docs/configuration.md#files-flags-and-order.

As for the readers before us, a text whose first character is "{" is JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from quorate.config.read.decode import decode, file_error
from quorate.config.read.json_text import read_json
from quorate.config.read.tree import Body, MalformedError
from quorate.config.read.value import Partial
from quorate.errors import ConfigError

FILE_BYTES_MAX: Final = 1 << 20
"""A larger file is something else, given by mistake."""

_COMMENTS: Final = re.compile(r"\A(?:\s+|#[^\n]*|//[^\n]*|/\*.*?\*/)+", re.DOTALL)

HclReader: TypeAlias = Callable[[str], Body]


def read_hcl_here(text: str) -> Body:
    """Read HCL in this process; what that takes is loaded by the first HCL file only."""
    from quorate.config.read.hcl_text import read_hcl

    return read_hcl(text)


def parse_file(path: Path, read_hcl: HclReader = read_hcl_here) -> Partial:
    """The settings of a file. Raises ConfigError that names the file and, if known, the line."""
    try:
        # A pipe is waited for: the agent hears signals meanwhile.
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"Error loading configuration from {path}: open {path}: {reason(error)}"
        ) from None
    return parse_bytes(data, str(path), read_hcl)


def parse_bytes(data: bytes, file: str, read_hcl: HclReader = read_hcl_here) -> Partial:
    """The settings in the content of `file`. Raises ConfigError."""
    if len(data) > FILE_BYTES_MAX:
        raise file_error(file, f"it is larger than {FILE_BYTES_MAX} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise file_error(file, "it is not UTF-8 text", line) from None
    try:
        body = _read(text, read_hcl)
    except MalformedError as fault:
        raise file_error(file, str(fault)) from None
    return decode(body, file)


def _read(text: str, read_hcl: HclReader) -> Body:
    if text.lstrip().startswith("{"):
        return read_json(text)
    if _COMMENTS.sub("", text).startswith("{"):
        raise MalformedError("a comment stands before a JSON object, and JSON knows no comments")
    return read_hcl(text) if text.strip() else Body()


def reason(error: OSError | ValueError) -> str:
    """Why a path cannot be read: the system's words, in lower case as in the golden cases."""
    words = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return words[:1].lower() + words[1:]
