"""`operator api`: any request, and the curl command that does the same."""

import io
import os
import shlex
import sys

import pytest
from cli_run import Ran, run
from client_fake_agent import FakeAgent, json_reply, text_reply

from quorate.cli.commands.api import full_path, read_piped

API = ("operator", "api")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/v1/agent/members", "/v1/agent/members"),
        ("v1/agent/members", "/v1/agent/members"),
        ("agent/members", "/v1/agent/members"),
        ("/agent/members?pretty", "/v1/agent/members?pretty"),
        ("http://a:1/v1/x", "http://a:1/v1/x"),
        ("https://a:1/x", "https://a:1/x"),
    ],
)
def test_paths(text: str, path: str) -> None:
    assert full_path(text) == path


@pytest.mark.parametrize(
    ("argv", "stdin", "request_line", "body"),
    [
        (["/v1/x"], "", "GET /v1/x", b""),
        (["/v1/x?pretty"], "", "GET /v1/x?pretty", b""),
        (["/v1/x"], "{}", "POST /v1/x", b"{}"),
        (["-X", "PUT", "/v1/x"], "{}", "PUT /v1/x", b"{}"),
        (["-X", "put", "/v1/x"], "", "PUT /v1/x", b""),
        (["-X=GET", "/v1/x"], "{}", "GET /v1/x", b""),
        (["-X=DELETE", "/v1/x"], "", "DELETE /v1/x", b""),
        (["-filter=a == b", "x"], "", "GET /v1/x?filter=a+%3D%3D+b", b""),
        (["-filter=a", "x?pretty"], "", "GET /v1/x?pretty&filter=a", b""),
        (["-region=west", "x"], "", "GET /v1/x?region=west", b""),
    ],
)
def test_requests(argv: list[str], stdin: str, request_line: str, body: bytes) -> None:
    with FakeAgent({request_line: json_reply({"ok": True})}) as agent:
        ran = run(*API, *argv, env={"NOMAD_ADDR": agent.address}, stdin=stdin)
    assert ran == Ran(0, '{"ok": true}\n', "")
    assert agent.requests[0].body == body


def test_a_whole_url_goes_there() -> None:
    with FakeAgent({"GET /v1/x": json_reply(1)}) as agent:
        ran = run(*API, f"{agent.address}/v1/x", env={"NOMAD_ADDR": "http://127.0.0.1:1"})
    assert ran == Ran(0, "1\n", "")


def test_headers_and_verbose_hide_secrets() -> None:
    headers = ("-H", "X-Nomad-Token: secret", "-H", "X-Test: yes")
    with FakeAgent({"GET /v1/x": json_reply(1)}) as agent:
        ran = run(*API, "-verbose", *headers, "x", env={"NOMAD_ADDR": agent.address})
    assert agent.requests[0].headers["x-nomad-token"] == "secret"
    assert agent.requests[0].headers["x-test"] == "yes"
    assert f"> GET {agent.address}/v1/x\n" in ran.stderr
    assert "> X-Nomad-Token: <redacted>\n> X-Test: yes\n" in ran.stderr
    assert "< 200 OK\n" in ran.stderr
    assert "< content-type: application/json\n" in ran.stderr
    assert "secret" not in ran.stderr


def test_an_error_prints_its_body_and_fails() -> None:
    with FakeAgent({"GET /v1/x": text_reply(500, "No cluster leader")}) as agent:
        ran = run(*API, "x", env={"NOMAD_ADDR": agent.address})
    assert ran == Ran(1, "No cluster leader\n", "Unexpected response code: 500\n")


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ([], "A path or URL is required"),
        (["a", "b"], "A path or URL is required"),
        (["-H", "nocolon", "x"], "Error parsing header: 'nocolon' is not of the form"),
        (["-address=:bad:", "x"], "Error initializing client: invalid address ':bad:'"),
        (["-address=http://127.0.0.1:1", "x"], 'Error performing request: Get "http://127.0.0.1:1'),
        (["-dryrun", "-tls-server-name=x", "x"], "Error building curl command: curl has no option"),
    ],
)
def test_mistakes(argv: list[str], text: str) -> None:
    ran = run(*API, *argv)
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr.startswith(text)


@pytest.mark.parametrize(
    ("argv", "env", "stdin", "curl"),
    [
        (["status/leader"], {}, "", "curl -X GET http://127.0.0.1:4646/v1/status/leader"),
        (
            ["-X", "PUT", "x"],
            {},
            "{}",
            "curl -X PUT --data-binary @- http://127.0.0.1:4646/v1/x",
        ),
        (
            ["-region=west", "-H=A: b c", "x?pretty"],
            {},
            "",
            "curl -X GET -H 'A: b c' 'http://127.0.0.1:4646/v1/x?pretty&region=west'",
        ),
        (
            ["x"],
            {"NOMAD_TOKEN": "secret", "NOMAD_NAMESPACE": "n", "NOMAD_HTTP_AUTH": "u:p"},
            "",
            (
                'curl -X GET --user "${NOMAD_HTTP_AUTH}" -H "X-Nomad-Token: ${NOMAD_TOKEN}" '
                "'http://127.0.0.1:4646/v1/x?namespace=n'"
            ),
        ),
        (
            ["-token=given", "x"],
            {"QUORATE_TOKEN": "secret"},
            "",
            "curl -X GET -H 'X-Nomad-Token: given' http://127.0.0.1:4646/v1/x",
        ),
        (
            ["-ca-cert=ca", "-client-cert=c", "-client-key=k", "-insecure", "x"],
            {"QUORATE_ADDR": "https://a:1"},
            "",
            "curl -X GET --cacert ca --cert c --key k --insecure https://a:1/v1/x",
        ),
        (
            ["x"],
            {"NOMAD_ADDR": "unix:///run/a.sock"},
            "",
            "curl -X GET --unix-socket /run/a.sock http://127.0.0.1/v1/x",
        ),
        (["http://b:2/v1/x"], {}, "", "curl -X GET http://b:2/v1/x"),
    ],
)
def test_dryrun(argv: list[str], env: dict[str, str], stdin: str, curl: str) -> None:
    ran = run(*API, "-dryrun", *argv, env=env, stdin=stdin)
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.replace(" \\\n  ", " ") == curl + "\n"
    assert shlex.split(ran.stdout)[0] == "curl"
    assert "secret" not in ran.stdout


def test_what_is_piped_in() -> None:
    assert read_piped(io.StringIO("")) is None
    assert read_piped(io.StringIO("x")) == b"x"
    read, write = os.pipe()
    os.write(write, b"\xff")
    os.close(write)
    with os.fdopen(read) as pipe:
        assert read_piped(pipe) == b"\xff"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no /dev/null")
def test_a_device_is_nothing_piped_in() -> None:
    with open(os.devnull) as device:  # noqa: PTH123 - a device, not a file
        assert read_piped(device) is None
