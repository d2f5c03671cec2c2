"""The page under `/ui/`: for now a plain list of what can be asked."""

from __future__ import annotations

from html import escape
from typing import Final

from quorate import __version__
from quorate.api.codec.encode import HTML_TYPE
from quorate.api.http.messages import Call, Response

ENDPOINTS: Final = (
    ("GET", "/v1/status/leader", "RPC address of the leader"),
    ("GET", "/v1/status/peers", "RPC addresses of the servers"),
    ("GET", "/v1/regions", "names of the regions"),
    ("GET", "/v1/agent/self", "this server's configuration and statistics"),
    ("GET", "/v1/agent/members", "the servers this one knows"),
    ("GET", "/v1/agent/health", "whether this server finds a leader"),
    ("PUT, POST", "/v1/agent/join", "join the servers at ?address"),
    ("PUT, POST", "/v1/agent/force-leave", "declare the failed server ?node left"),
    ("PUT, POST", "/v1/agent/rejoin", "come back after a removal"),
    ("GET", "/v1/agent/keyring/list", "the keys of gossip"),
    ("PUT", "/v1/agent/keyring/install", "add a key of gossip"),
    ("PUT", "/v1/agent/keyring/use", "encrypt with a key of gossip"),
    ("PUT", "/v1/agent/keyring/remove", "take a key of gossip away"),
    ("GET", "/v1/metrics", "measurements, with ?format=prometheus for Prometheus"),
    ("GET", "/v1/namespaces", "the namespaces"),
    ("GET", "/v1/namespace/default", "one namespace"),
    ("GET", "/v1/operator/raft/configuration", "who takes part in Raft, and who leads"),
    ("GET", "/v1/operator/raft/views", "what each server believes, side by side"),
    ("DELETE", "/v1/operator/raft/peer", "remove a server, by ?id or ?address"),
    ("PUT", "/v1/operator/raft/transfer-leadership", "let another server lead"),
    ("GET", "/v1/operator/upgrade", "the servers' versions, and what an upgrade waits for"),
    ("GET, PUT", "/v1/operator/autopilot/configuration", "autopilot's settings"),
    ("GET, PUT", "/v1/operator/scheduler/configuration", "the scheduler's settings"),
)


def get_ui(_: Call) -> Response:
    """The page. Every path below `/ui/` gives it."""
    return Response(200, _PAGE, (HTML_TYPE,))


def _row(methods: str, path: str, meaning: str) -> str:
    shown = f'<a href="{escape(path)}">{escape(path)}</a>' if "GET" in methods else escape(path)
    return f"<tr><td>{escape(methods)}</td><td>{shown}</td><td>{escape(meaning)}</td></tr>"


_PAGE: Final = f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Quorate</title></head>
<body>
<h1>Quorate {escape(__version__)}</h1>
<p>This server answers these requests:</p>
<table>
{chr(10).join(_row(*endpoint) for endpoint in ENDPOINTS)}
</table>
</body>
</html>
""".encode()
