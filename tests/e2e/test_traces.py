"""Spans of real requests through `fig serve`, as a collector gets them, and the traceparent that services get."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.fakes.collector import Collector, Span, collector
from tests.fakes.echo_service import EchoService, echo_service
from tests.fakes.served import Served, eventually, serving

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "s3cret"


def rules(legacy: str, candidate: str) -> dict[str, Any]:
    return {
        "version": 1,
        "services": {"legacy": {"url": legacy}, "candidate": {"url": candidate}, "gone": {"url": "http://127.0.0.1:1"}},
        "legacy": "legacy",
        "routes": [
            {
                "name": "checkout",
                "match": {"path": "/checkout/**"},
                "candidate": "candidate",
                "stage": "live",
                "unit": {"cookie": "unit"},
                "trace": "100%",
            },
            {
                "name": "shaky",
                "match": {"path": "/shaky"},
                "candidate": "gone",
                "stage": "retired",
                "fallback": "legacy",
                "trace": "100%",
            },
            {
                "name": "again",
                "match": {"path": "/again"},
                "candidate": "candidate",
                "stage": "live",
                "retries": {"attempts": 1, "on": ["503"]},
                "trace": "100%",
            },
            {"name": "old", "match": {"path": "/old"}, "redirect": {"path": "/new"}, "trace": "100%"},
            {"name": "quiet", "match": {"path": "/quiet"}, "candidate": "candidate", "trace": "0%"},
        ],
    }


@contextmanager
def traced(folder: Path, seen: Collector, legacy: str, candidate: str) -> Iterator[Served]:
    """fig with one worker, whose spans `seen` gets."""
    (folder / "fig.yaml").write_text(yaml.safe_dump(rules(legacy, candidate)))
    told = {
        "FIG_OTLP": f"http://127.0.0.1:{seen.server_address[1]}",
        "FIG_TRACE_SAMPLE": "0%",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    with serving(folder, workers=1, more=told) as served:
        eventually(served.ready, "ready")
        yield served


@pytest.fixture(scope="module")
def everything(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Served, Collector, EchoService, EchoService]]:
    folder = tmp_path_factory.mktemp("traces")
    with (
        collector() as seen,
        echo_service("legacy") as legacy,
        echo_service("candidate") as candidate,
        traced(folder, seen, legacy.url, candidate.url) as fig,
    ):
        yield fig, seen, legacy, candidate


@pytest.fixture
def fig(everything: tuple[Served, Collector, EchoService, EchoService]) -> Served:
    return everything[0]


@pytest.fixture
def seen(everything: tuple[Served, Collector, EchoService, EchoService]) -> Collector:
    """With what earlier tests left forgotten."""
    seen = everything[1]
    seen.status = 200
    seen.spans.clear()
    return seen


@pytest.fixture
def sides(everything: tuple[Served, Collector, EchoService, EchoService]) -> tuple[EchoService, EchoService]:
    """Legacy and candidate, with what earlier tests left forgotten."""
    _, _, legacy, candidate = everything
    for side in (legacy, candidate):
        side.status = 200
        side.heard.clear()
    return legacy, candidate


def ask(fig: Served, path: str, **headers: str) -> httpx.Response:
    url = f"http://127.0.0.1:{fig.port}{path}"
    return httpx.get(url, headers=headers, timeout=10, trust_env=False)


def span_of(seen: Collector, route: str) -> Span:
    """The SERVER span of the only exchange of that route."""
    [span] = eventually(
        lambda: [one for one in seen.servers() if one.attributes["fig.route"] == route], f"a span of {route}"
    )
    return span


def test_an_exchange_becomes_a_server_span_and_one_client_span_whose_id_the_service_gets(
    fig: Served, seen: Collector, sides: tuple[EchoService, EchoService]
) -> None:
    legacy, candidate = sides
    ask(fig, f"/checkout/7?token={SECRET}", cookie=f"unit={SECRET}", authorization=f"Bearer {SECRET}")

    own = span_of(seen, "checkout")
    [sent] = seen.children(own)
    [heard] = candidate.heard
    [copy] = eventually(lambda: legacy.heard, "the copy")
    assert copy.values("traceparent") == [f"00-{own.trace}-{own.id}-01"]
    assert heard.values("traceparent") == [f"00-{own.trace}-{sent.id}-01"]
    assert heard.values("x-request-id") == [own.trace] == [own.attributes["fig.request_id"]]
    assert (own.parent, own.name, own.status) == ("", "GET checkout", "UNSET")
    assert own.start <= sent.start <= sent.end <= own.end
    assert (
        own.attributes.items()
        >= {
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "url.scheme": "http",
            "url.path": "/checkout/7",
            "server.address": "127.0.0.1",
            "server.port": fig.port,
            "client.address": "127.0.0.1",
            "network.protocol.version": "1.1",
            "fig.stage": "live",
            "fig.side": "candidate",
            "fig.service": "candidate",
            "fig.generation": 1,
        }.items()
    )
    assert 0 <= own.attributes["fig.unit_bucket"] < 1_000_000
    assert (sent.kind, sent.name, sent.status) == ("CLIENT", "GET candidate", "UNSET")
    assert (
        sent.attributes.items()
        >= {
            "url.full": f"{candidate.url}/checkout/7",
            "server.port": candidate.server_address[1],
            "network.peer.address": "127.0.0.1",
            "network.peer.port": candidate.server_address[1],
            "http.response.status_code": 200,
        }.items()
    )
    assert own.resource["service.name"] == "fig"
    assert own.resource["deployment.environment.name"] == "test"
    assert seen.paths[0] == "/v1/traces"
    assert SECRET.encode() not in b"".join(seen.bodies)


def test_a_trace_that_comes_sampled_goes_on_through_fig(
    fig: Served, seen: Collector, sides: tuple[EchoService, EchoService]
) -> None:
    legacy, _ = sides
    ask(fig, "/anywhere", traceparent=PARENT, tracestate="vendor=1")

    own = span_of(seen, "-")
    _, trace, caller, _ = PARENT.split("-")
    assert (own.trace, own.parent, own.state) == (trace, caller, "vendor=1")
    [heard] = legacy.heard
    assert heard.values("traceparent") == [f"00-{trace}-{seen.children(own)[0].id}-01"]
    assert heard.values("tracestate") == ["vendor=1"]


def test_a_fallback_and_fig_s_own_answers_are_told_apart(fig: Served, seen: Collector) -> None:
    assert ask(fig, "/shaky").json()["service"] == "legacy"
    assert ask(fig, "/old").status_code == 302

    shaky = span_of(seen, "shaky")
    assert shaky.attributes.items() >= {"fig.fallback": "connect", "fig.side": "legacy"}.items()
    assert [span.attributes["fig.service"] for span in seen.children(shaky)] == ["legacy"]
    moved = span_of(seen, "old")
    assert moved.attributes.items() >= {"http.response.status_code": 302, "fig.refused": "redirect"}.items()
    assert "fig.side" not in moved.attributes
    assert seen.children(moved) == []


def test_each_attempt_has_a_span_of_its_own(
    fig: Served, seen: Collector, sides: tuple[EchoService, EchoService]
) -> None:
    _, candidate = sides
    candidate.status = 503
    assert ask(fig, "/again").status_code == 503

    own = span_of(seen, "again")
    first, second = seen.children(own)
    assert (own.status, own.attributes["error.type"]) == ("ERROR", "503")
    assert [span.attributes.get("http.request.resend_count") for span in (first, second)] == [None, 1]
    assert first.end <= second.start
    assert [heard.values("traceparent")[0].split("-")[2] for heard in candidate.heard] == [first.id, second.id]


def test_what_is_not_sampled_has_no_span_and_its_services_are_told_so(
    fig: Served, seen: Collector, sides: tuple[EchoService, EchoService]
) -> None:
    legacy, _ = sides
    ask(fig, "/quiet")
    ask(fig, "/anywhere", traceparent=PARENT[:-2] + "00")
    ask(fig, "/checkout/1")
    span_of(seen, "checkout")

    assert [span.attributes["fig.route"] for span in seen.servers()] == ["checkout"]
    parents = {heard.target: heard.values("traceparent")[0] for heard in legacy.heard}
    assert parents["/quiet"].endswith("-00")
    assert parents["/anywhere"] == PARENT[:-2] + "00"


def test_a_collector_that_takes_nothing_costs_spans_that_are_counted_and_nothing_else(
    fig: Served, seen: Collector
) -> None:
    seen.status = 400
    for number in range(5):
        assert ask(fig, f"/checkout/{number}").status_code == 200

    eventually(lambda: fig.metric('fig_spans_dropped_total{reason="collector"}') == 5, "five dropped, and counted")
    told = "the collector does not take spans; they are dropped and counted until it does"
    assert len(eventually(lambda: fig.logged(told), "said once")) == 1
    seen.status = 200
    ask(fig, "/checkout/6")
    assert span_of(seen, "checkout").attributes["url.path"] == "/checkout/6"
    # The collector has it a moment before fig has the collector's answer.
    assert eventually(lambda: fig.logged("the collector takes spans again"), "said too")


def test_spans_that_wait_are_sent_before_fig_ends(tmp_path: Path) -> None:
    with (
        collector() as seen,
        echo_service("legacy") as legacy,
        traced(tmp_path, seen, legacy.url, legacy.url) as fig,
    ):
        ask(fig, "/checkout/1")

        assert fig.end(signal.SIGTERM) == 0
        assert span_of(seen, "checkout")
        assert not [line for line in fig.log if line.get("level") in ("error", "critical")]
