"""Which commands are told in the journal, how many of them, and at which level."""

from __future__ import annotations

import pytest

from quorate.server.audit.acting import ACTING, Act
from quorate.server.leader.acts import CALLERS_TOLD, SETTINGS_PER_S, Acts
from quorate.state.engine.commands import encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Command
from quorate.state.registry import TODAY
from quorate.state.tables.acl.standing import SetAclPhase
from quorate.state.tables.autopilot import AutopilotConfiguration, SetAutopilotConfiguration
from quorate.state.tables.checks import CheckState
from quorate.state.tables.defaults import InitialiseDefaults
from quorate.state.tables.journal import (
    AUDIT_LEVEL,
    JOURNAL_LEVEL,
    TEXT_MAX,
    Who,
    newest_first,
)
from quorate.state.tables.servers import RECORDS_MAX as SERVERS_MAX
from quorate.state.tables.servers import RecordRemoval, RecordServer

REMOVAL = RecordRemoval(server_id="s", name="n", address="a:1")


def setting(number: int) -> bytes:
    return encode(
        SetAutopilotConfiguration(configuration=AutopilotConfiguration(max_trailing_logs=number))
    )


class Leader:
    """A store at a level, the acts, and a clock that the test moves."""

    def __init__(self, level: int = JOURNAL_LEVEL) -> None:
        self.now_ms = 5000
        self.store = StateStore(TODAY)
        self.acts = Acts(self.store, lambda: self.now_ms)
        self.apply(encode(InitialiseDefaults()))
        self.apply(encode(RaiseLevel(level=level)))

    def apply(self, command: bytes) -> None:
        self.store.apply(self.store.applied_index + 1, command)

    def put(self, count: int) -> None:
        for number in range(count):
            self.apply(self.acts.settings_told(setting(self.now_ms + number)))

    def told(self) -> list[tuple[str, str]]:
        """The subjects, oldest first, and what was said of others that were not told."""
        return [
            (record.subject, dict(record.details).get("not told one by one", ""))
            for record in newest_first(self.store)
        ][::-1]


def test_settings_and_acts_are_told_in_their_own_entry_and_nothing_else_is() -> None:
    leader = Leader()
    for command in (CheckState(), InitialiseDefaults(), REMOVAL):
        assert leader.acts.settings_told(encode(command)) == encode(command)
    leader.put(1)
    leader.apply(encode(leader.acts.told(REMOVAL, "remove", force=True)))
    alone = leader.acts.alone("transfer leadership", "s")
    assert alone is not None
    leader.apply(encode(alone))
    assert [
        (record.kind, record.what, record.subject, record.by, record.force, record.time_ms)
        for record in newest_first(leader.store)
    ] == [
        ("act", "transfer leadership", "s", "operator", False, 5000),
        ("act", "remove", "s", "operator", True, 5000),
        ("setting", "changed", "autopilot_configuration", "operator", False, 5000),
    ]


def test_below_its_level_every_command_stays_as_it_is() -> None:
    leader = Leader(level=JOURNAL_LEVEL - 1)
    assert leader.acts.settings_told(setting(1)) == setting(1)
    assert leader.acts.told(REMOVAL, "remove") is REMOVAL
    assert leader.acts.alone("transfer leadership", "s") is None
    leader.put(SETTINGS_PER_S + 5)
    leader.now_ms += 1000
    assert leader.acts.rest() is None
    assert leader.told() == []


def test_a_loop_of_writes_is_told_as_a_number() -> None:
    leader = Leader()
    name = "autopilot_configuration"
    leader.put(SETTINGS_PER_S + 5)
    assert leader.told() == [(name, "")] * SETTINGS_PER_S
    assert leader.acts.rest() is None  # it may go on
    leader.now_ms += 1000
    leader.put(1)
    assert leader.told()[SETTINGS_PER_S:] == [(name, "5 writes before")]
    leader.put(SETTINGS_PER_S + 1)
    leader.now_ms += 1000
    rest = leader.acts.rest()
    assert rest is not None
    leader.apply(encode(rest))
    assert leader.told()[-1] == ("", "2 writes")
    leader.now_ms += 1000
    leader.put(1)
    count = len(leader.told())
    leader.put(1)  # the same once more: it changes nothing
    assert len(leader.told()) == count
    assert leader.acts.rest() is None


def test_who_wrote_what_is_not_told_one_by_one_is_told() -> None:
    leader = Leader(level=AUDIT_LEVEL)

    def put(accessor: str, number: int) -> None:
        token = ACTING.set(Act("change", lambda: Who(accessor=accessor)))
        try:
            leader.apply(leader.acts.settings_told(setting(number)))
        finally:
            ACTING.reset(token)

    for number in range(SETTINGS_PER_S + 20):
        put("11111111-aaaa-bbbb-cccc-000000000000", number)
    put("22222222-aaaa-bbbb-cccc-000000000000", 1000)
    for number in range(2 * CALLERS_TOLD):
        put(f"333333{number:02}-aaaa", number)
    leader.now_ms += 1000
    put("11111111-aaaa-bbbb-cccc-000000000000", 2000)
    last = next(newest_first(leader.store))
    by = dict(last.details)["by"]
    assert by.startswith("11111111 20, 22222222 1, 33333300 1, ")
    assert by.endswith(f", others {CALLERS_TOLD + 2}")
    assert len(by) < TEXT_MAX


def test_no_loop_hides_that_access_control_is_switched() -> None:
    leader = Leader(level=AUDIT_LEVEL)
    leader.put(SETTINGS_PER_S + 5)
    boss = Who(accessor="boss")
    token = ACTING.set(Act("end the transition", lambda: boss))
    try:
        leader.apply(leader.acts.settings_told(encode(SetAclPhase(phase=""))))
    finally:
        ACTING.reset(token)
    last = next(newest_first(leader.store))
    assert (last.accessor, last.subject) == ("boss", "acl")


@pytest.mark.parametrize("jump_ms", [-3_600_000, 3_600_000])
def test_a_clock_that_is_set_does_not_stop_the_telling(jump_ms: int) -> None:
    leader = Leader()
    leader.now_ms = 10_000_000
    leader.put(SETTINGS_PER_S + 1)
    leader.now_ms += jump_ms
    leader.put(1)
    assert leader.told()[-1] == ("autopilot_configuration", "1 writes before")


def test_only_what_a_command_is_about_is_told() -> None:
    """A full table drops its oldest server: that one was not removed by the operator."""
    leader = Leader()
    for number in range(SERVERS_MAX):
        leader.apply(encode(RecordServer(server_id=f"s{number}", name="n", address="a:1")))
    leader.apply(encode(leader.acts.told(REMOVAL, "remove")))
    assert [record.subject for record in newest_first(leader.store)] == ["s"]


def test_an_act_is_told_though_the_state_says_so_already() -> None:
    leader = Leader()
    for cause in ("first", "again"):
        leader.apply(encode(leader.acts.told(REMOVAL, "remove", cause=cause)))
    assert [(r.cause, r.details) for r in newest_first(leader.store)] == [
        ("again", ()),
        ("first", (("name", "n"), ("address", "a:1"), ("removed", "true"))),
    ]


@pytest.mark.parametrize("command", [REMOVAL, CheckState()])
def test_what_is_told_has_the_result_of_the_command(command: Command) -> None:
    plain, leader = StateStore(TODAY), Leader()
    wanted = plain.apply(1, encode(command))
    index = leader.store.applied_index + 1
    assert leader.store.apply(index, encode(leader.acts.told(command, "act"))) == wanted
