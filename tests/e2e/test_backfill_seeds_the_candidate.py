"""`fig shadow backfill` on a real `fig serve`: what legacy held comes to the candidate once, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import yaml
from typer.testing import CliRunner

from proxy.cli.commands import app
from shadow.backfill.store import read_seeding
from tests.fakes.kept_orders import KeptOrders, kept_orders
from tests.fakes.served import Served, eventually, serving

SECRET = "ada@example.com"
TOKENS = {"LEGACY_TOKEN": "Bearer canary-of-legacy", "SHOP_TOKEN": "Bearer canary-of-shop"}


def rules(legacy: str, candidate: str) -> dict[str, Any]:
    return {
        "version": 1,
        "services": {"legacy": {"url": legacy}, "shop": {"url": candidate}},
        "legacy": "legacy",
        "routes": [
            {
                "name": "orders",
                "match": {"path": "/orders/{order}"},
                "candidate": "shop",
                "stage": "shadow",
                "writes": {"order_by": "path:order", "dedupe": "idempotency-key"},
                "request_headers": {"set": {"X-Order": "{order}"}},
                "shadow": {
                    "backfill": {
                        "read": "/orders/{key}",
                        "write": "PUT /orders/{key}",
                        "credentials": {
                            "legacy": {"Authorization": "LEGACY_TOKEN"},
                            "candidate": {"Authorization": "SHOP_TOKEN"},
                        },
                    }
                },
            },
            {"name": "pages", "match": {"path": "/pages/**"}, "candidate": "shop", "stage": "shadow"},
        ],
    }


def backfill(fig: Served, *arguments: str, keys: str = "") -> tuple[int, dict[str, Any]]:
    """The exit code and what --json says (or what it complains of, under ``error``)."""
    command = ["shadow", "backfill", *arguments, "--json", "--admin", fig.admin_address]
    done = CliRunner().invoke(app, command, input=keys)
    return done.exit_code, json.loads(done.stdout) if done.stdout else {"error": done.stderr}


def commanded(fig: Served) -> bool:
    return fig.admin.post("/api/shadow/ping", json={}).status_code == 200


def order(number: int) -> dict[str, list[object]]:
    return {"lines": [f"line of {number}"]}


def start(tmp_path: Path, legacy: KeptOrders, candidate: KeptOrders) -> None:
    (tmp_path / "fig.yaml").write_text(yaml.safe_dump(rules(legacy.url, candidate.url)))


def test_every_key_comes_to_the_candidate_once_and_none_is_overwritten(tmp_path: Path) -> None:
    held = {str(number): order(number) for number in range(40)} | {SECRET: order(-1), "refused": order(-2)}
    with (
        kept_orders(held) as legacy,
        kept_orders({"7": {"lines": ["its own"]}}, refuses=frozenset({"refused", SECRET})) as candidate,
    ):
        start(tmp_path, legacy, candidate)
        with serving(tmp_path, workers=1, more=TOKENS) as fig:
            eventually(lambda: fig.ready() and commanded(fig), "fig ready, and its shadower")
            # Key 3 has a copy before it is seeded: the candidate has forgotten it since, and still it is left alone.
            httpx.post(f"http://127.0.0.1:{fig.port}/orders/3", json="new", timeout=10, trust_env=False)
            eventually(lambda: "3" in candidate.orders, "the copy")
            del candidate.orders["3"]
            keys = "\n".join([*held, "never there", "5", ""])

            with legacy.lock:  # it answers nobody, so that the backfill is under way for certain
                code, found = backfill(fig, "orders", "--keys", "-", "--rate", "60", "--no-wait", keys=keys)
            assert code == 3
            assert found["running"]
            eventually(lambda: len(candidate.asked("PUT")) > 8, "the first keys")
            os.kill(fig.pid("shadower"), signal.SIGKILL)
            eventually(lambda: len(fig.logged("started", child="shadower")) > 1, "another shadower")
            eventually(lambda: fig.logged("a backfill is through", route="orders") and commanded(fig), "the end")

            code, found = backfill(fig, "orders", "--status")
            assert code == 1
            counts = found["counts"]
            # What was under way at the kill may have come to the candidate without a record: then it is held there.
            assert counts["seeded"] + counts["held"] == 40 - 1
            assert (counts["copied"], counts["gone"], counts["failed"], counts["pending"]) == (1, 1, 2, 0)
            assert found["unseeded"] == 2
            assert {each["reason"] for each in found["failed"]} == {"the candidate answered 422"}
            assert SECRET not in json.dumps(found)
            expected = {str(n): order(n) for n in range(40) if n not in (3, 7)} | {"7": {"lines": ["its own"]}}
            assert candidate.orders == expected
            puts = Counter(key for key in candidate.asked("PUT"))
            assert max(puts.values()) == 1, puts
            assert {headers["X-Fig-Copy"] for method, _, headers in candidate.requests if method == "PUT"} == {"shadow"}
            assert "POST" not in {method for method, key, _ in legacy.requests if key != "3"}
            for side, token in ((legacy, "LEGACY_TOKEN"), (candidate, "SHOP_TOKEN")):
                shown = {fields.get("Authorization") for method, _, fields in side.requests if method != "POST"}
                assert shown == {TOKENS[token]}
            assert all(unquote(fields["X-Order"]) == key for method, key, fields in candidate.requests)
            assert not any("X-Order" in fields for _, _, fields in legacy.requests)

            # Again, what failed is tried again, and nothing else.
            candidate.refuses = frozenset({SECRET})
            candidate.requests.clear()
            code, found = backfill(fig, "orders")
            assert code == 1
            assert set(candidate.asked("PUT")) == {"refused", SECRET}
            assert found["unseeded"] == 1
            seeding = read_seeding(fig.state / "backfill.db")["orders"]
            assert seeding.unseeded == 1
            assert not seeding.running
            assert fig.end() == 0
        files = [path for path in (tmp_path / "state").iterdir() if path.is_file()]
        for path in (*files, tmp_path / f"log-{fig.admin_address.rpartition(':')[2]}"):
            content = path.read_bytes()
            assert not any(each.encode() in content for each in (SECRET, "canary-of")), path


def test_keys_come_from_a_file_an_address_or_a_query_and_what_cannot_be_seeded_says_why(tmp_path: Path) -> None:
    with kept_orders({str(n): order(n) for n in range(6)} | {"keys": ["0", 1]}) as legacy, kept_orders({}) as candidate:  # type: ignore[dict-item]
        start(tmp_path, legacy, candidate)
        (tmp_path / "keys").write_text("2\n\n3\n")
        with sqlite3.connect(tmp_path / "shop.db") as shop:
            shop.execute("CREATE TABLE orders (id INTEGER)")
            shop.executemany("INSERT INTO orders VALUES (?)", [(4,), (5,), (None,)])
        with serving(tmp_path, workers=1, more=TOKENS) as fig:
            eventually(lambda: fig.ready() and commanded(fig), "fig ready, and its shadower")
            given: tuple[tuple[str, ...], ...] = (
                ("--keys-url", f"{legacy.url}/orders/keys"),
                ("--keys", str(tmp_path / "keys")),
                ("--keys-query", f"sqlite:///{tmp_path}/shop.db", "SELECT id FROM orders"),
            )
            for source in given:
                assert backfill(fig, "orders", *source, "--rate", "1000")[0] == 0
            assert sorted(candidate.orders) == ["0", "1", "2", "3", "4", "5"]
            assert backfill(fig, "orders", "--keys", str(tmp_path / "nothing"))[0] == 2

            code, found = backfill(fig, "pages", "--keys", "-", keys="1")
            assert code == 1
            assert "does not say how its keys are read and written" in found["error"]
            fig.admin.post("/api/routes/orders/stage", json={"stage": "legacy"}).raise_for_status()
            eventually(lambda: "not in shadow" in backfill(fig, "orders")[1].get("error", ""), "a refusal")
            assert backfill(fig, "orders", "--status", "--stop")[0] == 2
