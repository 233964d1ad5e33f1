from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.asked import Asked
from rules.buckets import bucket
from rules.decision import Choice
from rules.effective import Position
from rules.order_keys import key_in
from rules.stages import Side, Stage
from rules.table import Table

MakeTable = Callable[..., Table]
ROUTE = {"match": {"path": "/a/**"}, "unit": {"cookie": "u"}}
ISSUING = {"match": {"path": "/a/**"}, "unit": {"cookie": "fig_unit", "issue": True}}
FORCE = {"header": "X-Fig-Side", "cookie": "fig_side", "token": "correct-horse-battery"}


def ask(path: str = "/a", method: str = "GET", **headers: str | list[str]) -> Asked:
    values = {name.replace("_", "-"): [v] if isinstance(v, str) else v for name, v in headers.items()}
    return Asked(method, "shop.example", path, headers=values)


def decide(table: Table, request: Asked, fresh: str = "fresh") -> Choice:
    return table.decide(request, lambda: fresh)


@pytest.mark.parametrize(
    ("stage", "answers", "copy_to"),
    [
        ("legacy", Side.LEGACY, None),
        ("shadow", Side.LEGACY, Side.CANDIDATE),
        ("live", Side.CANDIDATE, Side.LEGACY),
        ("retired", Side.CANDIDATE, None),
    ],
)
def test_a_stage_says_who_answers_and_who_gets_a_copy(
    make_table: MakeTable, stage: str, answers: Side, copy_to: Side | None
) -> None:
    decision = decide(make_table([ROUTE | {"stage": stage, "share": "50%"}]), ask(cookie="u=7")).decision
    assert (decision.side, decision.copy_to, decision.reason, decision.counted) == (answers, copy_to, "stage", False)
    assert decision.service == answers.value


def test_in_canary_the_bucket_decides_and_counts(make_table: MakeTable) -> None:
    own = bucket("r0", "7")
    for share, side in ((own, Side.LEGACY), (own + 1, Side.CANDIDATE)):
        table = make_table([ROUTE], {"r0": Position(Stage.CANARY, share)})
        choice = decide(table, ask(cookie="u=7"))
        assert (choice.decision.side, choice.decision.reason, choice.decision.counted) == (side, "share", True)
        assert choice.decision.copy_to is side.other
        assert (choice.unit, choice.unit_hash % 1_000_000) == ("7", own)


def test_without_a_unit_legacy_answers_and_nothing_is_counted(make_table: MakeTable) -> None:
    table = make_table([ROUTE | {"stage": "canary", "share": "100%"}])
    for request in (ask(), ask(cookie='u="7"'), ask(cookie=["u=7", "u=8"])):
        choice = decide(table, request)
        assert (choice.decision.side, choice.decision.reason, choice.decision.counted) == (
            Side.LEGACY,
            "no unit",
            False,
        )
        assert (choice.unit, choice.unit_hash, choice.issue) == ("", 0, "")


@pytest.mark.parametrize("stage", ["shadow", "canary", "live"])
def test_a_unit_is_issued_whichever_side_answers(make_table: MakeTable, stage: str) -> None:
    table = make_table([ISSUING | {"stage": stage, "share": "50%"}])
    sides = set()
    for number in range(40):
        choice = decide(table, ask(), f"unit-{number}")
        sides.add(choice.decision.side)
        assert choice.issue == f"fig_unit=unit-{number}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"
        again = decide(table, ask(cookie=f"theme=dark; fig_unit=unit-{number}"))
        assert (again.decision, again.unit_hash, again.issue) == (choice.decision, choice.unit_hash, "")
    assert len(sides) == (2 if stage == "canary" else 1)


@pytest.mark.parametrize("stage", ["legacy", "retired"])
def test_no_unit_is_issued_where_none_is_needed(make_table: MakeTable, stage: str) -> None:
    assert decide(make_table([ISSUING | {"stage": stage}]), ask()).issue == ""


def test_a_client_that_sends_several_cookie_lines_is_issued_no_unit_and_stays_with_legacy(
    make_table: MakeTable,
) -> None:
    choice = decide(make_table([ISSUING | {"stage": "canary", "share": "100%"}]), ask(cookie=["a=b", "fig_unit=x"]))
    assert (choice.issue, choice.unit, choice.decision.reason) == ("", "", "no unit")


def test_the_position_wins_over_the_file(make_table: MakeTable) -> None:
    table = make_table([ROUTE | {"stage": "canary", "share": "100%"}], {"r0": Position(Stage.SHADOW, 0)})
    assert decide(table, ask(cookie="u=7")).decision.stage is Stage.SHADOW


def test_what_no_route_takes_goes_to_legacy(make_table: MakeTable) -> None:
    decision = decide(
        make_table([ROUTE], force=FORCE), ask("/other", x_fig_side="candidate:correct-horse-battery")
    ).decision
    assert (decision.route.name, decision.side, decision.service) == ("-", Side.LEGACY, "legacy")
    assert (decision.reason, decision.copy_to) == ("no route", None)


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("how", ["header", "cookie"])
def test_a_forced_side_wins_over_stage_and_bucket(make_table: MakeTable, stage: Stage, how: str) -> None:
    table = make_table([ROUTE | {"stage": stage.value, "share": "50%"}], force=FORCE)
    for side in Side:
        value = f"{side.value}:correct-horse-battery"
        request = ask(x_fig_side=value) if how == "header" else ask(cookie=f"u=7; fig_side={value}")
        decision = decide(table, request).decision
        assert (decision.side, decision.reason, decision.counted) == (side, "forced", False)
        assert decision.copy_to == (side.other if stage.copies else None)


@pytest.mark.parametrize(
    "value", ["candidate", "candidate:", "candidate:wrong", "both:correct-horse-battery", ":", "\udce9:\udce9"]
)
def test_nobody_forces_a_side_without_the_token(make_table: MakeTable, value: str) -> None:
    table = make_table([ROUTE | {"stage": "shadow"}], force=FORCE)
    assert decide(table, ask(x_fig_side=value)).decision.reason == "stage"


def test_the_token_is_kept_as_a_hash_only(make_rules: Any) -> None:
    rules = make_rules([ROUTE], force=FORCE)
    assert "correct-horse" not in rules.model_dump_json()
    assert rules.force.token == "sha256:" + hashlib.sha256(b"correct-horse-battery").hexdigest()


def test_routes_of_a_group_share_buckets(make_table: MakeTable) -> None:
    table = make_table(
        [
            {"match": {"path": "/a"}, "unit": {"cookie": "u"}, "group": "shop", "stage": "canary"},
            {"match": {"path": "/b"}, "unit": {"cookie": "u"}, "group": "shop", "stage": "canary"},
        ]
    )
    first, second = (decide(table, ask(path, cookie="u=7")).unit_hash for path in ("/a", "/b"))
    assert first == second
    assert first % 1_000_000 == bucket("shop", "7")


def test_the_order_key_comes_from_path_header_or_cookie(make_table: MakeTable) -> None:
    routes = [
        {"match": {"path": "/p/{order}/x"}, "writes": {"order_by": "path:order"}},
        {"match": {"path": "/h"}, "writes": {"order_by": "header:X-Order"}},
        {"match": {"path": "/c"}, "writes": {"order_by": "cookie:basket"}},
        {"match": {"path": "/n"}, "writes": {}},
    ]
    table = make_table(routes)
    asked = [ask("/p/17/x"), ask("/h", x_order="18"), ask("/c", cookie="a=1; basket=19"), ask("/n"), ask("/h")]
    assert [table.route(each).order_key(each) for each in asked] == ["17", "18", "19", "", ""]
    assert table.route(asked[0]).captures(asked[0])["order"] == "17"


@pytest.mark.parametrize(("path", "told"), [("/p/M%20%C3%BCller", "M üller"), ("/p/a%3Ab", "a:b"), ("/p/a:b", "a:b")])
def test_the_order_key_of_a_path_is_what_an_answer_tells_of_it(make_table: MakeTable, path: str, told: str) -> None:
    table = make_table([{"match": {"path": "/p/{order}"}, "writes": {"order_by": "path:order"}}])
    asked = ask(path)
    assert table.route(asked).order_key(asked) == key_in(f'{{"id": "{told}"}}'.encode(), "/id") == told


def test_a_header_matches_by_every_kind_of_condition(make_table: MakeTable) -> None:
    wanted = {"prefix": "shop-", "suffix": "9", "contains": "v", "regex": "shop-[a-z]+[0-9]"}
    table = make_table(
        [{"match": {"headers": {"X-App": wanted}}}, {"match": {"headers": {"x-app": {"present": False}}}}]
    )
    found = {
        value: table.route(ask(x_app=value)).name for value in ("shop-v9", "shop-9", "shop-v9 ", "Shop-v9", "\udce9")
    }
    assert found == {"shop-v9": "r0", "shop-9": "-", "shop-v9 ": "-", "Shop-v9": "-", "\udce9": "-"}
    assert table.route(ask()).name == "r1"
    assert table.route(ask(x_app=["shop-v", "9"])).name == "-"  # one value "shop-v,9", which the regex refuses


UNITS = st.text("abcdef0123456789-", min_size=1, max_size=36)


@given(UNITS, st.integers(0, 1_000_000), st.integers(0, 1_000_000))
def test_raising_a_share_moves_nobody_back(make_table: MakeTable, unit: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    sides = [
        decide(make_table([ROUTE], {"r0": Position(Stage.CANARY, share)}), ask(cookie=f"u={unit}")).decision.side
        for share in (low, high)
    ]
    assert sides != [Side.CANDIDATE, Side.LEGACY]


def test_salts_are_independent_of_one_another() -> None:
    units = [f"unit-{number}" for number in range(20_000)]
    inside = [(bucket("one", unit) < 300_000, bucket("two", unit) < 500_000) for unit in units]
    counts = [
        sum(1 for pair in inside if pair == want)
        for want in ((True, True), (True, False), (False, True), (False, False))
    ]
    expected = [len(units) * p for p in (0.15, 0.15, 0.35, 0.35)]
    chi_square = sum((got - want) ** 2 / want for got, want in zip(counts, expected, strict=True))
    assert chi_square < 16.3  # 99.9 % point at 3 degrees of freedom; the units are fixed, so this never flickers


ANY_TEXT = st.text(max_size=20)


@given(
    ANY_TEXT,
    ANY_TEXT,
    ANY_TEXT,
    st.dictionaries(st.sampled_from(["cookie", "x-fig-side", "x-a"]), st.lists(ANY_TEXT, max_size=3)),
)
def test_no_request_whatever_makes_a_decision_raise(
    make_table: MakeTable, method: str, host: str, path: str, headers: dict[str, list[str]]
) -> None:
    match = {"headers": {"x-a": {"regex": "a.*"}}}
    routes = [
        {"match": match | {"path": "/a/{x}"}, "writes": {"order_by": "path:x"}},
        ISSUING | {"stage": "canary", "share": "50%"},
        {"match": {"host": "*.b"}, "unit": {"address": True}, "stage": "live"},
        {"match": match, "unit": {"header": "x-a"}, "stage": "canary", "share": "50%"},
    ]
    table = make_table(routes, force=FORCE)
    numbers = count()
    for prefix in ("", "/a/", "/"):
        asked = Asked(method, host, prefix + path, headers=headers)
        choice = table.decide(asked, lambda: f"u{next(numbers)}")
        choice.decision.route.order_key(asked)
