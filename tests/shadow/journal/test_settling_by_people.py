"""What people decide in the journal: what they see of it, copies sent again or dropped, gaps settled."""

from __future__ import annotations

from pathlib import Path

import pytest

from rules.stages import Side
from shadow.journal.journal import Journal, UnfitError
from shadow.journal.reader import read_standing
from shadow.journal.writes import Gap, Original, Settlement, Standing, State, Write
from shadow.pair import Answer

CREATED = Answer(201, (), b"{}")


def write(key: str = "17", route: str = "checkout") -> Write:
    original = Original("r", key, "/orders/canary", "shop", [(b"cookie", b"canary")], b"canary", "canary", "canary")
    return Write(route, 3, "POST", Side.LEGACY, True, 42, 1.5, original)


async def owed(journal: Journal, key: str = "17", route: str = "checkout") -> int:
    sequence = await journal.begin(write(key, route))
    await journal.outcome(sequence, CREATED, now=2.0)
    return sequence


async def dead(journal: Journal, key: str = "17", route: str = "checkout") -> int:
    sequence = await owed(journal, key, route)
    await journal.finish(sequence, State.DEAD, attempts=8, answer=Answer(503), reason="status 503, 8 times", now=3.0)
    return sequence


async def test_the_list_has_what_has_not_arrived_and_nothing_that_a_write_said(journal: Journal) -> None:
    first, second, third = await owed(journal), await dead(journal, "18"), await journal.begin(write("19"))
    await journal.doubt([third], "worker lost", now=3.0)
    await journal.finish(await owed(journal, "20"), State.DELIVERED, attempts=0, answer=CREATED, reason="", now=3.0)

    found = journal.reader.unarrived(None, 10)

    assert [(one.sequence, one.state) for one in found] == [
        (second, State.DEAD),
        (third, State.IN_DOUBT),
        (first, State.ANSWERED),
    ]
    assert (found[0].reason, found[0].attempts, found[0].copy_status) == ("status 503, 8 times", 8, 503)
    assert len({one.key for one in found}) == 3
    assert all(len(one.key) == 8 for one in found)
    assert "canary" not in repr(found)
    assert journal.reader.unarrived("another", 10) == []
    assert len(journal.reader.unarrived(None, 2)) == 2


async def test_a_dead_copy_is_owed_again_after_all_others(journal: Journal, tmp_path: Path) -> None:
    sequence = await dead(journal)
    waiting = await owed(journal, "18")

    [copy] = await journal.send_again([sequence], out_of_order=False)

    assert [one.sequence for one in await journal.owed("checkout", Side.CANDIDATE, 0, 10)] == [waiting, sequence]
    assert (copy.sequence, copy.attempts) == (sequence, 0)
    assert journal.reader.original(sequence)[1].body == b"canary"
    assert read_standing(tmp_path / "journal.db")["checkout"].dead == 0
    await journal.finish(sequence, State.DELIVERED, attempts=0, answer=CREATED, reason="", now=4.0)
    finished = journal.reader.finished(sequence)
    assert finished is not None, "it makes a pair like any other"
    assert finished.answer == CREATED


async def test_dead_copies_of_one_key_are_owed_again_in_their_order(journal: Journal) -> None:
    first, second = await dead(journal), await dead(journal)

    copies = await journal.send_again([second, first], out_of_order=False)

    assert [copy.sequence for copy in copies] == [first, second]
    assert copies[0].turn < copies[1].turn


async def test_a_dead_copy_behind_a_later_write_of_its_key_is_sent_only_out_of_order(journal: Journal) -> None:
    sequence, other = await dead(journal), await dead(journal, "18")
    later = await owed(journal)

    with pytest.raises(UnfitError, match=f"^write {sequence} would come after write {later} of the same key$"):
        await journal.send_again([sequence, other], out_of_order=False)
    assert [one.sequence for one in await journal.owed("checkout", Side.CANDIDATE, 0, 10)] == [later]

    assert len(await journal.send_again([sequence, other], out_of_order=True)) == 2


async def test_only_dead_copies_are_sent_again(journal: Journal) -> None:
    alive = await owed(journal)

    with pytest.raises(UnfitError, match=f"^write {alive} has no dead copy; write 99 has no dead copy$"):
        await journal.send_again([alive, 99], out_of_order=False)


async def test_what_is_dropped_blocks_nothing_and_stays_told(journal: Journal, tmp_path: Path) -> None:
    given_up, waiting, another = await dead(journal), await owed(journal, "18"), await dead(journal, "19", "cart")

    copies, settled = await journal.drop([given_up, waiting], who="ada", why="a test order", now=4.0)

    assert [copy.sequence for copy in copies] == [waiting], "what was owed leaves its lane"
    assert settled == [
        Settlement("checkout", "copy", sequence, "", "dropped", "ada", "a test order", 4.0)
        for sequence in (given_up, waiting)
    ]
    assert await journal.owed("checkout", Side.CANDIDATE, 0, 10) == []
    assert not journal.reader.owes(copies[0].key, Side.CANDIDATE)
    assert read_standing(tmp_path / "journal.db") == {"checkout": Standing(declared=2), "cart": Standing(dead=1)}
    assert journal.reader.settlements("checkout", 10) == settled[::-1]
    assert [one.sequence for one in journal.reader.unarrived(None, 10)] == [another]


async def test_what_is_settled_is_kept_for_a_while_and_its_decision_for_ever(journal: Journal, tmp_path: Path) -> None:
    sequence = await dead(journal)
    await journal.drop([sequence], who="ada", why="a test order", now=4.0)
    await journal.compared([sequence])
    await owed(journal)  # the last one always stays

    assert await journal.purge("checkout", before=3.9) == 0
    assert await journal.purge("checkout", before=4.1) == 1
    assert len(journal.reader.settlements(None, 10)) == 1
    assert read_standing(tmp_path / "journal.db")["checkout"].declared == 1


async def test_a_doubt_is_not_dropped_as_if_it_were_a_copy_that_never_came(journal: Journal) -> None:
    sequence, fine = await journal.begin(write()), await dead(journal, "18")
    await journal.doubt([sequence], "worker lost", now=3.0)

    with pytest.raises(UnfitError, match=f"write {sequence} has no copy that is owed or dead"):
        await journal.drop([sequence, fine], who="ada", why="why", now=4.0)

    assert [one.sequence for one in journal.reader.unarrived(None, 10)] == [fine, sequence]


async def test_a_gap_is_settled_once_and_still_listed(journal: Journal, tmp_path: Path) -> None:
    await journal.gap(Gap("0d9f", "checkout", "17", "quota", 1.0), now=2.0)

    first = await journal.settle_gap("0d9f", who="ada", why="sent by hand", now=3.0)
    second = await journal.settle_gap("0d9f", who="ada", why="sent by hand", now=3.0)

    assert first == Settlement("checkout", "gap", 0, "0d9f", "settled", "ada", "sent by hand", 3.0)
    assert second is None
    assert read_standing(tmp_path / "journal.db") == {"checkout": Standing(declared=1)}
    assert [(gap.id, gap.settled) for gap in journal.reader.gaps(None, 10)] == [("0d9f", True)]
    assert not await journal.gap(Gap("0d9f", "checkout", "17", "quota", 1.0), now=4.0), "told again, it stays settled"
    assert read_standing(tmp_path / "journal.db") == {"checkout": Standing(declared=1)}
