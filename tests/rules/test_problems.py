from __future__ import annotations

import gc

import pytest

from rules.memory import without_collector
from rules.problems import Place, Problem, Severity, meant, suggestion


def test_a_problem_reads_as_place_level_route_and_message() -> None:
    problem = Problem(Place("fig.yaml", 3, 5), "too late", "late", "orders", Severity.WARNING)
    assert str(problem) == "fig.yaml:3:5: warning: route 'orders': too late"


@pytest.mark.parametrize(
    ("quoted", "told"),
    [("a\nb", r"a\nb"), ("\x1b[2J", r"\x1b[2J"), ("\u202eabc", r"\u202eabc"), ("caf\u00e9", "caf\u00e9")],
)
def test_what_a_problem_quotes_cannot_steer_a_terminal(quoted: str, told: str) -> None:
    assert str(Problem(Place("f", 1, 1), f"'{quoted}'", "code")) == f"f:1:1: '{told}'"


def test_the_nearest_word_is_suggested_among_few_and_among_many() -> None:
    few = ["products", "orders"]
    many = [f"service-{number:03}" for number in range(500)]
    assert suggestion("prodcts", few) == "; did you mean 'products'?"
    assert suggestion("servce-417", many) == "; did you mean 'service-417'?"
    assert suggestion("zzz", few) == suggestion("zzz", many) == ""


def test_among_thousands_of_names_none_is_suggested() -> None:
    assert suggestion("service-1", [f"service-{number}" for number in range(2, 1500)]) == ""


@pytest.mark.parametrize("was_enabled", [True, False])
def test_the_collector_is_afterwards_as_it_was_before(was_enabled: bool) -> None:
    (gc.enable if was_enabled else gc.disable)()
    try:
        with pytest.raises(ValueError, match="within"), without_collector():
            assert not gc.isenabled()
            raise ValueError("within")
        assert gc.isenabled() is was_enabled
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("word", "known", "told"),
    [
        ("ordres", ["orders", "cart"], "; did you mean 'orders'?"),
        ("nope", ["orders", "cart"], "; there are: orders, cart"),
        ("nope", [], "; there is none"),
        (
            "zzz",
            [f"n{number}" for number in range(22)],
            "; there are: " + ", ".join(f"n{n}" for n in range(20)) + ", and 2 more",
        ),
    ],
)
def test_of_a_name_that_is_none_those_that_are_told(word: str, known: list[str], told: str) -> None:
    assert meant(word, known) == told
