"""What a window of pairs stands and falls with: which changes of the rules count pairs anew, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.publication import publish, published
from proxy.rulebook import load
from rules.effective import Effective
from shadow.certifying.terms import digest_of, what_changed
from shadow.spec import Comparison

RULES = """
version: 1
services:
  legacy: {url: "http://127.0.0.1:9000"}
  orders: {url: "http://127.0.0.1:9001"}
legacy: legacy
routes:
  - {name: orders, match: {path: "/orders/{id}", methods: [GET, POST]}, candidate: orders, stage: shadow,
     shadow: {compare: c, keep: 24h, sample: 100%}, writes: {order_by: "path:id"}}
  - {name: other, match: {path: /other/**}, candidate: orders, stage: shadow}
comparisons:
  c: {headers: [location], masks: [{path: /at, kind: timestamp, within: 2s, reason: the clock}]}
"""


def digest(folder: Path, *replaced: tuple[str, str]) -> str:
    """Of the route orders, as it stands in the table that control publishes."""
    text = RULES
    for one, other in replaced:
        assert one in text
        text = text.replace(one, other)
    (folder / "fig.yaml").write_text(text)
    book = load(folder / "fig.yaml")
    comparisons = {name: one.model_dump(mode="json") for name, one in book.comparisons.items()}
    publish(folder, Effective(1, book.rules, {}, comparisons))
    table = published(folder)
    assert table is not None
    read = digest_of(table.rules, table.routes["orders"], Comparison.model_validate(table.comparisons["c"]))
    written = digest_of(book.rules, book.rules.routes[0], book.comparisons["c"])
    assert read == written, "control and shadower must agree whether pairs are of the rules that run"
    return read


@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        (("within: 2s", "within: 3s"), "the masks changed"),
        (("headers: [location]", "headers: [location, etag]"), "the comparison changed"),
        (("9001", "9002"), "the candidate changed"),
        (("9000", "9009"), "the route's rules changed"),
        (("/orders/{id}", "/v2/orders/{id}"), "the route's rules changed"),
        (('order_by: "path:id"', 'order_by: "header:id"'), "the route's rules changed"),
    ],
)
def test_what_changes_the_question_counts_pairs_anew_and_is_named(
    tmp_path: Path, replaced: tuple[str, str], said: str
) -> None:
    assert what_changed(digest(tmp_path), digest(tmp_path, replaced)) == said


@pytest.mark.parametrize(
    "replaced",
    [
        ("stage: shadow,", "stage: live,"),
        ("keep: 24h", "keep: 7d"),
        ("sample: 100%", "sample: 10%"),
        ("reason: the clock", "reason: each side has its own clock, owner: anna"),
        ("/other/**", "/another/**"),
    ],
)
def test_what_does_not_goes_on_counting(tmp_path: Path, replaced: tuple[str, str]) -> None:
    assert digest(tmp_path) == digest(tmp_path, replaced)


def test_several_changes_are_all_named_and_unknown_forms_are_left_to_the_caller(tmp_path: Path) -> None:
    changed = digest(tmp_path, ("within: 2s", "within: 3s"), ("9001", "9002"))
    assert what_changed(digest(tmp_path), changed) == "the masks and the candidate changed"
    assert what_changed("0123456789abcdef", changed) == ""


def test_a_mask_of_another_route_is_not_of_this_one(tmp_path: Path) -> None:
    more = ("reason: the clock}]", "reason: the clock}, {path: /n, kind: ignore, routes: [other]}]")
    assert digest(tmp_path) == digest(tmp_path, more)
