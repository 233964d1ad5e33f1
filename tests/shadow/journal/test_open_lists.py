"""What a report shows of a journal: the latest few of what is open, by route."""

from __future__ import annotations

from rules.stages import Side
from shadow.journal.journal import Journal
from shadow.journal.open_lists import open_writes
from shadow.journal.writes import Gap, Original, State, Write
from shadow.pair import Answer


async def written(journal: Journal, route: str = "checkout") -> int:
    original = Original("r", "17", "/orders/canary", "shop", [(b"cookie", b"canary")], b"canary", "canary", "canary")
    return await journal.begin(Write(route, 3, "POST", Side.LEGACY, True, 42, 1.5, original))


async def test_each_list_has_the_latest_few_of_one_route_and_nothing_that_a_write_said(journal: Journal) -> None:
    for state in (State.DEAD, State.DEAD, State.DEAD, State.IN_DOUBT, None, State.DELIVERED):
        sequence = await written(journal)
        await journal.outcome(sequence, Answer(201), now=2.0)
        if state is not None:
            await journal.finish(sequence, state, attempts=8, answer=Answer(503), reason="status 503", now=3.0)
    lost = await written(journal)
    await journal.doubt([lost], "worker lost", now=3.0)
    for number in range(3):
        await journal.gap(Gap(f"gap-{number}", "checkout", "17", "journal", float(number)), now=3.0)
    await journal.settle_gap("gap-2", who="ada", why="looked after", now=4.0)
    other = await written(journal, "cart")
    await journal.outcome(other, Answer(201), now=2.0)

    found = open_writes(journal.reader, 2)

    assert sorted(found) == ["cart", "checkout"]
    checkout = found["checkout"]
    assert [one.sequence for one in checkout.dead] == [3, 2], "the latest first, and no more than asked for"
    assert [one.sequence for one in checkout.owed] == [5]
    assert [(one.sequence, one.of_copy) for one in checkout.doubts] == [(lost, False), (4, True)]
    assert [one.id for one in checkout.gaps] == ["gap-1", "gap-0"], "without the one that is settled"
    assert [one.who for one in checkout.settled] == ["ada"]
    assert (checkout.standing.dead, checkout.standing.in_doubt, checkout.standing.gaps) == (3, 2, 2)
    assert [one.sequence for one in found["cart"].owed] == [other]
    assert "canary" not in repr(found)
