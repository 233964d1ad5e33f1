from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.reading.nodes import Mapping, Scalar, Sequence, parse, plain


def test_scalars_mean_what_they_look_like() -> None:
    root, problems = parse("[true, null, ~, 12, -3, 1.5, 1e3, '12', \"true\", text, 99999999999999999999]", "f")
    assert root is not None
    assert not problems
    assert plain(root) == [True, None, None, 12, -3, 1.5, 1000.0, "12", "true", "text", "99999999999999999999"]


def test_words_that_yaml_1_1_turned_into_truth_values_and_numbers_are_text() -> None:
    root, _ = parse("[no, on, Yes, 1:30, 2024-01-01, 0x10, 1_000, .inf]", "f")
    assert root is not None
    assert plain(root) == ["no", "on", "Yes", "1:30", "2024-01-01", "0x10", "1_000", ".inf"]


def test_every_key_and_value_knows_where_it_stands() -> None:
    root, _ = parse("a:\n  b: [1,\n      x]\n", "f.yaml")
    assert isinstance(root, Mapping)
    inner = root.get("a")
    assert isinstance(inner, Mapping)
    items = inner.get("b")
    assert isinstance(items, Sequence)
    assert str(inner.entries[0][0].place) == "f.yaml:2:3"
    assert str(items.items[1].place) == "f.yaml:3:7"


def test_an_anchor_is_repeated_and_merged() -> None:
    root, problems = parse("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [*a, {z: 4}]}", "f")
    assert root is not None
    assert not problems
    assert plain(root) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 2},
        "c": {"y": 3, "x": 1},
        "d": {"x": 1, "y": 2, "z": 4},
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "f:3:1: duplicate key 'a' (first in line 1); remove one of them"),
        ("a:\n\tb: 1", "f:2:1: a tab cannot indent YAML; use spaces; nothing after this place was checked"),
        (
            "a: [1, 2\n",
            "f:2:1: not YAML: did not find expected ',' or ']' while parsing a flow sequence; "
            "nothing after this place was checked",
        ),
        ("", "f:1:1: the file is empty; begin with 'version: 1', 'services' and 'legacy', or remove it"),
        ("# nothing\n", "f:1:1: the file is empty; begin with 'version: 1', 'services' and 'legacy', or remove it"),
        ("a: *x", "f:1:4: the alias '*x' names no anchor above it"),
        ("a: &x [1, *x]", "f:1:11: the alias '*x' stands inside what it names"),
        (
            "a: !!python/name:os.system x",
            "f:1:4: the tag 'tag:yaml.org,2002:python/name:os.system' is not used here; remove it",
        ),
        ("a: 1\n---\nb: 2", "f:2:1: a second document; a rules file holds one (remove '---')"),
        ("[a, b]: 1", "f:1:1: a key must be text, not a list or a mapping"),
        ("a: {<<: 3}", "f:1:9: '<<' merges mappings only"),
        ("a: \x00", "f:1:4: not YAML: unacceptable character #x0000: control characters are not allowed"),
    ],
)
def test_broken_yaml_is_one_located_problem(text: str, problem: str) -> None:
    _, problems = parse(text, "f")
    assert [str(each) for each in problems] == [problem]


def _lists(level: int) -> str:
    return f"[{', '.join([f'*a{level - 1}'] * 10)}]"


def _mappings(level: int) -> str:
    return "{" + ", ".join(f"k{number}: *a{level - 1}" for number in range(10)) + "}"


def _merges(level: int) -> str:
    return "{<<: [" + ", ".join([f"*a{level - 1}"] * 10) + f"], k{level}: 1}}"


def _nested(level: int) -> str:
    return f"{{a: {{b: [*a{level - 1}, {{c: *a{level - 1}}}, *a{level - 1}, *a{level - 1}]}}}}"


@pytest.mark.parametrize("level", [_lists, _mappings, _merges, _nested])
def test_an_alias_bomb_is_refused_before_it_expands(level: Callable[[int], str]) -> None:
    lines = ["a0: &a0 {x: 1, y: [1, 2, 3, 4, 5, 6, 7, 8, 9]}"]
    lines += [f"a{number}: &a{number} {level(number)}" for number in range(1, 12)]
    root, problems = parse("\n".join(lines), "f")
    assert root is None
    assert "aliases expand to more than" in str(problems[0])


def test_a_long_text_that_aliases_repeat_is_a_bomb_too() -> None:
    root, problems = parse(f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 1000)}]", "f")
    assert root is None
    assert "aliases expand to more than" in str(problems[0])


def test_a_block_that_a_hundred_routes_share_is_no_bomb() -> None:
    block = "a: &a {" + ", ".join(f"k{number}: {number}" for number in range(20)) + "}"
    root, problems = parse(block + "\nb:\n" + "  - {<<: *a, x: 1}\n" * 100, "f")
    assert root is not None
    assert not problems


def test_deep_nesting_is_a_problem_and_no_crash() -> None:
    root, problems = parse("[" * 50_000, "f")
    assert root is None
    assert [each.message for each in problems] == ["nested more than 100 levels deep"]


def test_aliases_do_not_nest_deeper_than_a_file_may() -> None:
    """An anchor in an anchor in an anchor: each is within the bound, and together they would exhaust the stack."""
    half = "[" * 50 + "{}" + "]" * 50
    fits, problems = parse(f"a: &a {half.format('1')}\nb: &b {{c: [*a, *a]}}\nd: {{<<: *b, e: *b}}", "f")
    assert fits is not None
    assert not problems

    root, problems = parse(f"a: &a {half.format('1')}\nb: &b {half.format('*a')}\n", "f")

    assert root is None
    assert [str(each) for each in problems] == ["f:2:57: with what '*a' names, nested more than 100 levels deep"]


@given(st.text(max_size=200))
def test_any_text_gives_a_tree_or_a_located_problem(text: str) -> None:
    root, problems = parse(text, "f")
    assert root is not None or problems
    assert all(problem.place.line >= 1 and problem.place.column >= 1 for problem in problems)


@given(st.text("ab:- \n{}[],&*!'\"|>#?\t%@<", max_size=60))
def test_any_punctuation_gives_a_tree_or_a_located_problem(text: str) -> None:
    root, problems = parse(text, "f")
    assert root is not None or problems
    if isinstance(root, Scalar):
        assert root.value is not None
