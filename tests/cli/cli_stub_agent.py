"""A process in the place of a server, for the tests of `quorate dev`: it only answers as one.

Usage: python cli_stub_agent.py CONFIG. All stubs say that the first of `initial_servers` leads.
SIGINT ends it with code 1, as it ends an agent; a file CONFIG.deaf makes it ignore SIGINT, and
CONFIG.broken makes it say why and exit with code 3.
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
    body = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def main() -> int:
    config = json.loads(CONFIG.read_text())
    if CONFIG.with_suffix(".broken").exists():
        print("==> the disk is on fire", flush=True)
        return 3
    if CONFIG.with_suffix(".deaf").exists():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    founders = config["server"]["initial_servers"]
    servers = [
        {"ID": f"id-{n}", "Node": f"server-{n}.global", "Address": address}
        | {"Leader": n == 1, "Voter": True, "RaftProtocol": "3"}
        for n, address in enumerate(founders, start=1)
    ]
    Handler.body = json.dumps({"Index": 1, "Servers": servers}).encode()
    with HTTPServer(("127.0.0.1", config["ports"]["http"]), Handler) as server:
        print(f"started as {os.getpid()}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
