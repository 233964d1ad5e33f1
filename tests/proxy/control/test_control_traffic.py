"""Sums of tallies, and the figures made of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from canary import histogram
from proxy.control.metrics import BUCKETS, cumulative
from proxy.control.traffic import OTHERS, ROUTES_LIMIT, SERIES_LIMIT, WINDOW, Traffic
from proxy.wire import SideTally, Tally


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def tally(requests: int = 1, method: str = "GET", route: str = "cart", **more: int) -> Tally:
    latency = {histogram.index(0.02): requests}
    return Tally(
        [
            SideTally(
                route,
                "legacy",
                "monolith",
                {f"{method} 2xx": requests},
                dict(more),
                0.1,
                histogram.packed(latency),
                b"",
            )
        ]
    )


def traffic(clock: Clock | None = None) -> Traffic:
    return Traffic(lambda route: route in ("cart", "-"), clock or Clock())


def test_deltas_of_all_workers_add_up_also_of_one_that_was_restarted() -> None:
    sums = traffic()
    sums.add("worker 0", tally(3, timeout=1))
    sums.add("worker 1", tally(4))
    sums.forget_peer("worker 0")
    sums.add("worker 0", tally(5))

    side = sums.sides["cart", "legacy"]
    assert side.requests == {("monolith", "GET", "2xx"): 12}
    assert (side.errors, side.latency.total()) == (1, 12)


def test_a_method_that_a_client_made_up_is_no_label_of_its_own() -> None:
    sums = traffic()
    for number in range(50):
        sums.add("worker 0", tally(method=f"M{number}"))

    assert sums.sides["cart", "legacy"].requests == {("monolith", "other", "2xx"): 50}


def test_a_route_that_is_not_in_the_table_is_not_kept() -> None:
    sums = traffic()
    sums.add("worker 0", tally(route="gone"))

    assert not sums.sides


def test_series_past_the_limit_are_dropped_and_counted() -> None:
    sums = traffic()
    sums.add("worker 0", Tally(counts=[("made_up", (("what", str(n)),), 1.0) for n in range(SERIES_LIMIT + 5)]))

    assert len(list(sums.counts())) == SERIES_LIMIT
    assert sums.dropped_series == 5


def test_recent_figures_forget_what_is_older_than_the_window() -> None:
    clock = Clock()
    sums = traffic(clock)
    sums.add("worker 0", tally(3))
    clock.now += WINDOW - 1
    sums.add("worker 0", tally(4))
    assert sums.recent(("cart", "legacy")).total == 7

    clock.now += 2

    assert sums.recent(("cart", "legacy")).total == 4
    assert sums.sides["cart", "legacy"].total == 7


def test_gauges_are_summed_over_the_peers_that_are_there() -> None:
    sums = traffic()
    for peer, value in (("worker 0", 3.0), ("worker 1", 4.0), ("worker 0", 5.0)):
        sums.add(peer, Tally(gauges=[("open", (), value)]))
    assert list(sums.gauges()) == [("open", (), 9.0)]

    sums.forget_peer("worker 1")

    assert list(sums.gauges()) == [("open", (), 5.0)]


@given(st.lists(st.floats(1e-5, 50), max_size=60))
def test_buckets_for_prometheus_are_right_to_a_percent_of_their_bounds(seconds: list[float]) -> None:
    counts: dict[int, int] = {}
    for one in seconds:
        counts[histogram.index(one)] = counts.get(histogram.index(one), 0) + 1

    found = cumulative(counts, BUCKETS)

    for bound, count in zip(BUCKETS, found, strict=False):
        assert sum(one <= bound for one in seconds) <= count <= sum(one <= bound * 1.021 for one in seconds)
    assert found[-1] == len(seconds)


def test_traffic_of_more_routes_than_have_sums_of_their_own_is_summed_under_one_name() -> None:
    traffic = Traffic(lambda _: True, lambda: 1.0, singled_out=lambda route: route == "moved")
    names = [f"r{n}" for n in range(ROUTES_LIMIT + 5)] + ["moved", "r0"]
    sides = [SideTally(name, "legacy", "monolith", {"GET 2xx": 1}, {}, 0.1, b"", b"") for name in names]

    traffic.add("worker 0", Tally(sides=sides))

    assert len(traffic.sides) == ROUTES_LIMIT + 2
    assert traffic.sides["r0", "legacy"].total == 2
    assert traffic.sides["moved", "legacy"].total == 1
    assert traffic.sides[OTHERS, "legacy"].total == 5
    assert traffic.recent((OTHERS, "legacy")).total == 5


def test_a_part_of_a_tally_leaves_the_gauges_as_they_stand() -> None:
    sums = traffic()
    connections = ("client_connections", (("worker", "0"),), 7.0)

    sums.add("worker 0", Tally(gauges=[connections]))
    sums.add("worker 0", tally(3))
    assert list(sums.gauges()) == [connections]

    sums.add("worker 0", Tally(gauges=[]))
    assert list(sums.gauges()) == []
