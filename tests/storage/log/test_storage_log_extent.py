"""The extent of a log against a plain list of terms."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from storage_builders import entry

from quorate.storage.log.extent import LogExtent

Model = tuple[int, int, list[int]]  # base index, base term, terms of the entries behind it

steps = st.lists(
    st.tuples(
        st.sampled_from(["extend", "extend", "truncate", "compact"]),
        st.integers(0, 12),
        st.integers(0, 2),
    ),
    max_size=30,
)


def apply(model: Model, extent: LogExtent, step: tuple[str, int, int]) -> tuple[Model, LogExtent]:
    """One step on both."""
    base, base_term, terms = model
    what, count, later = step
    match what:
        case "extend":
            term = (terms[-1] if terms else base_term) + later
            first = base + len(terms) + 1
            new = [entry(first + n, term + n // 3) for n in range(count)]
            return (base, base_term, terms + [e.term for e in new]), extent.extended(new)
        case "truncate":
            kept = terms[:count]
            return (base, base_term, kept), extent.truncated_from(base + 1 + count)
        case _:
            gone = terms[:count]
            rest = (base + len(gone), (gone or [base_term])[-1], terms[count:])
            return rest, extent.compacted_to(base + count)


@given(base=st.integers(0, 5), steps=steps)
def test_extent_is_the_list(base: int, steps: list[tuple[str, int, int]]) -> None:
    model: Model = (base, base, [])
    extent = LogExtent(base, base, base)
    for step in steps:
        model, extent = apply(model, extent, step)
        index, term, terms = model
        assert (extent.base_index, extent.base_term) == (index, term)
        assert extent.last_index == index + len(terms)
        assert extent.last_term == (terms[-1] if terms else term)
        assert extent.is_empty == (not terms)
        said = [extent.term(n) for n in range(index - 2, index + len(terms) + 3)]
        assert said == [None, None, term, *terms, None, None]
        held = [n for n in range(index + len(terms) + 3) if n in extent]
        assert held == list(range(index + 1, index + len(terms) + 1))


def test_extent_keeps_one_run_a_term() -> None:
    extent = LogExtent().extended([entry(n, 1 + n // 1000) for n in range(1, 3000)])
    assert extent.runs == ((1, 1), (1000, 2), (2000, 3))
    assert extent.compacted_to(1500).runs == ((1501, 2), (2000, 3))
    assert extent.truncated_from(2000).runs == ((1, 1), (1000, 2))
