"""The largest prefixes: one walk in order finds what counting all of them would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quorate.server.bounds.prefixes import SHOWN_MAX, Prefix, largest
from quorate.state.tables.variables import Variable, key_of, weigh


def walked(rows: dict[tuple[str, str], int]) -> tuple[Prefix, ...]:
    records = [
        Variable(namespace=n, path=p, data=b"x" * size, create_time=1, modify_time=1)
        for (n, p), size in rows.items()
    ]
    ordered = sorted((key_of(each.namespace, each.path), each) for each in records)
    work = largest(ordered)
    while True:
        try:
            next(work)
        except StopIteration as done:
            found: tuple[Prefix, ...] = done.value
            return found


def size_of(rows: dict[tuple[str, str], int], namespace: str, prefix: str) -> tuple[int, int]:
    """Bytes and number, counted one by one."""
    inside = [
        weigh(Variable(namespace=n, path=p, data=b"x" * size, create_time=1, modify_time=1))[1]
        for (n, p), size in rows.items()
        if n == namespace and (p.startswith(prefix) if prefix else "/" not in p)
    ]
    return sum(inside), len(inside)


def test_the_deepest_prefix_that_holds_nearly_all_is_named() -> None:
    rows = {("default", f"app/db/cache/{n}"): 1000 for n in range(50)}
    rows |= {("default", "app/small"): 10, ("default", "x"): 10, ("web", "y/z"): 5000}
    found = walked(rows)
    assert [(each.namespace, each.prefix, each.count) for each in found] == [
        ("default", "app/db/cache/", 50),
        ("web", "y/", 1),
        ("default", "", 1),
    ]


def test_a_prefix_of_many_equal_parts_is_named_itself() -> None:
    rows = {("default", f"jobs/{n}/items"): 100 for n in range(100)}
    assert [each.prefix for each in walked(rows)] == ["jobs/"]


def test_a_million_slashes_are_no_million_prefixes() -> None:
    found = walked({("default", "/" * 128): 1, ("default", "a" + "/" * 127): 1})
    assert all(each.prefix.count("/") <= 8 for each in found)


PATHS = st.text("ab/", min_size=1, max_size=8)
ROWS = st.dictionaries(
    st.tuples(st.sampled_from(["default", "web"]), PATHS), st.integers(0, 9000), max_size=40
)


@given(ROWS)
def test_sizes_are_right_and_no_prefix_is_within_another(
    rows: dict[tuple[str, str], int],
) -> None:
    found = walked(rows)
    assert len(found) <= SHOWN_MAX
    assert [each.size for each in found] == sorted((e.size for e in found), reverse=True)
    for each in found:
        assert (each.size, each.count) == size_of(rows, each.namespace, each.prefix)
    tops = {(e.namespace, e.prefix.partition("/")[0] if e.prefix else None) for e in found}
    assert len(tops) == len(found)
    largest_top = max(
        (size_of(rows, n, p.partition("/")[0] + "/" if "/" in p else "")[0] for n, p in rows),
        default=0,
    )
    if found:
        assert found[0].size >= 0.4 * largest_top, "the largest one is among them"
