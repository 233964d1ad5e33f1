"""The parts of a report: paths as a tree, streak and blocks, one pair as it is shown, masks, strata."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.certifying.strata import StratumKind
from shadow.comparing.aligned import Mark
from shadow.comparing.compare import judge
from shadow.comparing.differences import DifferenceKind, Outcome
from shadow.pair import Answer, Kind
from shadow.pairs.kept import KeptPair, PlaceCount, Unproven, keep_pair
from shadow.pairs.reader import PairReader
from shadow.report.building import PlaceReport, build_report
from shadow.report.html import MOST_PAIRS, MOST_SIZE, render_html, shown
from shadow.report.pair_view import parts, view
from shadow.report.tree import Branch, path_tree
from shadow.spec import Comparison
from tests.fakes.pair_folder import Folder
from tests.fakes.pairs import JSON_TYPE, NOON, answer, pair


def place(path: str, pairs: int = 1, kind: DifferenceKind = DifferenceKind.VALUE_CHANGED) -> PlaceReport:
    return PlaceReport(PlaceCount(path, kind, pairs, pairs * 2, 0.0, 1.0), 0.5, ())


def outline(branches: tuple[Branch, ...], depth: int = 0) -> list[str]:
    lines = []
    for each in branches:
        lines.append("  " * depth + f"{each.label} {len(each.places)}")
        lines += outline(each.branches, depth + 1)
    return lines


def test_paths_that_begin_alike_stand_together_and_steps_without_a_turning_are_one() -> None:
    places = [
        place("/items/*/price", 5),
        place("/items/*/tax/rate", 3),
        place("status"),
        place("/status", 2),
        place(""),
    ]
    assert outline(path_tree(places)) == [
        "/items/* 0", "  /price 1", "  /tax/rate 1", "/status 1", "status 1", " 1",
    ]  # fmt: skip


@given(st.lists(st.lists(st.sampled_from(["a", "b", "*", ""]), max_size=4), max_size=12))
def test_every_place_stands_in_the_tree_once_at_its_own_path(paths: list[list[str]]) -> None:
    places = [place("".join(f"/{step}" for step in steps), n + 1) for n, steps in enumerate(paths)]

    def leaves(branches: tuple[Branch, ...], above: str = "") -> list[tuple[str, PlaceReport]]:
        found = []
        for each in branches:
            found += [(above + each.label, one) for one in each.places] + leaves(each.branches, above + each.label)
        return found

    found = leaves(path_tree(places))
    assert all(path == one.place.path for path, one in found)
    assert sorted(one.place.pairs for _, one in found) == sorted(one.place.pairs for one in places)
    assert sum(each.count for each in path_tree(places)) == sum(one.place.count for one in places)


def test_the_streak_is_what_agrees_since_the_last_difference(folder: Folder) -> None:
    folder.add(answer(1), answer(1), 4)
    assert folder.report().routes[0].streak == 4
    folder.add(answer(1), answer(2))
    assert folder.report().routes[0].streak == 0
    folder.add(answer(1), answer(1), 3)
    assert folder.report().routes[0].streak == 3


def test_what_blocks_a_go_is_said_with_the_gravest_first(folder: Folder) -> None:
    folder.add(answer(1), answer(1), 300)
    assert folder.report().routes[0].blocks == ()
    folder.store.set_unproven("items", Unproven(gaps=1, doubts=2, overdue=3, dead=4))
    first, *more = folder.report().routes[0].blocks
    assert first.startswith("1 write was not recorded")
    assert [each.split()[0] for each in more] == ["2", "4", "3"]
    folder.add(answer(1), answer(2))
    assert folder.report().routes[0].blocks[0].startswith("1 pair differs")


def test_strata_sum_up_to_what_was_captured(folder: Folder) -> None:
    folder.add(answer(1), answer(1), 3)
    folder.add(answer(1, 404), answer(1, 404), 2)
    folder.add(answer(1), answer(2), 1, kind=Kind.WRITE, method="POST")
    folder.store.add_apart("items", StratumKind.DROPPED, "GET", "2xx", 7)
    (route,) = folder.report().routes
    told = {(each.method, each.status_class, str(each.kind)): each.pairs for each in route.strata}
    assert told == {
        ("GET", "2xx", "read"): 3, ("GET", "4xx", "read"): 2, ("POST", "2xx", "write"): 1, ("GET", "2xx", "dropped"): 7,
    }  # fmt: skip
    assert sum(each.pairs for each in route.strata if each.kind.compared) == route.pairs


def test_a_mask_is_told_with_owner_and_reason_and_one_that_expired_says_so(folder: Folder) -> None:
    masks = [
        {"path": "/at", "kind": "ignore", "owner": "Ana", "reason": "a clock", "expires": "2023-11-15"},
        {"path": "/id", "kind": "uuid", "expires": "2023-11-14"},
    ]
    folder.comparison = Comparison.model_validate({"masks": masks})
    folder.add(answer({"at": 1}), answer({"at": 2}), 3)
    (route,) = folder.report().routes
    used, unused = route.masks
    assert used.mask is not None
    assert (used.mask.owner, used.mask.reason, used.count.pairs, used.expired) == ("Ana", "a clock", 3, False)
    assert (unused.count.pairs, unused.expired) == (0, True)
    assert "excuses nothing" in render_html(folder.report())
    gone = folder.report(comparisons={}).routes[0].masks
    assert [each.mask for each in gone] == [None]


def kept(legacy: Answer, candidate: Answer) -> KeptPair:
    judged = judge(pair(legacy, candidate), Comparison())
    return keep_pair(judged.pair, Outcome(judged.outcome.differences, judged.outcome.excused))


def test_headers_stand_side_by_side_and_those_that_were_compared_come_first() -> None:
    left = answer(1, headers=(*JSON_TYPE, ("Server", "a"), ("Location", "/1")))
    right = answer(1, headers=(*JSON_TYPE, ("server", "b"), ("X-New", "1")))
    found = [(each.name, each.legacy, each.candidate, each.mark) for each in view(kept(left, right)).headers]
    assert found == [
        ("location", "/1", None, Mark.MISSING),
        ("server", "a", "b", Mark.EXCUSED),
        ("x-new", None, "1", Mark.EXCUSED),
        ("content-type", "application/json", "application/json", Mark.SAME),
    ]


def test_cookies_stand_one_by_one_and_those_that_differ_are_marked() -> None:
    left = answer(
        1, headers=(*JSON_TYPE, ("Set-Cookie", "SID=a; Path=/"), ("Set-Cookie", "cart=1"), ("Set-Cookie", "gone=1"))
    )
    right = answer(1, headers=(*JSON_TYPE, ("Set-Cookie", "cart=1"), ("Set-Cookie", "SID=a; Path=/; Secure")))
    judged = judge(pair(left, right), Comparison(headers=("set-cookie",)))
    rows = view(keep_pair(judged.pair, judged.outcome)).headers
    assert [(each.legacy, each.candidate, each.mark) for each in rows if each.name == "set-cookie"] == [
        ("SID=a; Path=/", "SID=a; Path=/; Secure", Mark.CHANGED),
        ("gone=1", None, Mark.MISSING),
        ("cart=1", "cart=1", Mark.SAME),
    ]


@pytest.mark.parametrize(
    ("line", "other", "marked"),
    [
        ('"price": 54.42,', '"price": 5442,', ("54.42", "5442")),
        ("<h1>big</h1>", "<h1 class=x>big</h1>", ("", " class=x")),
        ("a cat", "a catalogue", ("cat", "catalogue")),
        ("état 1", "état 2", ("1", "2")),
    ],
)
def test_a_word_that_differs_is_marked_as_a_whole(line: str, other: str, marked: tuple[str, str]) -> None:
    assert (parts(line, other)[1], parts(other, line)[1]) == marked


def test_a_long_line_is_shown_around_what_differs() -> None:
    shared = "x" * 5000
    rows = view(kept(answer({"a": f"{shared}1"}), answer({"a": f"{shared}2"}))).rows
    changed = [row for row in rows if getattr(row, "mark", None) is Mark.CHANGED]
    assert [row.legacy[-3:] for row in changed] == ['x1"']  # type: ignore[union-attr, index]
    assert all(len(row.legacy) < 2100 for row in changed)  # type: ignore[union-attr, arg-type]


@given(st.text("ab", max_size=8), st.text("ab", max_size=8))
def test_the_parts_of_a_line_are_the_line_and_what_both_share_is_shared(line: str, other: str) -> None:
    head, own, tail = parts(line, other)
    assert head + own + tail == line
    assert other.startswith(head)
    assert other.endswith(tail)
    assert len(head) + len(tail) <= len(other)


def test_how_much_slower_the_candidate_was_is_known_where_both_answered() -> None:
    assert view(kept(answer(1, seconds=0.25), answer(1, seconds=0.5))).slower == 0.25
    assert view(kept(answer(1), Answer(0, failure="reset"))).slower is None


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plain é\n", "plain é\n"),
        ("a\u202eb", "a\\u{202e}b"),
        ("\x1b", "\\u{1b}"),
        ("\ud800", "\\u{d800}"),
        (404, "404"),
    ],
)
def test_characters_that_cannot_be_seen_are_shown_by_number(text: object, seen: str) -> None:
    assert shown(text) == seen


def test_the_page_stays_small_whatever_is_kept(folder: Folder) -> None:
    for number in range(MOST_PAIRS + 5):
        body = {f"field {number}": "x" * 90_000}
        folder.add(answer(body), answer({**body, f"field {number}": "y" * 90_000}))
    page = render_html(folder.report())
    assert len(page) < 2 * MOST_SIZE
    assert "more kept pairs are left out" in page


def test_each_place_has_its_first_pair_before_any_has_its_second(folder: Folder) -> None:
    for number in range(MOST_PAIRS - 1):
        folder.add(answer({f"f{number}": 1}), answer({f"f{number}": 2}), 3)
    page = render_html(folder.report())
    for number in range(MOST_PAIRS - 1):
        assert f"/f{number} has another value</strong>" in page


def test_a_report_is_of_one_moment_though_the_shadower_goes_on_writing(folder: Folder) -> None:
    folder.add(answer(1), answer(1), 3)
    with PairReader(folder.file) as reader:
        before = reader.windows("items")
        folder.add(answer(1), answer(2), 5)
        report = build_report(reader, {}, {}, NOON)
    (route,) = report.routes
    assert before[0].pairs == route.pairs == route.captured == 3
    assert not route.places
    (later,) = folder.report().routes
    assert (later.pairs, later.captured, later.differing) == (8, 8, 5)
