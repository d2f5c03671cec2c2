"""Tables and blocks keep their shape whatever is put into them (docs/cli.md#rules)."""

from hypothesis import given
from hypothesis import strategies as st

from quorate.cli.text.tables import format_block, format_table

CELL = st.text(max_size=12)
TABLE = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=6)
)


@given(TABLE)
def test_one_line_a_row_and_no_trailing_spaces(rows: list[list[str]]) -> None:
    lines = format_table(rows).split("\n")
    assert len(lines) == len(rows)
    assert all(line == line.rstrip() and line.isprintable() for line in lines)


@given(TABLE)
def test_columns_start_at_the_same_place_two_spaces_after_the_widest_cell(
    rows: list[list[str]],
) -> None:
    plain = [["".join(filter(str.isalnum, cell)) or "<none>" for cell in row] for row in rows]
    lines = format_table(plain).split("\n")
    start = 0
    for column in zip(*plain, strict=True):
        for line, cell in zip(lines, column, strict=True):
            assert line[start : start + len(cell)] == cell
        start += max(map(len, column)) + 2


@given(st.lists(st.tuples(st.text(st.characters(categories=["L"]), min_size=1), CELL), min_size=1))
def test_equal_signs_stand_below_each_other(pairs: list[tuple[str, str]]) -> None:
    lines = format_block(pairs).split("\n")
    width = max(len(key) for key, _ in pairs)
    assert len(lines) == len(pairs)
    assert all(line[width : width + 3] == " = " for line in lines)


def test_empty_cells_and_control_characters_are_shown() -> None:
    assert format_block([("\x1b[31mred", "x")]) == "\\x1b[31mred = x"
    assert format_table([["A", "B"], ["", "x\x1b[31m\ny"]]) == ("A       B\n<none>  x\\x1b[31m\\ny")
