"""Reading one file: HCL of both ages, JSON, and the errors of both with their lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.config.read.parse import FILE_BYTES_MAX, parse_bytes, parse_file
from quorate.errors import ConfigError


def read(text: str) -> dict[str, Any]:
    return {key: each.value for key, each in parse_bytes(text.encode(), "f").items()}


def fault(data: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_bytes(data.encode() if isinstance(data, str) else data, "f")
    start = "Error loading configuration from f: Error loading f: "
    assert caught.value.text.startswith(start)
    return caught.value.text.removeprefix(start)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("\n# nothing\n// at all /* \n", {}),
        ('\N{BOM}name = "a"', {"name": "a"}),
        ('name = "a" # why\r\nregion = "b"\r\n', {"name": "a", "region": "b"}),
        ('name = "a"\nname = "b"', {"name": "b"}),
        ('"name" = "a"', {"name": "a"}),
        ("name = 5", {"name": "5"}),
        (r'name = "\"\\\u00e9"', {"name": '"\\é'}),
        ("log_file = <<EOF\n/x = { a, b }\nEOF\n", {"log_file": "/x = { a, b }\n"}),
        (
            'bind_addr = "{{ GetInterfaceIP \\"eth0\\" }}"',
            {"bind_addr": '{{ GetInterfaceIP "eth0" }}'},
        ),
        ("log_json = true", {"log_json": True}),
        ('log_json = "TRUE"', {"log_json": True}),
        ("log_json = 0", {"log_json": False}),
        ('log_rotate_bytes = "12"', {"log_rotate_bytes": 12}),
        ('log_rotate_duration = "1m30s"', {"log_rotate_duration": 90_000_000_000}),
        ("ports { http = 1, rpc = 2 }", {"ports.http": 1, "ports.rpc": 2}),
        ("ports { http = 1 rpc = 2 }", {"ports.http": 1, "ports.rpc": 2}),
        ("ports = { http = 1 }", {"ports.http": 1}),
        ("ports { http = 1 }\nports { rpc = 2 }", {"ports.http": 1, "ports.rpc": 2}),
        (
            'advertise { http = "a"\n rpc = "b" }',
            {"advertise.http": "a", "advertise.rpc": "b"},
        ),
        (
            'server {\n  server_join {\n    retry_join = [\n "a", # one\n "b",\n ]\n  }\n}',
            {"server.server_join.retry_join": ("a", "b")},
        ),
        (
            'http_api_response_headers { "X-A" = "1"\n X-B = 2 }',
            {"http_api_response_headers": {"X-A": "1", "X-B": "2"}},
        ),
        (
            'http_api_response_headers { A = "1" }\nhttp_api_response_headers { B = "2" }',
            {"http_api_response_headers": {"A": "1", "B": "2"}},
        ),
        (
            'plugin "docker" {\n config { x = "${a.b}" }\n}\nui {}',
            {"plugin": "(set)", "ui": "(set)"},
        ),
        ('client { host_volume "x" { path = "/" } }', {"client.host_volume": "(set)"}),
        ("log_rotate_duration = null", {}),
        (
            "server { max_heartbeats_per_second = 1.5 }",
            {"server.max_heartbeats_per_second": 1.5},
        ),
        ('{"name":"a","server":{"enabled":true}}', {"name": "a", "server.enabled": True}),
        (' \n{"ports":[{"http":1},{"rpc":2}]}', {"ports.http": 1, "ports.rpc": 2}),
        ('{"ports":{"http":1},"ports":{"rpc":2}}', {"ports.http": 1, "ports.rpc": 2}),
        ('{"name":null}', {}),
        ("{}", {}),
    ],
)
def test_read(text: str, expected: dict[str, Any]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('# "a\n/* "b */ x = "\\"c"\ny = "z\\', "At 3:5: the string has no end"),
        ("server {", "At 1:9: unexpected end of the file"),
        ("server {\n enabled =\n}\n", "At 2:11: unexpected end of the line"),
        ("name = 1 2", 'At 1:10: unexpected "2"'),
        ('name = "a\nregion = "b"\n', "At 1:8: the string has no end"),
        ('name = "a\nb"\n', "At 1:8: the string has no end"),
        ('{"name": }', "At 1:10: Expecting value"),
        ('{"name": "a",\n "region": NaN}', "NaN is not JSON"),
        ('{"name": "a"} x', "At 1:15: Extra data"),
        ("a = " + "9" * 5000, "At 1:5: too many digits"),
        ("a {" * 40 + "}" * 40, "more than 32 blocks and lists inside each other"),
        ("a = " + "[" * 40 + "]" * 40, "more than 32 blocks and lists inside each other"),
        ('{"a":' + "[" * 40 + "]" * 40 + "}", "more than 32 blocks and lists inside each other"),
        ('{"a":' + "[" * 99999, "more than 32 blocks and lists inside each other"),
        (b'name = "a"\nregion = "\xff"\n', "it is not UTF-8 text (line 2)"),
        (b" " * (FILE_BYTES_MAX + 1), f"it is larger than {FILE_BYTES_MAX} bytes"),
    ],
)
def test_malformed(text: str | bytes, expected: str) -> None:
    assert fault(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\nlog_json = 2", "log_json must be true or false, got 2 (line 2)"),
        ("log_json = []", "log_json must be true or false, got a list (line 1)"),
        ("name = -x", "name must be a constant, got -x (line 1)"),
        ("name = {}", "name must be a string, got a block (line 1)"),
        (
            "server { max_heartbeats_per_second = true }",
            "server.max_heartbeats_per_second must be a number, got true (line 1)",
        ),
        (
            'server { max_heartbeats_per_second = "nan" }',
            'server.max_heartbeats_per_second must be a number, got "nan" (line 1)',
        ),
        ("name = true", "name must be a string, got true (line 1)"),
        ("name = yes", "name must be a constant, got yes (line 1)"),
        ('name = "${env.X}"', 'name must be a constant, got "${env.X}" (line 1)'),
        ("ports { http = 1.5 }", "ports.http must be a whole number, got 1.5 (line 1)"),
        ('ports {\n http = "x" }', 'ports.http must be a whole number, got "x" (line 2)'),
        ("ports { http = true }", "ports.http must be a whole number, got true (line 1)"),
        ("ports { http = -1 }", "ports.http must not be negative (line 1)"),
        ("ports { http = 99999999999999999999 }", "ports.http is out of range (line 1)"),
        (
            "log_rotate_duration = 5",
            'log_rotate_duration must be a duration such as "30s", got 5 (line 1)',
        ),
        (
            'log_rotate_duration = "-5s"',
            "log_rotate_duration must not be negative (line 1)",
        ),
        (
            'telemetry { in_memory_collection_interval = "1ms" }',
            "telemetry.in_memory_collection_interval must be at least 1s (line 1)",
        ),
        (
            'server { max_heartbeats_per_second = "x" }',
            'server.max_heartbeats_per_second must be a number, got "x" (line 1)',
        ),
        (
            'server { retry_join = "a" }',
            'server.retry_join must be a list of strings, got "a" (line 1)',
        ),
        (
            "server { retry_join = [[]] }",
            "server.retry_join must be a list of strings (line 1)",
        ),
        (
            'http_api_response_headers = "a"',
            'http_api_response_headers must be a block of strings, got "a" (line 1)',
        ),
        ("server = 1", "server must be a block (line 1)"),
        ('server "a" { }', 'server has no label, got "a" (line 1)'),
        ('name "a" { }', 'name has no label, got "a" (line 1)'),
        ("x = 1\ny = 2", "unexpected keys x, y (line 1)"),
        ("server { server_join {\n x = 1 } }", "server.server_join unexpected keys x (line 2)"),
        (
            '{"name": "wombat", "server": {\n "enabled": true,\n "wombat": 1}}',
            "server unexpected keys wombat (line 3)",
        ),
        (
            '{"name": "a:", "tls": [{"http": false},\n\n {"http": 7}]}',
            "tls.http must be true or false, got 7 (line 3)",
        ),
        ("[1]", 'At 1:1: unexpected "[1]"'),
    ],
)
def test_wrong(text: str, expected: str) -> None:
    assert fault(text) == expected


def test_an_unknown_key_names_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_bytes(b"server { zzz = 1\n retry_jion = [] }", "f")
    assert caught.value.next_step == "did you mean retry_join?"


def test_long_values_are_cut_in_errors() -> None:
    assert len(fault(f'log_json = "{"x" * 500}"')) < 120


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"open {tmp_path}: is a directory"):
        parse_file(tmp_path)
    with pytest.raises(ConfigError, match="embedded null byte"):
        parse_file(Path("a\0b"))


def test_a_start_with_json_only_does_not_load_the_hcl_parser(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"data_dir": "/x", "server": {"enabled": True}}))
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "import quorate.config\n"
        "from quorate.config.read.parse import parse_file\n"
        f"print(len(parse_file(Path({str(file)!r}))))\n"
        "sys.exit('hcl2' in sys.modules or 'lark' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"2\n")


# -- properties --------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *("server {", "}", "{", "[", "]", "=", ",", '"', "\n", " ", "\\", "#", "//", "/*", "*/"),
        *("<<EOF\n", "\nEOF\n", "${", "%{", "$${", "(", ")", "-", ".", ":", "=>", "?", "!", "*"),
        *("name", '"a"', "ports", "http", "1", "1.5", "true", "null", "for", "in", "if", "\0", "é"),
        *(
            '"name"',
            "retry_join",
            "plugin",
            '{"',
            '":',
            "[*]",
            "&&",
            "1e9",
            "0x1f",
            "~",
            "...",
            "'",
        ),
    ]
)


def accept_or_refuse(data: bytes) -> None:
    text = ""
    try:
        parse_bytes(data, "f")
    except ConfigError as error:
        text = error.text
    assert "\n" not in text


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_random_bytes_are_refused_in_one_line(data: bytes) -> None:
    accept_or_refuse(data)


@settings(deadline=None, max_examples=200)
@given(st.lists(PIECES, max_size=25).map(" ".join))
def test_garbled_hcl_is_refused_in_one_line(text: str) -> None:
    accept_or_refuse(text.encode())


@settings(deadline=None, max_examples=150)
@given(st.lists(PIECES, max_size=25).map(lambda pieces: "{" + "".join(pieces)))
def test_garbled_json_is_refused_in_one_line(text: str) -> None:
    accept_or_refuse(text.encode())


SOUND = (
    'name = "a"\nserver {\n  enabled = true\n  retry_join = ["a", "b"]\n  encrypt = "x"\n}\n'
    'http_api_response_headers { "X-A" = "1", B = <<E\nx\nE\n }\nports { http = 1, rpc = 2 }\n'
)


@settings(deadline=None, max_examples=150)
@given(
    st.integers(0, len(SOUND)), st.integers(0, 8), st.sampled_from(["", '"', "{", "}", "\n", "="])
)
def test_a_damaged_file_is_read_or_refused_in_one_line(at: int, cut: int, put: str) -> None:
    accept_or_refuse((SOUND[:at] + put + SOUND[at + cut :]).encode())
