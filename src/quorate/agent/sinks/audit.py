"""The file of the audit sink, from the agent's configuration (docs/audit.md#the-file-of-a-sink)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from quorate.agent.log_file import LogFile
from quorate.config.checks.audit import ENFORCED
from quorate.config.model import AgentConfig
from quorate.server.audit.sink import Filter, SinkOptions

DEFAULT: Final = "audit.log"
_TAIL_BYTES: Final = 1 << 20


def sink_options(config: AgentConfig, data_dir: Path) -> SinkOptions | None:
    """How audit events are written; None if they are not."""
    audit, sink = config.audit, config.audit.sink
    if not audit.enabled:
        return None
    path = Path(sink.path) if sink.path else data_dir / "audit" / DEFAULT

    def opened(trouble: Callable[[str], None]) -> LogFile:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return LogFile(
            path,
            seconds=sink.rotate_duration_ns / 1e9,
            bytes_max=sink.rotate_bytes,
            files_max=sink.rotate_max_files,
            trouble=trouble,
            mode=int(sink.mode, 8),
            key="audit.sink.path",
        )

    return SinkOptions(
        name=str(path),
        opened=opened,
        tail=lambda: tail_of(path),
        enforced=sink.delivery_guarantee == ENFORCED,
        filters=tuple(
            Filter(endpoints=each.endpoints, stages=each.stages, operations=each.operations)
            for each in audit.filter.values()
        ),
    )


def tail_of(path: Path) -> bytes:
    """The last bytes of the file, behind those of the one that was renamed last."""
    rotated = sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"))[-1:]
    return b"\n".join(_end(each) for each in (*rotated, path))


def _end(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            data = file.read(_TAIL_BYTES)
    except OSError:
        return b""
    return data if size <= _TAIL_BYTES else data.partition(b"\n")[2]
