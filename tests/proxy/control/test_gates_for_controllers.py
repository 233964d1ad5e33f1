"""What Argo Rollouts and Flagger are answered: by verdict, by hook, by token, and with the files of deploy/."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from canary import report
from canary.gate import fault
from canary.verdict import Verdict
from proxy.control import gates
from proxy.control.guard import Guard
from proxy.settings import Address
from tests.fakes.running_control import control, write

DEPLOY = Path(__file__).parents[3] / "deploy"
PAYLOAD = {
    "name": "products",
    "namespace": "shop",
    "phase": "Progressing",
    "checksum": "85d557f47b",
    "metadata": {"team": "shop"},
}
"""As Flagger posts it; `checksum` is a key that not every version has."""
PASSING = {
    Verdict.PROMOTE: {
        "confirm-rollout",
        "pre-rollout",
        "rollout",
        "confirm-traffic-increase",
        "confirm-promotion",
    },
    Verdict.KEEP_WATCHING: {"confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase"},
    Verdict.ROLLBACK: {"rollback"},
    Verdict.FAULT: {"confirm-rollout", "pre-rollout"},
}


def judging(verdict: Verdict) -> gates.Judge:
    def judge(route: str) -> dict[str, Any]:
        found = fault(route, "storefront", f"because of {verdict}", 0.05, 1_700_000_000.0)
        return report.to_dict(replace(found, verdict=verdict))

    return judge


def app(verdict: Verdict, guard: Guard | None = None) -> TestServer:
    application = web.Application(middlewares=[guard.middleware] if guard is not None else [])
    application.add_routes(gates.routes(judging(verdict)))
    return TestServer(application)


@pytest.mark.parametrize("verdict", list(Verdict))
async def test_the_verdict_is_where_a_json_path_finds_it(verdict: Verdict) -> None:
    async with TestClient(app(verdict)) as client:
        answer = await client.get("/api/gates/products")
        document = await answer.json()

    assert (answer.status, document["verdict"], document["exit_code"]) == (200, verdict.value, verdict.exit_code)
    assert (document["promote"], document["rollback"]) == (verdict is Verdict.PROMOTE, verdict is Verdict.ROLLBACK)
    assert document["reason"] == f"because of {verdict}"


@pytest.mark.parametrize("verdict", list(Verdict))
async def test_a_decision_is_told_when_there_is_one(verdict: Verdict) -> None:
    async with TestClient(app(verdict)) as client:
        answer = await client.get("/api/gates/products/decision")
        document = await answer.json()

    if verdict in (Verdict.PROMOTE, Verdict.ROLLBACK):
        assert (answer.status, document["verdict"]) == (200, verdict.value)
    else:
        assert answer.status == 409
        assert document["error"] == f"no decision yet: {verdict}: because of {verdict}"


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("hook", list(gates.HOOKS))
async def test_flagger_goes_on_at_a_hook_when_the_verdict_allows_it(hook: str, verdict: Verdict) -> None:
    async with TestClient(app(verdict)) as client:
        answer = await client.post(f"/api/gates/products/flagger/{hook}", json=PAYLOAD)
        document = await answer.json()

    assert answer.status == (200 if hook in PASSING[verdict] else 409)
    if answer.status == 409:
        assert f"says {verdict}: because of {verdict}" in document["error"]


async def test_a_hook_that_fig_does_not_know_lets_nothing_pass() -> None:
    async with TestClient(app(Verdict.PROMOTE)) as client:
        answer = await client.post("/api/gates/products/flagger/confirm-promotoin", json=PAYLOAD)
        document = await answer.json()

    assert answer.status == 404
    assert "confirm-promotion" in document["error"]


def basic(password: str) -> str:
    """What a client sends for ``http://flagger:password@...``."""
    return "Basic " + b64encode(f"flagger:{password}".encode()).decode()


GUARD = Guard(Address("0.0.0.0", 9900), "changes", "reads")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("Bearer reads", 200),
        (basic("reads"), 200),
        (basic("guess"), 401),
        ("Basic " + b64encode(b"reads").decode(), 401),
        ("Basic ?", 401),
        ("", 401),
    ],
)
async def test_a_gate_is_asked_with_the_reading_token(authorization: str, status: int) -> None:
    async with TestClient(app(Verdict.PROMOTE, GUARD)) as client:
        headers = {"Authorization": authorization} if authorization else {}
        asked = await client.get("/api/gates/products", headers=headers)
        hooked = await client.post("/api/gates/products/flagger/rollout", json=PAYLOAD, headers=headers)

    assert (asked.status, hooked.status) == (status, status)


async def test_a_password_changes_nothing() -> None:
    application = web.Application(middlewares=[GUARD.middleware])
    async with TestClient(TestServer(application)) as client:
        headers = {"Authorization": basic("changes")}
        answer = await client.post("/api/routes/products/promote", json={}, headers=headers)

    assert answer.status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/gates/../routes/cart/promote",
        "/api/gates/%2e%2e/routes/cart/promote",
        "/api/gates/..%2froutes/cart/promote",
        "/api/gates//../../api/routes/cart/promote",
        "//api/gates/../../api/routes/cart/promote",
    ],
)
async def test_no_way_of_writing_a_path_makes_a_change_of_a_question(path: str) -> None:
    """The guard looks at the path that the router looks at, so that the reading token reaches no handler of a move."""
    moved: list[str] = []

    async def promote(request: web.Request) -> web.Response:
        moved.append(request.path)
        return web.Response()

    application = web.Application(middlewares=[GUARD.middleware])
    application.add_routes([*gates.routes(judging(Verdict.PROMOTE)), web.post("/api/routes/{route}/promote", promote)])
    async with TestServer(application) as server:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        head = f"POST {path} HTTP/1.1\r\nHost: fig\r\nAuthorization: Bearer reads\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()

    assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.1 404", b"HTTP/1.1 400"))
    assert moved == []


def argo() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "argo-rollouts.yaml").read_text()))


def flagger() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "flagger.yaml").read_text()))


def metric_named(name: str) -> dict[str, Any]:
    [found] = [m for d in argo() if d["kind"] == "AnalysisTemplate" for m in d["spec"]["metrics"] if m["name"] == name]
    return dict(found)


def holds(condition: str, result: str) -> bool:
    """Whether an Argo condition of the form ``result == "x"`` holds."""
    compared = re.fullmatch(r'result == "(\w+)"', condition)
    assert compared is not None, condition
    return result == compared[1]


@pytest.mark.parametrize("verdict", list(Verdict))
async def test_argo_measures_as_the_file_says(verdict: Verdict) -> None:
    async with TestClient(app(verdict)) as client:
        for name in ("no-harm", "proven"):
            metric = metric_named(name)
            web_provider = metric["provider"]["web"]
            assert web_provider["jsonPath"] == "{$.verdict}"
            path = web_provider["url"].replace("{{args.route}}", "products").removeprefix("http://fig:9900")
            answer = await client.get(path)
            result = (await answer.json()).get("verdict")
            if name == "no-harm":
                assert holds(metric["failureCondition"], result) is (verdict is Verdict.ROLLBACK)
            elif answer.status == 200:
                assert holds(metric["successCondition"], result) is (verdict is Verdict.PROMOTE)
                assert holds(metric["failureCondition"], result) is (verdict is Verdict.ROLLBACK)
            else:
                assert verdict in (Verdict.KEEP_WATCHING, Verdict.FAULT)


def test_an_argo_analysis_never_succeeds_without_promote() -> None:
    """Argo takes a metric that has made its `count` of measurements for successful, inconclusive ones among them."""
    proven = metric_named("proven")

    assert proven["count"] == 1
    assert proven.get("inconclusiveLimit", 0) == 0
    assert proven["consecutiveErrorLimit"] > 0


async def test_flaggers_webhooks_of_the_file_are_answered_by_a_running_control(tmp_path: Path) -> None:
    canary = {"metrics": [{"name": "errors", "kind": "error_rate", "margin": "5pp"}]}
    write(tmp_path, gates={"g": canary}, stage="canary", rollout={"steps": ["10%"], "gate": "g"})
    [document] = [d for d in flagger() if d["kind"] == "Canary"]
    async with control(tmp_path) as running:
        before = (await running.api.get("/api/history")).json()
        answers = {}
        for hook in document["spec"]["analysis"]["webhooks"]:
            url = re.sub(r"^http://[^/]*@fig:9900", "", hook["url"]).replace("products", "cart")
            assert url.endswith("/" + hook["type"])
            answer = await running.api.post(url, json=PAYLOAD)
            answers[hook["type"]] = answer.status_code

        unknown = await running.api.post("/api/gates/nobody/flagger/rollback", json=PAYLOAD)
        broken = await running.api.post("/api/gates/cart/flagger/rollout", content=b"[]", headers=JSON)

        assert (unknown.status_code, broken.status_code) == (404, 400)
        assert (await running.api.get("/api/history")).json() == before
    assert answers == {"confirm-rollout": 200, "rollout": 200, "confirm-promotion": 409, "rollback": 409}


JSON = {"Content-Type": "application/json"}


def test_the_files_name_a_service_port_and_secret_that_the_manifest_has() -> None:
    manifest = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    [service] = [d for d in manifest if d["kind"] == "Service"]
    admin = {port["name"]: port["port"] for port in service["spec"]["ports"]}["admin"]
    text = (DEPLOY / "argo-rollouts.yaml").read_text() + (DEPLOY / "flagger.yaml").read_text()

    assert set(re.findall(r"//(?:[^/@]*@)?([\w.-]+:\d+)/", text)) == {f"{service['metadata']['name']}:{admin}"}
    assert json.dumps({"name": "fig-tokens", "key": "read"}) in json.dumps(argo())
