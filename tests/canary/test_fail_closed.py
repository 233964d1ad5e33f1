"""Whatever is missing, late, damaged, down or not a number: the gate never says `promote`. One row a way to break it.

TABLE holds what reaches a gate: a row builds evidence that promotes but for one thing, and says what the judgement must
be and what its reason must name. REFUSED holds what must not even load, because nobody could say what it asks. Whoever
adds a metric, a source or a rule adds the rows of the ways in which it can fail: a function under `@row`, or a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from canary import snapshot
from canary.evidence import Evidence
from canary.gate import judge
from canary.measures.measure import Reading
from canary.measures.points import WindowPoints
from canary.report import ReportError, from_dict, to_dict
from canary.rollout import Rollout
from canary.source_spec import Source
from canary.spec import Gate
from canary.verdict import Judgement, Verdict
from proxy.control.attempts import Attempts
from proxy.control.book import Book
from proxy.control.records import Kept, Standing
from proxy.rulebook import load
from rules.effective import Effective
from rules.problems import RulesError
from rules.stages import Stage
from tests.canary.shoppers import EVENT, Shoppers, gate_on
from tests.canary.shoppers import begin as opened
from tests.canary.shoppers import visited as shopped
from tests.canary.sources import asking
from tests.canary.traffic import GATE, START, Traffic, begin, fed, gate, good
from tests.fakes import probed

END = START + 30
"""When the good evidence ends."""
CONVERSION = {"name": "conversion", "kind": "rate", "event": "order_placed", "margin": "10%"}


@dataclass(frozen=True, slots=True)
class Row:
    """One way in which evidence is broken, and what must be said of it."""

    name: str
    says: str
    """Part of the reason."""
    broken: Callable[[Path], Judgement]
    """Breaks it and judges; may keep files in the folder."""
    verdict: Verdict


TABLE: list[Row] = []


def row(
    name: str, *, says: str, verdict: Verdict = Verdict.FAULT
) -> Callable[[Callable[[Path], Judgement]], Callable[[Path], Judgement]]:
    """Put the function below into the table."""

    def add(broken: Callable[[Path], Judgement]) -> Callable[[Path], Judgement]:
        TABLE.append(Row(name, says, broken, verdict))
        return broken

    return add


def judged(evidence: Evidence, now: float = END) -> Judgement:
    return judge(evidence.gate, evidence, now)


# Too little, or nothing.


@row("no data at all once the silence is over", says="no counted request")
def _no_data(_: Path) -> Judgement:
    return judged(begin(gate()), START + 31)


@row("no data yet", says="no window at the share", verdict=Verdict.KEEP_WATCHING)
def _no_data_yet(_: Path) -> Judgement:
    return judged(begin(gate()), START + 5)


@row("both sides fall silent", says="no counted request of legacy")
def _silent(_: Path) -> Judgement:
    return judged(good(), END + 31)


def _one_side(side: int, length: float) -> Judgement:
    evidence = good()
    clock, unit, seconds, sides, failure = Traffic(13, share=500_000).between(END, END + length)
    chosen = sides == side
    evidence.ingest(clock[chosen], unit[chosen], seconds[chosen], sides[chosen], failure[chosen])
    return judged(evidence, END + length)


@row("the candidate falls silent", says="no counted request of candidate")
def _silent_candidate(_: Path) -> Judgement:
    return _one_side(0, 31)


@row("legacy falls silent", says="no counted request of legacy")
def _silent_legacy(_: Path) -> Judgement:
    return _one_side(1, 31)


@row("the candidate stops answering while legacy goes on", says="counted requests of the candidate since")
def _starving_candidate(_: Path) -> Judgement:
    return _one_side(0, 5)


@row("legacy stops answering while the candidate goes on", says="counted requests of legacy since")
def _starving_legacy(_: Path) -> Judgement:
    return _one_side(1, 5)


@row("fewer requests than asked for", says="of 100,000 requests", verdict=Verdict.KEEP_WATCHING)
def _few_requests(_: Path) -> Judgement:
    return judged(good(gate(min_requests=100_000)))


@row("fewer units than asked for", says="of 128 different units", verdict=Verdict.KEEP_WATCHING)
def _few_units(_: Path) -> Judgement:
    return judged(good(gate(min_units=128)))


@row("nothing seen at the present share", says="no window at the share of 50%", verdict=Verdict.KEEP_WATCHING)
def _new_share(_: Path) -> Judgement:
    evidence = good()
    evidence.share_changed(500_000)
    return judged(evidence, END + 0.1)


@row("all that comes is of a former share", says="no counted request")
def _late(_: Path) -> Judgement:
    evidence = begin(gate())
    evidence.ingest(*Traffic(11).between(START, END), share=10_000)
    return judged(evidence, END + 1)


# Lost, mixed up or out of order.


@row("rows are lost", says="of the open window's rows are lost")
def _lost(_: Path) -> Judgement:
    evidence = good()
    unit, zero = np.arange(90, dtype=np.uint64), np.zeros(90, np.uint8)
    evidence.ingest(np.full(90, END - 0.1), unit, zero.astype(np.float32), zero, zero, dropped=10)
    return judged(evidence)


@row("a window that has just closed lost rows", says="of a window's rows were lost")
def _spoilt(_: Path) -> Judgement:
    evidence = good()
    evidence.ingest(*Traffic(13).between(END, END + 1), dropped=10)
    fed(evidence, Traffic(14), 2, start=END + 1)
    return judged(evidence, END + 3)


@row("rows hold times that are not numbers", says="rows were lost")
def _unreadable_times(_: Path) -> Judgement:
    evidence = good()
    clock, unit, seconds, side, failure = Traffic(13).between(END + 1, END + 1.5)
    evidence.ingest(clock, unit, np.where(np.arange(len(seconds)) % 10, seconds, np.nan), side, failure)
    return judged(evidence, END + 1.5)


@row("rows name a side that there is not", says="rows were lost")
def _unknown_side(_: Path) -> Judgement:
    evidence = good()
    clock, unit, seconds, side, failure = Traffic(13).between(END + 1, END + 1.5)
    evidence.ingest(clock, unit, seconds, np.where(np.arange(len(side)) % 10, side, 7).astype(np.uint8), failure)
    return judged(evidence, END + 1.5)


@row("units do not fall to the sides as the share says", says="sample ratio mismatch")
def _mismatch(_: Path) -> Judgement:
    return judged(fed(begin(gate()), Traffic(12, rate=400, units=20_000, leak=0.3), 30))


@row("a clock runs ahead", says="ahead of the clock here")
def _ahead(_: Path) -> Judgement:
    evidence = good()
    fed(evidence, Traffic(15), 5, start=START + 3600)
    return judged(evidence)


@row("a side falls silent after its clock was ahead", says="no counted request")
def _silent_after_ahead(_: Path) -> Judgement:
    evidence = good()
    fed(evidence, Traffic(15), 5, start=START + 3600)
    fed(evidence, Traffic(16), 5, start=START + 40)
    return judged(evidence, START + 90)


# Metrics that cannot be computed.


class Broken:
    """A measure that raises, or whose reading is changed."""

    def __init__(self, inner: Any, raises: Exception | None = None, **changed: Any) -> None:
        self._inner, self._raises, self._changed = inner, raises, changed

    def read(self, alpha: float) -> Reading:
        if self._raises is not None:
            raise self._raises
        reading: Reading = replace(self._inner.read(alpha), **self._changed)
        return reading


def _with_broken(raises: Exception | None = None, **changed: Any) -> Judgement:
    evidence = good()
    evidence.measures = (evidence.measures[0], Broken(evidence.measures[1], raises, **changed))  # type: ignore[assignment]
    return judged(evidence)


@row("a measure raises", says="metric 'p90' cannot be computed: ZeroDivisionError: by zero")
def _raises(_: Path) -> Judgement:
    return _with_broken(ZeroDivisionError("by zero"))


@row("evidence to promote is not a number", says="metric 'p90' is not a number")
def _nan_evidence(_: Path) -> Judgement:
    return _with_broken(log_promote=float("nan"))


@row("a side's value is not a number", says="metric 'p90' is not a number")
def _nan_value(_: Path) -> Judgement:
    return _with_broken(candidate=float("nan"))


@row("the estimate is not a number", says="metric 'p90' is not a number")
def _nan_estimate(_: Path) -> Judgement:
    return _with_broken(estimate=float("nan"))


@row("evidence to promote is endless", says="metric 'p90' is not a number")
def _infinity(_: Path) -> Judgement:
    return _with_broken(log_promote=float("inf"))


@row("evidence against promotion is endless", says="'p90'", verdict=Verdict.KEEP_WATCHING)
def _minus_infinity(_: Path) -> Judgement:
    return _with_broken(log_promote=float("-inf"))


@row("there are fewer measures than metrics", says="judging failed")
def _missing_measures(_: Path) -> Judgement:
    evidence = good()
    evidence.measures = ()
    return judged(evidence)


@row("a required business metric has no data", says="'conversion'")
def _no_business_data(_: Path) -> Judgement:
    return judged(good(gate(metrics=[*GATE["metrics"], CONVERSION])))


def _shopped(event: dict[str, Any], shoppers: Shoppers, seconds: int, lost: int = 0) -> Judgement:
    """Of shoppers who order well enough, but for one thing."""
    evidence = shopped(opened(gate_on(event)), shoppers, seconds)
    none = np.zeros(0)
    evidence.ingest_events(none, none.astype(np.uint64), none, none.astype(int), none.astype(int), dropped=lost)
    return judged(evidence, START + seconds)


@row("orders stop coming on both sides", says="metric 'm0' has no event 'order_placed' for 31 s, where")
def _orders_stop(_: Path) -> Judgement:
    evidence = shopped(opened(gate_on(EVENT)), Shoppers(1, later=0.2), 60)
    shopped(evidence, Shoppers(2, orders=(0.0, 0.0)), 31, start=60)
    return judged(evidence, START + 90.6)


@row("values of orders cannot be read", says="have none that can be read")
def _orders_unreadable(_: Path) -> Judgement:
    return _shopped(EVENT | {"kind": "mean_per_event"}, Shoppers(3, unreadable=0.05), 60)


@row("orders are lost on their way", says="metric 'm0' has lost 40 of")
def _orders_lost(_: Path) -> Judgement:
    return _shopped(EVENT, Shoppers(4), 60, lost=40)


# Sources. But for one thing, each of these has two hours of good numbers (see `_by_lines`).

QUERY = {"name": "depth", "kind": "query", "source": "numbers", "margin": "10%"}


def _by_source(spec: dict[str, Any], now: float = asking.NOW, **metric: Any) -> Judgement:
    return asyncio.run(asking.judged(Source.model_validate(spec), asking.gate(**metric), now))


def _by_answer(answer: probed.Behaviour, **spec: Any) -> Judgement:
    with probed.Probed(answer).up() as service:
        return _by_source({"kind": "prometheus", "url": service.url} | spec, query='depth{app="$side"}')


def _by_lines(
    folder: Path, lines: Iterable[tuple[float, str, float]], now: float = asking.NOW, last: str = ""
) -> Judgement:
    text = "".join(f"{time},{side},{value}\n" for time, side, value in lines)
    (folder / "export.csv").write_text(f"time,side,value\n{text}{last}")
    return _by_source({"kind": "csv", "path": str(folder / "export.csv")}, now)


@row("a source is down", says="metric 'depth': cannot be asked: ")
def _source_down(_: Path) -> Judgement:
    return _by_source({"kind": "prometheus", "url": probed.NOBODY}, query='depth{app="$side"}')


@row("a source hangs", says="metric 'depth': no answer within 0.1 s (source 'numbers')")
def _source_hangs(_: Path) -> Judgement:
    return _by_answer(lambda _: None, timeout="100ms")


@row("a source answers in part", says="metric 'depth': the answer is partial: a store is away")
def _source_in_part(_: Path) -> Judgement:
    body = b'{"status":"success","data":{"resultType":"matrix","result":[]},"warnings":["a store is away"]}'
    return _by_answer(probed.says(200, body))


@row("a source divides something by nothing", says="metric 'depth': a value of legacy is +Inf, as where something is")
def _source_infinite(_: Path) -> Judgement:
    series = b'[{"metric":{},"values":[[%d,"+Inf"]]}]' % (asking.SINCE + asking.STEP)
    return _by_answer(probed.says(200, b'{"status":"success","data":{"resultType":"matrix","result":%s}}' % series))


@row("a source knows no side at all", says="metric 'depth': no number of legacy or the candidate in the newest")
def _source_knows_nothing(_: Path) -> Judgement:
    return _by_answer(probed.says(200, b'{"status":"success","data":{"resultType":"matrix","result":[]}}'))


@row("a source's clock is another one", says="metric 'depth': its clock differs by")
def _source_of_another_time(_: Path) -> Judgement:
    date = "Thu, 01 Jan 2026 00:00:00 GMT"
    return _by_answer(lambda _: f"HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-length: 2\r\n\r\n{{}}".encode())


@row("a source says nothing of a side", says="metric 'depth': no number of the candidate in the newest")
def _source_lacks_a_side(folder: Path) -> Judgement:
    return _by_lines(folder, (line for line in asking.numbers() if line[1] == "legacy"))


@row("a source's numbers are stale", says="metric 'depth': no number of legacy for 210 s (stale after 165 s)")
def _source_is_stale(folder: Path) -> Judgement:
    return _by_lines(folder, (line for line in asking.numbers() if line[0] < asking.NOW - 220))


@row("a source's steps often lack a side", says="metric 'depth': 72 of 239 steps lack a number of the candidate")
def _source_has_holes(folder: Path) -> Judgement:
    lines = enumerate(asking.numbers())
    return _by_lines(folder, (line for n, line in lines if line[1] == "legacy" or n % 20 > 6))


@row("a source's numbers are dated ahead", says="export.csv:484: is dated")
def _source_is_ahead(folder: Path) -> Judgement:
    return _by_lines(folder, asking.numbers(), last="4102444800,legacy,40\n")


@row("a source says what is not a number", says="export.csv:484: column 'value' is 'nan'")
def _source_not_a_number(folder: Path) -> Judgement:
    return _by_lines(folder, asking.numbers(), last=f"{asking.NOW - 60},legacy,nan\n")


@row("a source's rate is no part of all", says="metric 'depth': a rate of 35.28 is not a part of all")
def _source_no_rate(folder: Path) -> Judgement:
    _by_lines(folder, asking.numbers())
    return _by_source({"kind": "csv", "path": str(folder / "export.csv")}, measure="rate")


@row("a source redirects to somebody else", says="metric 'depth': answered 302: a redirect is not followed")
def _source_redirects(_: Path) -> Judgement:
    return _by_answer(probed.says(302, b"", location="http://elsewhere.example/"))


@row(
    "a source answers in a coding that may unfold without end",
    says="metric 'depth': answered in a content coding (gzip)",
)
def _source_coded(_: Path) -> Judgement:
    return _by_answer(probed.says(200, gzip.compress(b"{}"), content_encoding="gzip"))


@row("a source's address is none", says="metric 'depth': http://prometheus cannot be opened: ValueError")
def _source_not_opened(_: Path) -> Judgement:
    return _by_source({"kind": "prometheus", "url": "http://prometheus", "ca": "a\0b"}, query='depth{app="$side"}')


def _by_select(folder: Path, query: str, **spec: Any) -> Judgement:
    """By a database with two hours of good numbers."""
    with contextlib.closing(sqlite3.connect(folder / "shop.db")) as database, database:
        database.execute("CREATE TABLE depth (at REAL, side TEXT, value REAL)")
        database.executemany("INSERT INTO depth VALUES (?, ?, ?)", asking.numbers())
    return _by_source({"kind": "sql", "url": f"sqlite:///{folder}/shop.db"} | spec, query=query)


IN_TIME = "FROM depth WHERE at >= :from AND at < :to"


@row("a database is asked by a driver that is not there", says="metric 'depth': nobodys://db/shop: ")
def _no_driver(folder: Path) -> Judgement:
    return _by_select(folder, f"SELECT at AS time, side, value {IN_TIME}", url="nobodys://fig:word@db/shop")


@row("a database's rows are of another time", says="metric 'depth': a row is dated")
def _rows_of_another_time(folder: Path) -> Judgement:
    return _by_select(folder, f"SELECT at - 18000 AS time, side, value {IN_TIME}")


@row("a database has more rows than anybody reads", says="metric 'depth': more than 200,000 rows")
def _rows_without_end(folder: Path) -> Judgement:
    count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    return _by_select(folder, f"{count} SELECT :from AS time, 'legacy' AS side, i AS value FROM n WHERE :to > 0")


@row("a database lacks a side", says="metric 'depth': no number of the candidate in the newest")
def _rows_of_one_side(folder: Path) -> Judgement:
    return _by_select(folder, f"SELECT at AS time, side, value {IN_TIME} AND side = 'legacy'")


def _of_both_sides_alike(folder: Path, **metric: Any) -> Judgement:
    """What was observed is that of both sides together, and is told as either side's."""
    chance = np.random.default_rng(1)
    steps = np.arange(asking.SINCE // asking.STEP, asking.NOW // asking.STEP + 1) * asking.STEP + asking.STEP / 2
    counts = [(n, chance.binomial(n, 0.02)) for n in chance.integers(200, 250, len(steps))]
    rows = "".join(
        f"{time},{side},{n},{failed}\n"
        for time, (n, failed) in zip(steps, counts, strict=True)
        for side in ("legacy", "candidate")
    )
    (folder / "export.csv").write_text(f"time,side,n,sum\n{rows}")
    return _by_source({"kind": "csv", "path": str(folder / "export.csv")}, **metric)


ALIKE = "both sides had the same number in"


@row("a rate that is the same number on both sides", says=ALIKE)
def _same_rate(folder: Path) -> Judgement:
    return _of_both_sides_alike(folder, measure="rate", margin="0.5pp")


@row("a mean that is the same number on both sides", says=ALIKE)
def _same_mean(folder: Path) -> Judgement:
    return _of_both_sides_alike(folder, measure="mean")


@row("a value that is the same number on both sides", says=ALIKE)
def _same_value(folder: Path) -> Judgement:
    return _by_select(folder, f"SELECT at AS time, s AS side, value {TWICE}")


TWICE = "FROM depth, (SELECT 'legacy' AS s UNION SELECT 'candidate') WHERE side = 'legacy' AND at >= :from AND at < :to"


@row("judged once: a source says the same numbers of both sides", says=ALIKE)
def _once_same(folder: Path) -> Judgement:
    (folder / "export.csv").write_text(
        "time,side,value\n"
        + "".join(f"{at},{side},{value}\n" for at, _, value in asking.numbers() for side in ("legacy", "candidate"))
    )
    metric = {"name": "depth", "kind": "query", "source": "numbers", "kayenta": {"direction": "increase"}}
    once = Gate.model_validate({"method": "kayenta", "kayenta": {"points": 239}, "metrics": [metric]})
    return asyncio.run(asking.judged(Source.model_validate({"kind": "csv", "path": str(folder / "export.csv")}), once))


@row("one of two sources is gone", says="metric 'depth': No such file", verdict=Verdict.FAULT)
def _source_gone(_: Path) -> Judgement:
    evidence = good(gate(metrics=[*GATE["metrics"], QUERY]))
    evidence.sourced[0].failed("No such file")
    return judged(evidence)


@row("a source has not answered yet", says="'depth': no evidence yet", verdict=Verdict.KEEP_WATCHING)
def _source_not_yet(_: Path) -> Judgement:
    return judged(good(gate(metrics=[*GATE["metrics"], QUERY])))


@row("a source never answers", says="metric 'depth': no number of legacy for 181 s (stale after 150 s)")
def _source_never(_: Path) -> Judgement:
    evidence = good(gate(metrics=[*GATE["metrics"], QUERY], silence="10m"))
    return judged(evidence, START + 181)


# Evidence of something else.


def _asked_with(kept: bytes, folder: Path, subject: str = "v2", now: float = END) -> Judgement:
    """What control says of a route whose evidence lies on the disk like that."""
    (folder / "fig.yaml").write_text(yaml.safe_dump(RULES))
    rulebook = load(folder / "fig.yaml")
    rollout = Rollout(Stage.CANARY, 250_000, since=START, began=START, subject=subject)
    attempts = Attempts({"shop": Kept("shop", {}, kept)})
    attempts.follow(Book(Effective(1, rulebook.rules), {"shop": Standing("shop", rollout, "canary")}, rulebook))
    return attempts.judge("shop", now)


RULES: dict[str, Any] = {
    "version": 1,
    "services": {"monolith": {"url": "http://127.0.0.1:9000"}, "shop": {"url": "http://127.0.0.1:9001"}},
    "legacy": "monolith",
    "routes": [
        {
            "name": "shop",
            "match": {"path": "/**"},
            "candidate": "shop",
            "unit": {"cookie": "unit"},
            "rollout": {"steps": ["25%"], "gate": "storefront"},
        }
    ],
    "gates": {"storefront": GATE},
}


@row("kept evidence is of another candidate", says="no window", verdict=Verdict.KEEP_WATCHING)
def _other_candidate(folder: Path) -> Judgement:
    return _asked_with(good().snapshot(), folder, subject="v3", now=START + 1)


@row("kept evidence was judged by another gate", says="no window", verdict=Verdict.KEEP_WATCHING)
def _other_gate(folder: Path) -> Judgement:
    return _asked_with(good(gate(alpha="20%")).snapshot(), folder, now=START + 1)


@row("kept evidence is cut off", says="no window", verdict=Verdict.KEEP_WATCHING)
def _cut_off(folder: Path) -> Judgement:
    return _asked_with(good().snapshot()[:-100], folder, now=START + 1)


@row("a part of kept evidence is missing", says="no window", verdict=Verdict.KEEP_WATCHING)
def _part_missing(folder: Path) -> Judgement:
    state = snapshot.decode(good().snapshot())
    del state["windows"]
    return _asked_with(snapshot.encode(state), folder, now=START + 1)


# Judged once, as Kayenta does, which lets most of these pass.

ONCE: dict[str, Any] = {
    "method": "kayenta",
    "kayenta": {"points": 20},
    "metrics": [
        {"name": "errors", "kind": "error_rate", "critical": True, "kayenta": {"direction": "increase"}},
        {"name": "p90", "kind": "latency", "quantile": 0.9, "kayenta": {"direction": "increase"}},
    ],
}


def _once(at: float = END, length: float = 30, **changes: Any) -> Judgement:
    of = Gate.model_validate(ONCE | changes)
    return judge(of, fed(begin(of), Traffic(11), length), at)


def _once_with(side: int, value: float, points: int) -> Judgement:
    """Judged with some of the p90's windows of one side overwritten."""
    of = Gate.model_validate(ONCE)
    evidence = fed(begin(of), Traffic(11), 30)
    measure = evidence.measures[1]
    assert isinstance(measure, WindowPoints)
    measure.values()[side][:points] = value
    return judge(of, evidence, END)


@row("judged once: no data at all, and nothing counts as 0", says="no counted request")
def _once_nothing(_: Path) -> Judgement:
    metrics = [one | {"kayenta": {"nan": "replace"}} for one in ONCE["metrics"]]
    return _once(START + 31, 0, metrics=metrics)


@row("judged once: too few windows", says="20 points: 14 so far", verdict=Verdict.KEEP_WATCHING)
def _once_too_early(_: Path) -> Judgement:
    return _once(START + 15, 15)


@row("judged once: half of the windows lack a side's value", says="has 9 of 20 values of the candidate")
def _once_holes(_: Path) -> Judgement:
    return _once_with(1, np.nan, 11)


@row("judged once: a window's value is infinite", says="metric 'p90' cannot be classified: ValueError")
def _once_infinite(_: Path) -> Judgement:
    return _once_with(0, np.inf, 1)


@row("judged once, long ago", says="too old to promote on")
def _once_long_ago(_: Path) -> Judgement:
    return _once(START + 45, 45)


@row("judged once, well, and then a side falls silent", says="no counted request of legacy")
def _once_and_silent(_: Path) -> Judgement:
    return _once(END + 31)


@row("a route that is not in canary is asked", says="there is no evidence")
def _not_in_canary(_: Path) -> Judgement:
    return Attempts({}).judge("shop", END)


def test_but_for_what_is_broken_below_the_evidence_promotes(tmp_path: Path) -> None:
    assert judged(good()).verdict is Verdict.PROMOTE
    assert _asked_with(good().snapshot(), tmp_path).verdict is Verdict.PROMOTE
    assert _by_lines(tmp_path, asking.numbers()).verdict is Verdict.PROMOTE
    assert _once().verdict is Verdict.PROMOTE
    by_select = _by_select(tmp_path, f"SELECT at AS time, side, value {IN_TIME}")
    assert by_select.verdict is Verdict.PROMOTE


@pytest.mark.parametrize("broken", TABLE, ids=lambda broken: broken.name)
def test_it_is_never_promoted(broken: Row, tmp_path: Path) -> None:
    judgement = broken.broken(tmp_path)

    assert judgement.verdict is broken.verdict
    assert judgement.verdict is not Verdict.PROMOTE
    assert broken.says in judgement.reason


METRIC = GATE["metrics"][0]

REFUSED = {
    "an unknown gate": ({"gates": {"another": GATE}}, "no gate is named 'storefront'"),
    "an unknown kind": ({"gates": {"storefront": {"metrics": [METRIC | {"kind": "eror_rate"}]}}}, "kind"),
    "an unknown key of a metric": ({"gates": {"storefront": {"metrics": [METRIC | {"margn": "1pp"}]}}}, "margn"),
    "an unknown key of a gate": ({"gates": {"storefront": GATE | {"alfa": "1%"}}}, "alfa"),
    "an unknown event": ({"gates": {"storefront": {"metrics": [METRIC, CONVERSION]}}}, "no event is named"),
    "two metrics of one name": ({"gates": {"storefront": {"metrics": [METRIC, METRIC]}}}, "two metrics are named"),
    "no metric": ({"gates": {"storefront": {"metrics": []}}}, "metrics"),
    "no required metric": ({"gates": {"storefront": {"metrics": [METRIC | {"required": False}]}}}, "is required"),
    "a margin that excludes nothing": (
        {"gates": {"storefront": {"metrics": [METRIC | {"margin": "100pp"}]}}},
        "excludes nothing",
    ),
    "a harm above the margin": ({"gates": {"storefront": {"metrics": [METRIC | {"harm": "3pp"}]}}}, "harm"),
    "an unknown source": ({"gates": {"storefront": {"metrics": [METRIC, QUERY]}}}, "no source is named 'numbers'"),
    "an unknown kind of source": ({"sources": {"numbers": {"kind": "promtheus"}}}, "kind"),
    "a source without a place": ({"sources": {"numbers": {"kind": "sql"}}}, "needs 'url'"),
    "a query that asks for no side": (
        {
            "sources": {"numbers": {"kind": "prometheus", "url": "http://prometheus:9090"}},
            "gates": {"storefront": {"metrics": [METRIC, QUERY | {"query": "depth"}]}},
        },
        "asks for no side",
    ),
    "a query that asks for a side in a comment": (
        {
            "sources": {"numbers": {"kind": "prometheus", "url": "http://prometheus:9090"}},
            "gates": {"storefront": {"metrics": [METRIC, QUERY | {"query": "depth # of $side"}]}},
        },
        "asks for no side",
    ),
    "a source whose host is none": (
        {"sources": {"numbers": {"kind": "prometheus", "url": "http://256.1.1.1"}}},
        "'url'",
    ),
    "a metric for Kayenta's judge that does not say what is worse": (
        {"gates": {"storefront": GATE | {"method": "kayenta"}}},
        "needs 'kayenta'",
    ),
    "a weight of a group that no metric is in": (
        {"gates": {"storefront": ONCE | {"kayenta": {"groups": {"latency": 100}}}}},
        "no metric is in the group 'latency'",
    ),
    "an alpha that accepts anything": ({"gates": {"storefront": GATE | {"alpha": "100%"}}}, "alpha"),
}
"""Name -> what the rules file says instead, and what of it the error must name."""


@pytest.mark.parametrize("name", REFUSED)
def test_what_nobody_could_judge_by_is_not_loaded(name: str, tmp_path: Path) -> None:
    changed, says = REFUSED[name]
    (tmp_path / "fig.yaml").write_text(yaml.safe_dump(RULES | changed))

    with pytest.raises(RulesError) as refused:
        load(tmp_path / "fig.yaml")

    assert any(says in problem.message for problem in refused.value.problems)


def test_a_judgement_that_went_through_json_damaged_is_no_judgement() -> None:
    document = to_dict(judged(good()))
    for part in ("verdict", "reason", "metrics", "route", "alpha"):
        with pytest.raises(ReportError):
            from_dict({name: value for name, value in document.items() if name != part})
    with pytest.raises(ReportError):
        from_dict(document | {"verdict": "promoted"})
