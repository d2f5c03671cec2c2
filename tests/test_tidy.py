"""The code itself: imports go one way, the pure parts stay pure, every module says what it is.

The layers are those of docs/architecture.md. Imports are read from the syntax tree, so those
inside functions and behind TYPE_CHECKING count as well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import pytest
from places import ROOT
from source import PACKAGE, Module, all_modules, package_modules

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70

# What each part may import of the others. A name with a dot stands for one module.
# `errors` and `metrics` are at the bottom: every part may import the first, those that count
# something the second.
VALUES = {"raft.values", "gossip.messages"}
# What of a recovery needs no folder: the simulator recovers with it.
DECIDED = {"plan", "survivors", "epochs", "peers_json", "moved_state", "two_steps"}
DECIDED |= {"looking.summary"}
LAYERS: dict[str, set[str]] = {
    **{name: set[str]() for name in ("errors", "given_files", "levels", "metrics", "loglines")},
    "version": set(),
    # The chain of audit records: made by the state, checked by the command line.
    "audit": set(),
    # The facade of the library.
    "__init__": {"errors", "net.tls.files", "raft", "replica", "runtime", "storage", "version"},
    "shapes": {"wire.go"},
    "wire": {"errors"} | VALUES,
    "archive": {"errors"},
    "nomad": {"archive", "errors", "wire"},
    "backup": {"given_files", "archive", "errors", "state", "storage", "wire.go"},
    "storage": {"audit", "given_files", "errors", "levels", "wire"} | VALUES,
    # Data folders of servers that do not run; no event loop.
    "recovery": {
        *("archive", "errors", "levels", "nomad", "raft", "shapes", "state", "storage", "wire"),
        "given_files",
    },
    # Facts of servers and of data folders in, named causes out.
    "diagnosis": {"errors", "net.names", "net.threads", "recovery", "shapes", "storage.free_space"},
    **{name: {"errors"} for name in ("gossip", "raft")},
    "acl": {"errors", "wire.go"},
    "state": {"acl", "audit", "errors", "levels", "version"},
    "autopilot": {"errors", "levels", "raft", "state"},
    "runtime": {"errors", "raft"},
    "net": {"certificates", "errors", "levels", "wire"} | VALUES,
    "replica": {
        *("errors", "levels", "metrics", "net", "raft", "runtime", "storage", "version", "wire"),
    },
    "pool": {"errors", "metrics", "gossip", "net.names", "runtime", "storage", "wire"},
    "server": {
        *("errors", "levels", "metrics", "raft", "gossip", "state", "replica", "pool", "storage"),
        *("acl", "audit", "archive", "autopilot", "net", "shapes", "wire", "version"),
        *("backup", "recovery"),
    },
    "api": {
        *("errors", "levels", "metrics", "net", "raft", "recovery.plan", "shapes", "state"),
        *("acl", "server", "wire"),
        # Regular expressions in linear time, for filters.
        *("loglines", "gossip.serf.expressions", "version"),
    },
    "config": {"given_files", "backup", "errors", "net.tls.spoken", "shapes", "wire", "version"},
    "agent": {
        *("errors", "metrics", "net", "raft", "shapes", "state", "server", "api", "config"),
        *("backup", "given_files", "loglines"),
        "wire.gossip_key",
        "version",
    },
    "certificates": {"given_files", "errors"},
    "client": {"given_files", "errors", "shapes"},
    "cli": {
        *("archive", "nomad", "errors", "levels", "client", "agent", "config", "wire.gossip_key"),
        *("api.codec.filters", "diagnosis", "net.threads", "recovery", "version"),
        *("acl", "audit", "backup", "certificates", "given_files"),
    },
    "__main__": {"cli"},
    # For users' own rehearsals: nothing imports it, and it runs everything that is pure.
    "testing": {
        *("acl", "errors", "levels", "raft", "gossip", "state", "storage", "wire", "version"),
        # What a server knows of the others, and what its leader makes of it: without a loop.
        *("autopilot", "runtime", "server.cluster.directory", "server.cluster.identity"),
        *("server.integrity.verdict", "server.leader.facts"),
        # What it does for what it stores: coroutines that run on any loop.
        *("archive.meta", "server.archive.replacing", "server.writes", "server.secrets"),
        *("server.leader.acts", "server.leader.level", "server.leader.locks"),
        *(f"recovery.{name}" for name in DECIDED),
    },
}
PURE = ("acl", "audit", "raft", "gossip", "state", "autopilot")
PURE_FILES = {"testing/history.py", "testing/linearizability.py"}
PURE_FILES |= {f"recovery/{name.replace('.', '/')}.py" for name in DECIDED}
# Of a diagnosis what is not asking or reading.
PURE_FILES |= {f"diagnosis/{each}.py" for each in ("judging", "picture", "values", "words")}
PURE_FILES |= {f"diagnosis/causes/{each.name}" for each in (PACKAGE / "diagnosis/causes").iterdir()}
# No clock, no randomness, no file, no socket, no thread: nothing but values and arithmetic.
PURE_LIBRARIES = {
    *("__future__", "bisect", "collections", "dataclasses", "enum", "functools", "hashlib"),
    *("heapq", "itertools", "json", "math", "msgspec", "operator", "types", "typing"),
}
# A generator is an argument there; its class may be named, the module's own one may not be used.
GENERATOR_TYPE = "random.Random"
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
LEFTOVER = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")


def ours(name: str) -> str | None:
    """What of the package is imported: `raft.messages.Entry`; None for a library."""
    top, _, rest = name.partition(".")
    if top != "quorate":
        return None
    return rest or "__init__"


def allowed(part: str, target: str) -> bool:
    """May `part` import `target` (a module of the package, or a name in one)?"""
    may = LAYERS[part] | {part}
    return any(target == other or target.startswith(other + ".") for other in may)


def test_times_of_raft_are_compared_with_its_own_clock() -> None:
    """`contact_at` and the like are of `Replica.now`, which other clocks fall behind."""
    names = (".contact_at", ".promised_until")
    wrong = [
        f"{module.place}:{function.lineno} {function.name}"
        for module in package_modules()
        if any(name in module.text for name in names)
        for function in ast.walk(module.tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and (text := ast.unparse(function))
        and any(name in text for name in names)
        and any(clock in text for clock in ("loop.time", "loop().time", "monotonic("))
    ]
    assert not wrong, "\n".join(wrong)


def test_every_part_has_its_layer() -> None:
    assert {module.part for module in package_modules()} == set(LAYERS)


def test_layers_have_no_circle() -> None:
    below = {part: {name for name in may if "." not in name} for part, may in LAYERS.items()}
    while below:
        free = {part for part, may in below.items() if not may}
        assert free, f"these import each other: {sorted(below)}"
        below = {part: may - free for part, may in below.items() if part not in free}


def test_no_files_import_each_other() -> None:
    """No circle of files, inside rooms too; an import for types alone counts."""
    names = {dotted(module): module for module in package_modules()}
    below = {name: imported(module, names) - {name} for name, module in names.items()}
    while below:
        free = {name for name, others in below.items() if not others}
        assert free, "these import each other: " + ", ".join(sorted(circle_of(below)))
        below = {name: others - free for name, others in below.items() if name not in free}


def dotted(module: Module) -> str:
    """`quorate.raft.node`; a folder's own module has the folder's name."""
    name = ".".join(module.path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imported(module: Module, names: Collection[str]) -> set[str]:
    """The modules of ours that it imports itself, not those above them in the folders."""
    found = [name for name, _ in module.imports()]
    return {name if name in names else name.rpartition(".")[0] for name in found} & set(names)


def circle_of(below: dict[str, set[str]]) -> list[str]:
    """One circle among modules of which each imports another of them."""
    path = [min(below)]
    while (following := min(below[path[-1]])) not in path:
        path.append(following)
    return path[path.index(following) :]


def test_imports_go_down_the_layers() -> None:
    wrong = [
        f"{module.place}:{found.line} imports {found.name}"
        for module in package_modules()
        for found in module.imports()
        if found.name.startswith(".")
        or ((target := ours(found.name)) is not None and not allowed(module.part, target))
    ]
    assert not wrong, "\n".join(wrong)


# Rooms of one part that do not know each other: the first imports nothing of the others.
BELOW: dict[str, tuple[str, ...]] = {
    "state.engine": ("state.tables", "state.registry"),
    "state.tables": ("state.registry",),
}


def test_rooms_of_a_part_import_down_only() -> None:
    wrong = [
        f"{module.place}:{found.line} imports {found.name}"
        for module in package_modules()
        for room, others in BELOW.items()
        if dotted(module).startswith(f"quorate.{room}.")
        for found in module.imports()
        if found.name.startswith(tuple(f"quorate.{other}" for other in others))
    ]
    assert not wrong, "\n".join(wrong)


def test_values_that_storage_and_wire_share_import_nothing_of_raft() -> None:
    for module in package_modules():
        place = ".".join(module.path.relative_to(PACKAGE).with_suffix("").parts)
        if not any(place == value or place.startswith(value + ".") for value in VALUES):
            continue
        targets = {ours(found.name) for found in module.imports()} - {None}
        outside = {t for t in targets if t and not any(t.startswith(v + ".") for v in VALUES)}
        assert not outside, f"{module.place} imports {sorted(outside)}"


def _impurities(module: Module) -> Iterator[str]:
    for found in module.imports():
        library = found.name.partition(".")[0]
        if library == "quorate" or library in PURE_LIBRARIES:
            continue
        if found.name == GENERATOR_TYPE and module.part in {"raft", "gossip"}:
            continue
        yield f"{module.place}:{found.line} imports {found.name}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in IMPURE_CALLS:
                yield f"{module.place}:{node.lineno} calls {node.func.id}"
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield f"{module.place}:{node.lineno} is asynchronous"


def test_pure_parts_do_no_input_or_output() -> None:
    pure = [
        module
        for module in package_modules()
        if module.part in {*PURE, "errors", "version"}
        or str(module.path.relative_to(PACKAGE)) in PURE_FILES
    ]
    wrong = [text for module in pure for text in _impurities(module)]
    assert not wrong, "\n".join(wrong)


def test_every_module_says_what_it_is() -> None:
    silent = [m.place for m in all_modules() if m.tree.body and not ast.get_docstring(m.tree)]
    assert not silent, "\n".join(silent)


def test_nothing_is_left_for_later() -> None:
    left = [
        f"{module.place}:{number}: {line.strip()}"
        for module in all_modules()
        for number, line in enumerate(module.text.splitlines(), start=1)
        if LEFTOVER.search(line)
    ]
    assert not left, "\n".join(left)


def test_files_can_be_read_at_a_sitting() -> None:
    sizes = {module.place: len(module.text.splitlines()) for module in all_modules()}
    long = [f"{place}: {lines} lines" for place, lines in sizes.items() if lines > FILE_LINES_MAX]
    assert not long, "\n".join(long)


def _functions(module: Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield (
                f"{module.place}:{node.lineno} {node.name}",
                node.end_lineno - node.lineno + 1,
            )


def test_functions_fit_on_a_screen() -> None:
    long = [
        f"{name}: {lines} lines"
        for module in all_modules()
        for name, lines in _functions(module)
        if lines > FUNCTION_LINES_MAX
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize(
    ("part", "line", "wrong"),
    [
        ("raft", "import time", "imports time"),
        ("raft", "import random", "imports random"),
        ("raft", "from random import Random", ""),
        ("gossip", "from random import Random", ""),
        ("gossip", "from random import random", "imports random.random"),
        ("gossip", "from re import compile", "imports re.compile"),
        ("state", "from random import Random", "imports random.Random"),
        ("state", "def f():\n    from os import path", "imports os.path"),
        ("state", "with open('x') as f: pass", "calls open"),
        ("raft", "async def f(): pass", "is asynchronous"),
        ("raft", "from collections.abc import Mapping", ""),
    ],
)
def test_the_check_of_purity_finds(part: str, line: str, wrong: str) -> None:
    module = Module(PACKAGE / part / "made_up.py", line, ast.parse(line))
    found = list(_impurities(module))
    assert [text.split(" ", 1)[1] for text in found] == ([wrong] if wrong else [])


@pytest.mark.parametrize(
    ("part", "target", "may"),
    [
        ("wire", "raft.values.messages.Entry", True),
        ("wire", "raft.values.messages", True),
        ("wire", "raft.messages_of_another_kind", False),
        ("storage", "raft.log.Log", False),
        ("storage", "wire.entries", True),
        ("raft", "wire.entries", False),
        ("gossip", "wire.gossip", False),
        ("wire", "gossip.messages.Alive", True),
        ("wire", "gossip.node", False),
        ("replica", "state.engine.store", False),
        ("server", "api.app", False),
        ("client", "api.routes", False),
        ("cli", "server.server", False),
    ],
)
def test_the_check_of_layers_knows(part: str, target: str, may: bool) -> None:
    assert allowed(part, target) is may


# -- Tests keep to what is public ------------------------------------------------------------------

PRIVATE_USED: dict[str, dict[str, str]] = {
    "tests/api/http/test_api_abuse.py": {
        "_counts": "that an address without connections takes no room shows nowhere else",
        "_shared": "uvicorn's set of connections: the server's side of one is looked at",
        "_put_aside": "that what is put aside is bounded shows nowhere else",
    },
    "tests/api/routes/test_api_routes.py": {"_plans": "that the cache is bounded"},
    "tests/cli/test_cli_main.py": {"_dispatch": "an interrupt at a moment that is known"},
    "tests/gossip/serf/test_serf_members.py": {
        "_gossip": "nothing gets out: no setting stops it",
        "_begin": "nobody is probed: times of suspicion follow from the probe interval",
    },
    "tests/gossip/swim/test_lifeguard.py": {"_begin": "nobody is probed, as above"},
    "tests/gossip/test_gossip_hostile.py": {
        "_sequence": "invented acks meet what waits for them",
        "_new_round": "a round of probes begins, without the time that it takes",
        "_is_expired": "the same",
    },
    "tests/pool/test_pool.py": {
        "_memory": "what was remembered at the start, before anything is joined",
        "_sockets": "sizes of packets as they are sent",
    },
    "tests/pool/test_pool_hostile.py": {
        "_sockets": "packets as they came, to be sent again",
        "_received": "the same",
        "_streams": "bounds of what is held for streams",
        "_held": "the same",
        "_open": "the same",
    },
    "tests/raft/test_sim.py": {"_apply": "a mutant names the function that it changes"},
    "tests/replica/network/test_outgoing.py": {
        "_stream": "a transport that is closed without a word cannot be had otherwise"
    },
    "tests/replica/test_disk.py": {"_RETRY_INTERVAL_S": "the pause is shortened"},
    "tests/server/integrity/test_state_checks.py": {
        "_tables": "a row changes in memory, past all commands",
        "_verbs": "a server of an older version, which has no such call",
        "_raft": "one gauge, without the timer",
        "_judge": "what a former leader says late",
    },
    "tests/support/fuzz/fuzz_server_targets.py": {
        "_verbs": "every call that there is",
    },
    "tests/support/mutants/": {"": "a mutant names the function that it changes"},
}
"""What tests use of others' privates, and why there is no public way: the place, names, reasons."""

OF_NAMED_TUPLES = {"_replace", "_asdict", "_fields", "_make"}
PATCHING = {"setattr", "delattr", "getattr", "object"}


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in OF_NAMED_TUPLES


def privates(module: Module) -> Iterator[tuple[str, int]]:
    """The names that begin with an underscore and are of others, with their lines."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    own = {node.name for node in ast.walk(module.tree) if isinstance(node, functions)}
    for node in ast.walk(module.tree):
        names: list[str] = []
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name) if name not in own:
                names = [name]
            case ast.ImportFrom(module=str(source)) if source.partition(".")[0] == "quorate":
                names = [alias.name for alias in node.names]
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called)) if (
                called in PATCHING
            ):
                texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                names = [t.rpartition(".")[2] for t in texts if isinstance(t, str)]
        yield from ((name, node.lineno) for name in names if _is_private(name))  # type: ignore[attr-defined]


def test_tests_keep_to_what_is_public() -> None:
    used: dict[str, set[str]] = {}
    wrong = []
    for module in all_modules():
        if not module.place.startswith("tests/"):
            continue
        place = next((p for p in PRIVATE_USED if module.place.startswith(p)), module.place)
        for name, line in privates(module):
            known = "" if place.endswith("/") else name
            used.setdefault(place, set()).add(known)
            if known not in PRIVATE_USED.get(place, {}):
                wrong.append(f"{module.place}:{line} {name}")
    assert not wrong, "\n".join(wrong)
    assert used == {place: set(names) for place, names in PRIVATE_USED.items()}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pool._sockets.send()", ["_sockets"]),
        ("self._mine", []),
        ("row._replace(a=1)", []),
        ("from quorate.raft import _vote", ["_vote"]),
        ("from hypothesis import _core", []),
        ("monkeypatch.setattr('quorate.pool._limit', 1)", ["_limit"]),
        ("setattr(thing, '_limit', 1)", ["_limit"]),
        ("def _own(): ...\nthing._own()", []),
        ("thing.__dict__", []),
    ],
)
def test_the_check_of_privates_finds(text: str, found: list[str]) -> None:
    module = Module(ROOT / "tests" / "made_up.py", text, ast.parse(text))
    assert [name for name, _ in privates(module)] == found


# -- Where tests stand -----------------------------------------------------------------------------

FILES_IN_A_FOLDER_MAX = {"src": 14, "tests": 12}


def test_folders_are_small_and_what_tests_share_stands_in_support() -> None:
    folders: dict[Path, list[str]] = {}
    for module in all_modules():
        if module.path.name != "__init__.py":
            folders.setdefault(module.path.parent.relative_to(ROOT), []).append(module.path.name)
    maxima = [(f, len(n), FILES_IN_A_FOLDER_MAX.get(f.parts[0], 14)) for f, n in folders.items()]
    full = [f"{folder}: {count}" for folder, count, most in maxima if count > most]
    assert not full, "split by subject: " + ", ".join(full)
    tests = {folder: names for folder, names in folders.items() if folder.parts[0] == "tests"}
    helpers = [
        f"{folder}/{name}"
        for folder, names in tests.items()
        for name in names
        if folder.parts[:2] not in {("tests", "support"), ("tests", "golden")}
        and not name.startswith("test_")
        and name != "conftest.py"
    ]
    assert not helpers, "move to tests/support: " + ", ".join(helpers)


# -- What is cited exists -------------------------------------------------------------------------

PAGES = (ROOT, ROOT / "docs")
CITED = re.compile(r"docs/([\w-]+\.md)((?:#[\w-]+)?(?:(?:,|\s+and)\s+#[\w-]+)*)")
PAINS_CITED = re.compile(r"docs/pains\.md, (\d+)(?: and (\d+))?")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]+)?\)")
NOT_OF_THIS_REPOSITORY = re.compile(
    r"(?<!/)\b(?:http-api|agent-config|raft-wire|gossip-wire|nomad-rpc-port|cli\.md|files|facts"
    r"|pains?),? (?:sections? )?[AB]?\d"
)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as forges make them."""
    text = re.sub(
        r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles]
    return frozenset(re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain)


def dangling(text: str) -> Iterator[str]:
    """What a text of ours cites that is not there."""
    yield from (found[0] for found in NOT_OF_THIS_REPOSITORY.finditer(text))
    for page, sections in CITED.findall(text):
        path = ROOT / "docs" / page
        if not path.exists():
            yield f"docs/{page}"
            continue
        names = re.findall(r"#([\w-]+)", sections)
        yield from (f"docs/{page}#{name}" for name in names if name not in anchors(path))
    pains = re.findall(r"^\| (\d+) \|", (ROOT / "docs/pains.md").read_text("utf-8"), re.MULTILINE)
    for numbers in PAINS_CITED.findall(text):
        yield from (f"docs/pains.md, {each}" for each in numbers if each and each not in pains)


def test_what_the_source_cites_is_in_the_docs() -> None:
    modules = [module for module in all_modules() if module.place != "tests/test_tidy.py"]
    wrong = [f"{module.place}: {what}" for module in modules for what in dangling(module.text)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(http-api 1.6)", ["http-api 1"]),
        ("(raft-wire, section 3)", ["raft-wire, section 3"]),
        ("(gossip-wire, A1)", ["gossip-wire, A1"]),
        ("(docs/http-api.md#blocking-queries)", []),
        ("docs/wire.md#appends,\n#no-such and #votes", ["docs/wire.md#no-such"]),
        ("docs/no-such.md", ["docs/no-such.md"]),
        ("(docs/pains.md, 4 and 99)", ["docs/pains.md, 99"]),
    ],
)
def test_the_check_of_citations_finds(text: str, found: list[str]) -> None:
    assert list(dangling(text)) == found


def test_links_between_pages_lead_somewhere() -> None:
    wrong = []
    for page in [page for folder in PAGES for page in sorted(folder.glob("*.md"))]:
        for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
            target = (page.parent / path) if path else page
            if not target.exists():
                wrong.append(f"{page.name}: {path}")
            elif anchor and target.suffix == ".md" and anchor[1:] not in anchors(target):
                wrong.append(f"{page.name}: {path}{anchor}")
    assert not wrong, "\n".join(wrong)


def test_the_index_of_the_docs_has_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= {path for path, _ in LINK.findall(index)}


# -- Words ----------------------------------------------------------------------------------------

RARE = r"shall|anew|heed(?:s|ed|ing)?|whom|who(?:so)?ever|lest|nay|behold|hence|thereof|wherein"
RARE_WORDS = re.compile(rf"\b(?:{RARE}|(?:no|some|every|any)(?:body| one) who)\b", re.IGNORECASE)
"""Plain English says must, again, accept, which server, so that."""
SUBJECTS = re.compile(
    r"(?:^|\. |; |\| |#+ |\"\"\")Who(?: [a-z]+){1,4}|\A\"\"\"What [a-z]+", re.MULTILINE
)
"""A sentence about a server or a caller names it; a heading is a noun."""
WORDED = ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG", "BUGS")


def worded() -> Iterator[tuple[str, str]]:
    """The texts that people read, by place. Quotes of other programs stand in code spans."""
    for module in package_modules():
        yield module.place, module.text
    for page in (*(ROOT / f"{name}.md" for name in WORDED), *sorted((ROOT / "docs").glob("*.md"))):
        text = re.sub(
            r"^```.*?^```$|`[^`\n]*`", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        yield page.name, text


def unusual(text: str) -> list[str]:
    return [found[0].strip() for each in (RARE_WORDS, SUBJECTS) for found in each.finditer(text)]


def test_texts_use_plain_words() -> None:
    wrong = [f"{place}: {words}" for place, text in worded() if (words := unusual(text))]
    assert not wrong, "name the server, the caller or the thing:\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Whoever asks shall hear it.", ["Whoever", "shall"]),
        ("One server. Who does not answer is named.", [". Who does not answer is"]),
        ("## Who may speak", ["## Who may speak"]),
        ("The leader, who answers, starts again.", []),
        ("test_votes_of_whoever_has_it", []),
    ],
)
def test_the_check_of_words_finds(text: str, words: list[str]) -> None:
    assert unusual(text) == words
