"""The automata of texts against RE2 itself, and the commands that witnesses are told as."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.asked import Asked
from rules.matching.pattern import parse_pattern
from rules.matching.regex import whole_matcher
from rules.witness.automaton import BEYOND, Automaton, UnsureError, literal, strings
from rules.witness.expression import automaton_of
from rules.witness.paths import meet_patterns
from rules.witness.told import command

READ = [
    r"", r"abc", r"a|b", r"a|", r"(a|b)c", r"(?:a|b)+c?", r"(?P<x>a)(?P<y>b)", r"(?<x>a)b", r"[abc]", r"[^abc]",
    r"[a-c]x", r"[]a]", r"[^]a]", r"[a\]b]", r"[\d_]", r"[-a]", r"[a-]", r"[[:alpha:]]b", r"[[:^digit:]]", r".",
    r".*", r"a.b", r"a{2}", r"a{1,2}b", r"a{2,}", r"a{,2}", r"(ab){0}c", r"a*?b+?c??", r"\d+", r"\D", r"\w\W",
    r"\s?a", r"\.", r"\x41", r"\x{62}", r"\101", r"\Qa.b\E", r"\Qa", r"^a$", r"\Aa\z", r"a^b", r"a$b", r"(^a|b)c",
    r"(a|b$)", r"(?i)aB", r"(?i:a)b", r"a(?i)b|c", r"(?s).", r"(?U)a+", r"(?i)[^a]b", r"x*", r"()", r"(a*)*b",
    r"(|a)+", r"\n", r"\t|a", r"a\-b", r"[\x61-\x63]", r"[\t-b]",
]  # fmt: skip
UNREAD = [r"\bfoo", r"\pL", r"(?m)^a", r"(?:a{900}){5}", r"\C", r"[\pN]", r"(?:\Qab\E*)"]


@pytest.mark.parametrize("expression", READ)
def test_an_automaton_takes_what_the_expression_takes(expression: str) -> None:
    automaton = automaton_of(expression)
    matches = whole_matcher(expression)
    assert automaton is not None
    for text in _texts():
        takes = next(strings([automaton, Automaton(literal(text))], []), None) is not None
        assert takes == matches(text), text


def _texts() -> list[str]:
    short = ["", *"abcABC.x-]_19 \n\t^", "a.b", "a-b", "{,2}", "a{,2}"]
    return [
        *short,
        *(a + b for a in "abcA1." for b in "abBc]x_\n"),
        "aab",
        "abb",
        "abab",
        "aabc",
        "xyz",
        "c",
        "aaaa",
        "abc",
    ]


@pytest.mark.parametrize("expression", UNREAD)
def test_what_is_not_read_is_said_so(expression: str) -> None:
    assert automaton_of(expression) is None


_PIECES = st.recursive(
    st.sampled_from(["a", "b", "[ab]", "[^a]", ".", "\\w", "c?"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        inner.map(lambda text: f"(?:{text})*"),
        inner.map(lambda text: f"(?:{text}){{1,2}}"),
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@given(_PIECES, _PIECES, st.lists(st.text("abc1", max_size=5), max_size=10))
def test_what_the_automata_find_or_exclude_is_so(wanted: str, unwanted: str, texts: list[str]) -> None:
    yes, no = whole_matcher(wanted), whole_matcher(unwanted)
    automata = automaton_of(wanted), automaton_of(unwanted)
    assert automata[0] is not None
    assert automata[1] is not None
    try:
        found = [text for text, _ in zip(strings([automata[0]], [automata[1]]), range(20), strict=False)]
    except UnsureError:
        return
    assert all(yes(text) and not no(text) for text in found)
    if not found:
        assert not any(yes(text) and not no(text) for text in texts)


def test_an_expression_beyond_ascii_is_never_the_ground_of_a_proof() -> None:
    for expression in ("caf\u00e9", "[\u00e0-\u00fc]", "(?i)k", "(?i)[s]"):
        automaton = automaton_of(expression)
        assert automaton is not None
        assert not automaton.exact
    negated = automaton_of("[^\u00e9]")
    assert negated is not None
    assert not negated.exact
    assert next(strings([negated], [], BEYOND)) is not None
    every = automaton_of("[\u0080-\U0010ffff]")
    assert every is not None
    assert every.exact


def test_a_walk_that_grows_too_long_is_given_up() -> None:
    one, other = automaton_of("(?:a|b)*a(?:a|b){14}"), automaton_of("(?:a|b)*b(?:a|b){14}")
    assert one is not None
    assert other is not None
    with pytest.raises(UnsureError):
        list(strings([one, other], []))


_PATTERNS = st.tuples(st.lists(st.sampled_from(["a", "b", "*"]), max_size=3), st.sampled_from(["", "/", "/**"])).map(
    lambda pair: "".join("/" + part for part in pair[0]) + pair[1] or "/"
)


@given(_PATTERNS, _PATTERNS, st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=4))
def test_the_meeting_of_two_patterns_takes_what_both_take(one: str, other: str, segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    met = meet_patterns(parse_pattern(one), parse_pattern(other))
    both = parse_pattern(one).matches(path) and parse_pattern(other).matches(path)
    assert (met is not None and met.matches(path)) == both


def test_a_witness_is_told_as_a_command_that_can_be_pasted() -> None:
    request = Asked(
        "POST",
        "shop.example",
        "/a/b",
        "q=it%27s",
        "192.0.2.1",
        8080,
        {"host": ["shop.example:8080"], "x-app": ["it's"], "cookie": ["theme=dark; session=abc"], "x-api-key": ["abc"]},
    )
    assert command(request) == (
        "fig rules explain POST 'http://shop.example:8080/a/b?q=it%27s' -H 'x-app: it'\"'\"'s' "
        "-H 'cookie: theme=dark; session=(not shown)' -H 'x-api-key: (not shown)' --client 192.0.2.1"
    )
