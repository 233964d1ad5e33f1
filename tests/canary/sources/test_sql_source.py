"""A database as a source: rows with a time or a question a step, sums or numbers, and what must never happen to it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from canary.source_spec import Source
from canary.sources import sql
from canary.sources.databases import limits, preparations
from canary.sources.source import Question, SourceError
from canary.sources.sql import Sql
from canary.steps import Answer, Stretch
from canary.verdict import Verdict
from tests.canary.sources.asking import NOW, gate, judged, numbers

STRETCH = Stretch(11, 13, 30)
"""From 300 to 390 s."""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE orders (at REAL, side TEXT, total REAL)")
        rows = [(300, "legacy", 1), (329, "legacy", 3), (330, "candidate", 7), (389, "legacy", 5), (390, "legacy", 100)]
        database.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
    database.close()
    yield path


def source(path: Path, **changes: Any) -> Source:
    return Source.model_validate({"kind": "sql", "url": f"sqlite:///{path}"} | changes)


async def ask(path: Path, query: str, stretch: Stretch = STRETCH, spec: Any = None, **metric: Any) -> Answer:
    database = Sql(source(path, **(spec or {})))
    try:
        return await database.ask(Question(gate(query=query, **metric).metrics[0], "products", stretch), NOW)
    finally:
        await database.close()


IN_TIME = "FROM orders WHERE at >= :from AND at < :to"


async def test_single_rows_are_summed_up_by_step_and_side(shop: Path) -> None:
    found = await ask(shop, f"SELECT at AS time, side, total AS value {IN_TIME}")

    assert found.n.tolist() == [[2, 0, 1], [0, 1, 0]]
    assert found.total.tolist() == [[4, 0, 5], [0, 7, 0]]
    assert found.squares.tolist() == [[10, 0, 25], [0, 49, 0]]


async def test_a_query_without_a_time_is_asked_once_a_step(shop: Path) -> None:
    query = f"SELECT side, count(*) AS n, sum(total) AS sum, sum(total * total) AS sum_squares {IN_TIME} GROUP BY side"

    found = await ask(shop, query)

    assert found.n.tolist() == [[2, 0, 1], [0, 1, 0]]
    assert found.squares.tolist() == [[10, 0, 25], [0, 49, 0]]


async def test_a_query_with_a_side_is_asked_once_a_side(shop: Path) -> None:
    query = f"SELECT at AS time, total AS value {IN_TIME} AND side = :side AND ':route' <> :route"

    assert (await ask(shop, query)).total.tolist() == [[4, 0, 5], [0, 7, 0]]


async def test_many_steps_without_a_time_are_answered_in_parts(shop: Path) -> None:
    found = await ask(shop, f"SELECT side, avg(total) AS value {IN_TIME} GROUP BY side", Stretch(1, 1000, 30))

    assert len(found.stretch) == sql.MOST_SINGLE
    assert found.total[0, 10] == 2


async def test_a_candidate_whose_orders_are_worth_less_is_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE orders (at REAL, side TEXT, total REAL)")
        database.executemany("INSERT INTO orders VALUES (?, ?, ?)", numbers(candidate=35))
    database.close()
    query = f"SELECT at AS time, side, total AS value {IN_TIME}"

    judgement = await judged(source(path), gate(query=query, direction="lower_is_worse", measure="mean", unit="EUR"))

    assert judgement.verdict is Verdict.ROLLBACK
    assert "EUR of 239 observations" in judgement.reason


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (f"SELECT at AS time, side, totl AS value {IN_TIME}", "no such column: totl"),
        (f"SELECT at AS time, side, total {IN_TIME}", "a row has no column 'n'"),
        (f"SELECT at + 60 AS time, side, total AS value {IN_TIME}", "outside of what was asked for (300 to 390)"),
        (f"SELECT at AS time, total AS value {IN_TIME}", "a row has no column 'side'"),
        (f"SELECT at AS time, side, 'x' AS value {IN_TIME}", "column 'value' is 'x', which is not a finite number"),
        (
            f"SELECT at AS time, side, 1e308 AS value {IN_TIME}",
            "a row column 'value' is 1e+308, which is beyond 1e+100",
        ),
        (f"SELECT at AS time, side, 1 AS value, 2 AS value {IN_TIME}", "two columns are called 'value'; name what"),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) "
            "SELECT :from AS time, 'legacy' AS side, i AS value FROM n WHERE :to > 0",
            "more than 200,000 rows",
        ),
    ],
)
async def test_an_answer_that_cannot_be_used_is_told_in_words(shop: Path, query: str, says: str) -> None:
    with pytest.raises(SourceError) as raised:
        await ask(shop, query)

    assert says in str(raised.value)


async def test_a_database_is_only_read(shop: Path) -> None:
    with pytest.raises(SourceError, match="readonly database"):
        await ask(shop, "WITH gone AS (SELECT :from, :to) DELETE FROM orders")

    with contextlib.closing(sqlite3.connect(shop)) as database:
        assert database.execute("SELECT count(*) FROM orders").fetchone() == (5,)


async def test_a_file_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no file"):
        await ask(tmp_path / "gone.db", "SELECT :from, :to")

    assert list(tmp_path.iterdir()) == []


ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
    "SELECT :from AS time, 'legacy' AS side, count(*) AS value FROM n WHERE :to > 0"
)


async def test_a_query_without_an_end_is_interrupted_and_the_next_one_is_answered(shop: Path) -> None:
    database = Sql(source(shop, timeout="200ms"))
    endless, brief = gate(query=ENDLESS).metrics[0], gate(query=f"SELECT at AS time, side, total AS value {IN_TIME}")
    with pytest.raises(SourceError, match=r"no answer within 0\.2 s"):
        await database.ask(Question(endless, "products", STRETCH), NOW)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "fig-source")
    found = None
    while found is None:
        try:
            found = await database.ask(Question(brief.metrics[0], "products", STRETCH), NOW)
        except SourceError as exc:
            assert "still running" in str(exc) or "no answer" in str(exc)
            await asyncio.sleep(0.02)
    await database.close()

    assert found.total[0].tolist() == [4, 0, 5]


@pytest.mark.parametrize("url", ["postgresql+psycopg9://fig:hidden-word@db/shop", "nobodys://fig:hidden-word@db/shop"])
def test_a_driver_that_is_not_there_is_told_without_the_password(url: str) -> None:
    with pytest.raises(SourceError, match="install the driver") as raised:
        Sql(Source.model_validate({"kind": "sql", "url": url}))

    assert "hidden-word" not in str(raised.value)


def test_a_driver_for_asyncio_is_told_from_one_that_is_not_there() -> None:
    with pytest.raises(SourceError, match=r"postgresql\+asyncpg://db/shop: this driver is for asyncio; name one that"):
        Sql(Source.model_validate({"kind": "sql", "url": "postgresql+asyncpg://fig:hidden-word@db/shop"}))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://reader@db:port/shop", "postgresql://db:port/shop: 'url' is no SQLAlchemy URL; write it like "),
        (
            "sqlite:///shop.db?timeout=soon",
            "sqlite:///shop.db: 'url' cannot be used: could not convert string to float",
        ),
    ],
)
def test_a_url_with_a_mistake_is_told_without_advice_about_drivers(url: str, says: str) -> None:
    with pytest.raises(SourceError) as raised:
        Sql(Source.model_validate({"kind": "sql", "url": url}))

    assert says in str(raised.value)
    assert "driver that" not in str(raised.value)


@pytest.mark.parametrize(
    ("database", "says"),
    [("mysql", "max_execution_time = 1500"), ("mariadb", "max_statement_time = 1.5"), ("postgresql", "timeout = 1500")],
)
def test_a_database_is_told_how_long_a_question_may_take_before_anything_else(database: str, says: str) -> None:
    told = preparations(database, 1.5, 10)

    assert any(says in each for each in told)
    assert any("READ ONLY" in each for each in told)
    assert any("'UTC'" in each or "'+00:00'" in each for each in told)


def test_a_driver_gives_up_by_itself_unless_the_url_says_otherwise() -> None:
    assert limits("psycopg", 0.2, {}) == {"connect_timeout": 1}
    assert limits("pymysql", 9.5, {"read_timeout": "60"}) == {"connect_timeout": 10, "write_timeout": 10}
    assert limits("pysqlite", 10, {}) == {}


def test_a_source_shows_no_secret() -> None:
    spec = Source.model_validate({"kind": "sql", "url": "mysql+pymysql://fig:hidden-word@db:3306/shop?ssl_key=also"})

    assert "hidden-word" not in repr(spec)
    assert spec.place == "mysql+pymysql://db:3306/shop"
