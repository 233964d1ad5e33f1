"""Keys that only an answer tells, and answers after which a copy is owed, through a real shadower."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from proxy.wire import Granted, Outcome
from shadow.journal.writes import Standing, State
from tests.fakes.shadowing import Service, Worker, effective, eventually, shadowing


@pytest.mark.parametrize("coded", [False, True])
async def test_a_key_that_the_answer_tells_orders_later_writes(tmp_path: Path, candidate: Service, coded: bool) -> None:
    candidate.hold = asyncio.Event()
    table = effective(candidate.port, then_by="response:/id")
    async with shadowing(tmp_path, table) as fig, Worker(tmp_path) as worker:
        made = await worker.intend("", b"make")
        assert isinstance(made, Granted)
        outcome = worker.outcome(made.sequence, body=b'{"id": 17}')
        if coded:
            outcome.answer_body = gzip.compress(outcome.answer_body)
            outcome.answer_headers = [*outcome.answer_headers, (b"Content-Encoding", b"gzip")]
        worker.send(outcome)
        await eventually(lambda: made.sequence in worker.recorded, "the first outcome")
        await worker.write("17", b"change")
        await worker.write("18", b"another")

        await eventually(lambda: len(candidate.requests) == 2, "what may go side by side")
        assert sorted(candidate.bodies) == [b"another", b"make"], "the change waits for what it changes"
        candidate.hold.set()
        await eventually(lambda: fig.standing == Standing(), "all delivered")
        assert candidate.bodies[2] == b"change"


async def test_a_key_learnt_too_late_is_no_reason_to_deliver_out_of_order(tmp_path: Path, candidate: Service) -> None:
    table = effective(candidate.port, then_by="response:/id")
    async with shadowing(tmp_path, table) as fig, Worker(tmp_path) as worker:
        made = await worker.intend("", b"make")
        assert isinstance(made, Granted)
        await worker.write("17", b"change")
        worker.send(worker.outcome(made.sequence, body=b'{"id": 17}'))

        await eventually(lambda: fig.standing == Standing(dead=1), "for a person to decide")
        assert candidate.bodies == [b"change"]


async def test_an_answer_that_tells_no_key_is_counted_and_its_copy_delivered(
    tmp_path: Path, candidate: Service
) -> None:
    table = effective(candidate.port, then_by="response:/id")
    async with shadowing(tmp_path, table) as fig, Worker(tmp_path) as worker:
        await worker.write("", b"make")

        await eventually(lambda: candidate.bodies == [b"make"], "delivered")
        assert fig.shadower.counts.total("journal_keys_unknown", route="checkout") == 1


@pytest.mark.parametrize(("status", "copied"), [(202, True), (409, True), (200, False), (303, False)])
async def test_the_route_says_after_which_answers_a_copy_is_owed(
    tmp_path: Path, candidate: Service, status: int, copied: bool
) -> None:
    table = effective(candidate.port, deliver_on=["202", "4xx"])
    async with shadowing(tmp_path, table) as fig, Worker(tmp_path) as worker:
        granted = await worker.intend()
        assert isinstance(granted, Granted)
        outcome: Outcome = worker.outcome(granted.sequence, status)
        worker.send(outcome)
        await eventually(lambda: granted.sequence in worker.recorded, "recorded")

        await eventually(lambda: fig.standing == Standing(), "nothing owed any more")
        assert candidate.bodies == ([b"{}"] if copied else [])
        state = State.ANSWERED if copied else State.VOID
        assert fig.shadower.counts.total("journal_outcomes", state=state.value) <= 1
