"""A bucket as the target, against a server that speaks S3, and against ones that misbehave."""

from __future__ import annotations

import hashlib
import io
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest
from api_running import asynchronous
from archive_builders import archive_of, state_bytes
from server_cluster import cluster, until

from quorate.backup.check import ABSENT, UNKNOWN, Job
from quorate.backup.places import open_target
from quorate.backup.proving import Proof
from quorate.backup.target import Absent, Settings, TargetError
from quorate.levels import LEVEL
from quorate.server.options import BackupOptions

MISSING = [name for name in ("obstore", "moto", "flask", "flask_cors") if find_spec(name) is None]
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
NAME = "quorate-1b2f03aa-20261129T030000Z-812.snap"
SECRET = "s3cr3t-that-nobody-sees"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of a server that speaks S3, with a bucket `backups`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        request = urllib.request.Request(f"{address}/backups", method="PUT")
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(request, timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "the server did not start"
                threading.Event().wait(0.1)
        yield address
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


def at(endpoint: str, url: str = "s3://backups/some/prefix", **more: str) -> Settings:
    return Settings(url=url, endpoint=endpoint, region="us-east-1", **more)


def test_a_trial_leaves_nothing(endpoint: str) -> None:
    target = open_target(at(endpoint, "s3://backups/tried"))
    target.try_out()
    url = f"{endpoint}/backups?list-type=2&prefix=tried"
    with urllib.request.urlopen(url, timeout=5) as listed:
        assert b"<KeyCount>0</KeyCount>" in listed.read()


@pytest.mark.parametrize("size", [100_000, 20 << 20], ids=["at once", "in parts"])
def test_what_was_put_comes_back(endpoint: str, size: int) -> None:
    data = hashlib.shake_128(b"seed").digest(size)
    target = open_target(at(endpoint))
    target.put(NAME, io.BytesIO(data).read, size, lambda: True)
    assert b"".join(target.get(NAME)) == data
    assert target.names() == [NAME]
    target.delete(NAME)
    target.delete(NAME)
    assert target.names() == []
    with pytest.raises(Absent):
        next(target.get(NAME))


@pytest.mark.parametrize("size", [100_000, 20 << 20], ids=["at once", "in parts"])
def test_an_upload_that_must_not_end_leaves_nothing(endpoint: str, size: int) -> None:
    target = open_target(at(endpoint, "s3://backups/cut"))
    with pytest.raises(TargetError):
        target.put(NAME, io.BytesIO(bytes(size)).read, size, lambda: False)
    with pytest.raises(TargetError):
        target.put(NAME, io.BytesIO(bytes(size - 1)).read, size, lambda: True)
    assert target.names() == []


def test_a_bucket_that_is_not_there_is_told(endpoint: str) -> None:
    target = open_target(at(endpoint, "s3://other/a"))
    with pytest.raises(TargetError, match="NoSuchBucket"):
        target.put(NAME, io.BytesIO(b"x").read, 1, lambda: True)


def test_the_check_reads_from_the_bucket(endpoint: str) -> None:
    archive = archive_of(state_bytes())
    settings = at(endpoint, "s3://backups/check")
    open_target(settings).put(NAME, io.BytesIO(archive).read, len(archive), lambda: True)
    job = Job(target=settings, name=NAME, memory_bytes=1 << 30, deadline_s=60)
    found = Proof(job).run()
    assert (found.failed, found.sha256) == ("", hashlib.sha256(archive).hexdigest()), found.why
    absent = Job(target=settings, name="a" + NAME, memory_bytes=1 << 30, deadline_s=60)
    assert Proof(absent).run().failed == ABSENT


@asynchronous
async def test_a_cluster_backs_up_into_a_bucket(tmp_path: Path, endpoint: str) -> None:
    settings = at(endpoint, "s3://backups/cluster")
    options = BackupOptions(target=settings, deadline_s=30.0)
    async with cluster(tmp_path, 1, backup=options) as servers:
        await until(lambda: servers.running[0].machine.store.level == LEVEL)
        answer = await servers.ask(0, "/v1/operator/backup/run", "PUT")
        assert b'"Status":"verified"' in answer.body, answer.body
        listed = await servers.ask(0, "/v1/operator/backup")
        assert SECRET.encode() not in listed.body
        assert len(open_target(settings).names()) == 1


@contextmanager
def answering(status: int, body: bytes, *, announced: int | None = None) -> Iterator[str]:
    """A server that gives this answer to all; with `announced` it ends before it has sent it."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(announced or len(body)))
            self.send_header("ETag", '"e"')
            self.send_header("Last-Modified", "Sun, 29 Nov 2026 03:00:00 GMT")
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_wrong_credentials_are_told_without_them() -> None:
    denied = b"<Error><Code>SignatureDoesNotMatch</Code><Message>secret</Message></Error>"
    with answering(403, denied) as endpoint:
        target = open_target(at(endpoint))
        with pytest.raises(TargetError, match="SignatureDoesNotMatch") as caught:
            target.put(NAME, io.BytesIO(b"x").read, 1, lambda: True)
        assert SECRET not in caught.value.line()
        assert "credentials" in caught.value.next_step
        with pytest.raises(TargetError, match="cannot write in bucket"):
            target.try_out()
        found = Proof(
            Job(target=at(endpoint), name=NAME, memory_bytes=1 << 30, deadline_s=60)
        ).run()
        assert found.failed == UNKNOWN
        assert SECRET not in found.why


def test_a_network_that_is_cut_midway_is_no_damage() -> None:
    archive = archive_of(state_bytes())
    with answering(200, archive[:200], announced=len(archive)) as endpoint:
        job = Job(target=at(endpoint), name=NAME, memory_bytes=1 << 30, deadline_s=60)
        found = Proof(job).run()
    assert found.failed == UNKNOWN, found.why


def test_nothing_that_answers_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    target = open_target(at(f"http://127.0.0.1:{port}"))
    with pytest.raises(TargetError, match="cannot list"):
        target.names()


def test_credentials_of_a_file(
    tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    file = tmp_path / "credentials"
    settings = at(endpoint, "s3://backups/file", credentials_file=str(file))
    with pytest.raises(TargetError, match="cannot read credentials_file"):
        open_target(settings)
    file.write_text("nothing of the kind")
    file.chmod(0o600)
    with pytest.raises(TargetError, match="no section"):
        open_target(settings)
    text = f"[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = {SECRET}\n"
    file.write_text(text)
    file.chmod(0o640)
    with pytest.raises(TargetError, match="read by other users") as caught:
        open_target(settings)
    assert SECRET not in caught.value.line()
    file.chmod(0o600)
    assert open_target(settings).names() == []
