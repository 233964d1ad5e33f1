"""The shadower: writes without an answer are asked about, and applied once, in order, or declared; never guessed at."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.shadower import read_back
from proxy.wire import Granted
from rules.effective import Effective
from shadow.journal.doubts import asked_of, list_doubts
from shadow.journal.reader import JournalReader
from shadow.journal.writes import Standing
from shadow.sealing import Sealer, load_key
from tests.fakes.remembering import APPLIED, Remembering, at_first
from tests.fakes.shadowing import Shadowed, Worker, effective, eventually, shadower_process, shadowing

PATH = "/orders/17"


@pytest.fixture
async def legacy() -> AsyncIterator[Remembering]:
    async with Remembering() as side:
        yield side


@pytest.fixture
async def candidate() -> AsyncIterator[Remembering]:
    async with Remembering() as side:
        yield side


def table(legacy: Remembering, candidate: Remembering, dedupe: str | None = None, **more: Any) -> Effective:
    rule = {"path": "/orders/{order}", "state": "0%", "within": "0.3s", "patience": "20s", "applied": APPLIED, **more}
    return effective(candidate.port, legacy=legacy.port, dedupe=dedupe, read_back=rule)


def states(fig: Shadowed) -> list[str]:
    """Of every write, in order."""
    with contextlib.closing(sqlite3.connect(f"file:{fig.state / 'journal.db'}?mode=ro", uri=True)) as db:
        return [state for (state,) in db.execute("SELECT state FROM writes ORDER BY sequence")]


def apply(side: Remembering, body: str) -> None:
    """As if the worker's own request had reached that side."""
    side.applied.setdefault(PATH, []).append((f"idem-17-{body}", body))


async def lose(state: Path, body: str) -> None:
    """A worker that is granted a write and gone before its outcome."""
    async with Worker(state, pid=4242) as worker:
        assert isinstance(await worker.intend("17", body.encode()), Granted)


# --- writes whose worker is gone -------------------------------------------------------------------------------------


async def test_a_lost_write_that_legacy_has_applied_is_copied_and_makes_no_pair(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    async with shadowing(tmp_path, table(legacy, candidate)) as fig:
        apply(legacy, "lost")
        await lose(tmp_path, "lost")

        await eventually(lambda: states(fig) == ["delivered"], "the copy delivered")
        assert candidate.bodies(PATH) == ["lost"]
        assert fig.standing == Standing()
        target, headers = legacy.questions[0]
        assert target == PATH
        assert headers["x-fig-copy"] == "reverse"
        assert "idempotency-key" not in headers
        assert not (tmp_path / "pairs.db").exists() or not pairs(fig)


def pairs(fig: Shadowed) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{fig.state / 'pairs.db'}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT COUNT(*) FROM pairs").fetchone()[0])


async def test_a_lost_write_that_legacy_has_not_applied_is_void_but_only_when_it_will_not_be_any_more(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    async with shadowing(tmp_path, table(legacy, candidate)) as fig:
        await lose(tmp_path, "lost")

        await eventually(lambda: states(fig) == ["void"], "the doubt cleared")
        assert len(legacy.questions) > 1
        assert candidate.writes == 0


async def test_a_write_that_legacy_applies_after_its_worker_is_gone_is_found(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    async with shadowing(tmp_path, table(legacy, candidate, within="20s")) as fig:
        await lose(tmp_path, "late")
        await eventually(lambda: legacy.questions, "the first question")
        assert states(fig) == ["in_doubt"]
        apply(legacy, "late")

        await eventually(lambda: candidate.bodies(PATH) == ["late"], "the copy delivered")


async def test_an_outcome_without_an_answer_is_asked_about_too(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    async with shadowing(tmp_path, table(legacy, candidate)) as fig:
        async with Worker(tmp_path) as worker:
            granted = await worker.intend("17", b"slow")
            assert isinstance(granted, Granted)
            apply(legacy, "slow")
            worker.send(worker.outcome(granted.sequence, status=0, failure="timeout"))

            await eventually(lambda: states(fig) == ["delivered"], "the copy delivered")
        assert candidate.bodies(PATH) == ["slow"]


async def test_later_writes_of_the_key_wait_until_it_is_known(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    async with shadowing(tmp_path, table(legacy, candidate, within="20s")) as fig:
        await lose(tmp_path, "first")
        async with Worker(tmp_path) as worker:
            waiting = asyncio.create_task(worker.write("17", b"second"))
            other = await worker.write("18", b"other")
            await eventually(lambda: len(legacy.questions) > 1, "two questions")
            assert not waiting.done()
            apply(legacy, "first")

            await waiting
            await eventually(lambda: len(candidate.bodies(PATH)) == 2, "both copies delivered")
            await eventually(lambda: fig.standing == Standing(), "nothing in doubt")
        assert candidate.bodies(PATH) == ["first", "second"]
        assert other


@contextlib.asynccontextmanager
async def overtaken(state: Path, legacy: Remembering, candidate: Remembering) -> AsyncIterator[Shadowed]:
    """Legacy cannot tell of a first write within the patience of its key, so a second one has gone."""
    legacy.answers = lambda: 503
    async with shadowing(state, table(legacy, candidate, within="0.1s", patience="0.1s")) as fig:
        await lose(state, "first")
        async with Worker(state) as worker:
            await worker.write("17", b"second")
        yield fig


async def test_while_legacy_is_away_the_key_waits_only_so_long_and_the_write_stays_in_doubt(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    async with overtaken(tmp_path, legacy, candidate) as fig:
        await eventually(lambda: candidate.bodies(PATH) == ["second"], "the second delivered")
        await eventually(lambda: fig.standing == Standing(in_doubt=1), "the doubt declared")


async def test_what_is_found_applied_after_a_later_write_has_gone_is_not_sent_out_of_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: Remembering, candidate: Remembering
) -> None:
    monkeypatch.setattr(read_back, "SLOWEST", 0.05)
    async with overtaken(tmp_path, legacy, candidate) as fig:
        apply(legacy, "first")
        legacy.answers = lambda: 200

        await eventually(lambda: states(fig) == ["dead", "delivered"], "declared")
        assert candidate.bodies(PATH) == ["second"]


async def test_not_applied_is_not_believed_once_a_later_write_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, legacy: Remembering, candidate: Remembering
) -> None:
    monkeypatch.setattr(read_back, "SLOWEST", 0.05)
    async with overtaken(tmp_path, legacy, candidate) as fig:
        apply(legacy, "second")
        legacy.answers = lambda: 200
        asked = len(legacy.questions)

        await eventually(lambda: len(legacy.questions) > asked + 3, "more questions")
        assert fig.standing == Standing(in_doubt=1)


async def test_a_shadower_that_is_killed_while_it_asks_has_a_successor_that_asks_and_keeps_the_order(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    legacy.answers = lambda: 503
    async with shadower_process(tmp_path, table(legacy, candidate)) as fig:
        await lose(tmp_path, "first")
        await eventually(lambda: legacy.questions, "a question")
        await fig.kill()
        await fig.start()
        async with Worker(tmp_path) as worker:
            waiting = asyncio.create_task(worker.write("17", b"second"))
            asked = len(legacy.questions)
            await eventually(lambda: len(legacy.questions) > asked + 1, "more questions")
            assert not waiting.done()
            apply(legacy, "first")
            legacy.answers = lambda: 200
            await waiting

        await eventually(lambda: candidate.bodies(PATH) == ["first", "second"], "both delivered in order")
        await eventually(lambda: fig.standing == Standing(), "nothing in doubt")


async def test_a_kill_with_writes_in_flight_leaves_nothing_in_doubt(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    async with shadower_process(tmp_path, table(legacy, candidate)) as fig:
        async with Worker(tmp_path, pid=4242) as worker:
            assert isinstance(await worker.intend("17", b"lost"), Granted)
            apply(legacy, "lost")
            await fig.kill()
        await fig.start()

        await eventually(lambda: states(fig) == ["delivered"], "the copy delivered")
    assert candidate.bodies(PATH) == ["lost"]


# --- copies without an answer, where nothing deduplicates -----------------------------------------------------------


@pytest.mark.parametrize("behaviour", ["apply then break", "break"])
async def test_a_copy_without_an_answer_is_applied_once(
    tmp_path: Path, legacy: Remembering, candidate: Remembering, behaviour: str
) -> None:
    async with shadowing(tmp_path, table(legacy, candidate)) as fig:
        candidate.behave = at_first(behaviour)
        async with Worker(tmp_path) as worker:
            await worker.write("17", b"first")
            await worker.write("17", b"second")

            await eventually(lambda: states(fig) == ["delivered"] * 2, "both delivered")
        assert candidate.bodies(PATH) == ["first", "second"]
        assert candidate.writes == (2 if "apply" in behaviour else 3)


@pytest.mark.parametrize("behaviour", ["apply then hang", "hang"])
async def test_a_copy_cut_off_by_a_kill_is_applied_once(
    tmp_path: Path, legacy: Remembering, candidate: Remembering, behaviour: str
) -> None:
    async with shadower_process(tmp_path, table(legacy, candidate)) as fig:
        candidate.behave = at_first(behaviour)
        async with Worker(tmp_path) as worker:
            await worker.write("17", b"first")
            await worker.write("17", b"second")
            await eventually(lambda: candidate.writes == 1, "the copy under way")
            await fig.kill()
            await fig.start()

            await eventually(lambda: states(fig) == ["delivered"] * 2, "both delivered")
        assert candidate.bodies(PATH) == ["first", "second"]


async def test_a_copy_that_nobody_can_tell_of_stays_in_doubt_and_is_not_repeated(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    candidate.behave = at_first("apply then break")
    candidate.answers = lambda: 500
    async with shadowing(tmp_path, table(legacy, candidate, within="0.1s", patience="0.1s")) as fig:
        async with Worker(tmp_path) as worker:
            await worker.write("17", b"first")
            await worker.write("17", b"second")
            await eventually(lambda: fig.standing == Standing(in_doubt=1), "declared")
        await eventually(lambda: candidate.bodies(PATH) == ["first", "second"], "each once")


async def test_a_copy_that_never_arrives_is_dead_in_the_end(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    candidate.behave = at_first("break", times=8)
    async with shadowing(tmp_path, table(legacy, candidate, within="0.01s")) as fig:
        async with Worker(tmp_path) as worker:
            await worker.write("17", b"first")
            await worker.write("17", b"second")
            await eventually(lambda: states(fig) == ["dead", "delivered"], "dead, and the next one delivered")
        assert candidate.bodies(PATH) == ["second"]


async def test_a_service_that_deduplicates_is_not_asked_about_copies(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    async with shadowing(tmp_path, table(legacy, candidate, "idempotency-key")) as fig:
        candidate.behave = at_first("break")
        async with Worker(tmp_path) as worker:
            await worker.write("17", b"first")
            await eventually(lambda: states(fig) == ["delivered"], "delivered")
        assert candidate.questions == []


# --- what is told ----------------------------------------------------------------------------------------------------


async def test_what_was_asked_and_why_it_stays_open_is_kept_sealed(
    tmp_path: Path, legacy: Remembering, candidate: Remembering
) -> None:
    legacy.answers = lambda: 418
    asked_by = table(legacy, candidate, path="/orders/{order}?key={header:idempotency-key}")
    async with shadowing(tmp_path, asked_by) as fig:
        await lose(tmp_path, "canary-body")
        await eventually(lambda: legacy.questions, "a question")
        sealer = Sealer(load_key(fig.state / "key"))
        reader = JournalReader(fig.state / "journal.db", sealer)
        found = await eventually(lambda: asked_of(reader, sealer, 1), "the question noted")

        assert found.target == "/orders/17?key=idem-17-canary-body"
        assert (found.finding, found.why) == ("unknown", "status 418, not 2xx")
        (doubt,) = list_doubts(reader, None, 10)
        assert (doubt.sequence, doubt.reason, doubt.of_copy) == (1, "worker lost", False)
        reader.close()
    for file in fig.state.iterdir():
        if file.is_file():
            assert b"canary-body" not in file.read_bytes(), file.name
