"""The journal on real files: what is durable, what becomes of a write, what is refused, what is never readable."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from rules.stages import Side
from shadow.journal.journal import DamagedJournalError, Journal, JournalError
from shadow.journal.reader import JournalReader, read_standing
from shadow.journal.writes import Gap, Original, Standing, State, Write
from shadow.pair import Answer
from shadow.sealing import Sealer

SEALER = Sealer(bytes(range(32)))
CREATED = Answer(201, (("Content-Type", "application/json"),), b'{"order":17}', seconds=0.02)


def write(key: str = "17", *, side: Side = Side.LEGACY, copied: bool = True, body: bytes = b"{}") -> Write:
    headers = [(b"cookie", b"session=canary-cookie"), (b"authorization", b"Bearer canary-token")]
    original = Original("request-1", key, "/api/checkout/17?card=canary-query", "shop", headers, body, "idem-1", "u")
    return Write("checkout", 3, "POST", side, copied, 4242, 1_700_000_000.0, original)


async def test_sequences_are_in_the_order_of_the_calls(journal: Journal) -> None:
    sequences = await asyncio.gather(*(journal.begin(write()) for _ in range(300)))

    assert sequences == list(range(1, 301))


async def test_an_intent_is_in_the_file_when_its_sequence_is_told(journal: Journal, tmp_path: Path) -> None:
    await journal.begin(write())

    assert read_standing(tmp_path / "journal.db") == {"checkout": Standing(intended=1)}


@pytest.mark.parametrize(
    ("answer", "copied", "state"),
    [
        (Answer(201), True, State.ANSWERED),
        (Answer(303), True, State.ANSWERED),
        (Answer(409), True, State.VOID),
        (Answer(500), True, State.VOID),
        (Answer(201), False, State.VOID),
        (Answer(0, failure="timeout"), True, State.IN_DOUBT),
        (Answer(0, failure="reset"), True, State.IN_DOUBT),
        (Answer(0, failure="connect"), True, State.VOID),
    ],
)
async def test_what_an_outcome_makes_of_a_write(journal: Journal, answer: Answer, copied: bool, state: State) -> None:
    sequence = await journal.begin(write(copied=copied))

    recorded = await journal.outcome(sequence, answer, now=1.0)

    assert (recorded.state, recorded.changed) == (state, True)
    assert (recorded.copy is not None) == (state is State.ANSWERED)


async def test_the_same_outcome_twice_owes_one_copy(journal: Journal) -> None:
    sequence = await journal.begin(write())
    first = await journal.outcome(sequence, CREATED, now=1.0)
    second = await journal.outcome(sequence, CREATED, now=2.0)

    assert first.copy is not None
    assert first.copy.to is Side.CANDIDATE
    assert (second.changed, second.copy) == (False, None)


async def test_an_outcome_of_a_write_that_is_not_recorded_changes_nothing(journal: Journal) -> None:
    assert not (await journal.outcome(99, CREATED, now=1.0)).changed


async def test_a_late_outcome_clears_a_doubt(journal: Journal, tmp_path: Path) -> None:
    sequence = await journal.begin(write())
    await journal.doubt([sequence], "worker lost", now=1.0)
    assert read_standing(tmp_path / "journal.db")["checkout"].in_doubt == 1

    recorded = await journal.outcome(sequence, CREATED, now=2.0)

    assert recorded.state is State.ANSWERED
    assert read_standing(tmp_path / "journal.db") == {"checkout": Standing(undelivered=1, overdue=1)}


async def test_a_late_outcome_does_not_clear_a_doubt_when_its_copy_would_come_after_a_later_write(
    journal: Journal,
) -> None:
    doubtful = await journal.begin(write("17"))
    await journal.doubt([doubtful], "worker lost", now=1.0)
    await journal.outcome(await journal.begin(write("17")), CREATED, now=2.0)

    assert (await journal.outcome(doubtful, CREATED, now=3.0)).state is State.IN_DOUBT


async def test_what_is_owed_comes_back_in_order_with_its_original(journal: Journal) -> None:
    first, second = await journal.begin(write("a", body=b"1")), await journal.begin(write("b", body=b"2"))
    await journal.outcome(second, CREATED, now=1.0)
    await journal.outcome(first, CREATED, now=2.0)

    owed = await journal.owed("checkout", Side.CANDIDATE, 0, 10)

    assert [copy.sequence for copy in owed] == [second, first]  # as their outcomes came
    assert await journal.owed("checkout", Side.CANDIDATE, owed[0].turn, 10) == owed[1:]
    assert journal.reader.original(first) == ("POST", write("a", body=b"1").original)
    assert journal.reader.owes(owed[0].key, Side.CANDIDATE)
    assert not journal.reader.owes(owed[0].key, Side.LEGACY)


async def test_a_delivered_write_has_both_answers_until_it_is_compared_and_its_original_until_it_is_purged(
    journal: Journal,
) -> None:
    sequence = await journal.begin(write())
    await journal.outcome(sequence, CREATED, now=1.0)
    other = Answer(201, (), b'{"order":9001}')
    await journal.finish(sequence, State.DELIVERED, attempts=1, answer=other, reason="", now=2.0)

    finished = journal.reader.finished(sequence)
    assert finished is not None
    assert (finished.answer, finished.copy_answer, finished.side) == (CREATED, other, Side.LEGACY)
    assert journal.reader.uncompared(10) == [sequence]
    await journal.compared([sequence])
    assert journal.reader.uncompared(10) == []
    assert journal.reader.finished(sequence) is None
    assert journal.reader.original(sequence)[1] == write().original  # for a replay
    await journal.outcome(await journal.begin(write()), Answer(409), now=3.0)  # the last one always stays
    assert await journal.purge("checkout", before=2.5) == 1
    with pytest.raises(JournalError, match=f"write {sequence} is not in the journal"):
        journal.reader.original(sequence)


async def test_a_dead_copy_keeps_its_original_for_whoever_tries_again(journal: Journal, tmp_path: Path) -> None:
    sequence = await journal.begin(write())
    await journal.outcome(sequence, CREATED, now=1.0)
    await journal.finish(sequence, State.DEAD, attempts=8, answer=Answer(500), reason="no success", now=2.0)
    await journal.compared([sequence])

    assert journal.reader.original(sequence)[1].idempotency_key == "idem-1"
    assert read_standing(tmp_path / "journal.db") == {"checkout": Standing(dead=1)}


async def test_an_attempt_found_under_way_at_start_is_in_doubt(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path, SEALER)
    sequences = [await journal.begin(write(key)) for key in ("a", "b", "c")]
    for sequence in sequences:
        await journal.outcome(sequence, CREATED, now=1.0)
    await journal.begin_attempt(sequences[0])
    await journal.begin_attempt(sequences[1])
    await journal.end_attempt(sequences[1], 1)
    await journal.close()

    successor = Journal.open(path, SEALER)
    try:
        assert successor.interrupted == 1
        owed = await successor.owed("checkout", Side.CANDIDATE, 0, 10)
        assert [(copy.sequence, copy.attempts) for copy in owed] == [(sequences[1], 1), (sequences[2], 0)]
        assert await successor.begin(write()) == 4
    finally:
        await successor.close()


async def test_a_gap_told_twice_is_one_gap(journal: Journal, tmp_path: Path) -> None:
    gap = Gap("0d9f", "checkout", "17", "no link", 1.0)

    assert await journal.gap(gap, now=2.0)
    assert not await journal.gap(gap, now=3.0)
    assert read_standing(tmp_path / "journal.db") == {"checkout": Standing(gaps=1)}


async def test_purging_forgets_what_ended_but_never_gives_a_sequence_twice(journal: Journal, tmp_path: Path) -> None:
    for _ in range(3):
        await journal.outcome(await journal.begin(write()), Answer(409), now=1.0)

    assert await journal.purge("checkout", before=2.0) == 2
    await journal.close()
    successor = Journal.open(tmp_path / "journal.db", SEALER)
    assert await successor.begin(write()) == 4
    await successor.close()


async def test_one_job_that_fails_spoils_nobody_elses(journal: Journal) -> None:
    def spoil(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO writes (sequence) VALUES (1)")

    bad = journal._commits.submit(spoil)
    good = [asyncio.ensure_future(journal.begin(write())) for _ in range(3)]

    assert await asyncio.gather(*good) == [1, 2, 3]
    with pytest.raises(JournalError, match="NOT NULL"):
        await bad


async def test_nothing_secret_is_readable_in_the_files(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", SEALER)
    body = b"canary-body" * 1000
    sequences = [await journal.begin(write("canary-key", body=body)) for _ in range(3)]
    answer = Answer(201, (("Set-Cookie", "canary-set-cookie"),), b"canary-answer")
    await journal.outcome(sequences[0], answer, now=1.0)
    await journal.outcome(sequences[1], answer, now=1.0)
    await journal.finish(sequences[1], State.DELIVERED, attempts=1, answer=answer, reason="", now=2.0)
    await journal.gap(Gap("0d9f", "checkout", "canary-key", "no link", 1.0), now=1.0)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    await journal.close()
    files["after"] = (tmp_path / "journal.db").read_bytes()

    assert len(files["journal.db-wal"]) > 30_000
    assert not [name for name, data in files.items() if b"canary" in data or b"idem-1" in data or b"request-1" in data]


async def test_a_journal_sealed_with_another_key_is_not_read_as_if_it_were_ours(
    journal: Journal, tmp_path: Path
) -> None:
    sequence = await journal.begin(write())
    stranger = JournalReader(tmp_path / "journal.db", Sealer(bytes(32)))

    with pytest.raises(Exception, match="sealed with another key"):
        stranger.original(sequence)
    stranger.close()


def damage(path: Path, kind: str) -> None:
    if kind == "emptied":
        path.write_bytes(b"")
    elif kind == "not SQLite":
        path.write_bytes(b"x" * 8192)
    elif kind == "a torn page":
        data = bytearray(path.read_bytes())
        data[4096:8192] = b"\x00" * 4096
        path.write_bytes(bytes(data))
    elif kind == "another database":
        path.unlink()
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE writes (sequence)")
        other.close()
    elif kind == "lost beside its WAL":
        path.with_name("journal.db-wal").write_bytes(b"frames")
        path.unlink()


@pytest.mark.parametrize("kind", ["emptied", "not SQLite", "a torn page", "another database", "lost beside its WAL"])
async def test_a_damaged_journal_is_never_replaced_by_an_empty_one(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path, SEALER)
    await journal.begin(write())
    await journal.close()
    damage(path, kind)

    with pytest.raises(DamagedJournalError, match=r"journal\.db: .*does not start on a damaged journal"):
        Journal.open(path, SEALER)


def test_without_a_journal_nothing_is_unsettled(tmp_path: Path) -> None:
    assert read_standing(tmp_path / "journal.db") == {}


def test_a_standing_that_cannot_be_read_is_an_error_and_not_nothing(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"x" * 8192)

    with pytest.raises(JournalError, match="cannot be read"):
        read_standing(tmp_path / "journal.db")


async def test_asking_what_a_key_owes_does_not_read_all_that_it_ever_wrote(journal: Journal) -> None:
    plan = journal.reader._db.execute(
        "EXPLAIN QUERY PLAN SELECT 1 FROM writes INDEXED BY writes_owed_of_key "
        "WHERE key = x'00' AND copy_to = 'legacy' AND state = 'answered'"
    ).fetchall()

    assert "writes_owed_of_key (key=? AND copy_to=?)" in plan[0][3]
