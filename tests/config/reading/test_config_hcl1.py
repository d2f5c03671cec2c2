"""Files written for other agents: what HCL 1 and Go's decoders allow is read here, too."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from quorate.config.load import files_of
from quorate.config.read.hcl1 import as_hcl2
from quorate.config.read.hcl_text import read_hcl
from quorate.config.read.parse import parse_bytes
from quorate.config.read.tree import Body, Item, MalformedError
from quorate.errors import ConfigError
from quorate.wire.gossip_key import key_fault
from quorate.wire.memberlist.keyring import decode_keyring

KEY = base64.b64encode(b"k" * 32).decode()


def item(text: str, *path: str) -> Item:
    """The last item of that name inside blocks of these names."""
    body = read_hcl(text)
    for name in path[:-1]:
        value = next(each for each in body.items if each.key == name).value
        assert isinstance(value, Body)
        body = value
    return next(each for each in body.items if each.key == path[-1])


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ('client { options { "driver.raw_exec.enable" = "1" } }', "driver.raw_exec.enable", "1"),
        ('client { options { driver.raw_exec.enable = "1" } }', "driver.raw_exec.enable", "1"),
        ('client { options = { "driver.raw_exec.enable" = "1" } }', "driver.raw_exec.enable", "1"),
        ('client { options { "a b" = 1 } }', "a b", 1),
        ('client { options { "say \\"x\\"" = 1 } }', 'say "x"', 1),
        ('client { options { "" = 1 } }', "", 1),
        ('client { options { "\u20ac" = 1 } }', "\u20ac", 1),
        ("client { options { a = 1, b.c = 2 } }", "b.c", 2),
    ],
)
def test_names_may_have_any_characters(text: str, path: str, value: object) -> None:
    assert item(text, "client", "options", path).value == value


def test_quoted_blocks_with_labels() -> None:
    text = '"plugin" "raw.exec" "two" {\n  config { enabled = true }\n}\nname = "x"\n'
    plugin = item(text, "plugin")
    assert (plugin.labels, plugin.line) == (("raw.exec", "two"), 1)
    assert item(text, "name").line == 4


def test_a_value_on_the_line_after_keeps_the_lines() -> None:
    text = 'name =\n\n    "x"\nregion = "a"\nserver {\n  enabled =\n    true\n}\nlog_json = true\n'
    assert (item(text, "name").value, item(text, "name").line) == ("x", 1)
    assert item(text, "region").line == 4
    assert item(text, "server", "enabled").value is True
    assert item(text, "log_json").line == 9
    with pytest.raises(MalformedError, match="At 5:5: unexpected"):
        read_hcl('name =\n\n  "x"\n\na = = 1\n')


@pytest.mark.parametrize("text", ["name =\n}\n", "name =\n", "a =\n# c\n"])
def test_no_value_after_the_line_end_is_a_mistake(text: str) -> None:
    with pytest.raises(MalformedError, match="At "):
        read_hcl(text)


@pytest.mark.parametrize("value", ["a%{b", "%{if true}", "%%{", "100%", "%{"])
def test_a_percent_sign_means_nothing(value: str) -> None:
    assert item(f'name = "{value}"', "name").value == value
    assert item(f'meta {{ "{value}" = 1 }}', "meta", value).value == 1


def test_lengths_and_lines_stay() -> None:
    text = '"a.b" =\n 1\nc { "d" = "%{x}", e.f = <<X\n"g.h" = 1\nX\n}\n'
    assert len(as_hcl2(text).text) == len(text)


@pytest.mark.parametrize("comment", ["# c\n", "// c\n", "/* c\n */ ", "\n# a\n# b\n"])
def test_json_behind_a_comment_is_named(comment: str) -> None:
    with pytest.raises(ConfigError, match="a comment stands before a JSON object"):
        parse_bytes(f'{comment}{{"name": "x"}}'.encode(), "a.json")


def test_null_is_an_unset_block() -> None:
    assert parse_bytes(b'{"server": null, "name": null}', "a.json") == {}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_a_gossip_key_may_end_in_a_line_end(end: str) -> None:
    assert key_fault(KEY + end) == ""
    assert key_fault(f"{KEY[:20]}{end}{KEY[20:]}") == ""
    content = f'["{KEY}{end}"]'.replace("\n", "\\n").replace("\r", "\\r")
    assert decode_keyring(content.encode()).primary == b"k" * 32
    assert "illegal base64" in key_fault(KEY + " ")


def test_a_folder_in_the_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "x.hcl").mkdir()
    (tmp_path / "a.hcl").write_text("")
    (tmp_path / "b.json").symlink_to(tmp_path / "a.hcl")
    assert files_of(tmp_path) == (str(tmp_path / "a.hcl"), str(tmp_path / "b.json"))
