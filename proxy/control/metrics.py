"""/metrics: what control knows, in Prometheus' text format. Reads sums; counts nothing itself.

docs/metrics.md lists every metric; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from canary import histogram
from canary.verdict import Verdict
from proxy.control.peers import Peer
from proxy.control.traffic import Labels, Traffic
from rules.effective import Effective, Position
from rules.stages import MILLION, Stage

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds. Counts come from buckets of one percent, so each bound is exact to a percent of itself."""
INSIDE_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0)
_HIGHEST = {bound: histogram.index(bound) for bound in (*BUCKETS, *INSIDE_BUCKETS)}


class Source(Protocol):
    """Where the figures come from."""

    @property
    def effective(self) -> Effective: ...

    @property
    def positions(self) -> Mapping[str, Position]:
        """Where routes stand; of very many routes, those that there is something to tell of."""

    @property
    def traffic(self) -> Traffic: ...

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """Of routes in canary."""

    @property
    def peers(self) -> Mapping[str, Peer]: ...

    @property
    def workers_expected(self) -> int: ...

    @property
    def spans(self) -> Mapping[str, float]:
        """What became of traced exchanges that reached control: ``sent``, or why they were dropped."""

    @property
    def reload_ok(self) -> bool: ...

    @property
    def reload_success_at(self) -> float:
        """Seconds since the epoch."""


def cumulative(counts: Mapping[int, int], bounds: Iterable[float]) -> list[tuple[str, float]]:
    """Prometheus' buckets (``le`` text, how many at most that) from counts by bucket of canary.histogram."""
    remaining = sorted(counts.items())
    buckets: list[tuple[str, float]] = []
    total, at = 0, 0
    for bound in bounds:
        while at < len(remaining) and remaining[at][0] <= _HIGHEST[bound]:
            total += remaining[at][1]
            at += 1
        buckets.append((f"{bound:g}", total))
    buckets.append(("+Inf", sum(counts.values())))
    return buckets


class FigCollector(Collector):
    """Builds every family anew at each scrape."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        yield from self._requests()
        yield from self._routes()
        yield from self._processes()
        yield from self._generic()

    def _requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "fig_requests",
            "Answers, by route, side, service, method and class of status.",
            labels=("route", "side", "service", "method", "status_class"),
        )
        failures = CounterMetricFamily(
            "fig_failures", "Exchanges that a side failed, by kind.", labels=("route", "side", "kind")
        )
        seconds = HistogramMetricFamily(
            "fig_service_seconds", "Request sent until answer's head received.", labels=("route", "side")
        )
        inside = HistogramMetricFamily(
            "fig_inside_seconds", "Time spent inside fig, apart from the service's.", labels=("route", "side")
        )
        for key, side in sorted(self._source.traffic.sides.items()):
            for labels, count in sorted(side.requests.items()):
                requests.add_metric((*key, *labels), count)
            for kind, count in sorted(side.failures.items()):
                failures.add_metric((*key, kind), count)
            seconds.add_metric(key, cumulative(side.latency, BUCKETS), side.seconds)
            in_fig = sum(histogram.seconds(index) * count for index, count in side.inside.items())
            inside.add_metric(key, cumulative(side.inside, INSIDE_BUCKETS), in_fig)
        yield from (requests, failures, seconds, inside)

    def _routes(self) -> Iterator[Metric]:
        share = GaugeMetricFamily(
            "fig_route_share", "Part of units that the candidate answers, 0 to 1.", labels=("route",)
        )
        stage = GaugeMetricFamily(
            "fig_route_stage", "1 for the stage in which the route is, 0 for the others.", labels=("route", "stage")
        )
        frozen = GaugeMetricFamily("fig_route_frozen", "Whether the route is frozen.", labels=("route",))
        for name, position in self._source.positions.items():
            share.add_metric((name,), position.share / MILLION)
            frozen.add_metric((name,), position.frozen)
            for one in Stage:
                stage.add_metric((name, one.value), position.stage is one)
        verdict = GaugeMetricFamily(
            "fig_gate_verdict", "In canary: 1 for what the gate says, 0 for the others.", labels=("route", "verdict")
        )
        for name, said in self._source.verdicts.items():
            for each in Verdict:
                verdict.add_metric((name, each.value), each is said)
        yield from (share, stage, frozen, verdict)

    def _processes(self) -> Iterator[Metric]:
        source = self._source
        yield GaugeMetricFamily("fig_generation", "Number of the effective table.", value=source.effective.generation)
        up = GaugeMetricFamily(
            "fig_worker_up", "Whether the worker is connected and decides by the effective table.", labels=("worker",)
        )
        for number in range(source.workers_expected):
            peer = source.peers.get(f"worker {number}")
            up.add_metric((str(number),), peer is not None and peer.generation >= source.effective.generation)
        yield up
        yield GaugeMetricFamily(
            "fig_shadower_up", "Whether the shadower is connected.", value=int("shadower" in source.peers)
        )
        yield GaugeMetricFamily(
            "fig_config_last_reload_success",
            "Whether the last load of the rules succeeded.",
            value=int(source.reload_ok),
        )
        yield GaugeMetricFamily(
            "fig_config_last_reload_timestamp_seconds",
            "When rules last loaded, since the epoch.",
            value=source.reload_success_at,
        )
        yield CounterMetricFamily(
            "fig_series_dropped",
            "Figures not kept because there were too many series.",
            value=source.traffic.dropped_series,
        )

    def _generic(self) -> Iterator[Metric]:
        counts = chain(self._source.traffic.counts(), _spans(self._source.spans))
        yield from _families(counts, CounterMetricFamily, "Counted by workers and shadower.")
        yield from _families(self._source.traffic.gauges(), GaugeMetricFamily, "Told by workers and shadower.")


def _spans(found: Mapping[str, float]) -> Iterator[tuple[str, Labels, float]]:
    for result, exchanges in found.items():
        if result == "sent":
            yield "spans_exported", (), exchanges
        else:
            yield "spans_dropped", (("reason", result),), exchanges


def _families(
    series: Iterable[tuple[str, Labels, float]],
    family: type[CounterMetricFamily] | type[GaugeMetricFamily],
    documentation: str,
) -> Iterator[Metric]:
    """One family per metric name and set of label names."""
    families: dict[tuple[str, tuple[str, ...]], CounterMetricFamily | GaugeMetricFamily] = {}
    for name, labels, value in series:
        names = tuple(label for label, _ in labels)
        if (name, names) not in families:
            families[name, names] = family(f"fig_{name}", documentation, labels=names)
        families[name, names].add_metric(tuple(text for _, text in labels), value)
    yield from families.values()
