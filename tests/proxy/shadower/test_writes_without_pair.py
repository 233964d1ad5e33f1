"""Writes without a pair: each is counted once in its stratum, whatever the clock does meanwhile."""

from __future__ import annotations

from pathlib import Path

from proxy.shadower.pairless import PairlessWrites
from rules.stages import Side
from shadow.journal.journal import Journal
from shadow.journal.writes import Original, Write
from shadow.pair import Answer
from shadow.pairs.reader import PairReader
from shadow.pairs.store import PairStore
from shadow.sealing import Sealer

KEY = bytes(range(32))


async def test_writes_that_end_while_the_clock_is_behind_are_counted_too(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", Sealer(KEY))
    store = PairStore(tmp_path / "pairs.db", KEY)
    pairless = PairlessWrites(tmp_path / "journal.db", Sealer(KEY), store)

    async def refuse(now: float) -> None:
        original = Original("r", "", "/orders/17", "shop", [], b"{}", "i", "u")
        sequence = await journal.begin(Write("checkout", 1, "POST", Side.LEGACY, True, 42, now, original))
        await journal.outcome(sequence, Answer(422), now)

    await refuse(10_000.0)
    pairless.note(["checkout"], 10_001.0)
    await refuse(6_400.0)  # the clock was an hour fast
    await refuse(6_405.0)
    pairless.note(["checkout"], 6_410.0)
    pairless.note(["checkout"], 6_411.0)
    await refuse(6_412.0)
    pairless.note(["checkout"], 6_413.0)

    with PairReader(tmp_path / "pairs.db") as reader:
        (window,) = reader.windows("checkout")
        assert [one.pairs for one in reader.strata(window)] == [4]
    pairless.close()
    store.close()
    await journal.close()
