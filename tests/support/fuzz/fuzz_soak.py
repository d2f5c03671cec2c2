"""`make fuzz`: coverage-guided fuzzing of every decoder with atheris, one process a target.

New inputs that reach new code are kept in a scratch folder; an input that breaks a decoder is
added to the saved corpus as `crash-...`, and the run ends with exit code 1 and its name.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from fuzz_corpus import CORPUS, save


def main() -> int:
    """All targets in turn, or the one named; with `--inside`, the fuzzing itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default 60)")
    parser.add_argument("--target", help="only this one")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments, rest = parser.parse_known_args()
    if arguments.inside:
        _fuzz(arguments.target, rest)
    from fuzz_targets import TARGETS

    broken = [
        name
        for name in ([arguments.target] if arguments.target else TARGETS)
        if not _run(name, arguments.seconds)
    ]
    if broken:
        print(f"broken: {', '.join(broken)}; the inputs are in {CORPUS}")
    return 1 if broken else 0


def _run(name: str, seconds: int) -> bool:
    with TemporaryDirectory(prefix="quorate-fuzz-") as folder:
        found = Path(folder) / "found"
        found.mkdir()
        command = [sys.executable, __file__, "--inside", "--target", name]
        libfuzzer = [
            *(f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"),
            *(f"-artifact_prefix={folder}/", "-print_final_stats=1", "-verbosity=0"),
            *(str(found), str(CORPUS / name)),
        ]
        done = subprocess.run([*command, *libfuzzer], capture_output=True, text=True, check=False)
        stats = [s.split()[-1] for s in done.stderr.splitlines() if "number_of_executed" in s]
        executed = stats[0] if stats else "?"
        kept = len(list(found.iterdir()))
        print(f"{name:26}{executed:>12} inputs, {kept:5} of them reached something new", flush=True)
        crashes = [p for p in Path(folder).iterdir() if p.is_file()]
        for crash in crashes:
            print(f"  kept as {save(name, crash.read_bytes(), 'crash')}")
        if done.returncode:
            print(done.stderr[-3000:])
        return not done.returncode


def _fuzz(name: str, libfuzzer: list[str]) -> None:
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: make fuzz installs it (Linux, CPython 3.11 to 3.13)")
    with atheris.instrument_imports(include=["quorate"]):
        from fuzz_bounds import examine
        from fuzz_targets import TARGETS

    target = TARGETS[name]

    def one_input(data: bytes) -> None:
        examine(target, data, bounded=False)

    atheris.Setup([sys.argv[0], *libfuzzer], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
