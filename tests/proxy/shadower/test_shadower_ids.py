"""The shadower: what the sides number differently is learnt from answers and put into later copies, or declared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.shadower import deliveries
from proxy.wire import Granted
from rules.effective import Effective
from rules.read_back import ReadBack
from rules.stages import MILLION, Side
from shadow.comparing.values import ABSENT
from shadow.delivery.identities import Learnt
from shadow.journal.identity_store import Identities, keep
from shadow.journal.journal import Journal, JournalError
from shadow.journal.reader import JournalReader
from shadow.journal.writes import Standing
from shadow.pair import Answer
from shadow.pairs.noise_store import NoiseReader
from shadow.sealing import Sealer
from tests.fakes.numbering import NumberingShop, Orders, numbering_shop
from tests.fakes.shadowing import ROUTE, Worker, effective, eventually, shadower_process, shadowing
from tests.proxy.shadower.test_shadower_deliveries import pairs

IDS = {
    "order": {
        "made": "response:/id",
        "used": ["path:order", "request:/follows"],
        "shown": ["response:/follows"],
    }
}


def table(shop: NumberingShop, **more: Any) -> Effective:
    made = effective(shop.server_address[1], ids={"order": {**IDS["order"], **more}})
    (route,) = made.rules.routes
    match = route.match.model_copy(update={"path": ("/orders", "/orders/{order}")})
    routes = (route.model_copy(update={"match": match}),)
    return Effective(generation=1, rules=made.rules.model_copy(update={"routes": routes}))


async def wrote(worker: Worker, method: str, target: str, said: dict[str, Any], answer: dict[str, Any]) -> None:
    """A whole write, with what legacy answered."""
    key = target.removeprefix("/orders").removeprefix("/")
    granted = await worker.intend(key, json.dumps(said).encode(), method=method, target=target)
    worker.send(worker.outcome(granted.sequence, 201 if method == "POST" else 200, json.dumps(answer).encode()))  # type: ignore[union-attr]
    await eventually(lambda: granted.sequence in worker.recorded, "outcome recorded")  # type: ignore[union-attr]


async def test_a_candidate_that_numbers_otherwise_gets_its_own_ids_and_makes_equal_pairs(tmp_path: Path) -> None:
    orders = Orders(first=9001)
    with numbering_shop(orders) as shop:
        async with shadowing(tmp_path, table(shop)) as fig, Worker(tmp_path) as worker:
            await wrote(worker, "POST", "/orders", {"item": "tea"}, {"id": 17, "item": "tea"})
            await wrote(worker, "PUT", "/orders/17", {"item": "mate"}, {"id": 17, "item": "mate"})
            follows = {"item": "cup", "follows": 17}
            await wrote(worker, "POST", "/orders", follows, {"id": 18, **follows})
            await eventually(lambda: pairs(fig) == (3, 0), "three equal pairs")
            worker.mirror("/orders/18", status=200, answer_body=json.dumps({"id": 18, **follows}).encode())

            await eventually(lambda: pairs(fig) == (4, 0), "the read's pair")
        assert orders.held == {
            9001: {"id": 9001, "item": "mate"},
            9002: {"id": 9002, "item": "cup", "follows": 9001},
        }
        assert orders.asked[-1] == "GET /orders/9002"


async def test_noise_is_weighed_with_the_ids_of_legacy_too(tmp_path: Path) -> None:
    """Else each id would be a path at which the candidate differs and legacy agrees with itself."""
    with numbering_shop(Orders(first=17)) as legacy, numbering_shop(Orders(first=9001)) as candidate:
        made = table(candidate)
        (route,) = made.rules.routes
        route = route.model_copy(update={"shadow": route.shadow.model_copy(update={"noise": MILLION})})
        own = made.rules.services["legacy"].model_copy(update={"url": f"http://127.0.0.1:{legacy.server_address[1]}"})
        rules = made.rules.model_copy(update={"routes": (route,), "services": {**made.rules.services, "legacy": own}})
        legacy.orders.held[17] = {"id": 17, "item": "tea"}
        async with shadowing(tmp_path, Effective(generation=1, rules=rules)) as fig, Worker(tmp_path) as worker:
            await wrote(worker, "POST", "/orders", {"item": "tea"}, {"id": 17, "item": "tea"})
            await eventually(lambda: pairs(fig) == (1, 0), "the write's pair")
            candidate.orders.held[9001]["item"] = "mate"
            worker.mirror("/orders/17", status=200, answer_body=b'{"id": 17, "item": "tea"}')
            await eventually(lambda: sampled(tmp_path) == 1, "the sample")

        with NoiseReader(tmp_path / "pairs.db") as reader:
            assert [place.path for place in reader.places(ROUTE)] == ["/item"]
        assert legacy.orders.asked == ["GET /orders/17"] * 2


def sampled(state: Path) -> int:
    with NoiseReader(state / "pairs.db") as reader:
        return reader.asked(ROUTE)[0]


def asking_for_keys(legacy: NumberingShop, candidate: NumberingShop) -> Effective:
    """A candidate that does not deduplicate, and sides that tell what a write has made."""
    made = table(candidate)
    (route,) = made.rules.routes
    read_back = ReadBack.model_validate(
        {"path": "/orders/of/{header:idempotency-key}", "within": "0.1s", "state": "0%"}
    )
    assert route.writes is not None
    route = route.model_copy(
        update={"writes": route.writes.model_copy(update={"read_back": read_back, "dedupe": None})}
    )
    own = made.rules.services["legacy"].model_copy(update={"url": f"http://127.0.0.1:{legacy.server_address[1]}"})
    rules = made.rules.model_copy(update={"routes": (route,), "services": {**made.rules.services, "legacy": own}})
    return Effective(generation=1, rules=rules)


async def test_the_id_of_a_copy_that_got_no_answer_is_learnt_by_read_back(tmp_path: Path) -> None:
    with numbering_shop(Orders(first=17)) as legacy, numbering_shop(Orders(first=9001, breaks=1)) as candidate:
        async with shadowing(tmp_path, asking_for_keys(legacy, candidate)) as fig, Worker(tmp_path) as worker:
            await wrote(worker, "POST", "/orders", {"item": "tea"}, {"id": 17, "item": "tea"})
            await wrote(worker, "PUT", "/orders/17", {"item": "mate"}, {"id": 17, "item": "mate"})

            await eventually(lambda: fig.standing == Standing(), "both delivered")
        assert candidate.orders.held == {9001: {"id": 9001, "item": "mate"}}
        assert [each for each in candidate.orders.asked if each.startswith("POST")] == ["POST /orders"]


async def test_the_id_of_a_write_whose_answer_nobody_has_is_learnt_by_read_back(tmp_path: Path) -> None:
    with numbering_shop(Orders(first=17)) as legacy, numbering_shop(Orders(first=9001)) as candidate:
        async with shadowing(tmp_path, asking_for_keys(legacy, candidate)) as fig:
            async with Worker(tmp_path, pid=4242) as lost:
                said = b'{"item": "tea"}'
                granted = await lost.intend("", said, method="POST", target="/orders", idempotency_key="key-1")
                assert isinstance(granted, Granted)
                legacy.orders.held[17], legacy.orders.made["key-1"] = {"id": 17, "item": "tea"}, 17
            await eventually(lambda: candidate.orders.held, "the copy")
            async with Worker(tmp_path) as worker:
                await wrote(worker, "PUT", "/orders/17", {"item": "mate"}, {"id": 17, "item": "mate"})

                await eventually(lambda: fig.standing == Standing(), "both delivered")
        assert candidate.orders.held == {9001: {"id": 9001, "item": "mate"}}


async def test_an_id_is_learnt_though_the_answer_that_tells_it_could_not_be_read_at_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, failures = JournalReader.answer, [JournalError("disk I/O error")]

    def answer(self: JournalReader, sequence: int) -> Answer | None:
        if failures:
            raise failures.pop()
        return read(self, sequence)

    monkeypatch.setattr(JournalReader, "answer", answer)
    orders = Orders(first=9001)
    with numbering_shop(orders) as shop:
        async with shadowing(tmp_path, table(shop)), Worker(tmp_path) as worker:
            await wrote(worker, "POST", "/orders", {"item": "tea"}, {"id": 17, "item": "tea"})
            await wrote(worker, "PUT", "/orders/17", {"item": "mate"}, {"id": 17, "item": "mate"})
            await eventually(lambda: orders.held == {9001: {"id": 9001, "item": "mate"}}, "the copy under its own id")
    assert not failures


async def test_ids_are_known_after_a_kill_and_stand_sealed_on_disk(tmp_path: Path) -> None:
    orders = Orders(first=90_01_77_55)
    with numbering_shop(orders) as shop:
        async with shadower_process(tmp_path, table(shop)) as fig, Worker(tmp_path) as worker:
            await wrote(worker, "POST", "/orders", {}, {"id": 17})
            await eventually(lambda: fig.standing == Standing(), "delivered")
            await fig.kill()
            await fig.start()
            await eventually(lambda: worker.is_open, "the link")
            await wrote(worker, "PUT", "/orders/17", {"item": "mate"}, {"id": 17, "item": "mate"})

            await eventually(lambda: pairs(fig) == (2, 0), "both pairs")
        assert orders.held[90017755] == {"id": 90017755, "item": "mate"}
        journal = [file.read_bytes() for file in tmp_path.iterdir() if file.name.startswith("journal.db")]
        assert not any(b"90017755" in data for data in journal)


async def test_a_copy_waits_for_the_write_that_teaches_its_id(tmp_path: Path) -> None:
    orders = Orders(first=9001)
    with numbering_shop(orders) as shop:
        async with shadowing(tmp_path, table(shop)) as fig, Worker(tmp_path) as worker:
            await wrote(worker, "PUT", "/orders/17", {"item": "mate"}, {"id": 17, "item": "mate"})
            await wrote(worker, "POST", "/orders", {"item": "tea"}, {"id": 17, "item": "tea"})

            await eventually(lambda: fig.standing == Standing(), "both delivered")
        assert orders.held == {9001: {"id": 9001, "item": "mate"}}


async def test_a_copy_whose_id_nobody_teaches_is_declared_and_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "WAIT_FOR_ID", 0.2)
    orders = Orders(first=9001)
    with numbering_shop(orders) as shop:
        async with shadowing(tmp_path, table(shop)) as fig, Worker(tmp_path) as worker:
            await wrote(worker, "PUT", "/orders/17", {}, {"id": 17})

            await eventually(lambda: fig.standing == Standing(dead=1), "declared")
        assert orders.asked == []


async def test_where_the_rules_say_so_an_id_that_was_not_learnt_is_the_same(tmp_path: Path) -> None:
    orders = Orders(first=9001, held={17: {"id": 17}})
    with numbering_shop(orders) as shop:
        async with shadowing(tmp_path, table(shop, unknown="same")) as fig, Worker(tmp_path) as worker:
            await wrote(worker, "PUT", "/orders/17", {"item": "mate"}, {"id": 17, "item": "mate"})

            await eventually(lambda: pairs(fig) == (1, 0), "the pair")
        assert orders.held == {17: {"id": 17, "item": "mate"}}


async def test_the_oldest_ids_beyond_the_limit_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shadow.journal.identity_store._EVERY", 1)
    sealer = Sealer(b"k" * 32)
    journal = Journal.open(tmp_path / "journal.db", sealer)
    for number in range(5):
        await keep(journal, sealer, [Learnt("order", number, 9000 + number)], float(number), most=3)
    known = Identities(journal.reader, sealer)

    assert [known.lookup("order", Side.LEGACY, str(number)) for number in range(5)] == [
        ABSENT,
        ABSENT,
        9002,
        9003,
        9004,
    ]
    assert known.lookup("order", Side.CANDIDATE, "9004") == 4
    await journal.close()
