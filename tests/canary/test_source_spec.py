"""Sources and what metrics ask of them, as a rules file may write them, and what is refused where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import text

from canary.query_spec import bound, filled, overlapping, parameters
from canary.source_spec import Source
from canary.spec import Gate, Metric
from proxy.cli.rules.diff.editions import editions
from proxy.rulebook import Rulebook, load
from rules.problems import RulesError

FILE = """version: 1
services: {monolith: {url: "http://127.0.0.1:9000"}, shop: {url: "http://127.0.0.1:9001"}}
legacy: monolith
routes:
  - {name: shop, match: {path: /**}, candidate: shop, unit: {cookie: u}, rollout: {steps: [5%], gate: g}}
sources:
  prom: {kind: prometheus, url: "http://reader:${WORD}@prometheus:9090", headers: {authorization: "Bearer ${WORD}"}}
  orders: {kind: sql, url: "postgresql+psycopg://fig:${WORD}@db/shop"}
  export: {kind: csv, path: export.csv}
gates:
  g:
    metrics:
      - {name: errors, kind: error_rate, margin: 1pp}
"""
PROMQL = {"source": "prom", "query": 'depth{app="$side"}'}
SELECT = {"source": "orders", "query": "SELECT at AS time, side, total AS value FROM o WHERE at >= :from AND at < :to"}
CSV = {"source": "export"}


def loaded(folder: Path, *metrics: dict[str, Any], text: str = FILE) -> Rulebook:
    lines = [
        "      - "
        + yaml.safe_dump(
            {"name": f"m{n}", "kind": "query", "margin": "10%"} | metric, default_flow_style=True, width=10_000
        ).strip()
        for n, metric in enumerate(metrics)
    ]
    (folder / "fig.yaml").write_text(text + "\n".join([*lines, ""]))
    return load(folder / "fig.yaml", {"WORD": "hidden-word"})


def refused(folder: Path, *metrics: dict[str, Any], text: str = FILE) -> str:
    with pytest.raises(RulesError) as raised:
        loaded(folder, *metrics, text=text)
    [problem] = raised.value.problems
    assert "hidden-word" not in str(problem)
    return str(problem)


def test_every_kind_of_source_may_be_asked(tmp_path: Path) -> None:
    rulebook = loaded(tmp_path, PROMQL, SELECT, CSV)

    assert rulebook.warnings == ()
    assert rulebook.sources["prom"].headers == {"authorization": "Bearer hidden-word"}
    assert "hidden-word" not in repr(rulebook.sources)
    assert rulebook.sources["prom"].place == "http://prometheus:9090"


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (PROMQL | {"source": "prm"}, "fig.yaml:14:83: 'source': no source is named 'prm'; did you mean 'prom'?"),
        ({"query": "x"}, "kind query needs 'source'"),
        ({"source": "prom"}, "'source' a source of kind prometheus needs 'query' with $side in it, or 'queries'"),
        (PROMQL | {"query": "depth"}, "metric 'm0': 'query' asks for no side; write a label like"),
        (PROMQL | {"query": 'depth{app="#"} # of $side'}, "metric 'm0': 'query' asks for no side; write a label like"),
        (PROMQL | {"count": "n # $side", "measure": "mean"}, "'count' asks for no side"),
        (PROMQL | {"query": 'depth{app="$side",zone="$zone"}'}, "no placeholder is called $zone"),
        (PROMQL | {"measure": "rate"}, "'rate' needs 'count'"),
        (PROMQL | {"count": 'n{app="$side"}'}, "is not used by measure 'value'"),
        (PROMQL | {"count": "n", "measure": "mean"}, "'count' asks for no side"),
        (PROMQL | {"columns": {"time": "t"}}, "'columns' does not belong to a source of kind prometheus"),
        (PROMQL | {"queries": {"legacy": "a", "candidate": "b"}}, "has 'query' and 'queries'; remove one"),
        ({"source": "prom", "queries": {"legacy": "a", "candidate": "a"}}, "both sides have the same query"),
        (PROMQL | {"sides": {"legacy": "a", "candidate": "a"}}, "both sides are called the same"),
        (PROMQL | {"step": "500ms"}, "a step lasts whole seconds"),
        (PROMQL | {"stale": "5s"}, "'stale' is shorter than a step of 30s"),
        (PROMQL | {"quantile": 0.5}, "'quantile' belongs to"),
        ({"source": "orders"}, "needs 'query', a SELECT with :from and :to"),
        (SELECT | {"query": "DELETE FROM o WHERE at > :from AND at < :to"}, "must be a SELECT"),
        (SELECT | {"query": "SELECT :from, :to; DROP TABLE o"}, "holds several statements"),
        (SELECT | {"query": "SELECT ':from' FROM o WHERE at < :to"}, "names no :from, seconds since 1970"),
        (SELECT | {"query": "SELECT :from, :to, :until"}, "no parameter is called :until"),
        (SELECT | {"query": "SELECT :from, :to, $side"}, "writes $side; in SQL it is :side"),
        (CSV | {"query": "x"}, "'query' does not belong to a source of kind csv"),
        (CSV | {"columns": {"valu": "x"}}, "no column is called 'valu'"),
        (CSV | {"margin": "20KB"}, "is not a margin"),
        ({"kind": "error_rate", "source": "prom"}, "'source' belongs to kind query, not error_rate"),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(tmp_path: Path, metric: dict[str, Any], says: str) -> None:
    assert says in refused(tmp_path, metric)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"kind": "promtheus", "url": "http://p"}, "did you mean 'prometheus'?"),
        ({"kind": "prometheus"}, "needs 'url'"),
        ({"kind": "prometheus", "url": "prometheus:9090"}, "'url' is no http or https URL"),
        ({"kind": "prometheus", "url": "http://p:9090?x=1"}, "without ? and #"),
        ({"kind": "prometheus", "url": "http://256.1.1.1:9090"}, "'url' is no http or https URL"),
        ({"kind": "prometheus", "url": "http://[::g]:9090"}, "'url' is no http or https URL"),
        ({"kind": "prometheus", "url": "http://prométheus_x:9090"}, "'url' is no http or https URL"),
        ({"kind": "prometheus", "url": "http://p\x7f:9090"}, "'url' is no http or https URL"),
        ({"kind": "prometheus", "url": "http://p:99999"}, "'url' is no http or https URL"),
        ({"kind": "prometheus", "url": "http://p", "path": "/x"}, "'path' does not belong to a source of kind prom"),
        ({"kind": "prometheus", "url": "http://p", "headers": {"x": "a\nb"}}, "what a header cannot carry"),
        ({"kind": "prometheus", "url": "http://p", "timeout": "1h"}, "an answer may take from 100ms to 5m"),
        ({"kind": "sql", "url": "shop.db"}, "'url' is no SQLAlchemy URL"),
        ({"kind": "sql", "url": "mysql+pymysql://fig:hid/den-word@db/shop"}, "in a name or password write them as %2F"),
        ({"kind": "sql", "url": "mysql+pymysql://fig:hid@den-word@db/shop"}, "in a name or password write them as %2F"),
        ({"kind": "sql", "url": "mysql+pymysql://db:3306/shop?password=hid@den-word"}, "before its last @"),
        ({"kind": "csv"}, "needs 'path'"),
        ({"kind": "csv", "path": "x", "url": "http://p"}, "'url' does not belong to a source of kind csv"),
        ({"kind": "csv", "path": "x", "tyemout": "1s"}, "unknown key 'tyemout'"),
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(tmp_path: Path, source: dict[str, Any], says: str) -> None:
    line = "  another: " + yaml.safe_dump(source, default_flow_style=True, width=10_000).strip()
    text = FILE.replace("gates:\n", f"{line}\ngates:\n")

    found = refused(tmp_path, PROMQL, SELECT, CSV, {"source": "another"} if "path" in source else CSV, text=text)

    assert says in found
    assert ":10:" in found


def test_a_sign_of_a_comment_within_a_text_is_none(tmp_path: Path) -> None:
    assert (
        loaded(tmp_path, PROMQL | {"query": """depth{a="#\\"#",b='#'} * on() x{c="$side"}"""}, SELECT, CSV).warnings
        == ()
    )


def test_a_range_longer_than_the_step_is_warned_of(tmp_path: Path) -> None:
    query = 'rate(orders_total{app="$side"}[5m])'
    codes = [problem.code for problem in loaded(tmp_path, PROMQL | {"query": query}, SELECT, CSV).warnings]
    assert codes == ["overlapping-range"]

    assert loaded(tmp_path, PROMQL | {"query": query, "step": "5m"}, SELECT, CSV).warnings == ()
    assert loaded(tmp_path, PROMQL | {"query": query.replace("5m", "$step")}, SELECT, CSV).warnings == ()


def test_a_source_that_nobody_asks_is_warned_of(tmp_path: Path) -> None:
    assert [problem.code for problem in loaded(tmp_path, PROMQL, CSV).warnings] == ["unused-source"]


def test_no_secret_of_a_source_is_in_what_fig_compares_or_publishes(tmp_path: Path) -> None:
    rulebook = loaded(tmp_path, PROMQL, SELECT, CSV)

    compared = editions(rulebook, rulebook, {})[1].document()

    assert "hidden-word" not in rulebook.rules.model_dump_json()
    assert "hidden-word" not in rulebook.gates["g"].model_dump_json()
    assert "hidden-word" not in repr(compared)
    assert compared["sources"]["prom"]["url"] == "http://prometheus:9090"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("mysql+pymysql://fig:hidden-word@db:3306/shop?ssl_key=hidden-word", "mysql+pymysql://db:3306/shop"),
        ("postgresql+psycopg:///shop?user=fig&password=hidden@word", "postgresql+psycopg:///shop"),
        ("sqlite:////data/shop@berlin/orders.db", "sqlite:////data/shop@berlin/orders.db"),
        ("postgresql+psycopg://fig:hidden%2Fword%40@[::1]/shop", "postgresql+psycopg://[::1]/shop"),
    ],
)
def test_what_is_shown_of_a_database_is_where_it_is(url: str, place: str) -> None:
    assert Source.model_validate({"kind": "sql", "url": url}).place == place


def test_placeholders_are_filled_in_and_a_double_dollar_is_one() -> None:
    assert filled('x{a="$side",b=~"c$$"}[$step]', {"side": "shop", "step": "30s"}) == 'x{a="shop",b=~"c$"}[30s]'


def test_parameters_are_found_outside_of_texts_names_comments_and_casts() -> None:
    query = """SELECT at::date, ':a', ":b", :side -- :c
    /* :d */ FROM o WHERE at > :from AND t = '12:30' AND x = 'it''s :e'"""

    assert parameters(query) == {"side", "from"}


def test_so_they_are_in_the_forms_of_postgresql_and_mysql() -> None:
    query = r"""SELECT at::date, E'it\'s :a', $$ it's :b $$, $x$ $$ :c $x$, `:d`, a[1:2], :to::int, :from :: int"""

    assert parameters(query) == {"from", "to"}


def test_every_other_colon_is_left_as_it_is() -> None:
    query = "SELECT at::date, ':a', x[1:2] FROM o WHERE at > :from::float8 AND at < :to -- :c"

    assert bound(query) == (r"SELECT at\:\:date, '\:a', x[1\:2] FROM o WHERE at > :from\:\:float8 AND at < :to -- \:c")
    assert str(text(bound(query)).compile()) == query


def test_the_longest_range_is_the_one_that_counts() -> None:
    asked = {"name": "m", "kind": "query", "margin": "1%", "source": "p", "query": "rate(x[1m30s]) / rate(y[ 2m ])"}

    assert overlapping(Metric.model_validate(asked)) == 120
    for subquery in ("max_over_time(x[10m:])", "max_over_time(rate(x[1m])[10m : 30s])"):
        assert overlapping(Metric.model_validate(asked | {"query": subquery})) == 600
    assert overlapping(Metric.model_validate(asked | {"step": "2m"})) is None


@pytest.mark.parametrize(
    "url",
    ["http://[::1]:9090", "http://127.0.0.1", "https://prométheus.example/api", "http://my_prom", "http://10.0.0.1:1"],
)
def test_a_host_may_be_written_in_every_way(url: str) -> None:
    assert httpx.URL(Source.model_validate({"kind": "prometheus", "url": url}).url or "").host


def test_a_source_survives_json() -> None:
    source = Source.model_validate({"kind": "sql", "url": "sqlite:///x.db", "delay": "1m"})

    assert Source.model_validate_json(source.model_dump_json()) == source


def test_a_gate_that_asks_sources_survives_json(tmp_path: Path) -> None:
    gate = loaded(tmp_path, PROMQL, SELECT | {"stale": "5m"}, CSV | {"columns": {"time": "t"}}).gates["g"]

    assert Gate.model_validate_json(gate.model_dump_json()) == gate
