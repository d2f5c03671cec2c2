"""The chain of the journal: who acted, what came of it, and that each change of it is found."""

from __future__ import annotations

import io

from audit_life import ANN, a_life, apply, at_level_4, audited
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.audit.chain import Link, link_hash
from quorate.audit.check import Chained, LaneView, check_head, check_lane
from quorate.state.engine.commands import encode
from quorate.state.engine.restore.rules import restored
from quorate.state.engine.snapshot import SnapshotImage, decode_snapshot, encode_snapshot
from quorate.state.engine.store import StateStore
from quorate.state.engine.table import Reader
from quorate.state.registry import TODAY
from quorate.state.tables import backups, journal
from quorate.state.tables.backups import Backup, BeginBackup, EndBackup, PlaceBackup
from quorate.state.tables.journal import (
    ACT,
    ELECTION,
    LANES,
    RECORDS_MAX,
    REFUSAL,
    SERIES_MAX,
    Audited,
    EnterRecords,
    Entry,
    Note,
    WriteJournal,
    newest_first,
)
from quorate.state.tables.servers import RecordRemoval


def views(reader: Reader) -> list[LaneView]:
    return [
        LaneView(
            lane=name,
            first=lane.first,
            next=lane.next,
            since=lane.since,
            base=lane.base,
            head=lane.head,
        )
        for name, lane in zip(LANES, journal.state(reader).lanes, strict=False)
    ]


def chained(reader: Reader, which: int) -> list[Chained]:
    return [Chained(link=link, hash=made) for link, made in journal.links(reader, which, 0)]


def problems(reader: Reader) -> list[str]:
    found = [
        check_lane("s", view, chained(reader, which)) for which, view in enumerate(views(reader))
    ]
    found.append(check_head("s", views(reader), journal.head(reader)))
    return [str(each) for each in found if each is not None]


def test_an_act_says_who_what_from_where_and_what_came_of_it() -> None:
    store = at_level_4()
    apply(store, audited(7, kind=ACT))
    apply(store, audited(8, kind=ACT, cas=999))
    refused, done = [*newest_first(store)][:2]
    assert (done.accessor, done.name, done.address) == (ANN.accessor, "ann", "10.0.0.1:4000")
    assert (done.what, done.outcome, done.by) == ("changed 7", "done", "operator")
    assert (refused.what, refused.outcome) == ("changed 8", "no change")


def test_records_from_before_the_level_stand_unchained_and_the_chain_begins_behind() -> None:
    store = a_life()
    assert [journal.state(store).lanes[which].since for which in range(3)] == [0, 1, 0]
    assert next(iter(journal.links(store, 1, 0)))[1] == b""
    assert problems(store) == []
    assert len(journal.head(store)) == 32


def test_below_its_level_nothing_is_chained() -> None:
    store = StateStore(TODAY)
    apply(store, WriteJournal(time_ms=1, by="s1", notes=(Note(kind=ELECTION, what="x"),)))
    assert journal.head(store) == b""
    assert [record.hash for record in newest_first(store)] == [b""]


LIFE = a_life()
FIELDS = [name for name in Link.__struct_fields__ if name != "lane"]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_change_of_one_record_is_found_and_the_first_broken_one_named(
    data: st.DataObject,
) -> None:
    which = data.draw(st.sampled_from([0, 1, 2]))
    records, view = chained(LIFE, which), views(LIFE)[which]
    assert check_lane("s", view, records) is None
    since = view.since
    assert since is not None
    at = data.draw(st.integers(since, len(records) - 1))
    match data.draw(st.sampled_from(["field", "hash", "gone", "twice", "with its hash"])):
        case "gone":
            del records[at]
        case "twice":
            records.insert(at, records[at])
        case "hash":
            made = bytearray(records[at].hash)
            made[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
            records[at] = Chained(link=records[at].link, hash=bytes(made))
        case how:
            link = _changed(records[at].link, data)
            before = records[at - 1].hash if at > since else view.base
            made_again = link_hash(before, link) if how == "with its hash" else records[at].hash
            records[at] = Chained(link=link, hash=made_again)
    found = check_lane("s", view, records)
    assert found is not None
    # A forged hash shows at the record behind it, or at the head.
    assert at <= found.number <= at + 1


def _changed(link: Link, data: st.DataObject) -> Link:
    name = data.draw(st.sampled_from(FIELDS))
    old = getattr(link, name)
    match old:
        case bool():
            new: object = not old
        case int():
            new = old + data.draw(st.integers(1, 9))
        case str():
            new = old + data.draw(st.text(min_size=1, max_size=3))
        case _:
            new = (*old, ("more", "x"))
    values = {field: getattr(link, field) for field in Link.__struct_fields__}
    return Link(**{**values, name: new})


def test_the_chain_goes_on_over_retention_and_the_oldest_record_kept_follows_its_base() -> None:
    store = at_level_4()
    most = RECORDS_MAX // 8
    for number in range(most + 20):
        note = Note(kind=REFUSAL, what="refused", subject=str(number))
        apply(store, EnterRecords(entries=(Entry(note=note, time_ms=number, by="s1"),)))
    lane = journal.state(store).lanes[3]
    assert (lane.first, lane.next, lane.since) == (20, most + 20, 0)
    assert len(lane.base) == 32
    assert problems(store) == []


def test_refusals_push_out_no_act() -> None:
    store = a_life()
    acts = len(chained(store, 0))
    for number in range(700):
        entry = Entry(note=Note(kind=REFUSAL, what="refused"), time_ms=number)
        apply(store, EnterRecords(entries=(entry,)))
    assert len(chained(store, 0)) == acts


def test_a_snapshot_keeps_the_chain_and_it_goes_on_behind_it() -> None:
    store = a_life()
    written = io.BytesIO()
    encode_snapshot(store.image(), written.write, TODAY)
    written.seek(0)
    image = decode_snapshot(written.read, TODAY)
    assert journal.head(image.tables) == journal.head(store)
    again = StateStore(TODAY)
    again.restore(image)
    for each in (store, again):
        apply(each, audited(55, kind=ACT))
    assert journal.head(again) == journal.head(store)
    assert problems(again) == []


def test_a_restore_of_an_older_archive_keeps_todays_chain() -> None:
    store = a_life()
    older: SnapshotImage = store.image()
    apply(store, audited(9, kind=ACT))
    live = store.image()
    found = restored(live, older, live.index + 1000, TODAY)
    assert journal.head(found.image.tables) == journal.head(store)
    assert problems(found.image.tables) == []


def entry(series: str, number: int) -> Entry:
    note = Note(kind=ACT, what="recover", subject=f"{series}-{number}")
    return Entry(note=note, time_ms=number, by="s2", series=series, number=number, outcome="done")


def test_what_a_local_file_holds_is_entered_once_however_often_it_is_sent() -> None:
    store = at_level_4()
    first = EnterRecords(entries=(entry("aa", 0), entry("aa", 1)))
    assert apply(store, first) == 2
    assert apply(store, first) == 0
    assert apply(store, EnterRecords(entries=(entry("aa", 1), entry("aa", 2)))) == 1
    assert apply(store, EnterRecords(entries=(entry("bb", 0),))) == 1
    told = [record.source for record in newest_first(store) if record.kind == ACT]
    assert told == ["bb/0", "aa/2", "aa/1", "aa/0"]
    assert journal.state(store).entered == (("aa", 2), ("bb", 0))
    for number in range(SERIES_MAX + 5):
        apply(store, EnterRecords(entries=(entry(f"s{number}", 0),)))
    assert len(journal.state(store).entered) == SERIES_MAX
    assert problems(store) == []


def test_a_removal_is_told_with_its_caller_in_the_entry_that_marks_it() -> None:
    store = at_level_4()
    mark = RecordRemoval(server_id="s9", name="nine", address="10.0.0.9:4647")
    note = Note(kind=ACT, what="remove", subject="s9", force=True)
    apply(store, Audited(command=encode(mark), note=note, time_ms=3, who=ANN))
    record = next(newest_first(store))
    assert (record.what, record.subject, record.force, record.accessor, record.outcome) == (
        *("remove", "s9", True, ANN.accessor, "done"),
    )


def test_a_backup_row_keeps_the_head_of_the_time_when_it_was_checked() -> None:
    store = a_life()
    begun = apply(store, BeginBackup(slot=1, by="s1", since=0, time_ms=1))
    assert isinstance(begun, int)
    row = Backup(
        name="b.snap",
        slot=1,
        by="s1",
        index=1,
        term=1,
        state_index=1,
        time_ms=1,
        size=1,
        sha256="00",
        state_bytes=1,
        digest="00",
        holders=2,
    )
    assert apply(store, PlaceBackup(backup=row, since=begun)) is True
    head = journal.head(store).hex()
    assert apply(store, EndBackup(since=begun, time_ms=2, name="b.snap", status="verified")) is True
    apply(store, audited(9))
    kept = store.get(backups.TABLE, "b.snap")
    assert kept is not None
    assert (kept.status, kept.audit_head) == ("verified", head)
