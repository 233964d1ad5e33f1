"""RFC 9110 sections 5.6.7 and 6.6.1: when an answer was made."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime

import pytest

from tests.conformance.cases import OK, Case, Returned, Scripted, conformance
from tests.conformance.messages import get, ok, raw
from tests.fakes.planes import running, table

DATE = "Date: Tue, 15 Nov 1994 08:12:31 GMT"
_IMF = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT"
)


@conformance(
    Returned("9110 6.6.1", "the service's date is left alone", ok(DATE, "Content-Length: 0"),
             ok(DATE, "Content-Length: 0"), keep=("date",)),
    Returned("9110 6.6.1", "in whatever case it is named", ok(DATE.replace("Date", "dAtE"), "Content-Length: 0"),
             ok(DATE.replace("Date", "dAtE"), "Content-Length: 0"), keep=("date",)),
    Returned("9110 6.6.1", "whatever it says", ok("Date: once upon a time", "Content-Length: 0"),
             ok("Date: once upon a time", "Content-Length: 0"), keep=("date",)),
)  # fmt: skip
async def test_a_date_that_came(case: Case) -> None:
    await case.check()


def assert_is_now(date: str | None) -> None:
    assert date is not None
    assert _IMF.fullmatch(date)  # 5.6.7: IMF-fixdate
    assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 30


@pytest.mark.parametrize(
    "answer", [OK, ok("Transfer-Encoding: chunked", body="0\r\n\r\n"), raw("HTTP/1.1 204 No Content"),
               raw("HTTP/1.1 503 Service Unavailable", "Content-Length: 0")]
)  # fmt: skip
async def test_an_answer_without_a_date_gets_the_time_at_which_it_came(answer: bytes) -> None:
    """RFC 9110 6.6.1: a recipient with a clock MUST append Date to an answer without one that it forwards."""
    async with Scripted(answer) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(get())
        assert_is_now((await client.message()).get("date"))


async def test_a_date_that_connection_names_ends_here_and_another_takes_its_place() -> None:
    """RFC 9110 7.6.1 and 6.6.1."""
    named = ok("Connection: date", DATE, "Content-Length: 0")
    async with Scripted(named) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(get())
        assert_is_now((await client.message()).get("date"))


async def test_an_interim_answer_needs_none() -> None:
    """RFC 9110 6.6.1: MAY for 1xx."""
    async with (
        Scripted(raw("HTTP/1.1 103 Early Hints") + OK) as service,
        running(table({"legacy": service.url})) as fig,
    ):
        client = await fig.connect()
        client.send(get())
        assert (await client.message()).get("date") is None
        assert_is_now((await client.message()).get("date"))


async def test_what_fig_answers_itself_has_a_date() -> None:
    """RFC 9110 6.6.1: MUST in 2xx, 3xx and 4xx."""
    moved = {"name": "m", "match": {"path": "/moved"}, "redirect": {"path": "/x"}}
    said = {"name": "s", "match": {"path": "/said"}, "respond": {"status": 200, "body": "hi"}}
    async with Scripted(OK) as service, running(table({"legacy": service.url}, moved, said)) as fig:
        client = await fig.connect()
        for path in ("/moved", "/said"):
            client.send(raw(f"GET {path} HTTP/1.1", "Host: a"))
            assert_is_now((await client.message()).get("date"))
        client.send(get("X : 1"))
        assert_is_now((await client.message()).get("date"))


async def test_what_fig_answers_for_a_service_that_cannot_has_a_date() -> None:
    async with running(table({"legacy": "http://127.0.0.1:1"})) as fig:
        client = await fig.connect()
        client.send(get())
        assert_is_now((await client.message()).get("date"))
