"""A state folder with as many pairs as one likes, as a shadower leaves it: the same store and journal write it.

A catalogue of reads with a dozen causes, noise and masks; a checkout with copies, doubts and gaps that are open; pages
of HTML. Of a hundred pairs of the catalogue one differs. Equal ones are judged once and counted each time, so that
200,000 take a minute.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.comparing import page
from proxy.publication import publish
from proxy.rulebook import load
from rules.effective import Effective
from rules.stages import Side
from shadow.certifying.strata import StratumKind
from shadow.certifying.terms import day_of, digest_of
from shadow.comparing.compare import Judged, judge
from shadow.journal.journal import Journal
from shadow.journal.writes import Gap, Original, State, Write
from shadow.noise.sampling import Sample
from shadow.pair import Answer, Headers, Kind, Pair
from shadow.pairs.kept import Unproven
from shadow.pairs.noise_store import Asked, NoiseStore
from shadow.pairs.store import PairStore
from shadow.sealing import Sealer, load_key
from shadow.spec import Comparison

BATCH = 2_000
DAY = 86_400.0
WRITES = 600
"""Writes in the journal; the pairs of the checkout are theirs, in turn."""
JSON_TYPE: Headers = (("content-type", "application/json"), ("server", "monolith/3"))
OTHER_JSON: Headers = (("content-type", "application/json"), ("server", "catalog/0.9"), ("x-cost", "3"))
HTML_TYPE: Headers = (("content-type", "text/html; charset=utf-8"),)
WORDS = ["parcel", "lamp", "shelf", "carpet", "window", "mirror", "drawer", "basket", "candle", "blanket"]
RULES = """
version: 1
services:
  legacy: {url: "http://127.0.0.1:9000"}
  catalog: {url: "http://127.0.0.1:9001"}
  checkout: {url: "http://127.0.0.1:9002"}
legacy: legacy
routes:
  - name: catalog
    match: {path: "/api/catalog/**"}
    candidate: catalog
    stage: shadow
    shadow: {compare: catalog, noise: 2%, certificate: {accuracy: 99.99%, pairs: 200000}}
  - name: checkout
    match: {path: "/api/orders/{order}", methods: [POST, PUT]}
    candidate: checkout
    stage: shadow
    writes: {order_by: "path:order"}
    shadow: {compare: orders, certificate: {accuracy: 99.9%, pairs: 30000}}
  - name: pages
    match: {path: "/shop/**"}
    candidate: catalog
    stage: shadow
  - name: search
    match: {path: "/search"}
    candidate: catalog
    stage: shadow
comparisons:
  catalog:
    masks:
      - {path: /generated_at, kind: timestamp, within: 5s, owner: catalog team, reason: the moment of the answer}
      - {path: "/**/sku", kind: uuid, owner: catalog team, reason: "from the trial, SHOP-1042", expires: 2026-01-31}
  orders:
    masks:
      - {path: /placed_at, kind: timestamp, within: 2s, owner: checkout team, reason: the moment of the write}
"""


def make(folder: Path, pairs: int, seed: int = 1) -> None:
    """Fill a folder that need not be there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fig.yaml").write_text(RULES)
    book = load(folder / "fig.yaml")
    effective = Effective(
        generation=3,
        rules=book.rules,
        certificates={name: each.model_dump(mode="json") for name, each in book.certificates.items()},
        comparisons={name: each.model_dump(mode="json") for name, each in book.comparisons.items()},
    )
    publish(folder, effective)
    key, chance, began = load_key(folder / "key"), Random(seed), time.time() - DAY
    orders, pages = pairs // 10, pairs // 100
    store = PairStore(folder / "pairs.db", key)
    try:
        store.start_window("catalog", "an earlier candidate", "load", began - DAY)
        _fill(store, _catalog(Random(seed + 1), 400, began - DAY, book.comparisons["catalog"]))
        for name, comparison in (("catalog", "catalog"), ("checkout", "orders"), ("pages", ""), ("search", "")):
            compared = book.comparisons.get(comparison, Comparison())
            digest = digest_of(effective.rules, effective.routes[name], compared, day_of(time.time()))
            store.start_window(name, digest, "the candidate changed", began)
        _fill(store, _catalog(chance, pairs - orders - pages, began, book.comparisons["catalog"]))
        sequences = asyncio.run(_journal(folder, key, began, chance))
        _fill(store, _orders(chance, orders, began, book.comparisons["orders"], sequences))
        _fill(store, _pages(chance, pages, began))
        store.add_apart("catalog", StratumKind.DROPPED, "GET", "2xx", 812)
        store.add_apart("checkout", StratumKind.NO_PAIR, "POST", "4xx", 311)
        store.add_apart("checkout", StratumKind.UNSETTLED, "GET", "2xx", 57)
        store.set_unproven("checkout", Unproven(gaps=3, doubts=16, undelivered=20, overdue=20, at=began, dead=15))
    finally:
        store.close()
    noise = NoiseStore(folder / "pairs.db", key, chance.random)
    try:
        noise.add_many(list(_samples(chance, min(pairs // 100, 400), began, book.comparisons["catalog"])))
    finally:
        noise.close()


def _fill(store: PairStore, judged: Iterable[Judged]) -> None:
    batch = []
    for one in judged:
        batch.append(one)
        if len(batch) == BATCH:
            store.add_many(batch)
            batch.clear()
    store.add_many(batch)


_numbers = count(1)


def _pair(route: str, at: float, target: str, legacy: Answer, candidate: Answer, method: str = "GET") -> Pair:
    number = next(_numbers)
    return Pair(
        id=f"{number:016x}",
        route=route,
        generation=3,
        kind=Kind.READ,
        method=method,
        target=target,
        request_headers=(("host", "shop.example"), ("accept", "*/*"), ("cookie", f"session=secret-{number}")),
        request_id=f"request-{number}",
        side=Side.LEGACY,
        started=at,
        legacy=legacy,
        candidate=candidate,
    )


def _answer(value: Any, headers: Headers = JSON_TYPE, status: int = 200, seconds: float = 0.01) -> Answer:
    body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
    return Answer(status, headers, body, seconds=seconds)


def _catalog(chance: Random, pairs: int, began: float, comparison: Comparison) -> Iterator[Judged]:
    shown = page(chance)
    equal = judge(
        _pair("catalog", began, "/", _answer(shown), _answer({**shown, "generated_at": _SECOND}, OTHER_JSON)),
        comparison,
    )
    for number in range(pairs):
        target = f"/api/catalog?page={number % 240}&q={chance.choice(WORDS)}"
        pair = _pair("catalog", began + number * DAY / pairs, target, equal.pair.legacy, equal.pair.candidate)
        if number % 100 != 99:
            yield Judged(pair, equal.outcome, comparison)
            continue
        value = page(chance)
        legacy = _answer(value, seconds=0.02 + chance.random() / 50)
        candidate = _answer(_spoilt(value, chance), OTHER_JSON, seconds=0.01 + chance.random() / 40)
        yield judge(replace(pair, legacy=legacy, candidate=candidate), comparison)


_SECOND = "2026-11-22T10:00:01Z"


def _spoilt(value: dict[str, Any], chance: Random) -> dict[str, Any]:
    """What a candidate with a dozen bugs makes of a page: one of them."""
    other: dict[str, Any] = json.loads(json.dumps({**value, "generated_at": _SECOND}))
    items = other["items"]
    one = items[chance.randrange(len(items))]
    match chance.randrange(12):
        case 0 | 1:
            one["price"] = round(one["price"] * 100)
        case 2:
            one["name"] = f" {one['name']}"
        case 3:
            del one["note"]
        case 4:
            one["in_stock"] = str(one["in_stock"]).lower()
        case 5:
            items.pop()
        case 6:
            one["tags"] = one["tags"][::-1]
        case 7:
            one["stock"]["count"] += chance.randrange(1, 900)
        case 8:
            one["currency"] = "€"
        case 9:
            other["generated_at"] = "2026-11-22T11:00:00Z"
        case 10:
            one["name"] = one["name"] + "\u202e <b>" + "long " * 200
        case _:
            other["total"] = None
    return other


def _samples(chance: Random, samples: int, began: float, comparison: Comparison) -> Iterator[Asked]:
    """Legacy asked again: its counts of stock move, and the candidate's no more than they."""
    for number in range(samples):
        first = page(chance)
        again, third = (json.loads(json.dumps(first)) for _ in range(2))
        if chance.random() < 0.2:
            third["items"][3]["stock"]["count"] += 1
        pair = _pair("catalog", began + number, "/api/catalog", _answer(first), _answer(third, OTHER_JSON))
        yield Asked(Sample(pair, _answer(again), _answer(third)), comparison)


def _orders(chance: Random, pairs: int, began: float, comparison: Comparison, sequences: list[int]) -> Iterator[Judged]:
    """Writes, of which seven differ; their keys have a course in the journal."""
    for number in range(pairs):
        order = 1000 + number % 50
        value = {"order": order, "state": "paid", "total": 12.5, "placed_at": "2026-11-22T10:00:00Z"}
        wrong = {"state": "open"} if pairs > 10 and number % (pairs // 7) == 5 else {}
        legacy = _answer(value, status=201, seconds=0.031)
        candidate = _answer({**value, "placed_at": _SECOND, **wrong}, OTHER_JSON, 201, 0.024)
        at = began + number * DAY / pairs
        pair = _pair("checkout", at, f"/api/orders/{order}", legacy, candidate, "POST")
        sequence, attempts = sequences[number % len(sequences)], int(chance.random() < 0.01)
        yield judge(replace(pair, kind=Kind.WRITE, sequence=sequence, attempts=attempts), comparison)


def _pages(chance: Random, pairs: int, began: float) -> Iterator[Judged]:
    for number in range(pairs):
        word = chance.choice(WORDS)
        lines = "".join(f"\n      <li>{each} <b>{chance.randrange(90)} EUR</b></li>" for each in WORDS)
        text = (
            f"<!doctype html>\n<html>\n  <body>\n    <h1>{word}</h1>\n    <ul>{lines}\n    </ul>\n  </body>\n</html>\n"
        )
        other = text.replace("<h1>", "<h1 class=big>") if number % 40 == 7 else text
        candidate = Answer(0, failure="timeout") if number % 400 == 9 else _answer(other, HTML_TYPE)
        pair = _pair("pages", began + number * DAY / pairs, f"/shop/{word}", _answer(text, HTML_TYPE), candidate)
        yield judge(pair, Comparison())


async def _journal(folder: Path, key: bytes, began: float, chance: Random) -> list[int]:
    """Writes on their way: delivered, owed, dead, in doubt; and gaps. Gives their numbers."""
    journal = Journal.open(folder / "journal.db", Sealer(key))
    try:
        sequences = [await journal.begin(_write(number, began)) for number in range(WRITES)]
        answer, now = Answer(201, JSON_TYPE, b'{"state": "paid"}'), time.time()
        for place, sequence in enumerate(sequences):
            if place >= WRITES - 10:
                await journal.doubt([sequence], "worker lost", now)
                continue
            await journal.outcome(sequence, answer, now)
            if place % 40 == 3:
                await _finish(journal, sequence, State.DEAD, 8, Answer(503), "status 503, 8 times", now)
            elif place % 100 == 7:
                await _finish(journal, sequence, State.IN_DOUBT, 0, None, "no answer (timeout)", now)
            elif place < WRITES - 30:
                await _finish(journal, sequence, State.DELIVERED, 0, answer, "", now)
        for number in range(3):
            named = f"gap-{chance.randrange(16**8):08x}"
            await journal.gap(Gap(named, "checkout", f"{1000 + number}", "journal", now - 600 * number), now)
        return sequences
    finally:
        await journal.close()


async def _finish(
    journal: Journal, sequence: int, state: State, attempts: int, answer: Answer | None, reason: str, now: float
) -> None:
    await journal.finish(sequence, state, attempts=attempts, answer=answer, reason=reason, now=now)


def _write(number: int, began: float) -> Write:
    order = f"{1000 + number % 50}"
    original = Original(f"request-{number}", order, f"/api/orders/{order}", "shop", [], b"{}", f"key-{number}", "")
    at = began + number * DAY / WRITES
    return Write("checkout", 3, "POST", Side.LEGACY, True, 1, at, original)
