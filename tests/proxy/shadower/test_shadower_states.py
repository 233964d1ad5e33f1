"""The shadower: once a key is quiet both sides are asked what they hold, and that is compared."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rules.effective import Effective
from tests.fakes.remembering import APPLIED, Remembering
from tests.fakes.shadowing import Shadowed, Worker, effective, eventually, shadowing

PATH = "/orders/17"


@pytest.fixture
async def legacy() -> AsyncIterator[Remembering]:
    async with Remembering() as side:
        yield side


@pytest.fixture
async def candidate() -> AsyncIterator[Remembering]:
    async with Remembering() as side:
        yield side


def table(legacy: Remembering, candidate: Remembering, **more: Any) -> Effective:
    rule = {"path": "/orders/{order}", "state": "100%", "applied": APPLIED, **more}
    return effective(candidate.port, legacy=legacy.port, read_back=rule)


def compared(fig: Shadowed) -> list[tuple[str, int, int]]:
    """(kind, pairs, how many differ) of every stratum that has pairs, by kind."""
    with contextlib.closing(sqlite3.connect(f"file:{fig.state / 'pairs.db'}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT kind, SUM(pairs), SUM(differing) FROM strata GROUP BY kind ORDER BY kind")
        return [(kind, pairs, differing) for kind, pairs, differing in rows if pairs]


async def write(side: Remembering, worker: Worker, body: str) -> None:
    """A write that legacy has applied and answered as the candidate will."""
    lines = side.applied.setdefault(PATH, [])
    lines.append((f"idem-17-{body}", body))
    granted = await worker.intend("17", body.encode())
    said = b'{"last_key": "idem-17-%b", "count": %d}' % (body.encode(), len(lines))
    worker.send(worker.outcome(granted.sequence, body=said))  # type: ignore[union-attr]


async def test_sides_that_hold_the_same_make_an_equal_pair_of_their_own_kind(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    async with shadowing(tmp_path, table(legacy, candidate)) as fig:
        async with Worker(tmp_path) as worker:
            await write(legacy, worker, "first")
            await write(legacy, worker, "second")

            await eventually(lambda: compared(fig) == [("state", 1, 0), ("write", 2, 0)], "both kinds")
        assert (legacy.questions[0][0], candidate.questions[0][0]) == (PATH, PATH)
        assert candidate.questions[0][1]["x-fig-copy"] == "shadow"


async def test_a_candidate_that_answers_alike_and_does_something_else_is_found_out(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    async with shadowing(tmp_path, table(legacy, candidate)) as fig, Worker(tmp_path) as worker:
        await write(legacy, worker, "first")
        await eventually(lambda: candidate.writes, "the copy")
        candidate.applied[PATH].append(("somebody", "else"))

        await eventually(lambda: compared(fig) == [("state", 1, 1), ("write", 1, 0)], "the difference")


async def test_a_candidate_that_is_away_for_a_moment_holds_what_it_holds(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    async with shadowing(tmp_path, table(legacy, candidate)) as fig, Worker(tmp_path) as worker:
        await write(legacy, worker, "first")
        await eventually(lambda: compared(fig) == [("write", 1, 0)], "copied")
        await candidate.down()
        await eventually(lambda: len(legacy.questions) > 1, "asked again")
        await candidate.up()

        await eventually(lambda: compared(fig) == [("state", 1, 0), ("write", 1, 0)], "the pair")


async def test_a_key_that_is_written_to_meanwhile_is_not_read(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    async with shadowing(tmp_path, table(legacy, candidate)) as fig:
        async with Worker(tmp_path) as worker:
            await write(legacy, worker, "first")
            await eventually(lambda: compared(fig) == [("write", 1, 0)], "the first copied")
            await worker.intend("17", b"second")  # and no outcome
            await eventually(
                lambda: fig.shadower.counts.total("shadow_states", route="checkout", result="unsettled"), "let be"
            )
        assert legacy.questions == candidate.questions == []


async def test_without_a_share_nobody_is_asked(tmp_path: Path, legacy: Remembering, candidate: Remembering) -> None:
    async with shadowing(tmp_path, table(legacy, candidate, state="0%")) as fig:
        async with Worker(tmp_path) as worker:
            await write(legacy, worker, "first")
            await eventually(lambda: compared(fig) == [("write", 1, 0)], "copied")
        assert not fig.shadower._states._waiting
