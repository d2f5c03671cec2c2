"""The results as JSON, as a table and as a picture."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import load
from bench.rival import HANDOVER
from bench.rounds import FAILOVER, MEMORY, Sample, Samples, works

OURS = "Quorate"
_UNITS = {FAILOVER: "s", HANDOVER: "ms", MEMORY: "MB"}
_LOWER_IS_BETTER = frozenset(_UNITS)
_BEGIN, _END = "<!-- figures -->\n", "<!-- end of figures -->"


def host() -> dict[str, str]:
    """What the figures depend on."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = lines[0].partition(":")[2].strip() if lines else processor
    busy = " ".join(f"{load_average:.1f}" for load_average in os.getloadavg())
    return {
        "processor": processor,
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "python": ".".join(map(str, sys.version_info[:3])),
        "load tool": load.version(),
        "load average at the start": busy,
        "at": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def results(
    samples: Samples, *, versions: Mapping[str, str], about: Mapping[str, str], **how: int
) -> dict[str, Any]:
    """All figures, their medians, and how Quorate stands to each rival (above 1: better)."""
    table = [_row(work, samples[work]) for work in works() if work in samples]
    return {"host": dict(about), "versions": dict(versions), "how": how, "work": table}


def _row(work: str, by_rival: Mapping[str, list[Sample]]) -> dict[str, Any]:
    cells = {name: _cell(found) for name, found in by_rival.items()}
    ours = cells.get(OURS)
    ratios = {}
    if ours is not None:
        for name, cell in cells.items():
            if name != OURS:
                better = (cell, ours) if work in _LOWER_IS_BETTER else (ours, cell)
                ratios[name] = round(better[0]["median"] / better[1]["median"], 2)
    unit = _UNITS.get(work, "requests/s")
    return {"work": work, "unit": unit, "results": cells, "times_better": ratios}


def _cell(found: list[Sample]) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "median": _rounded(statistics.median(sample.value for sample in found)),
        "all": [_rounded(sample.value) for sample in found],
    }
    times = [sample.median_ms for sample in found if sample.median_ms is not None]
    if times:
        cell["median_ms"] = round(statistics.median(times), 2)
    return cell


def _rounded(value: float) -> float:
    return round(value) if value >= 1000 else round(value, 2)


def table(found: Mapping[str, Any]) -> str:
    """The medians as a table of Markdown, one row for each kind of work."""
    rows = found["work"]
    names = list(dict.fromkeys(name for row in rows for name in row["results"]))
    names.sort(key=lambda name: name != OURS)
    lines = [
        f"| work | {' | '.join(names)} | Quorate is times better |",
        f"|---|{'---|' * len(names)}---|",
    ]
    for row in rows:
        cells = [_shown(row["results"].get(name), row["unit"]) for name in names]
        ratios = ", ".join(f"{ratio:g} ({name})" for name, ratio in row["times_better"].items())
        lines.append(f"| {row['work']} | {' | '.join(cells)} | {ratios} |")
    return "\n".join(lines)


def _shown(cell: Mapping[str, Any] | None, unit: str) -> str:
    if cell is None:
        return ""
    if unit == "requests/s":
        return f"{cell['median']:,.0f} ({cell['median_ms']:g} ms)"
    return f"{cell['median']:g} {unit}"


def short_table(found: Mapping[str, Any]) -> str:
    """The medians for the README: a column for each rival, with its best result of all its APIs."""
    rows = [row for row in found["work"] if "follower" not in row["work"]]
    rivals = list(dict.fromkeys(name.split()[0] for row in rows for name in row["results"]))
    heads = [f"{name} {found['versions'].get(name, '').split(' ')[0]}".strip() for name in rivals]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for row in rows:
        shown = "{:,.0f}/s" if row["unit"] == "requests/s" else "{:g} " + row["unit"]
        cells = []
        for rival in rivals:
            medians = [c["median"] for n, c in row["results"].items() if n.split()[0] == rival]
            best = (min if row["work"] in _LOWER_IS_BETTER else max)(medians, default=None)
            cells.append("" if best is None else shown.format(best))
        lines.append(f"| {row['work']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write(found: Mapping[str, Any], folder: Path) -> None:
    """Write `benchmarks.json`, and the tables of `benchmarks.md` and README between their marks."""
    (folder / "benchmarks.json").write_text(json.dumps(found, indent=1) + "\n")
    about = "; ".join(f"{name}: {value}" for name, value in found["host"].items())
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    how = ", ".join(f"{name} {value}" for name, value in found["how"].items())
    text = f"{table(found)}\n\n{versions}. {how}. {about}."
    put(folder / "benchmarks.md", text)
    put(folder.parent / "README.md", short_table(found))


def put(page: Path, text: str) -> None:
    """Put a text between the marks of a page."""
    before, _, rest = page.read_text().partition(_BEGIN)
    _, found, after = rest.partition(_END)
    assert found, f"{page} has no marks for figures"
    page.write_text(f"{before}{_BEGIN}\n{text}\n\n{_END}{after}")
