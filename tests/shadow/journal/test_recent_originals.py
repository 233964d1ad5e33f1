"""Originals in memory: the latest are found, none after its copy has ended, and never more than may be held."""

from __future__ import annotations

from pathlib import Path

from rules.stages import Side
from shadow.journal.journal import Journal
from shadow.journal.recent import BESIDES, Recent
from shadow.journal.writes import Original, State, Write
from shadow.pair import Answer
from shadow.sealing import Sealer


def write(number: int, body: bytes = b"{}") -> Write:
    original = Original(f"request-{number}", "key", f"/orders/{number}", "shop", [], body, "i", "u")
    return Write("checkout", 3, "POST", Side.LEGACY, True, 42, 1.5, original)


def test_the_oldest_leave_when_there_are_too_many_bytes() -> None:
    recent = Recent(3 * (BESIDES + 10))
    for number in range(4):
        recent.keep(number, write(number, b"0123456789"))

    assert recent.find(0) is None
    assert [recent.find(number) for number in (1, 2, 3)] == [
        ("POST", write(n, b"0123456789").original) for n in (1, 2, 3)
    ]

    recent.keep(4, write(4, bytes(100_000)))  # larger than all that may be held: the journal has it
    assert not any(map(recent.find, range(5)))


def test_what_is_forgotten_makes_room() -> None:
    recent = Recent(2 * (BESIDES + 2))
    for number in range(100):
        recent.keep(number, write(number))
        recent.forget(number)
        recent.forget(number)  # of what is not there, nothing is taken off

    recent.keep(100, write(100))
    recent.keep(101, write(101))
    assert recent.find(100) and recent.find(101)


async def test_an_original_that_memory_has_is_the_one_that_the_journal_has(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", Sealer(bytes(range(32))))
    sequence = await journal.begin(write(1))
    await journal.outcome(sequence, Answer(201, (), b"made"), 2.0)

    assert journal.original(sequence) == journal.reader.original(sequence) == ("POST", write(1).original)

    await journal.finish(sequence, State.DELIVERED, attempts=1, answer=Answer(201, (), b"copy"), reason="", now=3.0)
    assert journal.original(sequence) == journal.reader.original(sequence)  # kept for the comparison
    await journal.close()
