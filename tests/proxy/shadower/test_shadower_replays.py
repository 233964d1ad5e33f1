"""Pairs sent to the candidate again: by a real shadower, to a real service that was mended meanwhile, or was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.shadower.commands import Effect, Instruction, MalformedError
from shadow.pairs.kept import KeptPair
from shadow.pairs.reader import PairReader
from tests.fakes.numbering import Orders, numbering_shop
from tests.fakes.shadowing import ROUTE, Inside, Service, Worker, effective, eventually, shadowing
from tests.proxy.shadower.test_shadower_ids import table as numbering
from tests.proxy.shadower.test_shadower_ids import wrote


async def kept_pairs(state: Path, count: int) -> list[KeptPair]:
    def look() -> list[KeptPair]:
        with PairReader(state / "pairs.db") as reader:
            windows = reader.windows(ROUTE)
            if not windows or windows[0].pairs < count:
                return []
            found = [pair for place in reader.places(windows[0]) for pair in reader.samples(windows[0], place, 10)]
            return [*found, *reader.equal(windows[0], 10)]

    found: list[KeptPair] = await eventually(look, f"{count} pairs")
    return found


async def replay(
    shadowed: Inside, *pairs: KeptPair, force: bool = False, why: str = ""
) -> tuple[dict[str, Any], Effect]:
    """The results by pair, and all that the action gave."""
    names: list[int | str] = [each.pair.id for each in pairs]
    effect = await shadowed.shadower.commands.actions["replay"](
        Instruction({"pairs": names, "force": force}, "a test", why)
    )
    return {each["pair"]: each for each in effect.result["replayed"]}, effect


async def test_a_read_goes_out_as_it_did_before_and_a_mended_candidate_is_fixed(tmp_path: Path) -> None:
    candidate = await Service(body=lambda target: b'{"total": 1990}').up()
    async with shadowing(tmp_path, effective(candidate.port)) as shadowed, Worker(tmp_path) as worker:
        worker.mirror(answer_body=b'{"total": 19.90}', headers=[(b"Authorization", b"Bearer canary"), (b"X-App", b"1")])
        (pair,) = await kept_pairs(tmp_path, 1)
        same, _ = await replay(shadowed, pair)
        candidate.body = lambda target: b'{"total": 19.9}'
        fixed, effect = await replay(shadowed, pair)
        candidate.body = lambda target: b'{"sum": 19.9}'
        changed, _ = await replay(shadowed, pair)
    first, *again = candidate.requests
    await candidate.down()
    assert [each[pair.pair.id]["result"] for each in (same, fixed, changed)] == ["same", "fixed", "changed"]
    assert [each["pointer"] for each in changed[pair.pair.id]["differences"]] == ["/total", "/sum"]
    assert all(each == first for each in again), "secrets, marks and all"
    assert first[1]["authorization"] == "Bearer canary"
    assert first[1]["x-fig-copy"] == "shadow"
    assert effect.routes == [], "a read changes nothing, so the history says nothing"


async def test_a_write_goes_out_with_its_key_and_stands_in_the_history(tmp_path: Path) -> None:
    candidate = await Service(body=lambda target: b'{"target": "elsewhere"}').up()
    async with shadowing(tmp_path, effective(candidate.port)) as shadowed, Worker(tmp_path) as worker:
        await worker.write(body=b'{"n": 1}')
        (pair,) = await kept_pairs(tmp_path, 1)
        candidate.body = lambda target: b'{"target": "/orders/17"}'
        results, effect = await replay(shadowed, pair)
    await candidate.down()
    assert results[pair.pair.id]["result"] == "fixed"
    assert candidate.bodies == [b'{"n": 1}'] * 2
    assert len(set(candidate.keys)) == 1
    assert effect.routes == [ROUTE]


async def test_a_write_that_nothing_deduplicates_is_sent_again_only_if_somebody_insists(tmp_path: Path) -> None:
    candidate = await Service(body=lambda target: b'{"target": "elsewhere"}').up()
    table = effective(candidate.port, dedupe=None)
    async with shadowing(tmp_path, table) as shadowed, Worker(tmp_path) as worker:
        await worker.write()
        (pair,) = await kept_pairs(tmp_path, 1)
        refused, effect = await replay(shadowed, pair)
        assert refused[pair.pair.id]["result"] == "unasked"
        assert "may be applied twice" in refused[pair.pair.id]["reason"]
        assert effect.routes == []
        assert len(candidate.requests) == 1
        with pytest.raises(MalformedError, match="say why"):
            await replay(shadowed, pair, force=True)
        forced, _ = await replay(shadowed, pair, force=True, why="the candidate's database was restored")
    await candidate.down()
    assert forced[pair.pair.id]["result"] == "same"
    assert len(candidate.requests) == 2


async def test_a_candidate_that_is_away_was_not_asked_and_one_that_breaks_off_gave_no_answer(tmp_path: Path) -> None:
    candidate = await Service().up()
    async with shadowing(tmp_path, effective(candidate.port)) as shadowed, Worker(tmp_path) as worker:
        worker.mirror()
        (pair,) = await kept_pairs(tmp_path, 1)
        candidate.behave = lambda number: "break"
        broken, _ = await replay(shadowed, pair)
        await candidate.down()
        away, _ = await replay(shadowed, pair)
    assert broken[pair.pair.id]["result"] == "changed"
    assert broken[pair.pair.id]["differences"][0]["kind"] == "no_answer"
    assert away[pair.pair.id]["result"] == "unasked"
    assert "takes no connection" in away[pair.pair.id]["reason"]


async def test_a_candidate_that_numbers_otherwise_is_asked_with_its_own_ids(tmp_path: Path) -> None:
    orders = Orders(first=9001)
    with numbering_shop(orders) as shop:
        async with shadowing(tmp_path, numbering(shop)) as shadowed, Worker(tmp_path) as worker:
            await wrote(worker, "POST", "/orders", {"item": "tea"}, {"id": 17, "item": "tea"})
            await kept_pairs(tmp_path, 1)
            worker.mirror("/orders/17", status=200, answer_body=b'{"id": 17, "item": "tea"}')
            await kept_pairs(tmp_path, 2)
            read = next(pair for pair in await kept_pairs(tmp_path, 2) if pair.pair.method == "GET")
            results, _ = await replay(shadowed, read)
    assert orders.asked == ["POST /orders", "GET /orders/9001", "GET /orders/9001"]
    assert (results[read.pair.id]["result"], results[read.pair.id]["differences"]) == ("same", ())


async def test_pairs_that_are_not_there_and_no_pairs_at_all_are_said(tmp_path: Path) -> None:
    async with shadowing(tmp_path, effective(9)) as shadowed:
        action = shadowed.shadower.commands.actions["replay"]
        effect = await action(Instruction({"pairs": ["nope"]}, "a test", ""))
        assert effect.result["sum"] == {"unasked": 1}
        for given in ({}, {"pairs": []}, {"pairs": "one"}, {"pairs": [str(n) for n in range(100)]}):
            with pytest.raises(MalformedError, match="list of 1 to 50"):
                await action(Instruction(given, "a test", ""))  # type: ignore[arg-type]
