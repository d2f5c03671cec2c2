"""The registry of measurements, and its two forms on the wire."""

from __future__ import annotations

import re
import statistics

import msgspec
import pytest
from fake_server import NOW, FakeServer
from golden_setups import load
from hypothesis import given, settings
from hypothesis import strategies as st
from places import ROOT

from quorate.api.http.messages import Request, Response
from quorate.api.prometheus import HELP
from quorate.metrics import Aggregate, Metrics, Window


def after_one_window(*, sizes: tuple[float, ...] = (150, 150, 75, 75)) -> Metrics:
    metrics = Metrics(labels={"host": 'a"\\\n'})
    metrics.advance(NOW - 7)
    for size in sizes:
        metrics.incr("nomad.rpc.bytes", size)
        metrics.sample("nomad.disk.sync", size)
    metrics.incr("nomad.rpc.request")
    metrics.gauge("nomad.raft.appliedIndex", 16)
    metrics.advance(NOW)
    return metrics


# -- the registry ----------------------------------------------------------------------------------


def test_a_window_shows_what_real_servers_show() -> None:
    """The numbers are those of nomad.memberlist.udp.received in the case `r3-metrics`."""
    golden = load("r3-metrics").json["Counters"][0]
    (counter, _) = after_one_window().window().counters
    assert counter.stddev == pytest.approx(golden["Stddev"])
    assert counter == Aggregate(
        name="nomad.rpc.bytes",
        count=golden["Count"],
        sum=golden["Sum"],
        min=golden["Min"],
        max=golden["Max"],
        mean=golden["Mean"],
        stddev=counter.stddev,
        rate=golden["Rate"],
    )


def test_nothing_is_shown_before_the_first_window_is_over() -> None:
    metrics = Metrics()
    assert metrics.window() == Window(0.0)
    metrics.advance(20.0)
    metrics.incr("a")
    metrics.advance(29.9)
    assert metrics.window() == Window(0.0)
    metrics.advance(30.0)
    assert metrics.window().started == 20.0
    assert [counter.name for counter in metrics.window().counters] == ["a"]


def test_a_window_holds_only_its_own_values_but_gauges_stay() -> None:
    metrics = Metrics()
    metrics.advance(0.0)
    metrics.incr("a")
    metrics.gauge("g", 1.0)
    metrics.advance(10.0)
    metrics.incr("b")
    metrics.advance(20.0)
    window = metrics.window()
    assert [counter.name for counter in window.counters] == ["b"]
    assert window.gauges == (("g", 1.0),)
    metrics.advance(30.0)
    assert metrics.window().counters == ()


def test_totals_are_since_the_start_with_the_window_under_way() -> None:
    metrics = Metrics()
    metrics.advance(0.0)
    for now in (10.0, 20.0):
        metrics.incr("a", 2.0)
        metrics.sample("s", 5.0)
        metrics.advance(now)
    metrics.incr("a", 2.0)
    totals = metrics.totals()
    assert totals.counters == {"a": (3, 6.0)}
    assert totals.samples == {"s": (2, 10.0)}


def test_a_clock_that_is_set_back_starts_a_window_anew() -> None:
    metrics = Metrics()
    metrics.advance(1000.0)
    metrics.incr("a")
    metrics.advance(500.0)
    assert metrics.window().started == 1000.0
    metrics.incr("b")
    metrics.advance(510.0)
    assert metrics.window().started == 500.0


@settings(max_examples=30)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_folded_values_are_those_of_the_whole_list(values: list[float]) -> None:
    metrics = Metrics()
    metrics.advance(0.0)
    for value in values:
        metrics.sample("s", value)
    metrics.advance(10.0)
    (aggregate,) = metrics.window().samples
    assert aggregate.count == len(values)
    assert (aggregate.min, aggregate.max) == (min(values), max(values))
    assert aggregate.sum == pytest.approx(sum(values), abs=1e-6)
    assert aggregate.mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    expected = statistics.stdev(values) if len(values) > 1 else 0.0
    assert aggregate.stddev == pytest.approx(expected, rel=1e-3, abs=1.0)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=30))
def test_a_counter_at_hand_counts_like_one_by_name(steps: list[tuple[str, bool]]) -> None:
    """`True` ends a window, between any two counts of either kind."""
    named, at_hand = Metrics(), Metrics()
    now = 0.0
    for name, ends in steps:
        named.incr(name)
        if name == "a":
            at_hand.counter("a").count += 1
        else:
            at_hand.incr("b")
        now += 10.0 if ends else 0.0
        for metrics in (named, at_hand):
            metrics.advance(now)
        assert named.window() == at_hand.window()
    assert named.totals().counters == at_hand.totals().counters


# -- on the wire -----------------------------------------------------------------------------------


def get(metrics: Metrics, query: bytes = b"", *, prometheus: bool = True) -> Response:
    service = FakeServer()
    service.options.prometheus = prometheus
    response = service.application(metrics).handle(Request("GET", b"/v1/metrics" + query))
    assert isinstance(response, Response)
    return response


@pytest.mark.parametrize("query", [b"", b"?format=json", b"?format=nonsense"])
def test_json_has_the_shape_of_real_servers(query: bytes) -> None:
    golden = load("r3-metrics").json
    got = msgspec.json.decode(get(after_one_window(), query).body)
    assert list(got) == list(golden)
    for kind in ("Counters", "Gauges", "Samples"):
        for entry in got[kind]:
            assert list(entry) == list(golden[kind][0])
            assert entry["Labels"] == {"host": 'a"\\\n'}
    assert got["Points"] == []
    assert got["Timestamp"] == "2026-11-23 14:39:50 +0000 UTC"


def test_json_without_labels() -> None:
    """As in the case `enc-metrics-nohost`."""
    metrics = Metrics()
    metrics.gauge("g", 1.0)
    metrics.advance(NOW - 10)
    (gauge,) = msgspec.json.decode(get(metrics).body)["Gauges"]
    assert gauge == {"Labels": {}, "Name": "g", "Value": 1.0}


PROMETHEUS = rb"""# HELP nomad_rpc_bytes_total The measurement nomad.rpc.bytes
# TYPE nomad_rpc_bytes_total counter
nomad_rpc_bytes_total{host="a\"\\\n"} 450.0
# HELP nomad_rpc_request_total The measurement nomad.rpc.request
# TYPE nomad_rpc_request_total counter
nomad_rpc_request_total{host="a\"\\\n"} 1.0
# HELP nomad_raft_appliedIndex Index of the newest entry that is applied to the state
# TYPE nomad_raft_appliedIndex gauge
nomad_raft_appliedIndex{host="a\"\\\n"} 16
# HELP nomad_disk_sync The measurement nomad.disk.sync
# TYPE nomad_disk_sync summary
nomad_disk_sync_sum{host="a\"\\\n"} 450.0
nomad_disk_sync_count{host="a\"\\\n"} 4
"""


def test_prometheus_text() -> None:
    response = get(after_one_window(), b"?format=prometheus")
    text = response.body.replace(
        b"# HELP nomad_http_request_total Requests to the HTTP API\n"
        b"# TYPE nomad_http_request_total counter\n"
        b'nomad_http_request_total{host="a\\"\\\\\\n"} 1.0\n',
        b"",
    )
    assert text == PROMETHEUS
    golden = load("enc-metrics-prometheus").headers["Content-Type"]
    assert response.header(b"content-type") == golden.encode()


def test_a_histogram_counts_all_below_each_bound() -> None:
    metrics = Metrics()
    for seconds in (0.0004, 0.0005, 0.003, 99.0):
        metrics.histogram("quorate.raft.write_seconds").observe(seconds)
    lines = get(metrics, b"?format=prometheus").body.decode().splitlines()
    found = [line for line in lines if line.startswith("quorate_raft_write_seconds")]
    assert found[0] == 'quorate_raft_write_seconds_bucket{le="0.0005"} 2'
    assert found[3] == 'quorate_raft_write_seconds_bucket{le="0.005"} 3'
    assert found[-3] == 'quorate_raft_write_seconds_bucket{le="+Inf"} 4'
    assert found[-2:] == [
        "quorate_raft_write_seconds_sum 99.0039",
        "quorate_raft_write_seconds_count 4",
    ]


def test_what_is_known_of_peers_has_their_ids_and_is_forgotten() -> None:
    metrics = Metrics()
    metrics.peers("quorate.raft.peer_lag_entries", {"a": 1.0, "b": 2.0})
    metrics.peers("quorate.raft.peer_lag_entries", {"b": 3.0})
    text = get(metrics, b"?format=prometheus").body.decode()
    assert 'quorate_raft_peer_lag_entries{peer="b"} 3.0\n' in text
    assert 'peer="a"' not in text


def test_every_measurement_in_the_sources_has_a_help_text() -> None:
    sources = ROOT / "src" / "quorate"
    call = re.compile(
        r'(?:incr|counter|gauge|sample|observe|peers)\(\s*"((?:nomad|quorate)\.[^"{]+)"'
    )
    found = {
        name for path in sources.rglob("*.py") for name in call.findall(path.read_text("utf-8"))
    }
    assert len(found) > 20
    assert {name for name in found if not name.endswith(".")} - set(HELP) == set()


def test_requests_and_writes_are_timed() -> None:
    metrics = Metrics()
    get(metrics)
    histogram = metrics.totals().histograms["quorate.http.request_seconds"]
    assert sum(histogram.counts) == 1
    assert 0 < histogram.sum < 5


def test_prometheus_may_be_off() -> None:
    response = get(Metrics(), b"?format=prometheus", prometheus=False)
    assert (response.status, response.body) == (415, b"Prometheus is not enabled")


def test_requests_are_counted() -> None:
    metrics = Metrics()
    get(metrics)
    get(metrics)
    assert metrics.totals().counters == {"nomad.http.request": (2, 2.0)}
