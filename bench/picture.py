"""The medians of a run as bars: `benchmarks.svg`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

import matplotlib.pyplot as plt

_COLOURS = {"Quorate": "#2f6f4f", "etcd v3": "#4c7bd9", "etcd v2": "#9db8ee", "etcd": "#4c7bd9"}
_OTHER = "#c98a3a"
_PANELS = (
    ("Writes, requests/s (more is better)", "write, "),
    ("Reads of the Raft configuration, requests/s", "read, "),
    ("Variables: requests per second", "variable"),
    ("Lists of 100 variables: requests per second", "list"),
    ("Lock released until the next holder has it, ms (less is better)", "lock"),
    ("Leader killed until the next write, s (less is better)", "leader killed"),
    ("Memory of a fresh server, MB (less is better)", "resident"),
)


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draw the run; the suffix of `path` chooses the format."""
    panels = [
        (title, rows)
        for title, prefix in _PANELS
        if (rows := [row for row in found["work"] if row["work"].startswith(prefix)])
    ]
    # The same figures give the same file.
    mpl.rcParams.update({"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9})
    bars = [sum(len(row["results"]) for row in rows) + 1 for _, rows in panels]
    figure, axes = plt.subplots(
        len(panels),
        1,
        figsize=(8, 0.28 * sum(bars) + 0.6 * len(panels)),
        height_ratios=bars,
        layout="constrained",
        squeeze=False,
    )
    for axis, (title, rows) in zip(axes[:, 0], panels, strict=True):
        _panel(axis, title, rows)
    dateless = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, metadata=dateless)
    plt.close(figure)


def _panel(axis: Any, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row["results"]))
    names.sort(key=lambda name: name != "Quorate")
    height = 0.8 / len(names)
    for place, name in enumerate(names):
        with_it = [n for n, row in enumerate(rows) if name in row["results"]]
        medians = [rows[n]["results"][name]["median"] for n in with_it]
        bars = axis.barh(
            [n + (place - (len(names) - 1) / 2) * height for n in with_it],
            medians,
            height * 0.9,
            label=name,
            color=_COLOURS.get(name, _OTHER),
        )
        labels = [f"{median:,.0f}" if median >= 10 else f"{median:.2f}" for median in medians]
        axis.bar_label(bars, labels, padding=3, fontsize=8)
    axis.set_yticks(range(len(rows)), [_short(row["work"]) for row in rows])
    axis.invert_yaxis()
    axis.set_title(title, loc="left", fontsize=10)
    axis.margins(x=0.12)
    axis.spines[["top", "right"]].set_visible(False)
    if len(names) > 1:
        axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _short(work: str) -> str:
    head, _, rest = work.partition(", ")
    if head.startswith("variable"):
        return f"{head.removeprefix('variable ')}, {rest}"
    return rest or {"leader": "failover", "lock": "hand-over"}.get(head.split()[0], "memory")
