"""The real PostgreSQL and MariaDB as sources: their types and zones, what they may not do, and how they are let go."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from canary.source_spec import Source
from canary.sources.hiding import Hiding
from canary.sources.source import Question, SourceError
from canary.sources.sql import Sql
from canary.steps import Answer, Stretch
from canary.verdict import Verdict
from tests.canary.sources.asking import NOW, gate, judged, numbers
from tests.fakes.real_databases import Database, running_mariadb, running_postgresql

pytest.importorskip("psycopg")
pytest.importorskip("pymysql")

STRETCH = Stretch(11, 13, 30)
"""From 300 to 390 s."""
ORDERS = [(300, "legacy", 1), (329, "legacy", 3), (330, "candidate", 7), (389, "legacy", 5), (390, "legacy", 100)]
N, TOTAL = [[2, 0, 1], [0, 1, 0]], [[4, 0, 5], [0, 7, 0]]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Database]:
    with running_postgresql() as database:
        yield database


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Database]:
    with running_mariadb() as database:
        yield database


@pytest.fixture(params=["postgresql", "mariadb"])
def shop(request: pytest.FixtureRequest) -> Database:
    database: Database = request.getfixturevalue(request.param)
    database.orders(ORDERS)
    return database


def source(url: str, **changes: Any) -> Source:
    return Source.model_validate({"kind": "sql", "url": url} | changes)


def question(query: str, stretch: Stretch = STRETCH, **metric: Any) -> Question:
    return Question(gate(query=query, **metric).metrics[0], "products", stretch)


async def ask(shop: Database, query: str, **spec: Any) -> Answer:
    database = Sql(source(shop.url, **spec))
    try:
        return await database.ask(question(query), NOW)
    finally:
        await database.close()


@pytest.mark.parametrize("column", ["at", "plain"])
async def test_rows_are_put_into_steps_whatever_the_servers_zone_is(shop: Database, column: str) -> None:
    found = await ask(shop, f"SELECT {column} AS time, side, total AS value {shop.between(column)} AND side LIKE '%a%'")

    assert (found.n.tolist(), found.total.tolist()) == (N, TOTAL)


@pytest.mark.parametrize("column", ["at", "plain"])
async def test_sums_are_asked_for_step_by_step_by_the_same_clock(shop: Database, column: str) -> None:
    """Without it, an hour ago somewhere in the west would pass for now: the rows are those of another time."""
    sums = "side, count(*) AS n, sum(total) AS sum, sum(total * total) AS sum_squares"

    found = await ask(shop, f"SELECT {sums} {shop.between(column)} GROUP BY side")

    assert (found.n.tolist(), found.total.tolist()) == (N, TOTAL)
    assert found.squares.tolist() == [[10, 0, 25], [0, 49, 0]]


async def test_each_side_is_asked_for_by_its_name(shop: Database) -> None:
    query = (
        f"SELECT at AS time, total AS value {shop.between()} AND side = :side AND :route = 'products' AND :step > 29"
    )

    assert (await ask(shop, query)).total.tolist() == TOTAL


@pytest.mark.parametrize(("mean", "verdict"), [(40.0, Verdict.PROMOTE), (34.0, Verdict.ROLLBACK)])
async def test_it_decides_by_itself(shop: Database, mean: float, verdict: Verdict) -> None:
    shop.orders(list(numbers(candidate=mean)))
    query = f"SELECT at AS time, side, total AS value {shop.between()}"

    judgement = await judged(source(shop.url), gate(query=query, direction="lower_is_worse", measure="mean"))

    assert judgement.verdict is verdict
    assert judgement.metrics[0].legacy_count == 239


async def test_a_database_is_only_read(shop: Database) -> None:
    make = {
        "postgresql": "CREATE OR REPLACE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM orders; SELECT 1'",
        "mysql": "CREATE OR REPLACE FUNCTION wipe() RETURNS int BEGIN DELETE FROM orders; RETURN 1; END",
    }
    with shop.connected() as connection:
        connection.execute(text(make[connection.dialect.name]))

    with pytest.raises(SourceError, match=r"(?i)read.only transaction"):
        await ask(shop, f"SELECT wipe() AS value, side, at AS time {shop.between()}")

    with shop.connected() as connection:
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar() == len(ORDERS)


async def test_what_takes_too_long_is_ended_in_the_database_too(shop: Database) -> None:
    with pytest.raises(SourceError, match=r"no answer within 0\.3 s|timeout|max_statement_time"):
        await ask(shop, f"SELECT {shop.sleep}, :from, :to", timeout="300ms")

    while shop.sleepers():
        await asyncio.sleep(0.05)


async def test_rows_without_an_end_are_left_where_they_are(shop: Database) -> None:
    """A driver that fetches all before it says how many there are would fill control's memory."""
    with pytest.raises(SourceError, match="more than 200,000 rows"):
        await ask(shop, f"{shop.endless}, :from AS time, 'legacy' AS side FROM n WHERE :to > 0", timeout="60s")


class Relay:
    """Carries bytes between a port and a database, until a client says `deaf`; from then on that connection is held
    open and nothing is carried."""

    def __init__(self, server: Database | None, deaf: bytes = b"") -> None:
        self._server, self._deaf = server, deaf
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Relay:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                if self._server is None:
                    continue
                server = socket.socket(socket.AF_UNIX)
                self._open.append(server)
                server.connect(str(self._server.listening))
                deaf = threading.Event()
                for way in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=(*way, deaf), daemon=True).start()

    def _carry(self, read: socket.socket, write: socket.socket, deaf: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := read.recv(65_536):
                if self._deaf and self._deaf in data:
                    deaf.set()
                if deaf.is_set():
                    return
                write.sendall(data)


async def answered(database: Sql, query: str) -> Answer | str:
    """The answer, or what is wrong, once no former question runs any more."""
    while True:
        try:
            return await database.ask(question(query), NOW)
        except SourceError as exc:
            if "still running" not in str(exc):
                return str(exc)
            await asyncio.sleep(0.05)


async def test_a_connection_that_fell_silent_is_let_go_and_the_next_question_is_answered(shop: Database) -> None:
    with Relay(shop, deaf=b"no-way-back") as relay:
        database = Sql(source(shop.of("127.0.0.1", relay.port), timeout="1s"))
        with pytest.raises(SourceError, match="no answer within 1 s"):
            await database.ask(question(f"SELECT at AS time, 'no-way-back' AS side {shop.between()}"), NOW)
        found = await answered(database, f"SELECT at AS time, side, total AS value {shop.between()}")
        await database.close()

    assert isinstance(found, Answer)
    assert found.total.tolist() == TOTAL


async def test_a_server_that_never_says_a_word_is_given_up(shop: Database) -> None:
    with Relay(None) as relay:
        database = Sql(source(shop.of("127.0.0.1", relay.port), timeout="200ms"))
        told = [await answered(database, f"SELECT at AS time, side, total AS value {shop.between()}") for _ in range(2)]
        await database.close()

    assert told == ["no answer within 0.2 s"] * 2


async def test_neither_a_refusal_nor_a_name_shows_a_password(shop: Database) -> None:
    with Relay(shop) as relay:
        spec = source(shop.of("127.0.0.1", relay.port, password="another@wo/rd"))
        refused = Sql(spec)
        words = str(await answered(refused, f"SELECT at AS time, side, total AS value {shop.between()}"))
        told = Hiding(spec).text(words)
        await refused.close()

    assert "fig" in told
    assert "wo" not in told.replace("word", "")


async def test_a_column_that_is_not_there_is_told_in_the_databases_words(shop: Database) -> None:
    with pytest.raises(SourceError, match="totl"):
        await ask(shop, f"SELECT at AS time, side, totl AS value {shop.between()}")


async def test_postgresqls_casts_and_texts_are_left_as_they_are(postgresql: Database) -> None:
    postgresql.orders(ORDERS)
    query = """SELECT at::timestamp AS time, side::text, total::float8 AS value FROM orders
        WHERE at >= to_timestamp(:from::float8) AND at < to_timestamp(:to :: double precision)
        AND side <> E'it\\'s :side' AND side <> $$ ':route' $$ AND (array[1, 2])[1:1] = array[1] AND total % 2 = 1"""

    assert (await ask(postgresql, query)).total.tolist() == TOTAL


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ("at AS time, side, 'NaN'::numeric AS value", "column 'value' is 'NaN', which is not a finite number"),
        ("at AS time, side, 'Infinity'::float8 AS value", "column 'value' is 'inf', which is not a finite number"),
        ("at AS time, side, interval '3s' AS value", "column 'value' is '0:00:03', which is not a finite number"),
        ("'infinity'::timestamptz AS time, side, 1 AS value", "timestamp too large"),
    ],
)
async def test_what_postgresql_has_beyond_numbers_is_told(postgresql: Database, columns: str, says: str) -> None:
    postgresql.orders(ORDERS)
    with pytest.raises(SourceError) as raised:
        await ask(postgresql, f"SELECT {columns} {postgresql.between()}")

    assert says in str(raised.value)
