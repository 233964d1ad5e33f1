"""The token that forces a side decides, and is seen by nobody behind fig."""

from __future__ import annotations

import pytest

from proxy.dataplane.canonical import copied_request
from rules.document import Rules
from rules.effective import Effective
from rules.table import Table, compile_table
from tests.fakes.planes import FakeCopies, running, until
from tests.fakes.wires import Answering

TOKEN = "let-the-pilot-users-in"


def table(legacy: str, candidate: str) -> Table:
    route = {"name": "all", "match": {"path": "/**"}, "candidate": "candidate", "stage": "shadow"}
    rules = {
        "version": 1,
        "services": {"legacy": {"url": legacy}, "candidate": {"url": candidate}},
        "legacy": "legacy",
        "routes": [route],
        "force": {"header": "x-fig-side", "cookie": "fig_side", "token": TOKEN},
    }
    return compile_table(Effective(generation=1, rules=Rules.model_validate(rules)))


@pytest.mark.parametrize(
    ("lines", "cookie"),
    [
        (f"X-Fig-Side: candidate:{TOKEN}\r\nCookie: basket=7\r\n", "basket=7"),
        (f"Cookie: a=1; fig_side=candidate:{TOKEN}; b=2\r\n", "a=1; b=2"),
        (f"Cookie: fig_side=candidate:{TOKEN}\r\n", None),
    ],
)
async def test_a_forced_request_reaches_the_candidate_without_the_token(lines: str, cookie: str | None) -> None:
    copies = FakeCopies()
    async with (
        Answering() as legacy,
        Answering() as candidate,
        running(table(legacy.url, candidate.url), copies=copies) as fig,
    ):
        client = await fig.connect()
        client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode())
        await client.message()
        (finished,) = await fig.finished()
        await until(lambda: "mirror" in copies.events, "the mirror")

        assert legacy.requests == []
        assert candidate.requests[0].get("cookie") == cookie
        assert candidate.requests[0].get("x-fig-side") is None
        assert TOKEN not in str(copied_request(finished.exchange.head))


async def test_a_wrong_token_forces_nothing_and_goes_no_further_either() -> None:
    async with Answering() as legacy, Answering() as candidate, running(table(legacy.url, candidate.url)) as fig:
        client = await fig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Fig-Side: candidate:guess\r\n\r\n")
        await client.message()

        assert candidate.requests == []
        assert legacy.requests[0].get("x-fig-side") is None
