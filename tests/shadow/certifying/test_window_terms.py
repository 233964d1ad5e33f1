"""What a window of pairs stands and falls with: which changes of the rules count pairs anew, and what is said of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from proxy.publication import publish, published
from proxy.rulebook import Rulebook, load
from rules.effective import Effective
from shadow.certifying.terms import day_after, digest_of, other_days, what_changed, window_of
from shadow.spec import CertificateTarget, Comparison

DAY = date(2026, 7, 31)
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
    read = digest_of(table.rules, table.routes["orders"], Comparison.model_validate(table.comparisons["c"]), DAY)
    written = digest_of(book.rules, book.rules.routes[0], book.comparisons["c"], DAY)
    assert read == written, "control and shadower must agree whether pairs are of the rules that run"
    return read


@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        (("within: 2s", "within: 3s"), "the masks changed"),
        (("headers: [location]", "headers: [location, etag]"), "the comparison changed"),
        (("9001", "9002"), "the candidate changed"),
        (('9001"', '9001", release: 2.4.1'), "the candidate changed"),
        (('9000"', '9000", release: "autumn 2026"'), "the route's rules changed"),
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


EXPIRING = Comparison.model_validate(
    {
        "masks": [
            {"path": "/at", "kind": "uuid", "expires": "2026-08-01"},
            {"path": "/n", "kind": "uuid", "expires": "2026-08-03"},
            {"path": "/id", "kind": "uuid"},
        ]
    }
)


def on(tmp_path: Path, day: int) -> str:
    book = load_rules(tmp_path)
    return digest_of(book.rules, book.rules.routes[0], EXPIRING, date(2026, 8, day))


def load_rules(folder: Path) -> Rulebook:
    (folder / "fig.yaml").write_text(RULES)
    return load(folder / "fig.yaml")


def test_the_day_on_which_a_mask_expires_counts_pairs_anew_and_no_other_day_does(tmp_path: Path) -> None:
    digests = [on(tmp_path, day) for day in (1, 2, 3, 4, 30)]
    assert digests[0] == digests[1] != digests[2] == digests[3] == digests[4]
    assert what_changed(digests[1], digests[2]) == "the masks changed"


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        (2, 3, "the mask '/n uuid' (2026-08-03) expired"),
        (0, 1, "the mask '/at uuid' (2026-08-01) expired"),
        (0, 9, "the masks '/at uuid' (2026-08-01), '/n uuid' (2026-08-03) expired"),
        (4, 2, "the clock was set back, and the mask '/n uuid' (2026-08-03) is in force again"),
    ],
)
def test_a_window_that_ends_because_a_day_went_by_says_which_mask_it_was(
    tmp_path: Path, was: int, now: int, said: str
) -> None:
    book = load_rules(tmp_path)
    rules, route = book.rules, book.rules.routes[0]
    before = digest_of(rules, route, EXPIRING, date(2026, 8, was) if was else DAY)
    assert other_days(rules, route, EXPIRING, date(2026, 8, now))[before] == said


def test_a_clock_that_is_corrected_over_midnight_brings_no_expired_mask_back() -> None:
    midnight = 1_785_542_400.0  # 2026-08-01
    assert day_after(None, midnight - 1) == DAY
    assert day_after(DAY, midnight) == date(2026, 8, 1)
    assert day_after(date(2026, 8, 1), midnight - 1) == date(2026, 8, 1)
    assert day_after(date(2026, 8, 3), midnight - 1) == DAY, "days are no correction"


@pytest.mark.parametrize(
    ("sent", "judged", "counts_in"),
    [
        ("m-c-s-r", "m-c-s-r", "m-c-s-r"),
        ("", "m-c-s-r", "m-c-s-r"),
        ("M-C-s-r", "m-c-s-r", "m-c-s-r"),
        ("m-c-S-r", "m-c-s-r", "m-c-S-r"),
        ("m-c-s-R", "m-c-s-r", "m-c-s-R"),
        ("M-c-S-r", "m-c-s-r", None),
    ],
)
def test_a_pair_counts_where_both_its_answers_and_its_judgement_are_of(
    sent: str, judged: str, counts_in: str | None
) -> None:
    assert window_of(sent, judged) == counts_in


def test_where_differences_are_allowed_what_is_asked_is_fixed_before_pairs_are_counted(tmp_path: Path) -> None:
    """Whoever saw a difference could else ask for so many pairs that it is rare enough."""
    book = load_rules(tmp_path)

    def asking(**target: object) -> str:
        asked = CertificateTarget.model_validate(target) if target else None
        return digest_of(book.rules, book.rules.routes[0], Comparison(), DAY, asked)

    assert asking() == asking(pairs=300) == asking(pairs=3000), "nothing is gained by more pairs if none may differ"
    some, more = asking(pairs=1000, differences="allowed"), asking(pairs=10_000, differences="allowed")
    assert len({asking(), some, more}) == 3
    assert what_changed(some, more) == what_changed(asking(), some) == "what the certificate asks changed"
    assert window_of(some, more) == more, "pairs on their way are the same, whatever is asked of them"
