"""The shadower: what it grants, what survives a kill, what it refuses, and what it never leaves readable."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.wire import Denied, Gap, Granted
from shadow.journal import writes
from shadow.journal.journal import Journal, JournalError
from shadow.journal.writes import Standing
from tests.fakes.shadowing import PATIENCE, Inside, Service, Worker, effective, eventually, shadower_process, shadowing


async def test_one_write_of_a_key_is_in_flight_at_a_time_across_workers(tmp_path: Path, candidate: Service) -> None:
    async with (
        shadowing(tmp_path, effective(candidate.port)) as fig,
        Worker(tmp_path) as one,
        Worker(tmp_path, number=1) as other,
    ):
        first = await one.intend("17")
        second = asyncio.create_task(other.intend("17"))
        assert isinstance(await other.intend("18"), Granted)
        assert not second.done()

        assert isinstance(first, Granted)
        one.send(one.outcome(first.sequence))

        assert isinstance(await second, Granted)
        assert fig.standing.intended == 2


async def test_a_write_that_waited_longer_than_settle_is_denied(tmp_path: Path, candidate: Service) -> None:
    async with shadowing(tmp_path, effective(candidate.port, settle="200ms")), Worker(tmp_path) as worker:
        await worker.intend("17")

        denied = await worker.intend("17")

        assert isinstance(denied, Denied)
        assert denied.reason == "in flight"
        assert denied.retry_after > 0


async def test_after_a_rollback_legacy_answers_for_a_key_only_when_it_has_the_copies(tmp_path: Path) -> None:
    legacy = await Service(behave=lambda number: 503 if number <= 2 else 201).up()
    table = effective(9, stage="canary")
    services = {
        **table.rules.services,
        "legacy": table.rules.services["shop"].model_copy(update={"url": f"http://127.0.0.1:{legacy.port}"}),
    }
    table = replace(table, rules=table.rules.model_copy(update={"services": services}))
    async with shadowing(tmp_path, table), Worker(tmp_path) as worker:
        await worker.write("17", b"1", side="candidate")

        assert isinstance(await worker.intend("17", b"2", side="legacy"), Granted)
        assert legacy.bodies == [b"1", b"1", b"1"]
        assert legacy.requests[0][1]["x-fig-copy"] == "reverse"
    await legacy.down()


async def test_in_a_stage_without_copies_writes_are_ordered_and_nothing_is_owed(
    tmp_path: Path, candidate: Service
) -> None:
    async with shadowing(tmp_path, effective(candidate.port, stage="legacy")) as fig, Worker(tmp_path) as worker:
        await worker.write()

        assert fig.standing == Standing()
    assert candidate.requests == []


async def test_a_write_that_was_no_success_is_not_copied(tmp_path: Path, candidate: Service) -> None:
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        granted = await worker.intend()
        assert isinstance(granted, Granted)
        worker.send(worker.outcome(granted.sequence, 422))
        await worker.write("17", b"next")

        await eventually(lambda: candidate.bodies == [b"next"], "the successful write copied")
        assert fig.standing.in_doubt == 0


async def test_a_lost_workers_writes_are_in_doubt_and_their_keys_free(tmp_path: Path, candidate: Service) -> None:
    async with shadowing(tmp_path, effective(candidate.port)) as fig:
        async with Worker(tmp_path, pid=1) as lost:
            await lost.intend("17", b"doubtful")
        async with Worker(tmp_path) as worker:
            await worker.write("17", b"next")

            await eventually(lambda: fig.standing == Standing(in_doubt=1), "the doubt declared")
        assert candidate.bodies == [b"next"]


async def test_a_worker_that_is_lost_while_its_ask_waits_leaves_the_key_to_the_next(
    tmp_path: Path, candidate: Service
) -> None:
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        first = await worker.intend("17", b"first")
        assert isinstance(first, Granted)
        async with Worker(tmp_path, pid=1) as lost:
            asking = asyncio.create_task(lost.intend("17", b"never granted"))
            await eventually(lambda: fig.shadower._intake._leases.waiting == 1, "its ask waits")
        third = asyncio.create_task(worker.intend("17", b"third"))
        await eventually(lambda: len(fig.shadower._intake._workers) == 1, "its link is closed")

        worker.send(worker.outcome(first.sequence))

        assert isinstance(await third, Granted)
        assert fig.standing.in_doubt == 0
        assert fig.standing.intended == 1
        asking.cancel()


async def test_a_killed_shadower_finds_the_leases_that_it_granted_and_takes_the_outcome(
    tmp_path: Path, candidate: Service
) -> None:
    async with shadower_process(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        granted = await worker.intend("17", b"first")
        assert isinstance(granted, Granted)
        worker.holding = [granted.sequence]
        await fig.kill()
        await fig.start()
        await eventually(lambda: worker.is_open, "link again")

        second = asyncio.create_task(worker.intend("17", b"second"))
        await asyncio.sleep(0.2)
        assert not second.done()
        worker.send(worker.outcome(granted.sequence))
        again = await second
        assert isinstance(again, Granted)
        worker.send(worker.outcome(again.sequence))

        await eventually(lambda: candidate.bodies == [b"first", b"second"], "both copies, in order")
        await eventually(lambda: fig.standing == Standing(), "nothing left")


async def test_a_shadower_that_ends_leaves_writes_in_flight_to_its_successor(
    tmp_path: Path, candidate: Service
) -> None:
    """Its worker lives and will tell their outcome: they are no doubt."""
    fig = Inside(tmp_path)
    fig.publish(effective(candidate.port))
    fig.start(drain=0.1)
    async with Worker(tmp_path) as worker:
        granted = await worker.intend("17", b"first")
        assert isinstance(granted, Granted)
        worker.holding = [granted.sequence]
        await fig.end()
        assert fig.standing == Standing(intended=1)

        fig.start()
        await eventually(lambda: worker.is_open, "link again")
        worker.send(worker.outcome(granted.sequence))

        await eventually(lambda: candidate.bodies == [b"first"], "the copy")
        await fig.end()


async def test_an_outcome_sent_again_after_a_kill_is_delivered_once(tmp_path: Path, candidate: Service) -> None:
    async with shadower_process(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        granted = await worker.intend("17", b"first")
        assert isinstance(granted, Granted)
        worker.holding = [granted.sequence]
        worker.outcomes = [worker.outcome(granted.sequence)]
        for _ in range(2):
            await fig.kill()
            await fig.start()
            worker.recorded.clear()
            await eventually(lambda: granted.sequence in worker.recorded, "outcome recorded")
        await worker.write("17", b"last")

        await eventually(lambda: b"last" in candidate.bodies, "the last copy")
        assert set(candidate.keys[:-1]) == {"idem-17-first"}
        assert fig.standing.in_doubt == 0


async def test_a_grant_that_no_worker_heard_of_is_no_doubt(tmp_path: Path, candidate: Service) -> None:
    async with shadower_process(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        await worker.intend("17")
        worker.holding = []
        await fig.kill()
        await fig.start()
        await eventually(lambda: worker.is_open, "link again")

        await worker.write("17", b"next")

        await eventually(lambda: fig.standing == Standing(), "nothing left")


async def test_writes_that_nobody_claims_after_a_kill_are_in_doubt(tmp_path: Path, candidate: Service) -> None:
    async with shadower_process(tmp_path, effective(candidate.port)) as fig:
        async with Worker(tmp_path, pid=1) as gone:
            await gone.intend("17", b"doubtful")
            await fig.kill()
        await fig.start()
        async with Worker(tmp_path) as worker:
            assert isinstance(await worker.intend("17", b"next"), Granted)  # waits until the doubt is declared

        assert fig.standing.in_doubt >= 1
        assert candidate.bodies == []


async def test_intents_that_wait_take_no_more_memory_than_allowed(
    tmp_path: Path, candidate: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.shadower.intake.ASKED_BYTES", 250_000)
    async with shadowing(tmp_path, effective(candidate.port)), Worker(tmp_path) as worker:
        first = await worker.intend("17", b"first")
        assert isinstance(first, Granted)
        waiting = [asyncio.create_task(worker.intend("17", b"%d" % n + bytes(100_000))) for n in range(2)]
        await asyncio.sleep(0.1)

        denied = await worker.intend("18", b"x" + bytes(100_000))

        assert isinstance(denied, Denied)
        assert denied.reason == "crowded"
        worker.send(worker.outcome(first.sequence))
        for one in waiting:
            granted = await one
            assert isinstance(granted, Granted)
            worker.send(worker.outcome(granted.sequence))
        assert isinstance(await worker.intend("18", b"y" + bytes(100_000)), Granted), "the room is free again"


async def test_gaps_that_a_failing_journal_does_not_take_are_recorded_once_it_does(
    tmp_path: Path, candidate: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    record = Journal.gap

    async def full(journal: Journal, gap: writes.Gap, now: float) -> bool:
        asked.append(gap.id)
        raise JournalError("disk full")

    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        monkeypatch.setattr(Journal, "gap", full)
        for number in range(600):
            worker.send(Gap(f"gap-{number}", "checkout", "17", "no link", "request-1", 1.0))
        await eventually(lambda: len(asked) > 1000, "asked again and again")
        assert len(set(asked)) <= 256, "not every gap asks a full disk"

        monkeypatch.setattr(Journal, "gap", record)

        await eventually(lambda: len(worker.gaps) == 600, "all of them")
        assert fig.standing == Standing(gaps=600)


async def test_a_gap_is_kept_once_however_often_it_is_told(tmp_path: Path, candidate: Service) -> None:
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        for _ in range(2):
            worker.gaps.clear()
            worker.send(Gap("a-uuid", "checkout", "17", "no link", "request-1", 1.0))
            await eventually(lambda: "a-uuid" in worker.gaps, "gap recorded")

        assert fig.standing == Standing(gaps=1)


async def test_when_the_disk_is_full_intents_are_denied_and_what_was_granted_is_not_forgotten(
    tmp_path: Path, candidate: Service
) -> None:
    async with (
        shadower_process(tmp_path, effective(candidate.port), limit=512 * 1024) as fig,
        Worker(tmp_path) as worker,
    ):
        granted = await worker.intend("17", b"granted")
        assert isinstance(granted, Granted)
        denied = None
        for number in range(100):
            answer = await worker.intend(f"other-{number}", b"x" * 50_000)
            if isinstance(answer, Denied):
                denied = answer
                break
        assert denied is not None
        assert denied.reason == "journal"
        assert fig.logged("an intent was not recorded")

        worker.send(worker.outcome(granted.sequence))
        await asyncio.sleep(0.3)
        worker.holding, worker.outcomes = [granted.sequence], [worker.outcome(granted.sequence)]
        await fig.kill()
        await fig.start()

        await eventually(lambda: b"granted" in candidate.bodies, "the granted write copied once there is room")


class Faulty:
    """A connection whose commits fail while `broken`, those of a statement alone too."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.broken = True

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        alone = not self._connection.in_transaction and statement.startswith(("INSERT", "UPDATE"))
        if self.broken and (alone or statement == "COMMIT"):
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def test_an_outcome_is_told_again_and_again_to_a_journal_that_fails(tmp_path: Path, candidate: Service) -> None:
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        granted = await worker.intend("17", b"granted")
        assert isinstance(granted, Granted)
        commits: Any = fig.shadower._journal._commits
        disk = commits._connection = Faulty(commits._connection)
        worker.send(worker.outcome(granted.sequence))

        denied = await worker.intend("18", b"refused")
        await eventually(lambda: fig.shadower.counts.total("journal_errors", what="outcome") > 1, "tried again")
        assert isinstance(denied, Denied)
        assert denied.reason == "journal"
        assert not worker.recorded
        disk.broken = False
        await eventually(lambda: granted.sequence in worker.recorded, "outcome recorded")
        later = await worker.intend("17", b"later")

        assert isinstance(later, Granted)
        assert later.sequence > granted.sequence + 1  # a number once tried is not given again
        await eventually(lambda: candidate.bodies == [b"granted"], "copied")


async def test_an_outcome_told_again_on_another_link_is_confirmed_there(tmp_path: Path, candidate: Service) -> None:
    """The link breaks while the disk is full: whoever waits for `Recorded` waits on the next link."""
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        granted = await worker.intend("17", b"granted")
        assert isinstance(granted, Granted)
        commits: Any = fig.shadower._journal._commits
        disk = commits._connection = Faulty(commits._connection)
        worker.outcomes = [worker.outcome(granted.sequence)]
        worker.send(worker.outcomes[0])
        await eventually(lambda: fig.shadower.counts.total("journal_errors", what="outcome"), "refused once")

        async with Worker(tmp_path) as again:
            again.send(worker.outcomes[0])
            await again.intend("18")  # in order on its link: the outcome has been taken
            disk.broken = False

            await eventually(lambda: granted.sequence in again.recorded, "confirmed on the second link")
        assert granted.sequence not in worker.recorded
        await eventually(lambda: candidate.bodies == [b"granted"], "copied once")


async def test_on_a_damaged_journal_it_does_not_start(tmp_path: Path, candidate: Service) -> None:
    async with shadowing(tmp_path, effective(candidate.port)), Worker(tmp_path) as worker:
        await worker.write()
    journal = tmp_path / "journal.db"
    journal.write_bytes(b"\xff" * journal.stat().st_size)
    before = journal.read_bytes()
    async with shadower_process(tmp_path, effective(candidate.port)) as fig:
        assert await asyncio.wait_for(fig.process.wait(), PATIENCE) == 2
        assert "does not start on a damaged journal" in fig.logged("the shadower cannot start")[0]["problem"]
        assert journal.read_bytes() == before


async def test_without_a_table_it_runs_all_the_same(tmp_path: Path) -> None:
    async with shadowing(tmp_path, None) as fig, Worker(tmp_path):
        assert await fig.end() == 0


async def test_no_file_of_it_ever_shows_a_secret(tmp_path: Path) -> None:
    candidate = await Service(behave=lambda number: 201 if number < 3 else "hang").up()
    async with shadowing(tmp_path, effective(candidate.port), drain=0.2) as fig, Worker(tmp_path) as worker:
        for number in range(4):
            await worker.write("canary-key", b"canary-body-%d" % number, target="/orders/canary-target")
        await worker.intend("canary-open", b"canary-open")
        worker.send(Gap("a-uuid", "checkout", "canary-gap", "no link", "canary-request", 1.0))
        await eventually(lambda: worker.gaps, "gap recorded")
        await eventually(lambda: len(candidate.requests) == 3, "deliveries")
        files = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
        assert len(files["journal.db-wal"]) > 0
        await fig.end()
    files |= {f"{path.name} at the end": path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    await candidate.down()

    # Pairs are redacted by the comparison's rules, under which targets and bodies may be shown; the journal may not.
    assert not [name for name, data in files.items() if b"canary" in data and not name.startswith("pairs.db")]
    assert not [name for name, data in files.items() if b"canary-cookie" in data or b"canary-set-cookie" in data]
