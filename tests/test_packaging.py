"""The wheel: built from the sources, it carries what it must, nothing else, and it runs.

Needs the build backend of the development lock, and no network.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD_TIMEOUT_S = 90


def run(*argv: str | Path, cwd: Path, pythonpath: Path | None = None) -> str:
    """Standard output of a command of this interpreter; a failure shows all it said."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    if pythonpath is not None:
        environment["PYTHONPATH"] = str(pythonpath)
    done = subprocess.run(
        [sys.executable, *argv],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    options = ("--quiet", "--no-deps", "--no-index", "--no-compile", "--target", target)
    run("-m", "pip", "install", *options, wheel, cwd=target)
    return target


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_every_source_file_is_in_the_wheel(names: list[str]) -> None:
    sources = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "quorate").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "quorate/py.typed" in sources
    assert {name for name in names if name.startswith("quorate/")} == sources


def test_nothing_but_the_package_is_in_the_wheel(names: list[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"quorate", f"quorate-{version('quorate')}.dist-info"}
    assert not [name for name in names if "test" in Path(name).parts or "tests" in name]


def test_the_licence_goes_along(wheel: Path, names: list[str]) -> None:
    (name,) = (name for name in names if name.endswith("/licenses/LICENSE"))
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(name) == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("option", ["version", "-version"])
def test_the_installed_program_runs(installed: Path, option: str) -> None:
    printed = run("-m", "quorate", option, cwd=installed, pythonpath=installed)
    assert printed.strip() == f"Quorate v{version('quorate')}"


def test_it_is_the_installed_package_that_ran(installed: Path) -> None:
    code = "import quorate; print(quorate.__file__)"
    printed = run("-c", code, cwd=installed, pythonpath=installed)
    assert Path(printed.strip()).is_relative_to(installed)


def test_the_command_is_installed(installed: Path) -> None:
    script = installed / "bin" / "quorate"
    printed = run(script, "version", cwd=installed, pythonpath=installed)
    assert printed.strip() == f"Quorate v{version('quorate')}"
