"""A unit stays where it is: the laws of DESIGN section 2, asked of the compiled table."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rules.asked import Asked
from rules.buckets import BUCKETS, bucket
from rules.effective import Position
from rules.stages import MILLION, Side, Stage
from rules.table import Table
from tests.rules.conftest import MakeTable

STEP = MILLION // 10_000
"""0.01 %, in millionths."""
ALPHA = 1e-4
"""Of the chi-square tests. Their units are fixed, so they come out alike every time; a broken hash fails at 1e-100."""
UNIT = {"header": "x-unit"}
TOKEN = "only-the-pilots-know-this"


def request(unit: str = "", path: str = "/a", **headers: str) -> Asked:
    lines = {name.replace("_", "-"): (value,) for name, value in headers.items()}
    return Asked("GET", "h", path, headers={**lines, **({"x-unit": (unit,)} if unit else {})})


def side(table: Table, asked: Asked) -> Side:
    return table.decide(asked, lambda: "fresh").decision.side


def at(table: Table, stage: Stage, share: int = 0, route: str = "r0") -> Table:
    return table.restand(table.generation + 1, {route: Position(stage, share)})


@pytest.fixture
def canary(make_table: MakeTable) -> Table:
    return make_table([{"match": {"path": "/a"}, "stage": "canary", "share": "0%", "unit": UNIT}])


# --- monotone ---


def test_in_steps_of_a_hundredth_of_a_per_cent_no_unit_ever_comes_back(canary: Table) -> None:
    units = [f"unit-{number}" for number in range(25)]
    asked = {unit: request(unit) for unit in units}
    since: dict[str, int] = {}
    for share in range(0, MILLION + 1, STEP):
        table = at(canary, Stage.CANARY, share)
        for unit in units:
            if side(table, asked[unit]) is Side.CANDIDATE:
                since.setdefault(unit, share)
            else:
                assert unit not in since, f"{unit} was the candidate's at {since[unit]}, and is legacy's at {share}"
    assert since == {unit: -(-(bucket("r0", unit) + 1) // STEP) * STEP for unit in units}


@given(st.text("abc019-.~ ", min_size=1, max_size=20).map(str.strip).filter(bool), st.integers(0, MILLION))
def test_a_unit_is_the_candidates_if_and_only_if_its_bucket_is_below_the_share(
    make_table: MakeTable, unit: str, share: int
) -> None:
    table = at(make_table([{"match": {"path": "/a"}, "stage": "canary", "unit": UNIT}]), Stage.CANARY, share)
    assert (side(table, request(unit)) is Side.CANDIDATE) == (bucket("r0", unit) < share)


def test_the_unit_whose_bucket_is_the_share_is_still_legacys(canary: Table) -> None:
    for unit in (f"unit-{number}" for number in range(50)):
        own = bucket("r0", unit)
        assert side(at(canary, Stage.CANARY, own), request(unit)) is Side.LEGACY
        assert side(at(canary, Stage.CANARY, own + 1), request(unit)) is Side.CANDIDATE


def test_no_share_has_nobody_and_the_whole_share_has_everybody(canary: Table) -> None:
    nobody, everybody = at(canary, Stage.CANARY, 0), at(canary, Stage.CANARY, MILLION)
    for number in range(2_000):
        assert side(nobody, request(str(number))) is Side.LEGACY
        assert side(everybody, request(str(number))) is Side.CANDIDATE


# --- uniform, and independent between salts ---

SOURCES: dict[str, Callable[[int], str]] = {
    "numbers": str,
    "padded numbers": "{:012}".format,
    "e-mail addresses": "shopper{}@shop.example".format,
    "addresses": lambda n: f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",
    "units of fig": lambda n: f"{n * 0x9E3779B97F4A7C15 % 2**96:024x}",
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_buckets_are_even_whatever_units_look_like(source: Callable[[int], str]) -> None:
    counts = [0] * 100
    for number in range(20_000):
        counts[bucket("products", source(number)) * 100 // BUCKETS] += 1
    assert stats.chisquare(counts).pvalue > ALPHA


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("salts", [("products", "cart"), ("r1", "r2"), ("r1", "r11"), ("a", "b")])
def test_being_in_one_routes_canary_says_nothing_about_anothers(
    make_table: MakeTable, source: Callable[[int], str], salts: tuple[str, str]
) -> None:
    first, second = (
        {"name": salt, "match": {"path": f"/{number}"}, "stage": "canary", "share": share, "unit": UNIT}
        for number, (salt, share) in enumerate(zip(salts, ("30%", "50%"), strict=True))
    )
    table = make_table([first, second])
    cells = {(one, other): 0 for one in Side for other in Side}
    for number in range(4_000):
        unit = source(number)
        cells[side(table, request(unit, "/0")), side(table, request(unit, "/1"))] += 1
    observed = [[cells[one, other] for other in Side] for one in Side]
    assert stats.chi2_contingency(observed).pvalue > ALPHA


# --- groups ---


def test_the_routes_of_a_group_have_one_side_for_a_unit(make_table: MakeTable) -> None:
    shared = {"stage": "canary", "share": "37%", "unit": UNIT, "group": "checkout"}
    table = make_table([{"match": {"path": f"/{number}"}, **shared} for number in range(3)])
    for number in range(500):
        assert len({side(table, request(str(number), f"/{path}")) for path in range(3)}) == 1


@given(st.integers(0, 99_999), st.integers(0, MILLION), st.integers(0, MILLION))
def test_of_two_routes_of_a_group_the_one_with_the_higher_share_has_the_units_of_the_other_too(
    make_table: MakeTable, number: int, lower: int, higher: int
) -> None:
    shared = {"stage": "canary", "unit": UNIT, "group": "checkout"}
    table = make_table([{"match": {"path": "/a"}, **shared}, {"match": {"path": "/b"}, **shared}])
    shares = {"r0": Position(Stage.CANARY, min(lower, higher)), "r1": Position(Stage.CANARY, max(lower, higher))}
    table = table.restand(2, shares)
    if side(table, request(str(number), "/a")) is Side.CANDIDATE:
        assert side(table, request(str(number), "/b")) is Side.CANDIDATE


# --- forced > stage > bucket ---


@settings(max_examples=200)
@given(
    st.sampled_from(Stage),
    st.integers(0, MILLION),
    st.sampled_from(["", "unit-1", "unit-2"]),
    st.sampled_from(["", "candidate", "legacy"]),
    st.booleans(),
)
def test_force_goes_before_stage_and_stage_before_the_bucket(
    make_table: MakeTable, stage: Stage, share: int, unit: str, forced: str, knows: bool
) -> None:
    force = {"header": "x-side", "token": TOKEN}
    table = make_table([{"match": {"path": "/a"}, "stage": "canary", "unit": UNIT}], force=force)
    table = at(table, stage, share if stage is Stage.CANARY else 0)
    token = TOKEN if knows else TOKEN.upper()
    asked = request(unit, **({"x_side": f"{forced}:{token}"} if forced else {}))

    found = table.decide(asked, lambda: "fresh").decision

    if forced and knows:
        assert (found.side, found.reason, found.counted) == (Side(forced), "forced", False)
    elif stage is not Stage.CANARY:
        answers = Side.CANDIDATE if stage in (Stage.LIVE, Stage.RETIRED) else Side.LEGACY
        assert (found.side, found.reason, found.counted) == (answers, "stage", False)
    elif not unit:
        assert (found.side, found.reason, found.counted) == (Side.LEGACY, "no unit", False)
    else:
        expected = Side.CANDIDATE if bucket("r0", unit) < share else Side.LEGACY
        assert (found.side, found.reason, found.counted) == (expected, "share", True)


# --- rollback ---


@pytest.mark.parametrize("to", [Stage.SHADOW, Stage.LEGACY])
@pytest.mark.parametrize("before", [Position(Stage.CANARY, MILLION), Position(Stage.LIVE, 0)])
def test_after_a_rollback_the_next_request_of_every_unit_is_legacys(
    make_table: MakeTable, before: Position, to: Stage
) -> None:
    cookie = {"cookie": "fig_unit", "issue": True}
    table = make_table([{"match": {"path": "/a"}, "stage": "canary", "unit": cookie}], positions={"r0": before})
    units = [request(cookie=f"fig_unit={number}") for number in range(300)]
    assert {side(table, asked) for asked in units} == {Side.CANDIDATE}

    table = at(table, to)

    assert {side(table, asked) for asked in [*units, request()]} == {Side.LEGACY}


# --- units that fig issues: a week of a shop ---


def week(table: Table, later: Table, chance: Random) -> list[tuple[str, str, Side]]:
    """Every exchange of a simulated week in its order: (``fresh`` or ``returning``, unit, side).

    2,000 people keep their cookie, come two days of three and make some requests a visit; one in ten has cleared the
    cookies before; 400 bots and one-time visitors a day never come back. `later` decides from the fifth day on.
    """
    found: list[tuple[str, str, Side]] = []
    jars = ["" for _ in range(2_000)]

    def visit(decides: Table, jar: str) -> str:
        for _ in range(chance.randint(1, 3)):
            asked = request(cookie=f"app=1; fig_unit={jar}" if jar else "app=1")
            choice = decides.decide(asked, lambda: f"{chance.getrandbits(96):024x}")
            found.append(("fresh" if choice.issue else "returning", choice.unit, choice.decision.side))
            if choice.issue:
                jar = choice.issue.partition(";")[0].removeprefix("fig_unit=")
        return jar

    for day in range(7):
        decides = later if day >= 4 else table
        for person, jar in enumerate(jars):
            if chance.random() < 0.67:
                jars[person] = visit(decides, "" if chance.random() < 0.1 else jar)
        for _ in range(400):
            visit(decides, "")
    return found


ISSUED = {"match": {"path": "/a"}, "stage": "canary", "unit": {"cookie": "fig_unit", "issue": True}}


def test_over_a_week_neither_fresh_nor_returning_units_drift_from_their_share(make_table: MakeTable) -> None:
    table = at(make_table([ISSUED]), Stage.CANARY, 250_000)
    seen = week(table, table, Random(7))
    for wanted in ("fresh", "returning"):
        units = {unit: found for kind, unit, found in seen if kind == wanted}
        candidates = sum(found is Side.CANDIDATE for found in units.values())
        assert len(units) > 2_000, wanted
        assert stats.binomtest(candidates, len(units), 0.25).pvalue > ALPHA, wanted


def test_over_a_week_a_unit_changes_sides_only_by_a_higher_share_and_never_back(make_table: MakeTable) -> None:
    lower, higher = (at(make_table([ISSUED]), Stage.CANARY, share) for share in (50_000, 250_000))
    sides: dict[str, list[Side]] = {}
    for _, unit, found in week(lower, higher, Random(11)):
        sides.setdefault(unit, []).append(found)
    moved = 0
    for unit, seen in sides.items():
        changes = [(one, other) for one, other in pairwise(seen) if one is not other]
        assert changes in ([], [(Side.LEGACY, Side.CANDIDATE)])
        assert not changes or 50_000 <= bucket("r0", unit) < 250_000
        moved += len(changes)
    assert moved > 100
