"""What of a route's writes is open: counted as the journal has it, listed, and with the command that settles it."""

from __future__ import annotations

import json

from rules.stages import Side
from shadow.certifying.certificate import CertificateVerdict
from shadow.certifying.strata import StratumKind
from shadow.journal.doubt_tables import Doubt
from shadow.journal.open_lists import OpenWrites
from shadow.journal.writes import Listed, ListedGap, Settlement, Standing, State
from shadow.pair import Kind
from shadow.pairs.kept import Unproven
from shadow.report.document import to_document
from shadow.report.html import render_html
from tests.fakes.elements import Elements
from tests.fakes.pair_folder import Folder
from tests.fakes.pairs import NOON, answer


def copy(sequence: int, state: State, reason: str = "status 503, 8 times") -> Listed:
    return Listed(sequence, "items", "POST", Side.CANDIDATE, state, reason, "0b6c1a55", NOON, 8, 503)


HOSTILE = "</td></table><script>alert(1)</script>"
OPEN = OpenWrites(
    Standing(undelivered=1, overdue=1, in_doubt=2, dead=30, gaps=1, declared=1),
    dead=(copy(17, State.DEAD), copy(11, State.DEAD, HOSTILE)),
    owed=(copy(18, State.ANSWERED, ""),),
    doubts=(
        Doubt(
            19,
            "items",
            "PUT",
            b"\x0b\x6c",
            Side.LEGACY,
            of_copy=False,
            reason="worker lost",
            arrival=NOON,
            overtaken=True,
        ),
        Doubt(12, "items", "PUT", b"", Side.CANDIDATE, of_copy=True, reason="timeout", arrival=NOON, overtaken=False),
    ),
    gaps=(ListedGap("gap-1", "items", "", "journal", NOON, settled=False),),
    settled=(Settlement("items", "copy", 3, "", "dropped", "ada", "a test order", NOON),),
)


def words(page: str) -> str:
    return " ".join(" ".join(Elements(page).text).split())


def test_each_kind_of_open_writes_is_listed_with_the_command_that_settles_it(folder: Folder) -> None:
    folder.add(answer(1), answer(1), 300)
    page = render_html(folder.report(opened={"items": OPEN}))
    shown = words(page)
    for told in (
        "30 copies were given up",
        "#17 POST to candidate 0b6c1a55 2023-11-14 22:13:20 UTC status 503, 8 times",
        "fig shadow deliveries retry 17 11",
        "The latest 2 of 30; fig shadow deliveries --route items lists all.",
        "#19 PUT: did legacy apply it? 0b6c",
        "worker lost, overtaken by a later write of its key",
        "#12 PUT: did candidate apply its copy? none",
        "fig shadow doubts settle 19 12 --applied",
        'fig shadow gaps settle gap-1 --why "..."',
        "1 copy is still to be delivered, 1 of them late",
        "#18 POST to candidate 0b6c1a55 2023-11-14 22:13:20 UTC status 503, 8 times",
        "copy #3 dropped 2023-11-14 22:13:20 UTC ada a test order",
    ):
        assert told in shown
    assert "<script>alert" not in page


def test_what_the_journal_says_now_decides_and_not_what_was_noted(folder: Folder) -> None:
    folder.add(answer(1), answer(1), 300)
    folder.store.set_unproven("items", Unproven(overdue=9, undelivered=9))
    assert folder.report().routes[0].certificate.verdict is CertificateVerdict.TOO_FEW
    (route,) = folder.report(opened={"items": OpenWrites(Standing())}).routes
    assert route.certificate.verdict is CertificateVerdict.GO
    assert route.unproven.undelivered == 0
    (route,) = folder.report(opened={"items": OPEN}).routes
    assert route.certificate.verdict is CertificateVerdict.FAULT
    assert route.blocks[0].startswith("1 write was not recorded")


def test_a_route_with_nothing_open_says_so(folder: Folder) -> None:
    folder.add(answer(1), answer(1))
    assert "Nothing is open" in words(render_html(folder.report(opened={})))


def test_counts_without_lists_name_the_command_that_lists_them(folder: Folder) -> None:
    folder.add(answer(1), answer(1))
    folder.store.set_unproven("items", Unproven(dead=2, doubts=1))
    shown = words(render_html(folder.report(notes=["the journal cannot be read: nothing is listed"])))
    assert "They are not listed here; fig shadow deliveries --route items lists all." in shown
    assert "the journal cannot be read: nothing is listed." in shown


def test_the_document_has_the_lists_too(folder: Folder) -> None:
    folder.add(answer(1), answer(1))
    (route,) = json.loads(json.dumps(to_document(folder.report(opened={"items": OPEN}))))["routes"]
    assert [(each["sequence"], each["state"]) for each in route["open"]["copies"]] == [
        (17, "dead"),
        (11, "dead"),
        (18, "owed"),
    ]
    assert [(each["sequence"], each["what"], each["key"]) for each in route["open"]["doubts"]] == [
        (19, "write", "0b6c"),
        (12, "copy", ""),
    ]
    assert [each["id"] for each in route["open"]["gaps"]] == ["gap-1"]


def test_what_was_captured_is_the_sum_of_clients_requests_and_said_in_a_sentence(folder: Folder) -> None:
    folder.add(answer(1), answer(1), 3)
    folder.add(answer(1), answer(2), 2, kind=Kind.WRITE, method="POST")
    folder.add(answer(1), answer(1), 4, kind=Kind.STATE)
    folder.store.add_apart("items", StratumKind.DROPPED, "GET", "2xx", 7)
    (route,) = folder.report().routes
    assert (route.captured, len(route.read_back)) == (12, 1)
    shown = words(render_html(folder.report()))
    assert "12 requests were captured in this window, each in one line of this table: 5 compared, 7 not." in shown
    assert "All requests captured 12 3 2 0" in shown
