"""`operator snapshot inspect`: what an archive says of itself, and what it holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from quorate.archive.meta import ArchiveMeta
from quorate.cli.commands.snapshot.file import Contents, contents, opened
from quorate.cli.context import Context, doing
from quorate.cli.text.tables import format_table


def inspect(context: Context) -> int:
    """Check the whole archive; show its meta and the types in it."""
    path = context.flags.args[0]
    with opened(path, "Error opening snapshot file: ") as file, doing("Error verifying snapshot: "):
        found = contents(file.read)
    return context.show(_as_json(found), lambda: _print(context, found))


def _as_json(found: Contents) -> dict[str, Any]:
    meta: dict[str, Any] = msgspec.to_builtins(found.meta)
    total = sum(kind.size for kind in found.types)
    return {
        "Meta": {**meta, "Created": _created(found.meta)},
        "Kind": found.kind,
        "RootKeys": found.root_keys,
        "WrappedBy": list(found.wrapped_by),
        "Stats": msgspec.to_builtins(found.types),
        "TotalSize": total,
    }


def _created(meta: ArchiveMeta) -> str:
    if meta.unix_ms is None:
        return ""
    moment = datetime.fromtimestamp(meta.unix_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _secrets(found: Contents) -> str:
    if found.meta.quorate_redacted:
        return "none (redacted: it cannot be restored)"
    if found.root_keys:
        keys = "1 root key" if found.root_keys == 1 else f"{found.root_keys} root keys"
        return f"{keys}: the holder of this file can read all values and all tokens' secrets"
    if found.wrapped_by:
        return f"root keys are wrapped with key {', '.join(found.wrapped_by)}, not in this file"
    return ""


def _print(context: Context, found: Contents) -> None:
    meta, out = found.meta, context.out
    first = [("ID", meta.id), ("Size", str(meta.size)), ("Index", str(meta.index))]
    first += [("Term", str(meta.term)), ("Version", str(meta.version))]
    out.line(format_table(first))
    more = [("Created", _created(meta)), ("Written by", found.kind)]
    if meta.is_ours:
        more[1] = ("Written by", f"Quorate {meta.quorate_version}")
        more += [("Cluster", meta.quorate_cluster), ("Level", str(meta.quorate_level))]
        more.append(("Secrets", _secrets(found)))
    servers = meta.configuration.servers or ()
    more.append(("Servers", str(len(servers))))
    out.line("\n" + format_table([(key, value) for key, value in more if value]))
    if not found.kind:
        out.line("\nThe state in it has no form that this version can read.")
        return
    rows = [("Type", "Count", "Size")]
    rows += [(kind.name, str(kind.count), str(kind.size)) for kind in found.types]
    count, size = (sum(getattr(k, name) for k in found.types) for name in ("count", "size"))
    rows.append(("Total", str(count), str(size)))
    out.line("")
    out.table(format_table(rows))
