"""Which certificate a client gets: by the name that it asks for, exact or wildcard, or the first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.certificates.names import Named, Names

LABEL = st.text("abz0-", min_size=1, max_size=3)
HOST = st.lists(LABEL, min_size=1, max_size=3).map(".".join)
PATTERN = st.one_of(HOST, HOST.map("*.{}".format))
CERTIFICATES = st.lists(
    st.builds(Named, st.lists(PATTERN, max_size=3).map(tuple), st.floats(0, 3)), min_size=1, max_size=4
)


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ("a.example", 1),
        ("A.EXAMPLE.", 1),
        ("b.shop.example", 2),
        ("exact.shop.example", 3),
        ("shop.example", 0),
        ("a.b.shop.example", 0),
        ("other.example", 0),
        ("fax.shops.example", 0),
        ("*.shop.example", 2),
        ("", 0),
        (None, 0),
    ],
)
def test_the_name_asked_for_chooses(asked: str | None, number: int) -> None:
    names = Names(
        [
            Named(("first.example",), 1),
            Named(("a.example",), 1),
            Named(("*.shop.example", "f*.shops.example", "*"), 1),
            Named(("exact.shop.example",), 1),
        ]
    )

    assert names.choose(asked) == number


def test_of_two_for_one_name_the_one_that_is_valid_longer_is_shown() -> None:
    names = Names([Named(("first.example",), 9), Named(("a.example",), 1), Named(("a.example",), 2)])

    assert names.choose("a.example") == 2


def covers(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        label, _, parent = name.partition(".")
        return bool(label) and parent == pattern[2:]
    return pattern == name


@given(CERTIFICATES, HOST)
def test_what_is_chosen_is_for_the_name_whenever_one_is(certificates: list[Named], asked: str) -> None:
    chosen = certificates[Names(certificates).choose(asked)]

    if any(covers(pattern, asked) for each in certificates for pattern in each.hosts):
        assert any(covers(pattern, asked) for pattern in chosen.hosts)
        exact = [each for each in certificates if asked in each.hosts]
        if exact:
            assert asked in chosen.hosts
            assert chosen.not_after == max(each.not_after for each in exact)
    else:
        assert chosen is certificates[0]
