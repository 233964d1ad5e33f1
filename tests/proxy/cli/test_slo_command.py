"""`fig slo` and the lines of `fig status` about budgets, against an admin API over real HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from typer.testing import CliRunner, Result

from proxy.cli import app

RATES = {"5m": 20.04, "30m": 3.0, "1h": 16.2, "6h": None, "3d": 0.5}


def objective(level: str = "", remaining: float | None = 0.613, **others: Any) -> dict[str, Any]:
    return {
        "name": "products",
        "route": "products",
        "service": None,
        "objective": "availability",
        "goal": 0.999,
        "under": None,
        "requests": 1_204_551,
        "bad": 412,
        "remaining": remaining,
        "burn": RATES,
        "level": level,
        "sentence": f"SLO 'products' says {level}",
        **others,
    }


async def fig(documents: dict[str, Any], *words: str) -> Result:
    """What a command prints where the admin API answers each path with its document; 404 for others."""

    async def answer(request: web.Request) -> web.Response:
        if request.path_qs not in documents:
            return web.json_response({"error": f"nothing at {request.path_qs}"}, status=404)
        return web.json_response(documents[request.path_qs])

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with TestServer(application) as server:
        environment = {"COLUMNS": "160", "FIG_ADMIN": f"127.0.0.1:{server.port}"}
        return await asyncio.to_thread(CliRunner().invoke, app, list(words), env=environment)


async def test_budgets_and_burn_rates_are_shown_as_people_read_them() -> None:
    slow = objective(route=None, service="shop", objective="latency", goal=0.95, under=0.3)
    result = await fig({"/api/slo": {"slo": [objective(), slow]}}, "slo")
    assert result.exit_code == 0
    _, first, second = result.output.splitlines()
    for words in ("products", "availability 99.9%", "1,204,551", "412", "61.3%", "20x", "16.2x", "0.5x"):
        assert words in first
    assert "shop (service)" in second
    assert "latency 95% < 300 ms" in second


@pytest.mark.parametrize(
    ("level", "code"), [("", 0), ("ticket", 0), ("page", 1), ("exhausted", 1)], ids=lambda value: str(value)
)
async def test_the_exit_code_says_whether_somebody_should_know_at_once(level: str, code: int) -> None:
    result = await fig({"/api/slo": {"slo": [objective(), objective(level)]}}, "slo")
    assert result.exit_code == code
    assert (f"SLO 'products' says {level}" in result.output) is bool(level)


async def test_without_requests_nothing_is_known() -> None:
    assert (await fig({"/api/slo": {"slo": [objective(remaining=None)]}}, "slo")).exit_code == 3


async def test_of_one_route_and_as_json() -> None:
    document = {"at": 1.0, "slo": [objective("page")]}
    result = await fig({"/api/slo?route=products": document}, "slo", "products", "--json")
    assert json.loads(result.output) == document
    assert result.exit_code == 1


async def test_no_objective_and_no_such_route_are_errors() -> None:
    none = await fig({"/api/slo": {"slo": []}}, "slo")
    assert (none.exit_code, "there is no objective; write one under `slo:`" in none.output) == (2, True)
    unknown = await fig({}, "slo", "carts")
    assert (unknown.exit_code, "nothing at /api/slo?route=carts" in unknown.output) == (2, True)


async def test_status_says_which_budgets_burn() -> None:
    status = {
        "generation": 1,
        "listen": "127.0.0.1:8080",
        "workers_expected": 1,
        "at": 0.0,
        "peers": [],
        "rules": {"problems": []},
        "routes": [],
        "slo": [objective(), objective("page")],
    }
    result = await fig({"/api/status": status}, "status")
    assert result.output.count("SLO 'products' says") == 1
    assert "SLO 'products' says page" in result.output
