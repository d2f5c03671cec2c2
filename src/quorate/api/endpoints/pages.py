"""The page under `/ui/`: for now a plain list of what can be asked."""

from __future__ import annotations

from html import escape

from quorate.api.codec.encode import HTML_TYPE
from quorate.api.endpoint import ANY, Context, Endpoint
from quorate.api.http.messages import Call, Response
from quorate.version import __version__


class PagesEndpoint:
    """GET. Every path below `/ui/` gives the page."""

    def __init__(self, context: Context) -> None:
        rows = "\n".join(_row(endpoint) for endpoint in context.table if endpoint.listed)
        self._page = Response(200, _PAGE.format(rows=rows).encode(), (HTML_TYPE,))

    def get(self, _: Call) -> Response:
        """The page."""
        return self._page


def _row(endpoint: Endpoint) -> str:
    methods = "any" if endpoint.methods == ANY else ", ".join(endpoint.methods)
    path = escape(endpoint.shown_path)
    shown = f'<a href="{path}">{path}</a>' if "GET" in methods and not endpoint.has_tail else path
    cells = (methods, shown + escape(endpoint.parameters), escape(endpoint.does))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Quorate</title></head>
<body>
<h1>Quorate {escape(__version__)}</h1>
<p>This server answers these requests:</p>
<table>
{{rows}}
</table>
</body>
</html>
"""
