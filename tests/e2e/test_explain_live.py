"""What `fig rules explain --live` says of a request is what the running fig does with it. Real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from proxy.cli import app
from tests.fakes.echo_service import EchoService, echo_service
from tests.fakes.served import Served, eventually, serving

RULES = """
version: 1
services:
  legacy: {{url: "{legacy}"}}
  catalogue: {{url: "{catalogue}"}}
  broken: {{url: "{broken}"}}
legacy: legacy
defaults: {{response_headers: {{add: {{x-side: "{{side}}"}}, sides: both}}}}
routes:
  - name: pilot
    match:
      path: /api/products/**
      any: [{{headers: {{x-pilot: "yes"}}}}, {{cookies: {{beta: {{present: true}}}}}}]
    candidate: catalogue
    stage: live
    shadow: {{sample: 0%}}
  - name: products
    match: {{path: "/api/products/{{id}}", host: shop.example}}
    candidate: catalogue
    stage: canary
    share: 50%
    shadow: {{sample: 0%}}
    unit: {{cookie: fig_unit, issue: true}}
    rewrite: {{path: "/catalogue/{{id}}", host: service}}
    request_headers: {{set: {{x-product: "{{id}}"}}, remove: [x-debug], add: {{x-route: "{{route}}"}}}}
    response_headers: {{remove: [x-powered-by], set: {{x-kind: product}}}}
  - name: basket
    match: {{path: /basket/**}}
    candidate: catalogue
    stage: canary
    share: 50%
    shadow: {{sample: 0%}}
    unit: {{header: x-customer}}
    rewrite: {{prefix: /cart, sides: both}}
  - name: shadowed
    match: {{path: /shadowed/**, methods: [GET]}}
    candidate: catalogue
    stage: shadow
    rewrite: {{prefix: /catalogue, host: catalogue.internal}}
    request_headers: {{remove: [x-debug], set: {{x-copied: "yes"}}}}
  - name: old
    match: {{path: /old/**}}
    redirect: {{status: 308, prefix: /new, host: www.shop.example, scheme: https}}
  - name: gone
    match: {{path: /gone}}
    respond: {{status: 410, body: "gone for good", headers: {{x-since: "2024"}}}}
  - name: broken
    match: {{path: /broken/**, methods: [GET]}}
    candidate: broken
    stage: canary
    share: 100%
    unit: {{header: x-customer}}
"""
REQUESTS = [
    ("GET", "/api/products/7?x=1", {"host": "shop.example", "cookie": "a=b; fig_unit=ada", "x-debug": "1"}),
    ("GET", "/api//products/%37", {"host": "Shop.Example:80", "cookie": "fig_unit=eve"}),
    ("HEAD", "/api/products/7", {"host": "shop.example", "cookie": "fig_unit=hana"}),
    ("GET", "/api/products/7", {"host": "shop.example", "cookie": 'fig_unit="quoted"'}),
    ("GET", "/api/products/7", {"host": "shop.example", "x-pilot": "yes"}),
    ("GET", "/api/products/7/parts", {"host": "shop.example", "cookie": "beta=1"}),
    ("GET", "/api/products/7", {"host": "other.example"}),
    ("GET", "/basket/a/b?c", {"x-customer": "jane"}),
    ("POST", "/basket/", {"x-customer": "john", "content-length": "0"}),
    ("GET", "/basket", {}),
    ("GET", "/old/a/b?c=d", {"host": "shop.example"}),
    ("GET", "/gone", {}),
    ("GET", "/a%2fb", {}),
    ("GET", "/x", {"host": "bad host"}),
]
Fig = tuple[Served, dict[str, EchoService]]


@pytest.fixture(scope="module")
def fig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fig]:
    folder = tmp_path_factory.mktemp("explained")
    php = [("X-Powered-By", "php"), ("X-Kind", "unknown")]
    with (
        echo_service("legacy", php) as legacy,
        echo_service("catalogue", php) as catalogue,
        echo_service("broken", status=503) as broken,
    ):
        services = {"legacy": legacy, "catalogue": catalogue, "broken": broken}
        (folder / "fig.yaml").write_text(RULES.format(**{name: each.url for name, each in services.items()}))
        with serving(folder, workers=1) as served:
            eventually(served.ready, "fig ready")
            yield served, services


def explained(served: Served, method: str, path: str, headers: dict[str, str], *more: str) -> tuple[int, Any]:
    """The exit code, and the JSON."""
    lines = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    arguments = ["rules", "explain", method, path, *lines, "--live", "--json", "--admin", served.admin_address, *more]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, json.loads(result.stdout)


def asked(served: Served, method: str, path: str, headers: dict[str, str]) -> tuple[int, httpx.Headers, str]:
    """What a client on a raw connection gets: status, headers, body."""
    with httpx.Client(trust_env=False, timeout=10) as client:
        url = httpx.URL(f"http://127.0.0.1:{served.port}").copy_with(raw_path=path.encode())
        answer = client.send(client.build_request(method, url, headers=headers))
        return answer.status_code, answer.headers, answer.text


@pytest.mark.parametrize(("method", "path", "headers"), REQUESTS, ids=[f"{m} {p}" for m, p, _ in REQUESTS])
def test_what_is_explained_is_what_a_worker_does(fig: Fig, method: str, path: str, headers: dict[str, str]) -> None:
    served, services = fig
    for service in services.values():
        service.heard.clear()

    code, told = explained(served, method, path, {"host": "localhost", **headers})
    status, answer, body = asked(served, method, path, {"host": "localhost", **headers})

    heard = {name: each.heard[:] for name, each in services.items()}
    answered_by = answer.get("x-service")
    if "refused" in told:
        assert (code, status, heard) == (2, told["refused"], {name: [] for name in services})
        return
    assert (code, told["generation"]) == (0, served.status()["generation"])
    if told["answer"] is not None:
        assert not any(heard.values())
        assert (status, body) == (told["answer"]["status"], told["answer"]["body"])
        for name, value in told["answer"]["headers"]:
            assert value in answer.get_list(name)
        return
    if told["unit_issued"]:
        [sent] = [each for each in told["sent"] if each["service"] == answered_by]
        assert "fig_unit=" in answer["set-cookie"]
    else:
        [sent] = told["sent"]
        assert (told["side"], told["service"]) == (sent["side"], answered_by)
        assert "set-cookie" not in answer
    [request] = heard[sent["service"]]
    assert request.target == sent["path"] + (f"?{sent['query']}" if sent["query"] else "")
    assert request.values("host") == [sent["host"]]
    appended = {name.lower() for name, _ in sent["request_headers"]["added"]}
    for name, value in sent["request_headers"]["added"]:
        assert value in request.values(name)
    for name in sent["request_headers"]["removed"]:
        assert name in appended or not request.values(name)
    for name, value in sent["response_headers"]["added"]:
        assert value in answer.get_list(name)
    for name in sent["response_headers"]["removed"]:
        shown = [value for key, value in sent["response_headers"]["added"] if key.lower() == name]
        assert answer.get_list(name) == shown


def test_the_copy_that_is_explained_is_the_copy_that_is_made(fig: Fig) -> None:
    served, services = fig
    headers = {"host": "shop.example", "x-debug": "1"}
    _, told = explained(served, "GET", "/shadowed/a/b?c=d", headers)
    assert (told["side"], told["copy_to"], told["copy"]["service"]) == ("legacy", "candidate", "catalogue")
    services["catalogue"].heard.clear()

    status, _, _ = asked(served, "GET", "/shadowed/a/b?c=d", headers)

    assert status == 200
    assert services["legacy"].heard[-1].target == "/shadowed/a/b?c=d"
    [copy] = eventually(lambda: services["catalogue"].heard[:], "the copy")
    assert copy.target == told["copy"]["path"] + "?" + told["copy"]["query"] == "/catalogue/a/b?c=d"
    assert copy.values("host") == [told["copy"]["host"]]
    assert (copy.values("x-debug"), copy.values("x-copied")) == ([], ["yes"])


def test_a_request_id_in_the_log_is_explained_and_so_is_what_has_changed_since(fig: Fig, tmp_path: Path) -> None:
    served, _ = fig
    request = {"x-customer": "jane", "x-request-id": "order-4711", "cookie": "beta=1"}
    status, _, _ = asked(served, "GET", "/broken/7", request)
    assert status == 503
    lines = eventually(lambda: served.logged("exchange", request_id="order-4711"), "the line in the log")
    log = tmp_path / "access.log"
    log.write_text("worker-0 | " + json.dumps(lines[0]) + "\n")
    arguments = ["rules", "explain", "--log", str(log), "--id", "order-4711", "--live"]
    arguments += ["--admin", served.admin_address]

    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "taken by route broken" in result.stdout
    assert "now: the same" in result.stdout
    served.admin.post("/api/routes/broken/rollback", json={"to": "legacy", "by": "jane"}).raise_for_status()
    after = CliRunner().invoke(app, arguments).stdout

    assert "now: otherwise" in after
    assert "broken stands in stage legacy, so legacy answers" in after
    assert "since then: canary 100% -> legacy by jane" in after


def test_what_is_asked_reaches_no_log(fig: Fig) -> None:
    served, _ = fig
    secret = {"authorization": "Bearer hush-hush", "cookie": "session=hush-hush"}
    code, _ = explained(served, "GET", "/basket?token=hush-hush", secret, "--unit", "hush-hush")
    assert code == 0
    bad = served.admin.post("/api/explain", json={"url": 7, "headers": [["a", "hush-hush"]], "unit": ["hush-hush"]})
    assert bad.status_code == 400
    assert "hush-hush" not in bad.text
    assert "hush-hush" not in json.dumps(served.log)
