"""OPTIONS of variables: what a page of another site may do (`http.cors`)."""

from __future__ import annotations

from quorate.api.endpoint import Context, Wrong
from quorate.api.http.cors import Cors, asked_for_tokens
from quorate.api.http.messages import Call, Response
from quorate.api.request_error import RequestError

WRONG_LIST = Wrong()
WRONG_ONE = Wrong(400)
"""What a wrong method gets, as captured."""


class PreflightEndpoint:
    """Answered by the server asked, whatever the path; anything else is a wrong method."""

    def __init__(self, context: Context) -> None:
        self._cors = Cors(context.parts.options.http_headers, on=asked_for_tokens(context.parts))

    def of_list(self, call: Call) -> Response:
        """Of `/v1/vars`."""
        return self._answer(call, WRONG_LIST)

    def of_one(self, call: Call) -> Response:
        """Of `/v1/var/<path>`."""
        return self._answer(call, WRONG_ONE)

    def _answer(self, call: Call, wrong: Wrong) -> Response:
        answer = self._cors.preflight(call.request)
        if answer is None:
            raise RequestError(wrong.text, wrong.status)
        return answer
