"""Prometheus as a source: the real one with a past, and one that fails in every way that an answer can."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from canary.gate import judge
from canary.source_spec import Source
from canary.sources.prometheus import LARGEST, Prometheus
from canary.sources.source import Question, SourceError
from canary.steps import Answer, Stretch
from canary.verdict import Verdict
from tests.canary.sources.asking import NOW, SINCE, STEP, evidence_of, gate, judged, numbers
from tests.fakes.probed import NOBODY, Behaviour, Got, Probed, says
from tests.fakes.real_prometheus import running_prometheus

STRETCH = Stretch(11, 13, 30)
"""The values at 330, 360 and 390 s."""
QUERY = 'queue_depth{app="$side"}'


def source(url: str, **changes: Any) -> Source:
    return Source.model_validate({"kind": "prometheus", "url": url} | changes)


def answer(*series: list[tuple[float, str]], **body: Any) -> Behaviour:
    result = [{"metric": {"app": f"a{number}"}, "values": values} for number, values in enumerate(series)]
    whole = {"status": "success", "data": {"resultType": "matrix", "result": result}} | body
    return says(200, json.dumps(whole).encode())


async def ask(behave: Behaviour, metric: dict[str, Any] | None = None, now: float | None = None, **spec: Any) -> Answer:
    with Probed(behave).up() as service:
        prometheus = Prometheus(source(service.url, **spec))
        asked = gate(**({"query": QUERY} | (metric or {}))).metrics[0]
        try:
            return await prometheus.ask(Question(asked, "products", STRETCH), time.time() if now is None else now)
        finally:
            await prometheus.close()


def past() -> list[str]:
    """Three candidates beside legacy, a gauge and counters of requests each, every half step."""
    lines = ["# TYPE queue_depth gauge"]
    for seed, (app, mean) in enumerate((("legacy", 40.0), ("good", 40.0), ("bad", 46.0))):
        values = [value for _, side, value in numbers(mean, seed=seed) if side == "legacy"]
        first = int(NOW // STEP) - len(values) + 1
        lines += [f'queue_depth{{app="{app}"}} {value:.4f} {(first + n) * STEP}' for n, value in enumerate(values)]
    lines.append("# TYPE requests counter")
    for app, rate in (("legacy", 0.02), ("good", 0.02), ("bad", 0.06)):
        for result, part in (("failed", rate), ("fine", 1 - rate)):
            lines += [
                f'requests_total{{app="{app}",result="{result}"}} {n * 600 * part:.0f} {int(NOW) - 7200 + n * 15}'
                for n in range(481)
            ]
    return lines


FAILED = 'sum(rate(requests_total{app="$side",result="failed"}[$step])) / sum(rate(requests_total{app="$side"}[$step]))'
COUNT = 'sum(increase(requests_total{app="$side"}[$step]))'


async def test_the_real_one_decides_by_itself_and_says_what_it_does_not_have(tmp_path: Path) -> None:
    with running_prometheus(past(), tmp_path) as url:

        async def of(candidate: str, **metric: Any) -> Any:
            sides = {"legacy": "legacy", "candidate": candidate}
            asked = gate(sides=sides, **metric)
            evidence = await evidence_of(source(url), asked)
            return evidence, judge(asked, evidence, NOW)

        _, good = await of("good", query=QUERY)
        _, bad = await of("bad", query=QUERY)
        rates, fails = await of("bad", query=FAILED, count=COUNT, measure="rate", margin="0.5pp")
        _, absent = await of("nobody", query=QUERY)
        _, many = await of("good", query='requests_total{app="$side"}')
        _, wrong = await of("good", query='rate(queue_depth{app="$side"})')

    assert good.verdict is Verdict.PROMOTE
    assert bad.verdict is Verdict.ROLLBACK
    assert fails.verdict is Verdict.ROLLBACK
    assert fails.metrics[0].candidate == pytest.approx(6, rel=0.02)
    assert rates.sourced[0].series.candidate[-1] == pytest.approx(0.06, rel=0.02)
    assert absent.verdict is Verdict.FAULT
    assert absent.reason.startswith("metric 'depth': no number of the candidate in the newest")
    assert "2 series for legacy" in many.reason
    assert "answered 400" in wrong.reason
    assert "expected type range vector" in wrong.reason


def odd() -> list[str]:
    """Gauges of legacy and of sides that are odd in the last hour, every step."""
    lines = []
    for name, values in {
        "legacy": lambda n: [3 + n % 5],
        "ends": lambda n: [3 + n % 5] if n < 200 else [],
        "sparse": lambda n: [3 + n % 5] if n % 3 == 0 else [],
        "double": lambda n: [3 + n % 5, 4],
        "zero": lambda n: [0],
    }.items():
        for line, _ in enumerate(values(0)):
            lines += [
                f'busy{{app="{name}",line="{line}"}} {values(n)[line]} {int(SINCE) + n * STEP}'
                for n in range(241)
                if values(n)
            ]
    return ["# TYPE busy gauge", *sorted(lines, key=lambda each: each.partition("}")[0])]


ODD: dict[str, tuple[str, str, str]] = {
    "a series that ended": (
        "ends",
        'busy{app="$side"}',
        "of 239 steps lack a number of the candidate|no number of the can",
    ),
    "a series of now and then": (
        "sparse",
        'last_over_time(busy{app="$side"}[$step])',
        "steps lack a number of the cand",
    ),
    "a series that nobody writes": ("nobody", 'busy{app="$side"}', "no number of the candidate in the newest"),
    "two series": ("double", 'busy{app="$side"}', "2 series for double; make them one by .*line"),
    "nothing divided by nothing": (
        "zero",
        'busy{app="$side"} / busy{app="$side"}',
        "no number of the candidate in the new",
    ),
    "something divided by nothing": ("zero", '1 / busy{app="$side"}', r"a value of zero is \+Inf"),
    "less than nothing": ("zero", '-1 / busy{app="$side"}', "a value of zero is -Inf"),
    "a mistake": ("legacy2", 'busy{app="$side"', r"answered 400: .*parse error"),
    "too many points": ("zero", 'sum_over_time(busy{app="$side"}[1h:1s])', "answered 422: .*too many samples"),
    "a function of something else": ("zero", 'rate(busy{app="$side"})', "answered 400: .*expected type range vector"),
}


@pytest.fixture(scope="module")
def oddities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one that runs with them."""
    with running_prometheus(odd(), tmp_path_factory.mktemp("prometheus"), "--query.max-samples=5000") as url:
        yield url


@pytest.mark.parametrize("name", ODD)
async def test_the_real_one_with_odd_series_is_a_fault_in_words(oddities: str, name: str) -> None:
    candidate, query, told = ODD[name]
    sides = {"legacy": "legacy", "candidate": candidate}

    judgement = await judged(source(oddities), gate(query=query, sides=sides))

    assert judgement.verdict is Verdict.FAULT
    assert re.search(told, judgement.reason), judgement.reason


async def test_the_real_one_is_told_a_timeout_of_less_than_a_second_in_its_words(oddities: str) -> None:
    found = await evidence_of(source(oddities, timeout="2500ms"), gate(query='busy{app="$side"}'))

    assert found.sourced[0].trouble == "no number of the candidate in the newest 119 steps of 30 s"


async def test_each_side_is_asked_for_its_steps_with_its_own_label_and_the_configured_headers() -> None:
    asked: list[Got] = []

    def behave(got: Got) -> Any:
        asked.append(got)
        return answer([(330, "1"), (360, "2.5")])(got)

    found = await ask(behave, {"sides": {"legacy": "shop", "candidate": "products"}}, headers={"x-scope": "team"})

    forms = sorted(parse_qs(got.body.decode())["query"][0] for got in asked)
    assert forms == ['queue_depth{app="products"}', 'queue_depth{app="shop"}']
    form = parse_qs(asked[0].body.decode())
    assert (form["start"], form["end"], form["step"]) == (["330.000"], ["390.000"], ["30"])
    assert asked[0].headers["x-scope"] == "team"
    assert found.total.tolist() == [[1, 2.5, 0], [1, 2.5, 0]]


async def test_a_password_in_the_url_is_sent_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    asked: list[Got] = []

    def behave(got: Got) -> Any:
        asked.append(got)
        return answer([(330, "1")])(got)

    with Probed(behave).up() as service:
        prometheus = Prometheus(source(service.url.replace("//", "//reader:hidden-word@")))
        await prometheus.ask(Question(gate(query=QUERY).metrics[0], "products", STRETCH), time.time())
        await prometheus.close()

    assert b64decode(asked[0].headers["authorization"].removeprefix("Basic ")) == b"reader:hidden-word"
    assert "query_range" in caplog.text
    assert "hidden-word" not in caplog.text


async def test_what_is_no_number_is_a_step_without_one() -> None:
    found = await ask(answer([(330, "NaN"), (390, "7")]))

    assert found.n.tolist() == [[0, 0, 1], [0, 0, 1]]


async def test_answers_are_asked_for_as_they_are() -> None:
    """A source, or whoever stands in its place, could fill control's memory by a coded one."""
    asked: list[Got] = []

    def behave(got: Got) -> Any:
        asked.append(got)
        return answer([(330, "1")])(got)

    await ask(behave)

    assert asked[0].headers["accept-encoding"] == "identity"


async def test_a_redirect_takes_no_credentials_to_another_host() -> None:
    with Probed(answer([(330, "1")])).up() as other:
        secrets = {"authorization": "Bearer hidden-word"}
        with pytest.raises(SourceError, match="answered 307: a redirect is not followed"):
            await ask(says(307, b"", location=other.url), headers=secrets)

    assert other.got == []


async def test_a_value_weighs_as_much_as_was_counted_for_it() -> None:
    def behave(got: Got) -> Any:
        counts = "count" in got.body.decode()
        return answer([(330, "200"), (360, "0")] if counts else [(330, "0.25"), (360, "NaN"), (390, "1")])(got)

    found = await ask(behave, {"measure": "rate", "count": 'count{app="$side"}'})

    assert found.n[0].tolist() == [200, 0, 0]
    assert found.total[0].tolist() == [50, 0, 0]


def bomb() -> bytes:
    """Less than a KB that would be 64 MB."""
    return gzip.compress(gzip.compress(b"\0" * 64 * 1024**2))


FAILURES: dict[str, tuple[Callable[[], Behaviour], str]] = {
    "warnings": (lambda: answer([(330, "1")], warnings=["store a is away"]), "answer is partial: store a is away"),
    "isPartial": (lambda: answer([(330, "1")], isPartial=True), "the answer is partial"),
    "two series": (lambda: answer([(330, "1")], [(330, "1")]), "more labels: {'app': 'a0'} and {"),
    "an error": (lambda: says(200, b'{"status":"error","error":"too many"}'), "answered 'error': too many"),
    "a vector": (lambda: says(200, b'{"status":"success","data":{"resultType":"vector","result":[]}}'), "a vector"),
    "no JSON": (lambda: says(200, b"<html>"), "not of Prometheus' form"),
    "another form": (lambda: answer([(330, 1)]), "not of Prometheus' form"),  # type: ignore[list-item]
    "no number": (lambda: answer([(330, "many")]), "is 'many', which is no number"),
    "another time": (lambda: answer([(345, "1")]), "dated 345.000, which was not asked for"),
    "later than asked": (lambda: answer([(420, "1")]), "dated 420.000, which was not asked for"),
    "no right": (lambda: says(401, b"no"), "answered 401: check 'headers'"),
    "a redirect": (lambda: says(302, b"", location="/login"), "answered 302: a redirect is not followed"),
    "down": (lambda: says(503, b'{"status":"error","error":"starting"}'), "answered 503: starting"),
    "too much": (lambda: says(200, b" " * (LARGEST + 1)), "larger than 8 MB"),
    "a bomb": (lambda: says(200, bomb(), content_encoding="gzip, gzip"), "in a content coding (gzip, gzip), which"),
    "infinity": (
        lambda: answer([(330, "1"), (360, "+Inf")]),
        "a value of legacy is +Inf, as where something is divided",
    ),
    "what no measurement is": (
        lambda: answer([(330, "1"), (360, "-1e308")]),
        "a value of legacy at 360.000 is -1e308, which is beyond 1e+100 and no measurement",
    ),
    "brackets without an end": (
        lambda: says(200, b'{"data":{"result":[' + b"[" * 100_000),
        "not of Prometheus' form",
    ),
    "the other infinity": (lambda: answer([(330, "-Inf")]), "a value of legacy is -Inf"),
    "half": (lambda: lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{", "cannot be asked: "),
    "silence": (lambda: lambda _: None, "no answer within 0.2 s"),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_an_answer_that_cannot_be_used_is_told_in_words(name: str) -> None:
    behave, told = FAILURES[name]
    with pytest.raises(SourceError) as raised:
        await ask(behave(), timeout="200ms" if name == "silence" else "10s")

    assert told in str(raised.value)


async def test_a_clock_that_differs_is_told() -> None:
    with pytest.raises(SourceError, match=r"its clock differs by \+1000 s|its clock differs by \+9"):
        await ask(answer([(330, "1")]), now=time.time() - 1000)


async def test_a_source_that_cannot_be_opened_is_a_fault_of_its_metrics(tmp_path: Path) -> None:
    judgement = await judged(source(NOBODY, ca=str(tmp_path / "gone.pem")), gate(query=QUERY))

    assert judgement.verdict is Verdict.FAULT
    assert "'ca': " in judgement.reason
    assert "gone.pem" in judgement.reason


async def test_a_server_that_is_not_there_is_told_without_the_urls_password() -> None:
    prometheus = Prometheus(source(NOBODY.replace("//", "//reader:hidden-word@")))
    with pytest.raises(SourceError, match="cannot be asked: ") as raised:
        await prometheus.ask(Question(gate(query=QUERY).metrics[0], "products", STRETCH), NOW)
    await prometheus.close()

    assert "hidden-word" not in str(raised.value)


async def test_a_server_that_closes_between_questions_is_no_trouble() -> None:
    body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": []}}).encode()
    connections = 0

    async def one_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head.lower())[1]))  # type: ignore[index]
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n")
        writer.transport.abort()

    async with await asyncio.start_server(one_answer, "127.0.0.1", 0) as server:
        prometheus = Prometheus(source(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        for _ in range(3):
            found = await prometheus.ask(Question(gate(query=QUERY).metrics[0], "products", STRETCH), time.time())
            assert not found.n.any()
        await prometheus.close()
    assert connections == 6
