"""The subset of Go templates: what it prints is what Go prints; the rest is refused clearly."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.cli.text.gotemplate import TemplateError, render

DATA: dict[str, Any] = {
    "Index": 22,
    "Ratio": 0.5,
    "Whole": 3.0,
    "Nothing": None,
    "Tags": {"b": "2", "a": "1"},
    "Servers": [
        {"ID": "x", "Leader": True, "Voter": True},
        {"ID": "y", "Leader": False, "Voter": True},
    ],
    "Empty": [],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{.Index}}", "22"),
        ("{{ .Index }} {{.Ratio}} {{.Whole}}", "22 0.5 3"),
        ("{{.Nothing}}", "<no value>"),
        ("{{.Tags}}", "map[a:1 b:2]"),
        ("{{.Tags.a}}", "1"),
        ("{{range .Servers}}{{.ID}} {{end}}", "x y "),
        ("{{range .Servers}}{{if .Leader}}{{.ID}}{{end}}{{end}}", "x"),
        ("{{range .Servers}}{{if .Leader}}L{{else}}F{{end}}{{end}}", "LF"),
        ("{{range .Servers}}{{if not .Leader}}{{.ID}}@{{$.Index}}{{end}}{{end}}", "y@22"),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ("{{range .Tags}}{{.}};{{end}}", "1;2;"),
        ("{{len .Servers}} {{len .Tags}}", "2 2"),
        ("{{json .Tags}}", '{"b":"2","a":"1"}'),
        ("{{if eq .Index 22}}same{{end}}", "same"),
        ('{{range .Servers}}{{if ne .ID "x"}}{{.ID}}{{end}}{{end}}', "y"),
        ("{{if .Empty}}a{{else if .Nothing}}b{{else}}c{{end}}", "c"),
        ("{{if .Empty}}a{{else if .Index}}b{{else}}c{{end}}", "b"),
        ("a  {{- .Index -}}  b", "a22b"),
        ("a {{/* nothing */}} b", "a  b"),
        ('{{`raw`}} {{"a\\tb"}} {{-3}} {{true}}', "raw a\tb -3 true"),
        ('{{index .Tags "a"}} {{index .Servers 1 "ID"}}', "1 y"),
        ("{{.Servers}}", "[map[ID:x Leader:true Voter:true] map[ID:y Leader:false Voter:true]]"),
    ],
)
def test_rendered(template: str, text: str) -> None:
    assert render(template, DATA) == text


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{{.Idx}}", "can't find field Idx; there are: Empty, Index, Nothing"),
        ("{{.Servers.ID}}", "can't find field ID in a list"),
        ("{{.Index.ID}}", "can't find field ID in 22"),
        ("{{range .Index}}{{end}}", "range can't iterate over 22"),
        ("{{range .Servers}}", "has no {{end}}"),
        ("{{end}}", "without a range or if"),
        ("{{if}}x{{end}}", "missing value"),
        ("{{", "unclosed action"),
        ("{{}}", "missing value"),
        ("{{.Tags | json}}", "pipelines are not supported"),
        ('{{printf "%d" .Index}}', '"printf" is not supported'),
        ("{{(len .Tags)}}", "is not supported"),
        ("{{len}}", "wrong number of arguments for len: 0"),
        ("{{len .Index}}", "it has no length"),
        ("{{.Index .Ratio}}", "is not a function"),
        ("{{index .Servers 9}}", "index: no 9"),
        ("{{with .Tags}}{{end}}", '"with" is not supported'),
    ],
)
def test_refused(template: str, complaint: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(template, DATA)
    assert complaint in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(JSON)
def test_json_keeps_the_value(data: Any) -> None:
    assert json.loads(render("{{json .}}", data)) == data


@given(st.text(max_size=30), JSON)
def test_any_template_renders_or_is_refused(template: str, data: Any) -> None:
    try:
        text = render(template, data)
    except TemplateError:
        return
    assert "{{" in template or text == template
