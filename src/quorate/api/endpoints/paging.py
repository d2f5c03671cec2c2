"""The pages of a long list: what one answer looks at, and where the next one begins.

See docs/http-api.md#variables.
"""

from __future__ import annotations

from typing import Final

from quorate.api.codec.params import Query
from quorate.api.request_error import RequestError

ROWS_MAX: Final = 10_000
"""Rows that one answer looks at: they take some 5 ms, in which this server does nothing else."""

NEXT_TOKEN: Final = b"X-Nomad-Nexttoken"
"""The header that names the first row of the next page, for the parameter `next_token`."""


def page_size(query: Query) -> int:
    """The rows of a page; 0 for all. Raises RequestError.

    That it is a number was checked when the query was read. Pages of less than one row would be
    empty and name themselves as the next ones, for ever.
    """
    size = int(query.first("per_page") or 0)
    if size < 0:
        raise RequestError("per_page is negative: give the rows of a page, or 0 for no pages")
    return size


def wrong_token() -> RequestError:
    """The error of a `next_token` that no page of this list has named."""
    return RequestError(
        "next_token is not one of this list: it is the X-Nomad-Nexttoken of the page before"
    )


def too_many(what: str) -> RequestError:
    """The error of a list without pages that is longer than one answer."""
    return RequestError(
        f"more {what} than one answer looks at: ask for pages of them with per_page and "
        "next_token, or for a longer prefix"
    )
