"""HCL that a child reads is what HCL read here is, mistakes included; and the agent stays light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from quorate.config.read.hcl_apart import read_hcl_apart
from quorate.config.read.hcl_text import read_hcl
from quorate.config.read.tree import MalformedError

EVERYTHING = """
name = "s\\u00e9 \\"1\\""
empty = ""
negative = -3
half = 0.5
yes = true
nothing = null
list = ["a", 1, [true], { x = 1 }]
computed = "${var.x}"
text = <<EOT
two
lines
EOT
server "label" "two" {
  enabled = true
  "X-Quoted" = "yes"
  nested { deep = [] }
}
"""


@pytest.mark.parametrize("text", [EVERYTHING, "# only a comment\n", 'a = "\u20ac"'])
def test_the_child_reads_the_same(text: str) -> None:
    assert read_hcl_apart(text) == read_hcl(text)


@pytest.mark.parametrize("text", ["server {", 'a = "no end', "a = = 1", "a = " + "[" * 40])
def test_a_mistake_is_told_in_the_same_words(text: str) -> None:
    with pytest.raises(MalformedError) as here:
        read_hcl(text)
    with pytest.raises(MalformedError) as apart:
        read_hcl_apart(text)
    assert str(apart.value) == str(here.value)


def test_a_child_that_cannot_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    with pytest.raises(MalformedError, match="its reader could not be run"):
        read_hcl_apart("a = 1")


def test_the_parent_does_not_load_the_hcl_parser(tmp_path: Path) -> None:
    file = tmp_path / "a.hcl"
    file.write_text("server { enabled = true }")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from quorate.config.read.hcl_apart import read_hcl_apart\n"
        "from quorate.config.read.parse import parse_file\n"
        f"print(len(parse_file(Path({str(file)!r}), read_hcl_apart)))\n"
        "sys.exit('hcl2' in sys.modules or 'lark' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"1\n")
