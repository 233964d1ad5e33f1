"""``${NAME}`` in values: what it stands for, what it cannot do, and that no problem tells what it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.rulebook import Rulebook, load
from rules.problems import Place, Problem, RulesError
from rules.reading.nodes import parse, plain
from rules.reading.variables import LONGEST_VALUE, Variables

RULES = """\
version: 1
services:
  legacy:
    url: ${LEGACY_URL}
    max_connections: ${CONNECTIONS:-512}
legacy: legacy
routes:
  - name: orders
    match: {path: "/${PREFIX:-api}/orders"}
    candidate: legacy
    timeout: ${TIMEOUT:-2s}
"""
URL = {"LEGACY_URL": "http://127.0.0.1:9000"}


def loaded(tmp_path: Path, environment: dict[str, str], text: str = RULES) -> Rulebook:
    (tmp_path / "fig.yaml").write_text(text)
    return load(tmp_path / "fig.yaml", environment)


def problems_of(tmp_path: Path, environment: dict[str, str], text: str = RULES) -> list[str]:
    with pytest.raises(RulesError) as caught:
        loaded(tmp_path, environment, text)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def value(text: str, environment: dict[str, str]) -> object:
    root, problems = parse(f"a: {text}", "f", Variables(environment))
    assert not problems
    assert root is not None
    content = plain(root)
    assert isinstance(content, dict)
    return content["a"]


def test_values_come_from_the_environment_or_from_their_default(tmp_path: Path) -> None:
    book = loaded(tmp_path, URL | {"PREFIX": "shop", "CONNECTIONS": "7"})
    assert book.rules.services["legacy"].url == "http://127.0.0.1:9000"
    assert book.rules.services["legacy"].max_connections == 7
    assert book.rules.routes[0].match.path == ("/shop/orders",)
    assert book.rules.routes[0].timeout == 2.0


def test_the_variables_that_a_file_asks_for_are_known(tmp_path: Path) -> None:
    assert loaded(tmp_path, URL).variables == {"LEGACY_URL", "CONNECTIONS", "PREFIX", "TIMEOUT"}


def test_a_variable_that_is_not_set_is_a_problem_with_its_place(tmp_path: Path) -> None:
    assert problems_of(tmp_path, {})[0] == (
        "fig.yaml:4:10: the variable LEGACY_URL is not set; set it, or write ${LEGACY_URL:-default}"
    )


def test_a_variable_that_is_not_set_is_one_problem_also_where_its_text_would_be_a_template(tmp_path: Path) -> None:
    text = RULES + '    request_headers:\n      set: {X-Key: "${KEY}"}\n'
    (problem,) = problems_of(tmp_path, URL, text)
    assert problem.startswith("fig.yaml:13:20: route 'orders': the variable KEY is not set")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${N}", 7),
        ("'${N}'", "7"),
        ('"${N}"', "7"),
        ("${T}", True),
        ("${N}s", "7s"),
        ("${N}${N}", 77),
        ("${E:-9}", 9),
        ("'${E}'", ""),
        ("${X:-}x", "x"),
        ("${X:-http://a:1/b-c}", "http://a:1/b-c"),
        ("$${N}", "${N}"),
        ("$$${N}", "$${N}"),
        ("$N", "$N"),
        ("a$", "a$"),
        ("|\n  ${N}\n  $${N}", "7\n${N}"),
        ("${YAML}", "{b: [c, *d"),
        ("${LINES}", "x\ny: z"),
        ("&x ${N}\nb: *x", 7),
    ],
)
def test_a_plain_value_is_typed_and_a_quoted_one_stays_text(text: str, expected: object) -> None:
    environment = {"N": "7", "T": "true", "E": "", "YAML": "{b: [c, *d", "LINES": "x\ny: z"}
    assert value(text, environment) == expected


def test_keys_are_left_as_they_are() -> None:
    root, _ = parse("${N}: 1", "f", Variables({"N": "a"}))
    assert root is not None
    assert plain(root) == {"${N}": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${", "'${' begins a variable: write ${NAME} or ${NAME:-default}, or $${ for the text ${"),
        ("${1A}", "'${' begins a variable"),
        ("${A-b}", "'${' begins a variable"),
        ("${A:-${B}}", "'${' begins a variable"),
        ("${E}", "${E} is empty here; set the variable, or give a default"),
        ("${LONG}", f"with its variables filled in, the value is longer than {LONGEST_VALUE:,} characters"),
        ("${BYTES}", "the variable BYTES does not hold UTF-8 text"),
    ],
)
def test_what_cannot_be_filled_in_is_a_problem(text: str, problem: str) -> None:
    environment = {"E": "", "LONG": "x" * (LONGEST_VALUE + 1), "BYTES": "caf\udce9"}
    _, problems = parse(f"a: {text}", "f", Variables(environment))
    assert [str(each)[: len("f:1:4: " + problem)] for each in problems] == ["f:1:4: " + problem]


def test_a_long_variable_in_very_many_values_is_refused() -> None:
    text = "\n".join(f"k{number}: ${{LONG}}" for number in range(300))
    _, problems = parse(text, "f", Variables({"LONG": "x" * LONGEST_VALUE}))
    assert "all values with variables together are longer than" in problems[0].message


def test_within_braces_a_variable_needs_quotes_and_the_problem_says_so(tmp_path: Path) -> None:
    text = RULES.replace("candidate: legacy", "unit: {cookie: ${COOKIE}}")
    assert "a variable within {} or [] needs quotes" in problems_of(tmp_path, URL, text)[-1]


SECRET = "s3cr3t-Value/with*pieces"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("url: ${LEGACY_URL}", "url: ${SECRET}"),
        ("url: ${LEGACY_URL}", "url: http://a/${SECRET}"),
        ("max_connections: ${CONNECTIONS:-512}", "max_connections: ${SECRET}"),
        ("max_connections: ${CONNECTIONS:-512}", "timeout: ${SECRET}"),
        ("legacy: legacy", "legacy: ${SECRET}"),
        ("name: orders", "name: ${SECRET}"),
        ('"/${PREFIX:-api}/orders"', '"/${SECRET}/orders"'),
        ("candidate: legacy", "candidate: ${SECRET}"),
        ("candidate: legacy", "candidate: legacy\n    stage: ${SECRET}"),
        ("candidate: legacy", "candidate: legacy\n    unit: {cookie: '${SECRET} '}"),
        ("candidate: legacy", "candidate: legacy\n    writes: {order_by: '${SECRET}'}"),
        ("candidate: legacy", "candidate: legacy\n    writes: ${SECRET}"),
        ("candidate: legacy", "candidate: legacy\n    shadow: {sample: '${SECRET}'}"),
        ("candidate: legacy", "redirect: {path: '${SECRET}'}"),
        ("candidate: legacy", "candidate: legacy\n    request_headers: {set: {X-A: '{${SECRET}'}}"),
        ("version: 1", "version: ${SECRET}"),
        ("version: 1", "version: 1\nforce: {header: x, token: '${SECRET} '}"),
    ],
)
def test_no_problem_tells_what_a_variable_holds(tmp_path: Path, before: str, after: str) -> None:
    found = problems_of(tmp_path, URL | {"SECRET": SECRET}, RULES.replace(before, after, 1))
    assert found
    for problem in found:
        told = problem.lower()
        assert not any(piece in told for piece in ("s3cr3t", "with*pieces"))


def test_a_name_that_came_from_a_variable_is_called_by_it(tmp_path: Path) -> None:
    text = RULES.replace("name: orders", "name: ${ROUTE}").replace("/${PREFIX:-api}/orders", "orders")
    (problem,) = problems_of(tmp_path, URL | {"ROUTE": "the-shop"}, text)
    assert problem.startswith("fig.yaml:9:19: route '${ROUTE}': 'path': a path begins with '/'")


@given(st.text("abc5/.:x-", min_size=4, max_size=80), st.sampled_from([20, 40, 60, 80, 200]))
def test_a_value_that_a_message_cuts_short_is_hidden_too(held: str, width: int) -> None:
    place = Place("f", 1, 1)
    variables = Variables({"V": held})
    variables.fill("${V}", place)
    (hidden,) = variables.hide([Problem(place, f"'url': '{held[:width]}' is no good; did you mean 'abc'?", "code")])
    assert hidden.message == "'url': '${V}' is no good; did you mean 'abc'?"


def hidden(held: str, message: str) -> str:
    """The message about a value that is nothing but a variable, as it is shown."""
    variables, place = Variables({"V": held}), Place("f", 1, 1)
    variables.fill("${V}", place)
    return variables.hide([Problem(place, message, "code")])[0].message


@pytest.mark.parametrize("held", ["short", "shorter", "secret", "than", "characters"])
def test_a_word_of_the_sentence_itself_is_left_there(held: str) -> None:
    """With the name in its place, the sentence would tell what the variable holds."""
    sentence = "'secret': is shorter than 16 characters; make one of 32"

    assert hidden(held, sentence) == sentence


@pytest.mark.parametrize(
    ("held", "message", "shown"),
    [
        ("short", "'url': 'short' is shorter than a URL", "'url': '${V}' is shorter than a URL"),
        ("short", "'url': 'http://a/shortest' is no good", "'url': 'http://a/${V}est' is no good"),
        ("shop.example", "shop.example.org is not known", "${V}.org is not known"),
        ("12345", "must be text, not 12345; not 123456", "must be text, not ${V}; not 123456"),
        ("x'yz", "it is x'yz here", "it is ${V} here"),
        ("correcthorsebattery", "is correcthorsebattery of", "is ${V} of"),
        ("hunter", "fig's key is 'a hunter\nof' keys", "fig's key is 'a ${V}\nof' keys"),
    ],
)
def test_what_a_message_shows_of_a_value_is_hidden(held: str, message: str, shown: str) -> None:
    assert hidden(held, message) == shown


@given(
    st.text("abcdefgh", min_size=4, max_size=12),
    st.text("ab /.-", max_size=5),
    st.text("ab /.-", max_size=5),
)
def test_no_text_in_quotes_tells_a_value(held: str, before: str, after: str) -> None:
    told = hidden(held, f"'url': '{before}{held}{after}' is none of fig's URLs; write it like 'http://x'")

    assert held not in told.split("is none of")[0]


def test_a_webhook_whose_secret_is_a_word_of_the_message_is_not_told(tmp_path: Path) -> None:
    text = RULES + "webhooks:\n  chat: {url: 'https://chat.example', secret: '${HOOK}'}\n"

    assert "'secret': is shorter than 16" in problems_of(tmp_path, URL | {"HOOK": "short"}, text)[0]
