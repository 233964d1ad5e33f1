"""/metrics as a whole: Prometheus' own parser reads it, its names are as is customary, and it stays bounded."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from canary import histogram
from canary.verdict import Verdict
from proxy.control.catalogue import COUNTS, GAUGES
from proxy.control.exposition import CounterFamily, GaugeFamily, HistogramFamily
from proxy.control.metrics import pieces
from proxy.control.peers import Peer
from proxy.control.traffic import OTHERS, ROUTES_LIMIT, Labels, Traffic
from proxy.probing.findings import Finding, Outcome, SideFinding
from proxy.wire import SideTally, Tally
from rules.effective import Effective, Position
from rules.stages import Side, Stage
from tests.programs import need
from tests.test_docs import metrics as every_metric


@dataclass
class Figures:
    """Implements metrics.Source."""

    traffic: Traffic
    effective: Any = field(default_factory=lambda: Effective(7, None))  # type: ignore[arg-type]
    positions: Mapping[str, Position] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    peers: Mapping[str, Peer] = field(default_factory=dict)
    workers_expected: int = 2
    spans: Mapping[str, float] = field(default_factory=lambda: {"sent": 3.0, "queue": 2.0})
    reloads: Mapping[str, int] = field(default_factory=lambda: {"accepted": 4, "refused": 1})
    reload_ok: bool = True
    reload_success_at: float = 1_700_000_000.0
    findings: Sequence[Finding] = ()


def side(route: str, side: Side = Side.LEGACY, seconds: float = 0.02) -> SideTally:
    times = histogram.packed({histogram.index(seconds): 1})
    return SideTally(route, side.value, "monolith", {"GET 2xx": 1}, {"status": 1}, seconds, times, times)


def summed(*sides: SideTally, counts: list[Any] | None = None, gauges: list[Any] | None = None) -> Traffic:
    traffic = Traffic(lambda _: True, lambda: 1.0)
    traffic.add("worker 0", Tally(list(sides), counts or [], gauges or []))
    return traffic


def page(figures: Figures) -> str:
    work = pieces(figures)
    while True:
        try:
            next(work)
        except StopIteration as ended:
            return bytes(ended.value).decode()


def read(text: str) -> dict[str, Metric]:
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families), "a metric is told of twice"
    return {family.name: family for family in families}


WHOLE = Figures(
    summed(
        side("cart"),
        side("cart", Side.CANDIDATE),
        counts=[("refused", (("reason", "host"), ("status", "400")), 2.0)],
        gauges=[("client_connections", (("worker", "0"),), 5.0), ("exchanges_in_flight", (("route", "cart"),), 3.0)],
    ),
    positions={"cart": Position(Stage.CANARY, 10_000)},
    verdicts={"cart": Verdict.KEEP_WATCHING},
    findings=[Finding("buy", ("cart",), False, 1.0, (SideFinding(Side.CANDIDATE, Outcome.PASSED, (), 0, 0.1),))],
)


def test_prometheus_reads_what_was_counted() -> None:
    found = read(page(WHOLE))

    def value(name: str, sample: str = "", **labels: str) -> float:
        [one] = [
            s.value for s in found[name].samples if s.name == (sample or s.name) and labels.items() <= s.labels.items()
        ]
        return float(one)

    assert value("fig_requests", method="GET", status_class="2xx", side="legacy", service="monolith") == 1
    assert value("fig_service_seconds", "fig_service_seconds_bucket", side="candidate", le="0.01") == 0
    assert value("fig_service_seconds", "fig_service_seconds_bucket", side="candidate", le="0.025") == 1
    assert value("fig_service_seconds", "fig_service_seconds_sum", side="legacy") == 0.02
    assert value("fig_route_share", route="cart") == 0.01
    assert value("fig_refused", reason="host", status="400") == 2
    assert value("fig_exchanges_in_flight", route="cart") == 3
    assert value("fig_spans_exported") == 3
    assert value("fig_spans_dropped", reason="queue") == 2
    assert value("fig_reloads", result="refused") == 1
    assert value("fig_generation") == 7


def test_every_metric_says_what_it_is_and_is_named_as_is_customary() -> None:
    """What `promtool check metrics` asks: help, base units, suffixes that belong to the type, no type in the name."""
    for name, family in read(page(WHOLE)).items():
        assert re.fullmatch(r"fig_[a-z0-9_]+", name)
        assert family.documentation
        assert family.documentation != "See docs/metrics.md.", name
        assert family.type in ("counter", "gauge", "histogram"), name
        assert not re.search(r"_(milliseconds|ms|minutes|kilobytes|counter|gauge|histogram|total)(_|$)", name), name
        assert (family.type == "counter") == all(s.name.endswith("_total") for s in family.samples), name


def test_promtool_finds_nothing_to_mend() -> None:
    command = [need("promtool", "prometheus"), "check", "metrics"]
    checked = subprocess.run(command, input=page(WHOLE), capture_output=True, text=True, timeout=30)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_whatever_workers_and_shadower_count_is_explained_on_the_page() -> None:
    explained = {f"fig_{name}_total" for name in COUNTS} | {f"fig_{name}" for name in GAUGES}
    own = set(re.findall(r"^# TYPE (\w+)", page(WHOLE), re.MULTILINE))

    assert every_metric() - own - explained == set()


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "a\\n", "ä {}%s"])
def test_a_label_says_what_it_said_whatever_is_in_it(text: str) -> None:
    family = GaugeFamily("fig_x", "What.", ("z", "a"))
    family.add((text, "plain"), 1)

    [sample] = read(family.taken())["fig_x"].samples
    assert sample.labels == {"z": text, "a": "plain"}


def test_families_are_as_prometheus_client_has_them() -> None:
    counter = CounterFamily("fig_c", "Counts.")
    counter.add((), 2)
    times = HistogramFamily("fig_h_seconds", "Times.", ("zone", "area"), (0.5, 1.0))
    times.add_counts(("z", "a"), [1, 2, 4], 9.5)

    assert counter.taken() == "# HELP fig_c_total Counts.\n# TYPE fig_c_total counter\nfig_c_total 2.0\n"
    assert times.taken().splitlines()[2:] == [
        'fig_h_seconds_bucket{area="a",le="0.5",zone="z"} 1.0',
        'fig_h_seconds_bucket{area="a",le="1",zone="z"} 2.0',
        'fig_h_seconds_bucket{area="a",le="+Inf",zone="z"} 4.0',
        'fig_h_seconds_sum{area="a",zone="z"} 9.5',
        'fig_h_seconds_count{area="a",zone="z"} 4.0',
    ]


def test_a_hundred_thousand_routes_make_no_more_series_than_a_thousand() -> None:
    names = [f"r{number}" for number in range(ROUTES_LIMIT + 500)]
    counts: list[tuple[str, Labels, float]] = [
        ("client_aborts", (("route", name), ("when", "waiting")), 1.0) for name in names
    ]
    gauges: list[tuple[str, Labels, float]] = [("exchanges_in_flight", (("route", name),), 1.0) for name in names]
    found = read(page(Figures(summed(*(side(name) for name in names), counts=counts, gauges=gauges))))

    for metric in ("fig_requests", "fig_client_aborts", "fig_exchanges_in_flight"):
        samples = {sample.labels["route"]: sample.value for sample in found[metric].samples}
        assert len(samples) == ROUTES_LIMIT + 1
        assert samples[OTHERS] == 500


def test_figures_of_routes_that_left_the_table_are_not_kept() -> None:
    traffic = Traffic(lambda route: route == "here", lambda: 1.0)
    traffic.add("worker 0", Tally([], [("gaps", (("route", name),), 1.0) for name in ("here", "gone")], []))

    assert list(traffic.counts()) == [("gaps", (("route", "here"),), 1.0)]
