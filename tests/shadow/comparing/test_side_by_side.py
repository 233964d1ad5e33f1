"""The picture of a pair: what differs stands in one row, equal runs are folded, excused is marked as such."""

from __future__ import annotations

from typing import Any

from shadow.comparing.aligned import MOST_ROWS, Fold, Mark, Row, side_by_side
from shadow.comparing.compare import judge
from shadow.pair import Answer
from shadow.pairs.kept import keep_pair
from shadow.spec import Comparison
from tests.fakes.pairs import answer, pair, text


def rows(legacy: Answer, candidate: Answer, *masks: dict[str, Any]) -> tuple[Row | Fold, ...]:
    judged = judge(pair(legacy, candidate), Comparison.model_validate({"masks": masks}))
    return side_by_side(keep_pair(judged.pair, judged.outcome))


def marked(found: tuple[Row | Fold, ...]) -> list[tuple[str, str | None, str | None]]:
    strip = [(each, each.legacy, each.candidate) for each in found if isinstance(each, Row)]
    return [
        (str(row.mark), left and left.strip(), right and right.strip())
        for row, left, right in strip
        if row.mark is not Mark.SAME
    ]


def test_a_changed_leaf_is_the_only_row_that_is_marked_and_the_rest_is_folded() -> None:
    legacy = {"items": [{"id": number, "price": 1.5} for number in range(20)]}
    candidate = {"items": [{"id": number, "price": 1.5 if number != 9 else 1.51} for number in range(20)]}
    found = rows(answer(legacy), answer(candidate))
    assert marked(found) == [("changed", '"price": 1.5', '"price": 1.51')]
    assert isinstance(found[0], Fold)
    assert isinstance(found[-1], Fold)
    assert len(found) < 8
    unfolded = [row for each in found for row in (each.rows if isinstance(each, Fold) else (each,))]
    assert len(unfolded) == 20 * 4 + 4


def test_missing_and_added_fields_have_an_empty_other_side() -> None:
    found = rows(answer({"a": 1, "gone": [1]}), answer({"a": 1, "new": 2}))
    assert marked(found) == [
        ("missing", '"gone": [', None),
        ("missing", "1", None),
        ("missing", "],", None),
        ("added", None, '"new": 2'),
    ]


def test_a_dropped_item_does_not_shift_those_behind_it() -> None:
    items = [{"id": number} for number in range(6)]
    found = rows(answer(items), answer(items[:2] + items[3:]))
    assert [row for row in marked(found) if row[0] != "missing"] == []
    assert ("missing", '"id": 2', None) in marked(found)


def test_what_a_mask_excused_is_marked_as_excused() -> None:
    mask = {"path": "/at", "kind": "ignore"}
    found = rows(answer({"at": 1, "n": 1}), answer({"at": 2, "n": 2}), mask)
    assert [mark for mark, *_ in marked(found)] == ["excused", "changed"]


def test_items_in_any_order_stand_beside_their_like() -> None:
    legacy = [{"id": number, "n": number} for number in range(5)]
    candidate = [dict(each) for each in reversed(legacy)]
    candidate[1]["n"] = 99
    found = rows(answer(legacy), answer(candidate), {"path": "", "kind": "any_order", "by": "id"})
    assert marked(found) == [("changed", '"n": 3', '"n": 99')]


def test_texts_and_failures_have_a_picture_too() -> None:
    assert marked(rows(text("a\nb\nc"), text("a\nx\nc"))) == [("changed", "b", "x")]
    assert marked(rows(answer(""), Answer(0, failure="timeout"))) == [("excused", None, "(no answer: timeout)")]


def test_a_picture_is_bounded() -> None:
    found = rows(answer(list(range(5000))), answer(list(range(1, 5001))))
    assert len(found) <= MOST_ROWS + 1
    assert isinstance(found[-1], Row)
    assert found[-1].legacy == "… cut off here"


def test_a_dropped_line_of_a_text_does_not_shift_those_behind_it() -> None:
    lines = [f"line {number}" for number in range(9)]
    legacy, candidate = (text("\n".join(some)) for some in (lines, [*lines[:2], *lines[3:], "more"]))
    assert marked(rows(legacy, candidate)) == [("missing", "line 2", None), ("added", None, "more")]


def test_a_page_in_one_line_is_shown_a_tag_a_line() -> None:
    page = "<html><body>" + "".join(f"<p><b>{number}</b></p>" for number in range(30)) + "</body></html>"
    found = rows(text(page, "text/html"), text(page.replace("<b>17<", "<b>71<"), "text/html"))
    assert marked(found) == [("changed", "<b>17</b>", "<b>71</b>")]


def test_bodies_of_answers_of_different_status_were_not_held_against_each_other() -> None:
    for candidate in (Answer(404, text("").headers, b"gone"), Answer(0, failure="timeout")):
        assert {mark for mark, _, _ in marked(rows(text("found"), candidate))} == {"excused"}
