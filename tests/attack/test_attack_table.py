"""docs/security.md tells what each attack of the suite does, in figures that are within bounds."""

from __future__ import annotations

from attack_list import ATTACKS
from attack_table import rows


def test_the_table_has_the_attacks_of_the_suite() -> None:
    table = [(row.name, row.port, row.before) for row in rows()]
    assert table == [(each.name, each.port.value, each.before) for each in ATTACKS.values()]


def test_all_figures_are_within_the_bounds() -> None:
    for row in rows():
        attack = ATTACKS[row.name]
        assert row.callback_ms <= attack.callback_ms, row
        assert row.leader_changes == 0, row
        assert row.memory_mb <= attack.memory_mb, row
        assert row.descriptors <= attack.descriptors, row
        assert row.log_kib <= attack.log_bytes / 1024, row
        assert row.answers > 0, row
        assert row.failed == 0, row
