"""Credentials that are missing, or that a bucket refuses: told by where they were looked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest
from cli_run import run

from quorate.backup.places import open_target
from quorate.backup.target import Settings, TargetError

pytestmark = pytest.mark.skipif(find_spec("obstore") is None, reason="not installed: obstore")
SECRET = "s3cr3t-that-nobody-sees"


class _Refuses(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = _answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Bucket and metadata of an instance in one: all is refused."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Refuses)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "ENDPOINT_URL"):
        monkeypatch.delenv("AWS_" + name, raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", address)
    try:
        yield address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def told(endpoint: str, **more: str) -> TargetError:
    settings = Settings(url="s3://b/x", endpoint=endpoint, region="us-east-1", **more)
    with pytest.raises(TargetError) as caught:
        open_target(settings).names()
    assert SECRET not in caught.value.line()
    return caught.value


def test_where_credentials_were_looked_for(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = told(endpoint)
    assert nowhere.text.endswith(
        "403 Forbidden; credentials: those of the instance, since AWS_ACCESS_KEY_ID is not in the "
        "environment and no credentials_file is given"
    )
    assert nowhere.next_step.startswith("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the")
    file = tmp_path / "credentials"
    file.touch(0o600)
    file.write_text(f"[default]\naws_access_key_id = A\naws_secret_access_key = {SECRET}\n")
    of_file = told(endpoint, credentials_file=str(file))
    assert of_file.text.endswith(f"403 Forbidden; credentials: those of credentials_file {file}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    half = told(endpoint)
    assert half.text.endswith("which has AWS_ACCESS_KEY_ID and no AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    whole = told(endpoint)
    assert whole.text.endswith("credentials: those of the environment (AWS_ACCESS_KEY_ID)")


def test_backup_run_tells_it_and_asks_no_cluster(endpoint: str) -> None:
    words = ("-target=s3://b/x", f"-endpoint={endpoint}", "-bucket-region=us-east-1")
    done = run("backup", "run", *words, env={"NOMAD_ADDR": "http://127.0.0.1:1"})
    assert done.code == 1
    assert "credentials: those of the instance" in done.stderr
    assert done.stderr.count("\n") == 1
