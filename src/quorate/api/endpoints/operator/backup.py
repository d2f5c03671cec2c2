"""`/v1/operator/backup`: the backups of the cluster (docs/backups.md).

No call names a target, or a path: a backup is asked for by its name in the list.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from quorate.acl.capability import Capability
from quorate.api.codec.encode import empty_response, json_response
from quorate.api.codec.meta import read_headers
from quorate.api.codec.params import boolean
from quorate.api.consistency import ForwardError
from quorate.api.endpoint import Consistency, Context, Endpoint, Forwarding, OfAct
from quorate.api.endpoints.operator.restored import shown
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.errors import LeadershipLost, RestoreUnknown
from quorate.shapes.backups import BackupList, BackupShape, PrunedBackups
from quorate.state.tables import backups
from quorate.state.tables.backups import Backup

_WRITE: Final = ("PUT", "POST")


class BackupEndpoint:
    """List, run, verify, prune, restore."""

    def __init__(self, context: Context) -> None:
        self._backups = context.parts.backups
        self._leadership = context.parts.leadership
        self._state = context.parts.state
        self._authority = context.authority

    def get_list(self, call: Call) -> Response | Awaitable[Response]:
        """All backups that are listed, and how it stands with them."""
        return self._authority.read(call, self._answer_list)

    def _answer_list(self, call: Call) -> Response:
        state = self._state.readable()
        found, options = self._backups.standing(), self._backups.options
        known = found.progress
        answer = BackupList(
            backups=tuple(_shape(row) for row in found.newest_first),
            problem=found.problem,
            target=options.target.url if options.target is not None else "",
            schedule=options.schedule.text if options.schedule is not None else "",
            retain=options.retain,
            next_due=found.next_due,
            last_verified_time=known.verified_ms,
            failures=known.failures,
            last_failure=known.why,
            last_failure_time=known.failed_ms,
            under_way=known.by,
            restored_from=known.restored_from,
        )
        headers = read_headers(self._leadership, state.table_index(backups.TABLE.name))
        return json_response(answer, pretty=call.query.pretty, headers=headers)

    def run(self, call: Call) -> Awaitable[Response]:
        """Make one now. The answer comes when it is verified, or cannot be."""

        async def perform() -> Response:
            await _read_to_its_end(call)
            made = await self._backups.make()
            return json_response(_shape(made), pretty=call.query.pretty)

        return self._authority.write(call, perform)

    def verify(self, call: Call) -> Awaitable[Response]:
        """Read one back from the target, and say how it was found."""

        async def perform() -> Response:
            await _read_to_its_end(call)
            found = await self._backups.verify(_name(call))
            return json_response(_shape(found), pretty=call.query.pretty)

        return self._authority.write(call, perform)

    def prune(self, call: Call) -> Awaitable[Response]:
        """Delete what retention does not keep."""

        async def perform() -> Response:
            await _read_to_its_end(call)
            gone = await self._backups.prune()
            return json_response(PrunedBackups(deleted=tuple(gone)), pretty=call.query.pretty)

        return self._authority.write(call, perform)

    def restore(self, call: Call) -> Awaitable[Response]:
        """Restore one, as `operator/snapshot` restores a file."""
        force = boolean(call.query, "force")
        dry_run = boolean(call.query, "dry-run")
        keep_acl = boolean(call.query, "keep-acl")
        details = dry_run or boolean(call.query, "details")

        async def perform() -> Response:
            await _read_to_its_end(call)
            report = await self._backups.restore(
                _name(call), force=force, dry_run=dry_run, keep_acl=keep_acl
            )
            if not details:
                return empty_response()
            return json_response(shown(report), pretty=call.query.pretty)

        writing = self._authority.write(call, perform)
        return writing if dry_run else _known(writing)


async def _known(answering: Awaitable[Response]) -> Response:
    """The answer of a restore. RestoreUnknown where it was begun and none came back."""
    try:
        return await answering
    except ForwardError as error:
        if not error.begun:
            raise
        raise RestoreUnknown(error.text) from error
    except LeadershipLost as error:
        raise RestoreUnknown(error.text) from error


async def _read_to_its_end(call: Call) -> None:
    """A body is not looked at, and bounded. As a stream, the answer may take its time."""
    if call.request.stream is not None:
        async for _ in call.request.stream:
            pass


def _name(call: Call) -> str:
    name = call.query.first("name")
    if not name:
        raise RequestError("the name of a backup is required: ?name=")
    return name


def _shape(row: Backup) -> BackupShape:
    return BackupShape(
        name=row.name,
        status=row.status,
        why=row.why,
        due=row.slot,
        manual=row.manual,
        time=row.time_ms,
        verified_time=row.verified_ms,
        index=row.index,
        term=row.term,
        state_index=row.state_index,
        size=row.size,
        sha256=row.sha256,
        digest=row.digest,
        servers=row.holders,
        taken_by=row.by,
        key_ids=row.key_ids,
        audit_head=row.audit_head,
        create_index=row.create_index,
        modify_index=row.modify_index,
    )


ROWS: Final = (
    Endpoint(
        path="/v1/operator/backup",
        methods=("GET",),
        made_of=BackupEndpoint,
        handler=BackupEndpoint.get_list,
        capability=Capability.OPERATOR_READ,
        consistency=Consistency.STALE_ALLOWED,
        forwarding=Forwarding.LEADER,
        does="the backups of the cluster, and what is wrong with them",
    ),
    Endpoint(
        path="/v1/operator/backup/run",
        methods=_WRITE,
        made_of=BackupEndpoint,
        handler=BackupEndpoint.run,
        streams=True,
        capability=Capability.BACKUP_RUN,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        does="make a backup now, and verify it",
        act=OfAct("make a backup"),
    ),
    Endpoint(
        path="/v1/operator/backup/verify",
        methods=_WRITE,
        made_of=BackupEndpoint,
        handler=BackupEndpoint.verify,
        streams=True,
        capability=Capability.BACKUP_RUN,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        parameters="?name=",
        does="read a backup back from the target and verify it once more",
        act=OfAct("verify a backup", ("name",)),
    ),
    Endpoint(
        path="/v1/operator/backup/prune",
        methods=_WRITE,
        made_of=BackupEndpoint,
        handler=BackupEndpoint.prune,
        streams=True,
        capability=Capability.BACKUP_PRUNE,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        does="delete the backups that retention does not keep",
        act=OfAct("prune backups"),
    ),
    Endpoint(
        path="/v1/operator/backup/restore",
        methods=_WRITE,
        made_of=BackupEndpoint,
        handler=BackupEndpoint.restore,
        streams=True,
        capability=Capability.BACKUP_RESTORE,
        consistency=Consistency.LINEARIZABLE,
        forwarding=Forwarding.LEADER,
        parameters="?name=[&force&dry-run&keep-acl&details]",
        does="restore the state from a backup",
        act=OfAct("restore a backup", ("name",), ("dry-run",)),
    ),
)
