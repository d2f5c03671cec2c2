"""`/v1/metrics`: JSON of the last ten seconds, or since the start for Prometheus (http-api 10)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from quorate.api.codec.encode import json_response, text_response
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.metrics import Aggregate, Totals, Window

_PROMETHEUS_TYPE: Final = (b"Content-Type", b"text/plain; version=0.0.4; charset=utf-8")
_NOT_IN_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_:]")


class MetricsEndpoint:
    """GET, in both forms. Answered by the server asked, always."""

    def __init__(self, context: Context) -> None:
        self._options = context.parts.options
        self._metrics = context.metrics
        self._clock = context.clock

    def get(self, call: Call) -> Response:
        """JSON unless `format=prometheus`."""
        self._metrics.advance(self._clock())
        labels = self._metrics.labels
        if call.query.first("format") != "prometheus":
            value = _window_json(self._metrics.window(), labels)
            return json_response(value, pretty=call.query.pretty)
        if not self._options.prometheus:
            return text_response(415, "Prometheus is not enabled")
        text = "".join(_prometheus_lines(self._metrics.totals(), labels))
        return Response(200, text.encode(), (_PROMETHEUS_TYPE,))


def _window_json(window: Window, labels: Mapping[str, str]) -> dict[str, Any]:
    started = datetime.fromtimestamp(window.started, UTC)
    return {
        "Counters": [_aggregate_json(counter, labels) for counter in window.counters],
        "Gauges": [
            {"Labels": labels, "Name": name, "Value": value} for name, value in window.gauges
        ],
        "Points": [],
        "Samples": [_aggregate_json(sample, labels) for sample in window.samples],
        "Timestamp": f"{started:%Y-%m-%d %H:%M:%S} +0000 UTC",
    }


def _aggregate_json(aggregate: Aggregate, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "Count": aggregate.count,
        "Labels": labels,
        "Max": aggregate.max,
        "Mean": aggregate.mean,
        "Min": aggregate.min,
        "Name": aggregate.name,
        "Rate": aggregate.rate,
        "Stddev": aggregate.stddev,
        "Sum": aggregate.sum,
    }


def _prometheus_lines(totals: Totals, labels: Mapping[str, str]) -> Iterator[str]:
    marks = ",".join(f'{_safe(name)}="{_label(value)}"' for name, value in sorted(labels.items()))
    marks = f"{{{marks}}}" if marks else ""
    for name, (_, total) in sorted(totals.counters.items()):
        yield _heading(name, "counter") + f"{_safe(name)}{marks} {total!r}\n"
    for name, value in sorted(totals.gauges.items()):
        yield _heading(name, "gauge") + f"{_safe(name)}{marks} {value!r}\n"
    for name, (count, total) in sorted(totals.samples.items()):
        yield _heading(name, "summary")
        yield f"{_safe(name)}_sum{marks} {total!r}\n{_safe(name)}_count{marks} {count}\n"


def _heading(name: str, kind: str) -> str:
    return f"# HELP {_safe(name)} {name}\n# TYPE {_safe(name)} {kind}\n"


def _safe(name: str) -> str:
    return _NOT_IN_A_NAME.sub("_", name)


def _label(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
