"""/metrics: what control knows, as metrics. Reads sums; counts nothing itself.

docs/metrics.md lists every metric; a test compares the two. How they are written is proxy/control/exposition.py's.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from canary import histogram
from canary.verdict import Verdict
from proxy.control.catalogue import COUNTS, GAUGES
from proxy.control.exposition import CounterFamily, GaugeFamily, HistogramFamily
from proxy.control.peers import Peer
from proxy.control.traffic import Labels, Traffic
from proxy.probing.findings import Finding, Outcome
from rules.effective import Effective, Position
from rules.stages import MILLION, Stage

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds. Counts come from buckets of one percent, so each bound is exact to a percent of itself."""
INSIDE_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1.0)
_VALUES = tuple(histogram.seconds(histogram.FIRST + place) for place in range(histogram.SIZE))
PIECE = 50
"""Lines that are written in one go."""
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
    def findings(self) -> Sequence[Finding]:
        """What came of probes last, one for each that was run."""

    @property
    def reloads(self) -> Mapping[str, int]:
        """Result -> how often the rules were loaded since control started."""

    @property
    def reload_ok(self) -> bool: ...

    @property
    def reload_success_at(self) -> float:
        """Seconds since the epoch."""


def cumulative(counts: Mapping[int, int], bounds: Iterable[float]) -> list[int]:
    """How many are at most each of `bounds`, and how many there are, from counts by bucket of canary.histogram."""
    remaining = sorted(counts.items())
    found: list[int] = []
    total, at = 0, 0
    for bound in bounds:
        highest = _HIGHEST[bound]
        while at < len(remaining) and remaining[at][0] <= highest:
            total += remaining[at][1]
            at += 1
        found.append(total)
    found.append(total + sum(count for _, count in remaining[at:]))
    return found


def pieces(source: Source) -> Generator[None, None, bytes]:
    """The whole of it; yields after every piece of work, some tens of microseconds each."""
    texts: list[str] = []
    for part in (_requests, _times, _routes, _probes, _generic):
        for text in part(source):
            texts.append(text)
            yield
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ProcessCollector(source))
    return "".join(texts).encode() + generate_latest(registry)


def _requests(source: Source) -> Iterator[str]:
    requests = CounterFamily(
        "fig_requests",
        "Answers, by route, side, service, method and class of status.",
        ("route", "side", "service", "method", "status_class"),
    )
    failures = CounterFamily("fig_failures", "Exchanges that a side failed, by kind.", ("route", "side", "kind"))
    sides = sorted(source.traffic.sides.items())
    for key, side in sides:
        for labels, count in sorted(side.requests.items()):
            requests.add((*key, *labels), count)
        yield requests.taken()
    for key, side in sides:
        for kind, count in sorted(side.failures.items()):
            failures.add((*key, kind), count)
        yield failures.taken()


def _times(source: Source) -> Iterator[str]:
    labels = ("route", "side")
    service = HistogramFamily("fig_service_seconds", "Request sent until answer's head received.", labels, BUCKETS)
    inside = HistogramFamily(
        "fig_inside_seconds", "Time that fig itself took of an answered exchange.", labels, INSIDE_BUCKETS
    )
    sides = sorted(source.traffic.sides.items())
    for key, side in sides:
        service.add_counts(key, cumulative(side.latency, BUCKETS), side.seconds)
        yield service.taken()
    for key, side in sides:
        in_fig = sum(_VALUES[index - histogram.FIRST] * count for index, count in side.inside.items())
        inside.add_counts(key, cumulative(side.inside, INSIDE_BUCKETS), in_fig)
        yield inside.taken()


def _routes(source: Source) -> Iterator[str]:
    share = GaugeFamily("fig_route_share", "Part of units that the candidate answers, 0 to 1.", ("route",))
    stage = GaugeFamily(
        "fig_route_stage", "1 for the stage in which the route is, 0 for the others.", ("route", "stage")
    )
    frozen = GaugeFamily("fig_route_frozen", "Whether the route is frozen.", ("route",))
    positions = list(source.positions.items())
    for name, position in positions:
        share.add((name,), position.share / MILLION)
        yield share.taken()
    for name, position in positions:
        frozen.add((name,), position.frozen)
        yield frozen.taken()
    for name, position in positions:
        for one in Stage:
            stage.add((name, one.value), position.stage is one)
        yield stage.taken()
    verdict = GaugeFamily(
        "fig_gate_verdict",
        "In canary, and in the watch after it: 1 for what the gate says, 0 for the others.",
        ("route", "verdict"),
    )
    for name, said in list(source.verdicts.items()):
        for each in Verdict:
            verdict.add((name, each.value), each is said)
        yield verdict.taken()


def _probes(source: Source) -> Iterator[str]:
    labels = ("probe", "side")
    success = GaugeFamily("fig_probe_success", "1 where the probe passed on the side last, else 0.", labels)
    seconds = GaugeFamily("fig_probe_seconds", "Seconds that the probe's last run took on the side.", labels)
    found = [(finding.probe, side) for finding in source.findings for side in finding.sides]
    for name, side in found:
        success.add((name, side.side.value), side.outcome is Outcome.PASSED)
    yield success.taken()
    for name, side in found:
        seconds.add((name, side.side.value), side.seconds)
    yield seconds.taken()


class ProcessCollector(Collector):
    """What there is of fig itself: few samples, so that prometheus-client may write them."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
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
        reloads = CounterMetricFamily(
            "fig_reloads", "Loads of the rules since control started, by result.", labels=("result",)
        )
        for result, count in source.reloads.items():
            reloads.add_metric((result,), count)
        yield reloads
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
            "fig_spans_exported",
            "Traced exchanges whose spans the collector took.",
            value=source.spans.get("sent", 0),
        )
        yield CounterMetricFamily(
            "fig_series_dropped",
            "Figures not kept because there were too many series.",
            value=source.traffic.dropped_series,
        )


def _generic(source: Source) -> Iterator[str]:
    dropped = (("spans_dropped", (("reason", why),), count) for why, count in source.spans.items() if why != "sent")
    yield from _families(chain(source.traffic.counts(), dropped), CounterFamily, COUNTS)
    yield from _families(source.traffic.gauges(), GaugeFamily, GAUGES)


def _families(
    series: Iterable[tuple[str, Labels, float]],
    kind: type[CounterFamily] | type[GaugeFamily],
    documentation: Mapping[str, str],
) -> Iterator[str]:
    """One family per metric, the labels of a name always being the same."""
    by_name: dict[str, list[tuple[Labels, float]]] = {}
    for name, labels, value in series:
        by_name.setdefault(name, []).append((labels, value))
    for name, found in sorted(by_name.items()):
        names = tuple(label for label, _ in found[0][0])
        family = kind(f"fig_{name}", documentation.get(name, "See docs/metrics.md."), names)
        for labels, value in found:
            family.add([text for _, text in labels], value)
            if len(family.lines) >= PIECE:
                yield family.taken()
        yield family.taken()
