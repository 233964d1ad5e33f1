"""The monolith and its four successors answer alike, but for what fig.yaml excuses and what is planted."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

ORDER = {"lines": [{"sku": "P-101", "quantity": 2}, {"sku": "P-107", "quantity": 1}]}
Side = Callable[[str], httpx.Client]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pinnacle")


@pytest.fixture(scope="module")
def side(start_once: Any, data: Path) -> Side:
    """The client of a program by name; each is started once for the module."""
    clients: dict[str, httpx.Client] = {}

    def find(name: str) -> httpx.Client:
        if name not in clients:
            clients[name] = start_once(name, data).client
        return clients[name]

    return find


@pytest.fixture(scope="module")
def skus(side: Side) -> list[str]:
    return [item["sku"] for item in side("legacy").get("/api/products").json()["items"]]


def answers(client: httpx.Client, paths: list[str]) -> list[tuple[int, Any]]:
    return [(answer.status_code, answer.json()) for answer in map(client.get, paths)]


def without(content: Any, *keys: str) -> Any:
    return {key: value for key, value in content.items() if key not in keys}


def test_the_catalogue_agrees_but_for_the_moment_and_the_order_of_lists(side: Side, skus: list[str]) -> None:
    paths = [f"/api/products/{sku}" for sku in [*skus, "P-999"]]

    here, there = answers(side("legacy"), paths), answers(side("products"), paths)
    lists = [side(name).get("/api/products?category=Garden").json()["items"] for name in ("legacy", "products")]

    assert [(s, without(c, "generated_at")) for s, c in here] == [(s, without(c, "generated_at")) for s, c in there]
    assert lists[0] != lists[1]
    assert sorted(lists[0], key=lambda item: item["sku"]) == sorted(lists[1], key=lambda item: item["sku"])


def test_a_cart_is_priced_alike_by_both_sides(side: Side) -> None:
    paths = [f"/api/cart?lines={lines}" for lines in ("", "P-101.2", "P-101.3~P-105.1", "P-999.1", "nonsense")]

    here, there = answers(side("legacy"), paths), answers(side("cart"), paths)

    assert here == there
    assert [status for status, _ in here] == [200, 200, 200, 404, 400]


def test_a_cart_filled_by_legacys_form_is_seen_by_both_sides(side: Side) -> None:
    added = side("legacy").post("/cart", data={"sku": "P-101", "quantity": "2"})
    cookie = {"cookie": added.headers["set-cookie"].split(";")[0]}
    here, there = (side(name).get("/api/cart", headers=cookie).json() for name in ("legacy", "cart"))

    assert (added.status_code, added.headers["location"]) == (303, "/cart")
    assert here == there
    assert [(line["sku"], line["quantity"]) for line in there["lines"]] == [("P-101", 2)]


@pytest.mark.parametrize(
    ("form", "status"), [({}, 400), ({"sku": "P-101", "quantity": "0"}, 400), ({"sku": "P-999"}, 404)]
)
def test_a_form_that_fills_no_cart_is_refused(side: Side, form: dict[str, str], status: int) -> None:
    assert side("legacy").post("/cart", data=form).status_code == status


def test_reviews_agree_on_every_product_without_the_bug(side: Side, skus: list[str]) -> None:
    paths = [f"/api/reviews/{sku}" for sku in [*skus, "P-999"]]

    assert answers(side("legacy"), paths) == answers(side("reviews"), paths)


def test_the_planted_bug_is_in_the_average_of_some_products_and_nowhere_else(
    side: Side, skus: list[str], start: Any, data: Path
) -> None:
    paths = [f"/api/reviews/{sku}" for sku in skus]
    candidate = start("reviews", data, "--bug").client

    pairs = zip(answers(side("legacy"), paths), answers(candidate, paths), strict=True)
    wrong = [(here, there) for (_, here), (_, there) in pairs if here != there]

    assert 0 < len(wrong) < len(skus)
    assert all(without(here, "average") == without(there, "average") for here, there in wrong)
    assert all(round(here["average"] - there["average"], 1) == 0.1 for here, there in wrong)


def test_checkout_answers_like_legacy_but_for_confirmation_and_moment(side: Side) -> None:
    here, there = (side(name).post("/api/checkout/O-1", json=ORDER) for name in ("legacy", "checkout"))

    assert here.status_code == there.status_code == 201
    noise = ("confirmation", "placed_at")
    assert without(here.json(), *noise) == without(there.json(), *noise)


def test_checkout_replays_the_stored_answer_for_a_key_it_knows_also_after_a_restart(start: Any, tmp_path: Path) -> None:
    key = {"idempotency-key": "k-1"}

    before = start("checkout", tmp_path)
    first = before.client.post("/api/checkout/O-2", json=ORDER, headers=key)
    before.process.kill()
    after = start("checkout", tmp_path).client
    again = after.post("/api/checkout/O-2", json=ORDER, headers=key)
    another_order = after.post("/api/checkout/O-3", json=ORDER, headers=key)
    another_key = after.post("/api/checkout/O-2", json=ORDER, headers={"idempotency-key": "k-2"})

    assert again.content == first.content
    assert (again.status_code, another_order.status_code, another_key.status_code) == (201, 422, 409)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"lines": 3}', '{"lines": []}', '{"lines": [{"sku": "P-101"}, 1]}'])
def test_a_malformed_order_is_refused_alike(side: Side, body: str) -> None:
    assert [side(name).post("/api/checkout/O-4", content=body).status_code for name in ("legacy", "checkout")] == [
        400,
        400,
    ]


def test_legacy_serves_pages_and_remembers_a_session(side: Side) -> None:
    with httpx.Client(base_url=side("legacy").base_url) as browser:
        first = browser.get("/")
        browser.get("/products/P-103")
        again = browser.get("/")

    assert "pinnacle_session" in first.cookies
    assert "set-cookie" not in again.headers
    assert "You last looked at" in again.text
    assert "You last looked at" not in first.text


def test_a_placed_order_has_a_page_in_legacy(side: Side) -> None:
    side("legacy").post("/api/checkout/O-5", json=ORDER)

    assert "Order O-5" in side("legacy").get("/orders/O-5").text
    assert side("legacy").get("/orders/O-6").status_code == 404


def test_a_slow_release_is_slow_where_shoppers_see_it(start: Any, tmp_path: Path) -> None:
    client = start("cart", tmp_path, "--slow", "150").client

    assert sum(client.get("/api/cart").elapsed.total_seconds() for _ in range(4)) >= 0.2


@pytest.mark.parametrize("name", ["legacy", "checkout"])
def test_sigterm_ends_a_program_with_0(name: str, start: Any, tmp_path: Path) -> None:
    process = start(name, tmp_path).process

    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 0


def test_a_port_in_use_is_said_plainly(start: Any, tmp_path: Path) -> None:
    first = start("cart", tmp_path)

    second = subprocess.run(first.command, timeout=20, capture_output=True, text=True)

    assert second.returncode == 1
    assert f"cart: cannot listen on 127.0.0.1:{first.client.base_url.port}" in second.stderr
