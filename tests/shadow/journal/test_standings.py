"""What is unsettled, asked every second: nothing that changed goes unseen, and nothing is counted for nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rules.stages import Side
from shadow.journal import standings, tables
from shadow.journal.journal import Journal, JournalError
from shadow.journal.reader import OVERDUE_SECONDS, read_standing
from shadow.journal.standings import StandingReader
from shadow.journal.writes import Gap, Original, Standing, Write
from shadow.pair import Answer
from shadow.sealing import Sealer

SEALER = Sealer(bytes(32))
ORIGINAL = Original("r", "17", "/orders", "shop", [], b"", "", "")
WRITE = Write("checkout", 1, "POST", Side.LEGACY, True, 42, 1.0, ORIGINAL)


class Clock:
    """Counting takes as long as is said here."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.counts, self.takes = 0, 0.0
        owed = tables.owed

        def counted(*args: object) -> tables.Counts:
            self.counts += 1
            self.now += self.takes
            return owed(*args)  # type: ignore[arg-type]  # whatever it is given

        monkeypatch.setattr(tables, "owed", counted)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def owe(journal: Journal, arrival: float = 100.0) -> int:
    sequence = await journal.begin(replace(WRITE, arrival=arrival))
    await journal.outcome(sequence, Answer(201), now=arrival)
    return sequence


async def test_what_has_not_changed_is_not_counted_again(journal: Journal, tmp_path: Path, clock: Clock) -> None:
    reader = StandingReader(tmp_path / "journal.db", clock, lambda: 1e9)
    await owe(journal)
    for _ in range(5):
        assert reader.read() == {"checkout": Standing(undelivered=1, overdue=1)}
    assert clock.counts == 1
    await owe(journal)
    assert reader.read()["checkout"].undelivered == 2
    assert clock.counts == 2
    clock.now += standings.SELDOM
    reader.read()
    assert clock.counts == 3, "a file that was written within one tick of its clock may look the same"


async def test_a_long_count_stands_for_a_while_but_what_blocks_a_certificate_is_seen_at_once(
    journal: Journal, tmp_path: Path, clock: Clock
) -> None:
    reader = StandingReader(tmp_path / "journal.db", clock, lambda: 1e9)
    await owe(journal)
    clock.takes = 0.1
    reader.read()
    await owe(journal)
    await journal.gap(Gap("gap-1", "checkout", "key", "no link", 1.0), 2.0)
    doubtful = await journal.begin(WRITE)
    await journal.doubt([doubtful], "worker lost", now=2.0)
    found = reader.read()["checkout"]
    assert (found.undelivered, found.gaps, found.in_doubt, clock.counts) == (1, 1, 1, 1)
    clock.now += standings.REST * 0.1
    assert reader.read() == read_standing(tmp_path / "journal.db")


async def test_a_copy_becomes_overdue_though_nothing_is_written(journal: Journal, tmp_path: Path, clock: Clock) -> None:
    reader = StandingReader(tmp_path / "journal.db", clock, lambda: clock.now)
    await owe(journal, arrival=100.0)
    assert reader.read()["checkout"].overdue == 0
    clock.now += max(standings.SELDOM, OVERDUE_SECONDS + 1)
    assert reader.read()["checkout"].overdue == 1


async def test_another_journal_in_its_place_or_none_is_seen(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "journal.db"
    reader = StandingReader(path, clock, lambda: 1e9)
    assert reader.read() == {}
    for _ in range(2):
        journal = Journal.open(path, SEALER)
        await owe(journal)
        await journal.close()
        assert reader.read()["checkout"].undelivered == 1
        for file in tmp_path.glob("journal.db*"):
            file.unlink()
        assert reader.read() == {}
    path.write_bytes(b"no database" * 1000)
    for _ in range(2):
        with pytest.raises(JournalError, match="cannot be read"):
            reader.read()


def test_a_journal_that_may_not_be_looked_at_is_one_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot be looked at"):
        StandingReader(tmp_path / "file" / "journal.db", lambda: 0.0, lambda: 0.0).read()


async def test_what_arrived_in_the_future_is_overdue_for_the_clock_was_set_back(
    journal: Journal, tmp_path: Path
) -> None:
    await owe(journal, arrival=1e9)
    for now, overdue in ((1e9 - 3600, 1), (1e9 + 1, 0), (1e9 + 3600, 1)):
        reader = StandingReader(tmp_path / "journal.db", lambda: 0.0, lambda now=now: now)  # type: ignore[misc]
        assert reader.read()["checkout"].overdue == overdue
