"""A process in the place of a server, for the tests of `quorate dev`: it only answers as one.

Usage: python cli_stub_agent.py CONFIG. All stubs say that the first server of their region leads.
SIGINT ends it with code 1, as it ends an agent; a file CONFIG.deaf makes it ignore SIGINT, and
CONFIG.broken makes it say why and exit with code 3. So does its name in STUB_BROKEN; then no
server leads.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

CONFIG = Path(sys.argv[1])


class Handler(BaseHTTPRequestHandler):
    answers: dict[str, Any] = {}  # noqa: RUF012 - set once, before it serves

    def do_GET(self) -> None:
        body = json.dumps(self.answers[self.path.partition("?")[0]]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def main() -> int:
    config = json.loads(CONFIG.read_text())
    broken = os.environ.get("STUB_BROKEN", "")
    if CONFIG.with_suffix(".broken").exists() or CONFIG.stem == broken:
        print("==> the disk is on fire", flush=True)
        return 3
    if CONFIG.with_suffix(".deaf").exists():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    region = config["region"]
    configs = [json.loads(path.read_text()) for path in CONFIG.parent.glob("server-*.json")]
    servers = [
        {"ID": f"id-{each['name'][-1]}", "Node": f"{each['name']}.{region}"}
        | {"Address": f"127.0.0.1:{each['ports']['rpc']}", "Voter": True, "RaftProtocol": "3"}
        for each in sorted(configs, key=lambda each: each["ports"]["rpc"])
        if each["region"] == region
    ]
    listed = [{**server, "Leader": n == 0 and not broken} for n, server in enumerate(servers)]
    Handler.answers = {
        "/v1/operator/raft/configuration": {"Index": 1, "Servers": listed},
        "/v1/regions": sorted({each["region"] for each in configs}),
    }
    with HTTPServer(("127.0.0.1", config["ports"]["http"]), Handler) as server:
        print(f"started as {os.getpid()}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
