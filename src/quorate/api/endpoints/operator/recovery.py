"""`/v1/operator/recovery` (ours, on the control socket alone): survivors go on while they run.

See docs/outage.md.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from quorate.acl.capability import Capability
from quorate.api.codec.encode import json_response
from quorate.api.codec.params import boolean
from quorate.api.endpoint import KIB, Consistency, Context, Endpoint, Forwarding, OfAct
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError
from quorate.recovery import plan as plans
from quorate.shapes.operator import LiveRecovery
from quorate.wire.go.duration import SECOND, parse_short_duration

TIMEOUT_S: Final = 600.0
"""After which a plan that was not carried out is given up, unless another time is asked for."""

_PATH: Final = "/v1/operator/recovery"
_PUT: Final = ("PUT", "POST")


class RecoveryEndpoint:
    """GET how it stands; PUT `prepare`, `commit` and `abort`."""

    def __init__(self, context: Context) -> None:
        self._recovery = context.parts.recovery

    def get(self, call: Call) -> Response:
        """The plan for which this server is prepared, if any."""
        return json_response(self._recovery.standing(), pretty=call.query.pretty)

    def prepare(self, call: Call) -> Awaitable[Response]:
        """Prepare this server for the plan that is the body. Raises RequestError, QuorateError."""
        text = call.query.first("timeout")
        try:
            timeout_s = parse_short_duration(text) / SECOND if text else TIMEOUT_S
        except ValueError as error:
            raise RequestError(f"timeout is no duration: {error}") from None
        if timeout_s <= 0:
            raise RequestError("timeout is no time: give one above 0")
        may_lose = boolean(call.query, "data-may-be-lost")
        lost = [each for each in call.query.first("lost").split(",") if each]
        plan = plans.decode(call.request.body, "the body")
        return _answered(
            call, self._recovery.prepare(plan, lost, timeout_s=timeout_s, may_lose=may_lose)
        )

    def commit(self, call: Call) -> Awaitable[Response]:
        """Carry the plan out. Raises QuorateError."""
        return _answered(call, self._recovery.commit())

    def abort(self, call: Call) -> Awaitable[Response]:
        """Give the plan up. Raises RequestError, QuorateError."""
        return _answered(call, self._recovery.abort(force=boolean(call.query, "force")))


async def _answered(call: Call, act: Awaitable[LiveRecovery]) -> Response:
    return json_response(await act, pretty=call.query.pretty)


ROWS: Final = (
    Endpoint(
        path=_PATH,
        methods=("GET",),
        made_of=RecoveryEndpoint,
        handler=RecoveryEndpoint.get,
        capability=Capability.OPERATOR_READ,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        control_only=True,
        does="the recovery for which this server is prepared (ours)",
    ),
    Endpoint(
        path=f"{_PATH}/prepare",
        methods=_PUT,
        made_of=RecoveryEndpoint,
        handler=RecoveryEndpoint.prepare,
        capability=Capability.RECOVER,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        control_only=True,
        body_max=64 * KIB,  # plans have some hundred bytes for each server
        parameters="?data-may-be-lost[&lost=&timeout=]",
        does="prepare this server for a plan of a recovery (ours)",
        act=OfAct(
            "prepare a recovery", details=("lost", "data-may-be-lost"), before=True, always=True
        ),
    ),
    Endpoint(
        path=f"{_PATH}/commit",
        methods=_PUT,
        made_of=RecoveryEndpoint,
        handler=RecoveryEndpoint.commit,
        capability=Capability.RECOVER,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        control_only=True,
        does="carry out the plan for which this server is prepared (ours)",
        act=OfAct("carry out a recovery", before=True, always=True),
    ),
    Endpoint(
        path=f"{_PATH}/abort",
        methods=_PUT,
        made_of=RecoveryEndpoint,
        handler=RecoveryEndpoint.abort,
        capability=Capability.RECOVER,
        consistency=Consistency.LOCAL,
        forwarding=Forwarding.NONE,
        control_only=True,
        parameters="[?force]",
        does="give up the plan for which this server is prepared (ours)",
        act=OfAct("give up a recovery", before=True, always=True),
    ),
)
