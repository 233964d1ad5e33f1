from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.asked import Asked
from rules.document import Unit
from rules.matching.cookies import cookie_in
from rules.units import may_issue, private, unit_reader


def _cookie_by_splitting(line: str, name: str) -> str:
    """The readable way: RFC 6265 section 5.2, first one wins."""
    for piece in line.split(";"):
        key, equals, value = piece.partition("=")
        if equals and key.lstrip(" \t") == name:
            return value.strip(" \t")
    return ""


@given(st.text('ab=; \t"x', max_size=30))
def test_a_cookie_is_found_where_splitting_would_find_it(line: str) -> None:
    assert (cookie_in(line, "a") or "") == _cookie_by_splitting(line, "a")
    assert (cookie_in(line, "ab") or "") == _cookie_by_splitting(line, "ab")


@pytest.mark.parametrize(
    ("lines", "unit"),
    [
        (["fig_unit=x1"], "x1"),
        (["a=b; fig_unit=x1; fig_unit=x2"], "x1"),
        (["xfig_unit=no; a=fig_unit=no;fig_unit=yes"], "yes"),
        (["fig_unit="], ""),
        (["fig_unit=a b"], ""),
        (['fig_unit="quoted"'], ""),
        (["fig_unit=a b; fig_unit=later"], ""),
        (["fig_unit=caf\xe9"], ""),
        (["FIG_UNIT=x"], ""),
        (["a=b", "fig_unit=x"], ""),
        ([], ""),
    ],
)
def test_a_cookie_that_is_no_clear_unit_is_none(lines: list[str], unit: str) -> None:
    read = unit_reader(Unit(cookie="fig_unit"))
    assert read(Asked("GET", "h", "/", headers={"cookie": lines})) == unit


@pytest.mark.parametrize(
    ("lines", "unit"),
    [(["42"], "42"), (["Jane Roe"], "Jane Roe"), ([""], ""), (["1", "2"], ""), (["\xe9"], ""), ([], "")],
)
def test_a_header_that_is_no_clear_unit_is_none(lines: list[str], unit: str) -> None:
    read = unit_reader(Unit(header="x-customer"))
    assert read(Asked("GET", "h", "/", headers={"x-customer": lines})) == unit


def test_an_address_is_a_unit_as_it_stands() -> None:
    assert unit_reader(Unit(address=True))(Asked("GET", "h", "/", client="2001:db8::1")) == "2001:db8::1"


def test_where_the_other_end_has_no_address_there_is_no_unit() -> None:
    assert unit_reader(Unit(address=True))(Asked("GET", "h", "/", client="unknown")) == ""


@pytest.mark.parametrize(
    ("lines", "may"),
    [
        ([], True),
        (["a=b"], True),
        (['fig_unit="quoted"; a=b'], True),
        (["a=fig_unit=1; xfig_unit=2; fig_unit="], True),
        (["a=b", "fig_unit=x"], False),
        (['fig_unit="of a deeper path"; fig_unit=abc'], False),
        (["fig_unit=;fig_unit="], False),
    ],
)
def test_nothing_is_issued_to_a_client_that_would_come_back_as_it_came(lines: list[str], may: bool) -> None:
    assert may_issue(Asked("GET", "h", "/", headers={"cookie": lines}), "fig_unit") is may


@pytest.mark.parametrize(
    ("given", "private_to_the_client"),
    [
        ([], "private"),
        (["public, max-age=60"], "private, max-age=60"),
        (["no-store"], "private, no-store"),
        (["Public", "S-MaxAge=9", "max-age=1, no-cache"], "private, max-age=1, no-cache"),
        (['private="set-cookie", no-cache="x-a, public", ,'], 'private, no-cache="x-a, public"'),
        (["private"], "private"),
        (['max-age=1, x="unclosed'], "private, no-store"),
    ],
)
def test_an_answer_that_issues_a_unit_is_kept_by_its_client_alone_and_as_long_as_it_may(
    given: list[str], private_to_the_client: str
) -> None:
    assert private(given) == private_to_the_client
