"""Every request captured on a route stands in exactly one stratum: the sums are the requests, come what may."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.wire import Granted
from shadow.certifying.strata import Stratum
from shadow.certifying.terms import day_of
from shadow.pairs.kept import Window
from shadow.pairs.reader import PairReader
from tests.fakes.shadowing import ROUTE, Service, Worker, effective, eventually, shadower_process, shadowing


def strata(state: Path) -> list[Stratum]:
    """Of all windows."""
    with PairReader(state / "pairs.db") as reader:
        return [one for window in reader.windows(ROUTE) for one in reader.strata(window)]


def captured(state: Path) -> int:
    return sum(one.pairs for one in strata(state))


@pytest.mark.parametrize("seed", [1, 2])
async def test_reads_and_writes_in_any_order_are_each_counted_once(tmp_path: Path, seed: int) -> None:
    """Reads that are settled or not, that find no room or no candidate, and writes that legacy takes or refuses."""
    chance = random.Random(seed)
    candidate = await Service(behave=lambda number: 201 if number % 5 else "hang").up()
    sent: Counter[str] = Counter()
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        for number in range(40):
            what = chance.choice(["read", "read", "taken", "refused"])
            sent[what] += 1
            if what == "read":
                worker.mirror(
                    f"/orders/{number}", started=chance.choice([1.0, 4e9]), method=chance.choice(["GET", "X"])
                )
                continue
            granted = await worker.intend(str(number))
            assert isinstance(granted, Granted)
            worker.send(worker.outcome(granted.sequence, status=201 if what == "taken" else 422))
            await eventually(lambda: granted.sequence in worker.recorded, "outcome recorded")  # noqa: B023 (waited for)
        worker.mirror("/orders/late")
        sent["read"] += 1
        await worker.write("last")
        sent["taken"] += 1
        assert await fig.end() == 0
        left = fig.standing

    told = strata(tmp_path)
    assert sum(one.pairs for one in told) == sent.total() - left.undelivered - left.in_doubt
    refused = sum(one.pairs for one in told if (one.status_class, one.kind) == ("4xx", "no_pair"))
    assert refused == sent["refused"]
    assert sum(one.pairs for one in told if one.kind in ("read", "unsettled", "dropped")) == sent["read"]
    assert {one.method for one in told} <= {"GET", "POST", "OTHER"}
    await candidate.down()


async def test_writes_are_counted_once_though_the_shadower_is_killed_again_and_again(
    tmp_path: Path, candidate: Service
) -> None:
    writes = 0
    async with shadower_process(tmp_path, effective(candidate.port)) as fig:
        for _ in range(3):
            async with Worker(tmp_path) as worker:
                for number in range(10):
                    granted = await worker.intend(f"{writes}")
                    assert isinstance(granted, Granted)
                    worker.send(worker.outcome(granted.sequence, status=422 if number % 2 else 201))
                    await eventually(lambda: granted.sequence in worker.recorded, "recorded")  # noqa: B023
                    writes += 1
                await fig.kill()
            await fig.start()
        await eventually(
            lambda: (tmp_path / "pairs.db").exists() and captured(tmp_path) == writes, "all of them counted"
        )
        assert await fig.end() == 0
    told = Counter({(one.status_class, str(one.kind)): one.pairs for one in strata(tmp_path)})
    assert told == {("4xx", "no_pair"): writes // 2, ("2xx", "write"): writes // 2}


async def test_attempts_that_failed_before_the_answer_that_is_compared_are_told_apart(tmp_path: Path) -> None:
    candidate = await Service(behave=lambda number: 503 if number < 4 else 201).up()
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        await worker.write("17")
        await eventually(lambda: captured(tmp_path) == 1, "the pair stored")
        assert await fig.end() == 0
    (one,) = strata(tmp_path)
    assert one.attempts >= 1
    await candidate.down()


async def test_a_mask_that_expires_while_pairs_are_counted_begins_another_window_which_says_why(
    tmp_path: Path, candidate: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    today, tomorrow = (day_of(time.time() + days * 86_400) for days in (0, 1))
    if day_of(time.time() + 60) != today:
        pytest.skip("midnight is too near")
    table = effective(candidate.port)
    (route,) = table.rules.routes
    route = route.model_copy(update={"shadow": route.shadow.model_copy(update={"compare": "c"})})
    masks = {"masks": [{"path": "/at", "kind": "ignore", "owner": "ada", "expires": tomorrow.isoformat()}]}
    table = replace(table, rules=table.rules.model_copy(update={"routes": (route,)}), comparisons={"c": masks})

    def windows() -> tuple[Window, ...]:
        if not (tmp_path / "pairs.db").exists():
            return ()
        with PairReader(tmp_path / "pairs.db") as reader:
            return reader.windows(ROUTE)

    async with shadowing(tmp_path, table) as fig, Worker(tmp_path) as worker:
        now = time.time()
        worker.mirror(answer_body=b'{"target":"/orders/17","at":1}')
        await eventually(lambda: bool(windows()) and windows()[0].pairs == 1, "a pair under the mask")
        monkeypatch.setattr(time, "time", lambda: now + 86_400)
        await eventually(lambda: len(windows()) == 2, "another window")
        worker.mirror(answer_body=b'{"target":"/orders/17","at":1}')
        await eventually(lambda: windows()[0].pairs == 1, "a pair without it")
        assert await fig.end() == 0
    later, former = windows()
    assert later.reason == f"the mask '/at ignore' ({tomorrow}) expired"
    assert (former.excused, former.differing, later.excused, later.differing) == (1, 0, 0, 1)
