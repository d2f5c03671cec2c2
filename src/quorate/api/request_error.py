"""The caller's mistake, found before anything was asked of the cluster."""

from __future__ import annotations


class RequestError(Exception):
    """Answered with `status` and `text`, one line that says what is wrong with the request."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
