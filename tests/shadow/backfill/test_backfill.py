"""What answers make of a key that is to be seeded, and what the store remembers of it."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from pydantic import ValidationError

from rules.backfill import Backfill
from rules.document import Defaults, Route
from rules.rewriting import compile_changes
from rules.stages import Side
from shadow.backfill.asking import (
    MissingVariableError,
    Seed,
    Seeding,
    as_route_sends,
    candidate_had,
    candidate_took,
    credentials,
    legacy_has,
    order,
    order_key,
    question,
)
from shadow.backfill.store import SeedError, SeedStore, read_seeding
from shadow.delivery.retry import Answered, Attempt, Lost, Unsendable, Unsent
from shadow.pair import Answer
from shadow.sealing import Sealer
from tests.fakes.pairs import answer
from tests.fakes.refused_commits import commits_fail

SEALER = Sealer(b"k" * 32)
PLAIN = Backfill(read="/api/orders/{key}", write="PUT /v2/orders/{key}")
NOW = 1_700_000_000.0


def told(status: int, **more: Any) -> Answered:
    return Answered(answer({}, status=status, **more))


@pytest.mark.parametrize(
    ("attempt", "seed", "again"),
    [
        (told(200), Seed.HELD, False),
        (told(404), None, False),
        (told(410), None, False),
        (told(401), Seed.FAILED, False),
        (told(429), Seed.FAILED, True),
        (told(503), Seed.FAILED, True),
        (Unsent("connect"), Seed.FAILED, True),
        (Lost("timeout"), Seed.FAILED, True),
        (Unsendable("no path"), Seed.FAILED, False),
    ],
)
def test_only_a_candidate_that_says_it_has_none_is_written_to(attempt: Attempt, seed: Seed | None, again: bool) -> None:
    step = candidate_had(attempt)
    assert (step.seed, step.again) == (seed, again)
    assert bool(step.reason) == (seed is Seed.FAILED)


def test_what_legacy_does_not_have_is_gone_and_half_an_answer_is_no_answer() -> None:
    assert legacy_has(told(200)).seed is None
    assert legacy_has(told(404)).seed is Seed.GONE
    assert legacy_has(told(500)).again
    assert legacy_has(told(200, truncated=True)).seed is Seed.FAILED
    coded = Answered(Answer(200, (("Content-Encoding", "br"),), b"x"))
    assert "cannot be read" in legacy_has(coded).reason


def test_a_key_is_seeded_when_the_candidate_says_so() -> None:
    assert candidate_took(told(201)).seed is Seed.SEEDED
    assert candidate_took(told(422)).seed is Seed.FAILED
    assert candidate_took(Lost("reset")).again


def test_the_answer_goes_out_as_it_came_with_the_key_in_the_path() -> None:
    asked = question(PLAIN, "a b/ü", Side.LEGACY, "r")
    assert (asked.to, asked.method, asked.target) == (Side.LEGACY, "GET", "/api/orders/a%20b%2F%C3%BC")
    body = b'{"total": 1.50}'
    packed = Answer(200, (("Content-Type", "application/json"), ("Content-Encoding", "gzip")), gzip.compress(body))
    sent = order(PLAIN, "7", packed, "r", "stable")
    assert (sent.to, sent.method, sent.target, sent.body) == (Side.CANDIDATE, "PUT", "/v2/orders/7", body)
    assert (b"Content-Type", b"application/json") in sent.headers
    assert sent.idempotency_key == "stable"
    assert sent.direction == "shadow"


def test_a_template_says_what_is_sent() -> None:
    backfill = Backfill(read="/o/{key}", write="POST /import", body='{{"id": "{key}", "data": {answer}}}')
    sent = order(backfill, "7", answer({"n": 1}), "r", "k")
    assert sent.body == b'{"id": "7", "data": {"n": 1}}'


def test_a_key_in_a_path_is_ordered_as_its_writes_are() -> None:
    assert order_key("a b+c/%20", "path:order") == "a b+c/%20"
    assert order_key("\udcff", "path:order") == unquote("%FF")
    assert order_key("a b+c", "header:x-order") == "a b+c"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"read": "orders/{key}", "write": "PUT /o/{key}"}, "is no path"),
        ({"read": "/orders", "write": "PUT /o/{key}"}, "where a key is filled in"),
        ({"read": "/o/{key}", "write": "GET /o/{key}"}, "is no write"),
        ({"read": "/o/{key}", "write": "PUT /o"}, "where a key is filled in"),
        ({"read": "/o/{key}", "write": "PUT /o/{key}", "body": "{other}"}, "nothing is named"),
        ({"read": "/o/{key}/{id}", "write": "PUT /o/{key}"}, "nothing else"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Backfill.model_validate(given)


def test_the_store_knows_each_key_once_and_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "backfill.db"
    store = SeedStore(path, SEALER)
    assert store.add("orders", ["1", "2", "2", "3"]) == 3
    assert store.add("orders", ["3", "4"]) == 1
    assert store.add("baskets", ["1"]) == 1
    store.begin("orders", 50.0, NOW)
    one, two, *_ = store.waiting("orders", 0, 10)
    store.settle(one.number, Seed.SEEDED, "", NOW)
    store.settle(two.number, Seed.FAILED, "the candidate answered 422", NOW)
    store.close()

    store = SeedStore(path, SEALER)
    assert store.running() == {"orders": 50.0}
    assert [each.key for each in store.waiting("orders", 0, 10)] == ["3", "4"]
    assert [(each.key, each.reason) for each in store.failed("orders", 9)] == [("2", "the candidate answered 422")]
    seeding = read_seeding(path)["orders"]
    assert seeding == store.seeding("orders")
    assert (seeding.unseeded, seeding.running, seeding.rate) == (3, True, 50.0)
    assert store.add("orders", ["1"]) == 0, "what is seeded is not seeded again"
    store.begin("orders", 5.0, NOW)
    assert [each.key for each in store.waiting("orders", 0, 10)] == ["2", "3", "4"]
    store.end("orders", NOW)
    assert not store.running()
    store.close()


def test_what_a_full_disk_refuses_is_not_half_done_and_what_comes_after_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "backfill.db"
    store = SeedStore(path, SEALER)
    store.add("orders", ["1"])
    (key,) = store.waiting("orders", 0, 1)
    store.settle(key.number, Seed.FAILED, "the candidate answered 422", NOW)
    with commits_fail(store._db):
        for work in (lambda: store.begin("orders", 50.0, NOW), lambda: store.add("orders", ["2"])):
            with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
                work()
    assert not store.running() and store.seeding("orders").counts == {Seed.FAILED: 1}
    store.settle(key.number, Seed.GONE, "", NOW)
    assert read_seeding(path)["orders"].counts == {Seed.GONE: 1}, "as another process sees it"
    store.close()


def test_keys_lie_sealed_and_are_erased_once_they_are_seeded(tmp_path: Path) -> None:
    path = tmp_path / "backfill.db"
    store = SeedStore(path, SEALER)
    store.add("orders", ["kanarie@shop.example"])
    (key,) = store.waiting("orders", 0, 1)
    store.settle(key.number, Seed.SEEDED, "", NOW)
    store.close()
    assert path.stat().st_mode & 0o077 == 0
    for each in tmp_path.iterdir():
        assert b"kanarie" not in each.read_bytes()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT key FROM seeds").fetchall() == [(None,)]


def test_a_file_that_is_no_store_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "backfill.db"
    assert read_seeding(path) == {}
    path.write_bytes(b"no database at all, but long enough to be looked at as if it were one" * 20)
    with pytest.raises(SeedError, match=r"backfill\.db"):
        SeedStore(path, SEALER)
    with pytest.raises(SeedError, match="cannot be read"):
        read_seeding(path)


def test_a_route_without_a_backfill_has_nothing_unseeded() -> None:
    assert Seeding().unseeded == 0


GUARDED = Backfill.model_validate(
    {
        "read": "/api/orders/{key}",
        "write": "PUT /api/orders/{key}",
        "credentials": {"legacy": {"Authorization": "LEGACY_TOKEN"}, "candidate": {"X-Api-Key": "SHOP_KEY"}},
    }
)
ENVIRONMENT = {"LEGACY_TOKEN": "Bearer canary-1\n", "SHOP_KEY": "canary-2"}


def test_each_side_is_shown_its_own_credentials_and_none_of_the_other() -> None:
    shown = {side: credentials(GUARDED, side, ENVIRONMENT) for side in Side}
    assert shown == {
        Side.LEGACY: [(b"Authorization", b"Bearer canary-1")],
        Side.CANDIDATE: [(b"X-Api-Key", b"canary-2")],
    }
    asked = question(GUARDED, "7", Side.LEGACY, "r", shown[Side.LEGACY])
    given = order(GUARDED, "7", answer({"n": 1}), "r", "k", shown[Side.CANDIDATE])
    assert (b"Authorization", b"Bearer canary-1") in asked.headers
    assert (b"X-Api-Key", b"canary-2") in given.headers


@pytest.mark.parametrize("value", [None, "", " \n", "two\nlines", "caf\u00e9"])
def test_a_credential_that_is_not_there_or_no_header_is_told_without_its_value(value: str | None) -> None:
    with pytest.raises(MissingVariableError, match="LEGACY_TOKEN") as told:
        credentials(GUARDED, Side.LEGACY, {"LEGACY_TOKEN": value} if value is not None else {})
    assert "lines" not in str(told.value)


@pytest.mark.parametrize("value", ["Bearer canary-3", "canary-3", "", "${TOKEN}"])
def test_a_credential_in_the_rules_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(ValidationError, match="names no variable") as told:
        Backfill.model_validate({**GUARDED.model_dump(), "credentials": {"legacy": {"Authorization": value}}})
    assert "canary" not in told.value.errors(include_input=False)[0]["msg"]


def changed(**more: Any) -> Route:
    match = {"path": "/api/orders/{order}", "methods": ["POST"]}
    return Route.model_validate({"name": "orders", "match": match, "candidate": "shop", **more})


def test_a_seed_is_changed_for_its_side_as_the_requests_of_its_route_are() -> None:
    route = changed(
        rewrite={"path": "/v2/{order}?from={route}", "host": "service"},
        request_headers={"set": {"X-Api-Key": "{side}"}, "remove": ["accept"], "sides": "both"},
    )
    changes = compile_changes(route, Defaults())

    given = order(GUARDED, "7", answer({"n": 1}), "r", "k", [(b"X-Api-Key", b"canary")])
    sent = as_route_sends(given, route, changes[Side.CANDIDATE])
    assert (sent.target, sent.host, sent.body, sent.idempotency_key) == ("/v2/7?from=orders", "", given.body, "k")
    assert sent.headers == [(b"Content-Type", b"application/json"), (b"X-Api-Key", b"candidate")]

    asked = question(GUARDED, "7", Side.LEGACY, "r")
    sent = as_route_sends(asked, route, changes[Side.LEGACY])
    assert sent.target == "/api/orders/7"
    assert sent.headers == [(b"Accept-Encoding", b"identity"), (b"X-Api-Key", b"legacy")]


def test_a_seed_by_a_path_that_is_none_of_the_route_goes_out_as_it_is() -> None:
    route = changed(rewrite={"prefix": "/v2"}, match={"path": "/api/orders/**"})
    given = order(Backfill(read="/api/orders/{key}", write="POST /import"), "7", answer({}), "r", "k")
    assert as_route_sends(given, route, compile_changes(route, Defaults())[Side.CANDIDATE]) is given
