"""`/v1/metrics`: JSON of the last ten seconds, or since the start for Prometheus.

See docs/http-api.md#metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from quorate.api.codec.encode import json_response, text_response
from quorate.api.endpoint import Context
from quorate.api.http.messages import Call, Response
from quorate.api.prometheus import prometheus_lines
from quorate.metrics import Aggregate, Window

_PROMETHEUS_TYPE: Final = (b"Content-Type", b"text/plain; version=0.0.4; charset=utf-8")


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
        text = "".join(prometheus_lines(self._metrics.totals(), labels))
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
