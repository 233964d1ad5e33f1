"""The admin API's answer to why the running fig sends a request where it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from proxy.control import table_in_force
from proxy.control.explaining import Explaining, Question
from proxy.control.guard import EXPLAIN, Guard
from proxy.settings import Address
from rules.document import Rules
from rules.effective import Effective, Position
from rules.stages import Stage
from tests.fakes.running_control import control, write

RULES = Rules.model_validate(
    {
        "version": 1,
        "services": {"legacy": {"url": "http://127.0.0.1:9000"}, "shop": {"url": "http://127.0.0.1:9001"}},
        "legacy": "legacy",
        "routes": [{"name": "cart", "match": {"path": "/cart/**"}, "candidate": "shop"}],
    }
)


async def test_the_running_fig_explains_by_where_its_routes_stand_now(tmp_path: Path) -> None:
    write(tmp_path, stage="canary", share="10%")
    async with control(tmp_path) as fig:
        question = {"method": "GET", "url": "/cart/7", "unit": "jane"}
        before = (await fig.api.post(EXPLAIN, json=question)).json()
        assert (before["route"], before["stage"], before["share"], before["generation"]) == ("cart", "canary", "10%", 1)
        assert any("taken by route cart, stage canary" in line for line in before["text"])

        await fig.change("stage", stage="live")

        after = (await fig.api.post(EXPLAIN, json=question)).json()
        assert (after["stage"], after["side"], after["generation"]) == ("live", "candidate", 2)


@pytest.mark.parametrize(
    ("question", "status", "told"),
    [
        ({"url": "/a%2fb"}, 200, {"refused": 400}),
        ({"url": "/", "method": "CONNECT"}, 200, {"refused": 405}),
        ({"url": "/", "client": "nobody"}, 400, "is no client address"),
        ({}, 400, "give either 'url' or 'logged'"),
        ({"url": "/", "logged": {}}, 400, "logged"),
        ({"url": "/", "headers": ["x"]}, 400, "headers"),
        ({"uri": "/"}, 400, "uri: unknown key"),
    ],
)
async def test_what_cannot_be_explained_is_said(
    tmp_path: Path, question: dict[str, Any], status: int, told: Any
) -> None:
    write(tmp_path)
    async with control(tmp_path) as fig:
        answer = await fig.api.post(EXPLAIN, json=question)
        assert answer.status_code == status
        if status == 200:
            assert told.items() <= answer.json().items()
        else:
            assert told in answer.json()["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer reading"}, 200),
        ({"Authorization": "Bearer changing"}, 200),
        ({"Authorization": "Bearer guess"}, 401),
        ({"Authorization": "Bearer reading", "Content-Type": "text/plain"}, 415),
        ({"Authorization": "Bearer reading", "Origin": "https://evil.example"}, 403),
    ],
)
async def test_a_reading_token_may_ask_but_no_web_page_may(headers: dict[str, str], status: int) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    guard = Guard(Address("0.0.0.0", 9900), admin_token="changing", read_token="reading")
    app = web.Application(middlewares=[guard.middleware])
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestClient(TestServer(app)) as client:
        own = {"Content-Type": "application/json", **headers}
        answer = await client.post(EXPLAIN, data=b"{}", headers=own)
        assert answer.status == status
        change = await client.post("/api/routes/a/promote", data=b"{}", headers={**own, **_reading(headers)})
        assert change.status != 200


def _reading(headers: dict[str, str]) -> dict[str, str]:
    """The reading token at most: changes it must not."""
    return {"Authorization": "Bearer reading"} if "changing" in str(headers) else {}


async def test_a_move_compiles_nothing_anew_and_other_rules_do(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[int] = []
    real = table_in_force.compile_table
    monkeypatch.setattr(table_in_force, "compile_table", lambda e: (compiled.append(e.generation), real(e))[1])
    now = Effective(1, RULES, {"cart": Position(Stage.LEGACY, 0)})
    asked = Explaining(lambda: now)
    question = Question(url="/cart/7")

    assert (await asked.answer(question))["side"] == "legacy"
    now = Effective(2, RULES, {"cart": Position(Stage.LIVE, 0)})
    assert (await asked.answer(question))["side"] == "candidate"
    assert (await asked.answer(question))["generation"] == 2
    assert compiled == [1]
    now = Effective(3, RULES.model_copy(), {"cart": Position(Stage.LEGACY, 0)})
    assert (await asked.answer(question))["side"] == "legacy"
    assert compiled == [1, 3]
