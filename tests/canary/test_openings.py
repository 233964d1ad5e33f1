"""Hours in which a rollout may move: wall clocks, summer time, and when they open next."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from canary.openings import Opening, closed_because, is_open, opens_next, parse

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = parse("Mon-Fri 09-16 Europe/Berlin")


def at(text: str, fold: int = 0, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("text", "open_"),
    [
        ("2026-07-06 08:59:59", False),
        ("2026-07-06 09:00:00", True),
        ("2026-07-10 15:59:59", True),
        ("2026-07-10 16:00:00", False),
        ("2026-07-11 12:00:00", False),
        ("2026-12-07 09:00:00", True),
        ("2026-12-07 08:59:59", False),
    ],
)
def test_office_hours_are_what_the_clock_on_the_wall_shows_in_summer_and_winter(text: str, open_: bool) -> None:
    assert OFFICE.holds(at(text)) is open_


def test_hours_past_midnight_belong_to_the_day_on_which_they_begin() -> None:
    night = parse("Fri 22:30-02 Europe/Berlin")

    assert night.holds(at("2026-07-10 23:00"))
    assert night.holds(at("2026-07-11 01:59"))
    assert not night.holds(at("2026-07-11 02:00"))
    assert not night.holds(at("2026-07-10 01:00")), "that is Thursday's night"
    assert not night.holds(at("2026-07-11 22:30"))


def test_an_hour_that_a_day_does_not_have_is_never_open() -> None:
    early = parse("Sun 02-03 Europe/Berlin")

    assert early.opens(at("2026-03-28 12:00")) == at("2026-04-05 02:00"), "on 29 March the clocks go from 2 to 3"


def test_hours_that_begin_in_the_gap_open_when_the_clocks_are_set() -> None:
    assert parse("Sun 02:30-05 Europe/Berlin").opens(at("2026-03-28 12:00")) == at("2026-03-29 03:00")


def test_an_hour_that_a_day_has_twice_is_open_twice() -> None:
    twice = parse("Sun 02:15-02:45 Europe/Berlin")
    first, second = at("2026-10-25 02:15"), at("2026-10-25 02:15", fold=1)

    assert second - first == 3600
    assert twice.opens(first - 60) == first
    assert not twice.holds(first + 1800)
    assert twice.opens(first + 1800) == second


def test_the_reason_says_when_it_opens_next() -> None:
    said = closed_because([OFFICE, parse("Sat 10-12 UTC")], at("2026-07-10 18:00"))

    assert said == "outside of Mon-Fri 09-16 Europe/Berlin or Sat 10-12 UTC; next Sat 2026-07-11 10:00 UTC"
    assert closed_because([OFFICE], at("2026-07-10 12:00")) == ""
    assert closed_because([], at("2026-07-10 18:00")) == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("09-16", "says no days, hours and zone"),
        (7, "says no days, hours and zone"),
        ("Mon-Fri 09-16", "says no days, hours and zone"),
        ("Mo-Fr 09-16 Europe/Berlin", "names no days (Mon, Tue"),
        ("Mon-Wed-Fri 09-16 UTC", "names no days"),
        ("Mon 09-25 UTC", "no hours of a day"),
        ("Mon 09:60-16 UTC", "no hours of a day"),
        ("Mon 09-09 UTC", "no hours of a day"),
        ("Mon 24-03 UTC", "no hours of a day"),
        ("Mon 09-16 Europe/Atlantis", "knows no time zone 'Europe/Atlantis'"),
        ("Mon 09-16 /etc/passwd", "knows no time zone"),
    ],
)
def test_what_cannot_be_read_is_told_with_an_example(text: object, told: str) -> None:
    with pytest.raises(ValueError, match=r"write it like Mon-Fri 09-16 Europe/Berlin") as caught:
        parse(text)
    assert told in str(caught.value)


zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"])
opening = st.builds(
    lambda days, begin, length, zone: Opening(tuple(sorted(days)), begin, begin + length, zone),
    st.sets(st.integers(0, 6), min_size=1),
    st.integers(0, 95).map(lambda quarter: quarter * 15),
    st.integers(1, 96).map(lambda quarter: quarter * 15),
    zones,
)


@given(opening)
def test_what_is_written_is_read_back(given_: Opening) -> None:
    assert parse(str(given_)) == given_
    adapter = TypeAdapter(tuple[Opening, ...])
    assert adapter.validate_json(adapter.dump_json((given_,))) == (given_,)


@settings(max_examples=60)
@given(opening, st.integers(0, 366 * 24 * 4))
def test_the_next_opening_is_the_first_quarter_of_an_hour_at_which_it_holds(given_: Opening, quarter: int) -> None:
    """2026 has both changes of the clocks in every zone that has any."""
    now = at("2026-01-01 00:00", zone=ZoneInfo("UTC")) + quarter * 900
    following = given_.opens(now)
    times = (now + step * 900 for step in range(1, 16 * 96))
    was = given_.holds(now)
    found = None
    for time in times:
        if given_.holds(time) and not was:
            found = time
            break
        was = given_.holds(time)
    if following is not None and found is not None:
        # Two windows that touch are one to whoever waits, and two beginnings to `opens`.
        assert following <= found
        assert given_.holds(following)
    if not given_.holds(now):
        assert following == found


def test_without_hours_it_is_always_open() -> None:
    assert is_open([], 0.0)
    assert opens_next([], 0.0) is None
