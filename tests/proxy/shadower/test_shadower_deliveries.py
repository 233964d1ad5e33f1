"""The shadower: copies reach the other side in order, with one key, whatever fails, or are told apart."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from proxy import lifeline
from proxy.shadower.upkeep import Upkeep
from proxy.wire import Granted
from rules.stages import Side
from shadow.delivery.adapted import Adapted
from shadow.delivery.backlog import Lane
from shadow.journal.journal import JournalError
from shadow.journal.writes import Copy, Standing
from shadow.pairs.reader import PairReader
from tests.fakes.shadowing import (
    ROUTE,
    Inside,
    Service,
    Shadowed,
    Worker,
    effective,
    eventually,
    shadower_process,
    shadowing,
)


def pairs(fig: Shadowed) -> tuple[int, int]:
    """(how many, how many of them differ) in the route's current window."""
    with PairReader(fig.state / "pairs.db") as reader:
        windows = reader.windows(ROUTE)
        return (windows[0].pairs, windows[0].differing) if windows else (0, 0)


async def test_a_write_is_copied_compared_and_erased(tmp_path: Path, candidate: Service) -> None:
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        await worker.write("17", b"hello")

        await eventually(lambda: pairs(fig) == (1, 0), "the pair stored")
        (target, headers, body) = candidate.requests[0]
        assert (target, body, headers["x-fig-copy"]) == ("/orders/17", b"hello", "shadow")
        assert headers["idempotency-key"] == "idem-17-hello"
        assert headers["host"] == "shop.example"
        assert fig.standing == Standing()
        assert await fig.end() == 0


async def test_a_delivery_after_a_restart_says_what_was_recorded_for_its_side(
    tmp_path: Path, candidate: Service
) -> None:
    await candidate.down()
    copy = Adapted("/v2/17", "", [(b"X-Tenant", b"shop")], ["content-type"], [(b"Content-Type", b"text/json")])
    async with shadower_process(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        granted = await worker.intend("17", b"hello", copy=copy)
        assert isinstance(granted, Granted)
        outcome = worker.outcome(granted.sequence, body=b'{"target":"/v2/17"}')
        outcome.answer_headers = [(b"Content-Type", b"text/json")]
        worker.send(outcome)
        await eventually(lambda: granted.sequence in worker.recorded, "the outcome recorded")
        await fig.kill()
        await candidate.up()
        await fig.start()

        await eventually(lambda: pairs(fig) == (1, 0), "the pair, equal as clients would see it")
        (target, headers, body) = candidate.requests[0]
        assert (target, headers["host"], body) == ("/v2/17", f"127.0.0.1:{candidate.port}", b"hello")
        assert (headers["x-tenant"], headers["idempotency-key"]) == ("shop", "idem-17-hello")
        assert "cookie" not in headers


async def test_a_copy_that_is_answered_otherwise_is_a_difference(tmp_path: Path) -> None:
    candidate = await Service(body=lambda target: b'{"target":"another"}').up()
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        await worker.write()

        await eventually(lambda: pairs(fig) == (1, 1), "the pair stored")
    await candidate.down()


async def test_a_candidate_that_is_away_gets_everything_in_order_when_it_is_back(
    tmp_path: Path, candidate: Service
) -> None:
    await candidate.down()
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        for number in range(20):
            await worker.write(f"key-{number % 3}", b"%d" % number)
        assert fig.standing.undelivered == 20

        await candidate.up()

        await eventually(lambda: pairs(fig) == (20, 0), "all pairs stored")
        for key in range(3):
            bodies = [int(body) for target, _, body in candidate.requests if target == f"/orders/key-{key}"]
            assert bodies == list(range(key, 20, 3))
        assert len(set(candidate.keys)) == 20


async def test_deliveries_go_on_after_a_kill_with_the_same_key_and_are_one_pair(tmp_path: Path) -> None:
    candidate = await Service(behave=lambda number: "hang" if number <= 3 else 201).up()
    async with shadower_process(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        for number in range(3):
            await worker.write(f"key-{number}", b"%d" % number)
        await eventually(lambda: len(candidate.requests) == 3, "three copies under way")
        await fig.kill()
        await fig.start()

        await eventually(lambda: fig.standing == Standing(), "all delivered")
        await eventually(lambda: pairs(fig) == (3, 0), "all pairs stored")
        assert sorted(candidate.keys[:3]) == sorted(candidate.keys[3:])
    await candidate.down()


async def test_failing_answers_are_retried_with_the_same_key_and_hold_their_key_back(tmp_path: Path) -> None:
    candidate = await Service(behave=lambda number: 503 if number <= 2 else 201).up()
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        await worker.write("17", b"first")
        await worker.write("17", b"second")

        await eventually(lambda: pairs(fig) == (2, 0), "both pairs stored")
        assert candidate.bodies == [b"first", b"first", b"first", b"second"]
        assert len(set(candidate.keys[:3])) == 1
    await candidate.down()


async def test_a_copy_that_keeps_failing_is_dead_and_the_next_of_its_key_goes_on(tmp_path: Path) -> None:
    candidate = await Service(behave=lambda number: 500 if number <= 8 else 201).up()
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        await worker.write("17", b"cursed")
        await worker.write("17", b"fine")

        await eventually(lambda: fig.standing == Standing(dead=1), "dead, and the next one delivered")
        await eventually(lambda: pairs(fig) == (2, 1), "both pairs stored")
        assert candidate.bodies == [b"cursed"] * 8 + [b"fine"]
    await candidate.down()


async def test_without_deduplication_a_copy_without_an_answer_is_in_doubt_and_not_repeated(tmp_path: Path) -> None:
    candidate = await Service(behave=lambda number: "break" if number == 1 else 201).up()
    async with shadowing(tmp_path, effective(candidate.port, dedupe=None)) as fig, Worker(tmp_path) as worker:
        await worker.write("17", b"doubtful")
        await worker.write("17", b"fine")

        await eventually(lambda: fig.standing == Standing(in_doubt=1), "the doubt declared")
        await eventually(lambda: pairs(fig) == (1, 0), "the other pair stored")
        assert candidate.bodies == [b"doubtful", b"fine"]
    await candidate.down()


async def test_without_deduplication_a_copy_cut_off_by_a_kill_is_in_doubt_and_not_repeated(tmp_path: Path) -> None:
    candidate = await Service(behave=lambda number: "hang" if number == 1 else 201).up()
    async with shadower_process(tmp_path, effective(candidate.port, dedupe=None)) as fig, Worker(tmp_path) as worker:
        await worker.write("17", b"doubtful")
        await worker.write("17", b"fine")
        await eventually(lambda: candidate.requests, "the copy under way")
        await fig.kill()
        await fig.start()

        await eventually(lambda: fig.standing == Standing(in_doubt=1), "the doubt declared")
        await eventually(lambda: candidate.bodies == [b"doubtful", b"fine"], "the next one delivered")
    await candidate.down()


async def test_with_deduplication_a_copy_without_an_answer_is_repeated_until_there_is_one(tmp_path: Path) -> None:
    candidate = await Service(behave=lambda number: "break" if number <= 2 else 201).up()
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        await worker.write("17", b"first")

        await eventually(lambda: fig.standing == Standing() and pairs(fig) == (1, 0), "delivered")
        assert candidate.keys == ["idem-17-first"] * len(candidate.keys)
    await candidate.down()


async def test_at_the_end_what_is_owed_stays_for_the_next_start(tmp_path: Path, candidate: Service) -> None:
    await candidate.down()
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        for number in range(5):
            await worker.write(f"key-{number}", b"%d" % number)
        assert await fig.end() == 0
    assert fig.standing.undelivered == 5
    await candidate.up()
    async with shadowing(tmp_path, effective(candidate.port)) as fig:
        await eventually(lambda: pairs(fig) == (5, 0), "all pairs stored")


async def test_at_the_end_a_copy_under_way_is_finished(tmp_path: Path) -> None:
    hold = asyncio.Event()
    candidate = await Service(hold=hold).up()
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        await worker.write()
        await eventually(lambda: candidate.requests, "the copy under way")
        ending = asyncio.create_task(fig.end())
        await asyncio.sleep(0.05)
        assert not ending.done()
        hold.set()

        assert await ending == 0
        assert fig.standing == Standing()
        assert pairs(fig) == (1, 0)
    await candidate.down()


async def test_a_shadower_that_is_told_twice_to_end_does_not_wait_for_copies_under_way(tmp_path: Path) -> None:
    candidate = await Service(hold=asyncio.Event()).up()
    table = effective(candidate.port, dedupe=None)
    async with shadowing(tmp_path, table, drain=3600.0) as fig, Worker(tmp_path) as worker:
        await worker.write()
        await eventually(lambda: candidate.requests, "the copy under way")
        fig.shadower.stop("SIGTERM")
        fig.shadower.stop(lifeline.GONE)  # that is not asking again
        await asyncio.sleep(0.05)
        assert not fig.ended

        fig.shadower.stop("SIGTERM")

        assert await fig.end() == 0
    async with shadowing(tmp_path, table) as fig:
        assert fig.standing == Standing(in_doubt=1)
    await candidate.down()


async def test_a_shadower_of_which_a_part_fails_ends_with_1_to_be_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Upkeep) -> None:
        raise LookupError("nobody thought of this")

    monkeypatch.setattr(Upkeep, "look", fail)
    fig = Inside(tmp_path)
    fig.publish(effective(9))
    fig.start()

    await eventually(lambda: fig.ended, "its end")

    assert await fig.end() == 1


async def test_a_route_that_left_the_rules_keeps_its_copies_until_it_is_back(
    tmp_path: Path, candidate: Service
) -> None:
    await candidate.down()
    table = effective(candidate.port)
    without = replace(table, rules=table.rules.model_copy(update={"routes": ()}))
    async with shadowing(tmp_path, table), Worker(tmp_path) as worker:
        await worker.write()
    await candidate.up()
    async with shadowing(tmp_path, without) as fig:
        assert fig.standing.undelivered == 1
    async with shadowing(tmp_path, table) as fig:
        await eventually(lambda: fig.standing == Standing(), "delivered")


async def test_a_service_that_fails_everything_for_long_costs_no_copy_its_life(tmp_path: Path) -> None:
    candidate = await Service(behave=lambda number: 503, hold=asyncio.Event()).up()
    assert candidate.hold is not None
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        for number in range(40):
            await worker.write(str(number), b"%d" % number)
        candidate.hold.set()
        await eventually(lambda: len(candidate.requests) > 150, "tried again and again")
        assert fig.standing.dead == 0
        assert fig.standing.undelivered == 40
        failing = ("deliveries_held_back", (("service", "shop"), ("reason", "failing")))
        assert (*failing, 1.0) in fig.shadower._gauges()

        candidate.behave = lambda number: 201
        await eventually(lambda: fig.standing == Standing(), "all of them delivered")
        assert (*failing, 0.0) in fig.shadower._gauges()
    await candidate.down()


async def test_a_list_that_cannot_be_read_is_not_asked_for_at_every_turn(
    tmp_path: Path, candidate: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        deliveries = fig.shadower._deliveries
        asked: list[str] = []

        async def fail(route: str, *_: object) -> list[Copy]:
            asked.append(route)
            raise JournalError("the disk does not answer")

        monkeypatch.setattr("proxy.shadower.deliveries.READ_AGAIN", 60.0)
        monkeypatch.setattr(fig.shadower._journal, "owed", fail)
        deliveries._lanes["other", Side.CANDIDATE] = Lane(owed=1, newest=1)
        monkeypatch.setattr(deliveries._tables, "service", lambda *_: ("shop", effective(9).rules.services["shop"]))
        for number in range(5):
            await worker.write(str(number))

        assert asked == ["other"]
        await deliveries.stop(0.0)
