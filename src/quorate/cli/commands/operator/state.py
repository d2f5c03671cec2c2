"""`quorate operator state ...`: how large the state is, and its bounds (docs/variables.md)."""

from __future__ import annotations

from quorate.cli.context import Context, Failure, doing
from quorate.cli.text.tables import format_block, format_table
from quorate.client import StateSize

NEARLY_FULL = 2
NO_BOUND = "-"
UNITS = {"": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}


def size(context: Context) -> int:
    """Show it; exit code 2 if more than 80 % of a bound is taken."""
    with context.client() as client, doing("Error reading the size of the state: "):
        found = client.state_size()
    context.show(found.raw, lambda: _show(context, found))
    if found.warning:
        raise Failure(found.warning, "delete variables, or raise the bound", NEARLY_FULL)
    return 0


def limit(context: Context) -> int:
    """Set a bound."""
    (text,) = context.flags.args
    namespace = context.flags.text("of")
    bytes_max = _bytes(text)
    with context.client() as client, doing("Error setting the bound: "):
        client.set_state_limit(bytes_max, namespace=namespace)
    what = f'namespace "{namespace}"' if namespace else "the state"
    now = f"may take {bytes_max} bytes" if bytes_max else "has no bound of its own now"
    context.out.line(f"{what[0].upper()}{what[1:]} {now}")
    return 0


def _bytes(text: str) -> int:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = text[len(number) :].upper()
    if not (number.isascii() and number.isdigit() and len(number) <= 19) or unit not in UNITS:
        raise Failure(
            f"{text[:40]!a} is no size", "write bytes, or KiB, MiB, GiB or TiB: 512MiB, or 0"
        )
    return int(number) * UNITS[unit]


def _show(context: Context, found: StateSize) -> None:
    memory = []
    if found.limit:
        why = "set by an operator"
    elif found.smallest_memory:
        why = "a quarter of the smallest memory"
        memory = [("Memory", f"{found.smallest_memory} (server {found.smallest_server})")]
    else:
        why = "no server's memory is known as yet"
    pairs = [
        ("Bytes", str(found.bytes)),
        ("Bytes Max", f"{found.bytes_max} ({why})" if found.bytes_max else f"none ({why})"),
        *memory,
        ("Used", _part(found.bytes, found.bytes_max)),
        ("Variables", str(found.variables)),
    ]
    context.out.line(format_block(pairs))
    if found.namespaces:
        rows = [
            (
                each.namespace,
                str(each.bytes),
                str(each.bytes_max or NO_BOUND),
                _part(each.bytes, each.bytes_max),
            )
            for each in found.namespaces
        ]
        context.out.line("")
        context.out.table(format_table([("Namespace", "Bytes", "Bytes Max", "Used"), *rows]))
    if found.namespaces_not_shown:
        context.out.line(f"{found.namespaces_not_shown} smaller ones are not shown")
    if found.prefixes:
        prefixes = [
            (
                each.prefix or "(without a slash)",
                each.namespace,
                str(each.bytes),
                str(each.variables),
            )
            for each in found.prefixes
        ]
        heading = ("Largest Prefix", "Namespace", "Bytes", "Variables")
        context.out.line("")
        context.out.table(format_table([heading, *prefixes]))


def _part(size: int, most: int) -> str:
    return f"{100 * size / most:.1f}%" if most else NO_BOUND
