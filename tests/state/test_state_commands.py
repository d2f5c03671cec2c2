"""Commands travel as bytes, and bytes that are no command stop no server (docs/pains.md, 19)."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.state.engine.commands import UnknownCommand, Wrapped, decode, encode
from quorate.state.engine.level import RaiseLevel
from quorate.state.engine.restore.commands import (
    BeginRestore,
    CommitRestore,
    DropRestore,
    RestoreRows,
)
from quorate.state.engine.table import Bound, Command
from quorate.state.registry import TODAY
from quorate.state.tables.acl.policies import AclPolicy, DeletePolicy, PutPolicy
from quorate.state.tables.acl.roles import AclRole, DeleteRole, PutRole
from quorate.state.tables.acl.standing import SetAclPhase
from quorate.state.tables.acl.tokens import (
    AclToken,
    BootstrapAcl,
    DeleteTokens,
    ExpireTokens,
    PutToken,
    ReplaceTokenSeals,
)
from quorate.state.tables.autopilot import AutopilotConfiguration, SetAutopilotConfiguration
from quorate.state.tables.backups import (
    Backup,
    BeginBackup,
    DropBackup,
    EndBackup,
    NoteBackup,
    NoteOrigin,
    PlaceBackup,
)
from quorate.state.tables.checks import CheckState
from quorate.state.tables.cluster import SetClusterMetadata
from quorate.state.tables.defaults import InitialiseDefaults
from quorate.state.tables.journal import (
    Audited,
    EnterRecords,
    Entry,
    Note,
    Noted,
    Told,
    Who,
    WriteJournal,
)
from quorate.state.tables.limits import RecordMemory, SetLimit
from quorate.state.tables.locks import AcquireLock, ExpireLock, ReleaseLock, RenewLock
from quorate.state.tables.namespaces import (
    Capabilities,
    DeleteNamespace,
    Namespace,
    UpsertNamespace,
)
from quorate.state.tables.root_keys import (
    AddRootKey,
    EndPhase,
    RemoveRootKey,
    ReplaceSeals,
    Resealed,
    Rewrapped,
    RewrapRootKeys,
)
from quorate.state.tables.scheduler import SchedulerConfiguration, SetSchedulerConfiguration
from quorate.state.tables.servers import RecordRemoval, RecordServer
from quorate.state.tables.variables import (
    DeleteVariable,
    Operation,
    PutVariable,
    Sealed,
    WriteVariables,
)

_TOKEN = AclToken(
    digest=b"d" * 32,
    data=b"s",
    key_id="k-1",
    nonce=b"n",
    name="t",
    policies=("p",),
    roles=("r-1",),
    is_global=True,
    create_time=1,
    ttl_ns=2,
    expires=3,
)

EXAMPLES: tuple[Command, ...] = (
    InitialiseDefaults(),
    InitialiseDefaults(autopilot=AutopilotConfiguration(min_quorum=3)),
    SetAutopilotConfiguration(configuration=AutopilotConfiguration()),
    SetAutopilotConfiguration(
        configuration=AutopilotConfiguration(
            cleanup_dead_servers=False, max_trailing_logs=2**64 - 1
        ),
        cas=0,
    ),
    SetSchedulerConfiguration(
        configuration=SchedulerConfiguration(batch_scheduler_enabled=True), cas=7
    ),
    SetClusterMetadata(cluster_id="c-1"),
    RecordServer(server_id="a", name="s1.global", address="10.0.0.1:4647"),
    RecordRemoval(server_id="a", name="s1.global", address="10.0.0.1:4647"),
    CheckState(),
    RaiseLevel(level=1, version="0.1.0"),
    WriteJournal(
        time_ms=2**53,
        by="a",
        notes=(Note(kind="act", what="remove", force=True, details=(("a", "b"),)),),
        told=Told(level=2, term=3, leader="a", members=(("a", "10.0.0.1:4647", True),)),
        since=(1, 2, 3),
    ),
    Noted(
        command=encode(CheckState()), note=Note(kind="setting", what="changed"), time_ms=1, by="b"
    ),
    Audited(
        command=encode(CheckState()),
        note=Note(kind="act", what="remove"),
        time_ms=1,
        who=Who(accessor="a", name="n", address="10.0.0.1:1"),
    ),
    EnterRecords(
        entries=(
            Entry(
                note=Note(kind="refusal", what="remove"),
                time_ms=1,
                by="s1",
                outcome="refused",
                series="aa",
                number=3,
                count=9,
            ),
        )
    ),
    UpsertNamespace(namespace=Namespace(name="team")),
    UpsertNamespace(
        namespace=Namespace(
            name="team",
            description="d",
            quota="q",
            meta=(("a", "b"),),
            capabilities=Capabilities(enabled_task_drivers=("docker",), disabled_task_drivers=()),
        )
    ),
    DeleteNamespace(name="team"),
    BeginRestore(id="r-1", index=1 << 20, tables=("scheduler_configuration",)),
    CommitRestore(id="r-1", pieces=2, tables=("scheduler_configuration",)),
    DropRestore(id="r-1"),
    RestoreRows(id="r-1", number=0, table="namespaces", gone=("a",)),
    AddRootKey(key_id="k-1", key=b"k" * 32, create_time=1, full=True, prev="k-0"),
    EndPhase(key_id="k-1", phase="values", modify_index=7),
    RemoveRootKey(key_id="k-0", modify_index=7),
    ReplaceSeals(
        key_id="k-1", modify_index=7, after="a", rows=(Resealed("a", b"was", b"data", b"nonce"),)
    ),
    BeginBackup(slot=1, by="a", since=7, time_ms=1, manual=True),
    PlaceBackup(
        backup=Backup(
            name="quorate-c-1-7.snap",
            slot=1,
            by="a",
            index=7,
            term=1,
            state_index=7,
            time_ms=1,
            size=2**40,
            sha256="00",
            state_bytes=1,
            digest="00",
            holders=2,
            key_ids=("k-1",),
        ),
        since=7,
    ),
    EndBackup(since=7, time_ms=1, name="quorate-c-1-7.snap", status="verified", why="no"),
    NoteBackup(name="quorate-c-1-7.snap", since=7, status="damaged", time_ms=1, why="gone"),
    DropBackup(name="quorate-c-1-7.snap"),
    NoteOrigin(name="quorate-c-1-7.snap", settled=True),
    PutVariable(namespace="default", path="a/b", time_ns=1, data=b"x", cas=0),
    PutVariable(
        namespace="default", path="a/b", time_ns=1, data=b"x", key_id="k-1", nonce=b"n", cas=7
    ),
    DeleteVariable(namespace="default", path="a/b", cas=7),
    AcquireLock(
        namespace="default",
        path="a",
        time_ns=1,
        lock_id="i",
        ttl_ns=2,
        delay_ns=3,
        data=b"x",
        keep=True,
    ),
    RenewLock(namespace="default", path="a", lock_id="i"),
    ReleaseLock(namespace="default", path="a", time_ns=1, lock_id="i"),
    ExpireLock(namespace="default", path="a", since=7, time_ns=1),
    WriteVariables(
        time_ns=1,
        operations=(
            Operation(namespace="default", path="a", items=Sealed(data=b"x", key_id="k-1")),
            Operation(namespace="default", path="b", cas=3),
            Operation(namespace="default", path="c", cas=0, only_check=True),
        ),
    ),
    SetLimit(namespace="web", bytes_max=2**60, cas=4),
    RewrapRootKeys(rows=(Rewrapped("k-1", 7, b"w" * 60, "0123456789abcdef"),)),
    RecordMemory(memory=(("s1", 2**33),), first_bytes_max=2**30),
    SetAclPhase(phase="enforced"),
    PutPolicy(policy=AclPolicy(name="p", description="d", rules="r")),
    DeletePolicy(name="p"),
    PutRole(role_id="r-1", role=AclRole(name="ops", policies=("p",)), since=7),
    DeleteRole(role_id="r-1"),
    PutToken(accessor="a-1", token=_TOKEN, since=7),
    BootstrapAcl(accessor="a-1", token=_TOKEN, reset_index=7),
    DeleteTokens(accessors=("a-1",), time_ns=1),
    ExpireTokens(accessors=("a-1",), time_ns=1),
    ReplaceTokenSeals(
        key_id="k-1", modify_index=7, rows=(Resealed("a", b"was", b"data", b"nonce"),)
    ),
)


@pytest.mark.parametrize("command", EXAMPLES, ids=lambda command: type(command).__name__)
def test_a_command_comes_back_as_it_was(command: Command) -> None:
    decoded = decode(encode(command), TODAY)
    if isinstance(command, Bound):
        assert decoded == command.bind(TODAY.by_name)
    else:
        assert (decoded.wrapper if isinstance(decoded, Wrapped) else decoded) == command
    assert encode(command)[0] == command.TYPE


def test_every_command_has_an_example() -> None:
    assert {type(example) for example in EXAMPLES} == set(TODAY.commands)


def test_type_bytes_are_those_of_the_log() -> None:
    """Changing one would make old logs mean something else."""
    assert {command.__name__: command.TYPE for command in TODAY.commands} == {
        "InitialiseDefaults": 1,
        "SetAutopilotConfiguration": 2,
        "SetSchedulerConfiguration": 3,
        "SetClusterMetadata": 4,
        "RecordServer": 5,
        "RecordRemoval": 6,
        "CheckState": 7,
        "RaiseLevel": 8,
        "WriteJournal": 9,
        "Noted": 10,
        "Audited": 11,
        "EnterRecords": 12,
        "UpsertNamespace": 24,
        "DeleteNamespace": 25,
        "PutVariable": 16,
        "DeleteVariable": 17,
        "WriteVariables": 18,
        "AcquireLock": 19,
        "RenewLock": 20,
        "ReleaseLock": 21,
        "ExpireLock": 22,
        "AddRootKey": 32,
        "EndPhase": 33,
        "RemoveRootKey": 34,
        "ReplaceSeals": 35,
        "RewrapRootKeys": 36,
        "SetLimit": 40,
        "RecordMemory": 41,
        "BeginBackup": 56,
        "PlaceBackup": 57,
        "EndBackup": 58,
        "NoteBackup": 59,
        "DropBackup": 60,
        "NoteOrigin": 61,
        "BeginRestore": 48,
        "RestoreRows": 49,
        "CommitRestore": 50,
        "DropRestore": 51,
        "SetAclPhase": 64,
        "PutPolicy": 65,
        "DeletePolicy": 66,
        "PutRole": 67,
        "DeleteRole": 68,
        "PutToken": 69,
        "BootstrapAcl": 70,
        "DeleteTokens": 71,
        "ExpireTokens": 72,
        "ReplaceTokenSeals": 73,
    }


def test_fields_at_their_default_do_not_travel() -> None:
    """So a field that a later version adds is invisible to older servers until it is used."""
    assert encode(InitialiseDefaults()) == b"\x01\x80"


def body(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


@pytest.mark.parametrize(
    ("data", "expected_type", "reason"),
    [
        (b"", -1, "it is empty"),
        (b"\xfe", 254, "no such type"),
        (b"\x02", 2, "truncated"),
        (b"\x02" + body({}), 2, "configuration"),
        (b"\x02" + body({"configuration": {}, "shiny": 1}), 2, "shiny"),
        (b"\x02" + body({"configuration": {"shiny": 1}}), 2, "shiny"),
        (b"\x03" + body({"configuration": {"pause_eval_broker": 1}}), 3, "pause_eval_broker"),
        (b"\x04" + body({"cluster_id": 1}), 4, "cluster_id"),
        (b"\x04" + body({"cluster_id": "c"}) + b"\x00", 4, "trailing"),
        (b"\x04\x81\xaacluster_id\xa1\xff", 4, "utf"),
    ],
)
def test_unreadable_bytes_become_an_unknown_command(
    data: bytes, expected_type: int, reason: str
) -> None:
    decoded = decode(data, TODAY)
    assert isinstance(decoded, UnknownCommand)
    assert decoded.type == expected_type
    assert reason in decoded.reason.lower()
    assert "upgrade" in str(decoded)
    assert "\n" not in str(decoded)


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    assert isinstance(decode(data, TODAY), Command | Wrapped | UnknownCommand)


@given(st.sampled_from(EXAMPLES), st.data())
def test_no_damaged_command_raises(command: Command, data: st.DataObject) -> None:
    encoded = bytearray(encode(command))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] = data.draw(st.integers(0, 255))
    assert isinstance(decode(bytes(encoded), TODAY), Command | Wrapped | UnknownCommand)
