"""`fig rules fmt`: canonical order and indentation, and nothing lost on the way."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import ruamel.yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.rulebook import FILE
from rules.layout.canonical import canonical
from rules.problems import RulesError
from rules.reading.nodes import parse, plain

REPOSITORY = Path(__file__).parents[3]
FILES = sorted(
    file
    for folder in ("examples", "tests", "deploy", "docs")
    for file in (REPOSITORY / folder).rglob("*.yaml")
    if re.search(r"^(version: 1|routes:)", file.read_text(), re.MULTILINE)
)
ON_PAGES = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in sorted((REPOSITORY / "docs").rglob("*.md"))
    for number, text in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
    if isinstance(parse(text, "page")[0], tuple) and not parse(text, "page")[1]
]


def laid_out(text: str) -> str:
    return canonical(text, "fig.yaml", FILE)


def content(text: str) -> Any:
    root, problems = parse(text, "fig.yaml")
    assert root is not None
    assert not problems
    return plain(root)


def comments(text: str) -> Counter[str]:
    """By another reader: every comment that ruamel.yaml's scanner meets."""
    kept: list[Any] = []  # so that no two of them have one id
    found: dict[int, str] = {}
    for token in ruamel.yaml.YAML(typ="rt").scan(text):
        for part in _flat(getattr(token, "_comment", None) or []):
            found[id(part)] = part if isinstance(part, str) else part.value
            kept.append(part)
    lines = [line.strip() for part in found.values() for line in part.splitlines()]
    return Counter(line for line in lines if line.startswith("#"))


def _flat(parts: Any) -> list[Any]:
    if isinstance(parts, list):
        return [each for part in parts for each in _flat(part)]
    return [parts] if parts is not None else []


def test_keys_come_in_the_order_of_the_grammar_and_comments_with_them() -> None:
    text = """\
# The rules of the shop.

routes:
# before the first
- match:
      # about methods
      methods: [GET]   # reads
      path: /x/**
      # end of match
  # about the candidate
  candidate: a
  name: r1   # its name
# between

-   name: r2
    unit: {issue: true, cookie: fig_unit}   # issued
    match: {methods: [GET, "POST"], path: '/a/{b}'}
    candidate: b
    # at the end of r2
# before services
services:
      b:
             timeout: 2s
             url: "http://b:1"
      a:   {url: http://a:1}
legacy: a
version: 1
# at the end"""
    assert (
        laid_out(text)
        == """\
# The rules of the shop.

version: 1
# before services
services:
  b:
    url: "http://b:1"
    timeout: 2s
  a:   {url: http://a:1}
legacy: a
routes:
  # before the first
  - name: r1   # its name
    match:
      path: /x/**
      # about methods
      methods: [GET]   # reads
      # end of match
    # about the candidate
    candidate: a
  # between

  - name: r2
    match: {path: '/a/{b}', methods: [GET, "POST"]}
    candidate: b
    unit: {cookie: fig_unit, issue: true}   # issued
    # at the end of r2
# at the end
"""
    )


def test_comments_above_a_key_that_comes_first_stand_above_its_dash() -> None:
    text = "routes:\n  - candidate: a\n    # what it is called\n    name: r\n"
    assert laid_out(text) == "routes:\n  # what it is called\n  - name: r\n    candidate: a\n"


def test_an_anchor_stays_above_its_alias() -> None:
    text = "gates: &all {}\ncomparisons: *all\nversion: 1\n"
    assert laid_out(text) == text  # in order, 'comparisons' would ask for what is not there yet


def test_a_merge_key_comes_first_and_keeps_its_meaning() -> None:
    text = "services:\n  a: &a {timeout: 2s, url: http://a:1}\n  b: {timeout: 3s, <<: *a}\n"
    assert laid_out(text) == "services:\n  a: &a {url: http://a:1, timeout: 2s}\n  b: {<<: *a, timeout: 3s}\n"


def test_names_and_the_items_of_lists_keep_their_order() -> None:
    text = (
        "routes:\n  - name: z\n    response_headers:\n      set: {X-B: b, X-A: a}\n"
        "  - name: a\n    match: {methods: [POST, GET]}\n"
    )
    assert laid_out(text) == text


def test_the_text_of_a_block_keeps_its_lines() -> None:
    text = "routes:\n- respond:\n    body: |\n     # a heading\n\n       deeper\n    status: 410\n  name: r\n"
    after = laid_out(text)
    assert content(after) == content(text)
    assert after == (
        "routes:\n  - name: r\n    respond:\n      status: 410\n      body: |\n       # a heading\n\n         deeper\n"
    )


def test_blank_lines_after_the_text_of_a_block_stay_between_the_routes() -> None:
    text = "routes:\n  - respond:\n      body: |\n        a\n\n      status: 503\n\n  - name: b\n"
    assert laid_out(text) == "routes:\n  - respond:\n      status: 503\n      body: |\n        a\n\n  - name: b\n"


def test_quotes_variables_and_windows_line_ends_survive() -> None:
    text = "legacy: '${LEGACY:-legacy}'\r\nversion: 1\r\nservices: {\"a\": {url: 'http://a:1'}}\r\n"
    assert laid_out(text) == "version: 1\nservices: {\"a\": {url: 'http://a:1'}}\nlegacy: '${LEGACY:-legacy}'\n"


def test_a_block_text_whose_last_line_has_no_end_stays_last_or_the_file_stays_as_it_is() -> None:
    assert laid_out("version: 1\nlegacy: |\n    a") == "version: 1\nlegacy: |\n    a"
    with pytest.raises(RulesError, match="cannot be made canonical without changing what it says"):
        laid_out("legacy: a\nversion: |\n  1")  # moved up, it would get the line end that it has not


def test_blank_lines_at_either_end_and_in_a_row_go_but_for_those_within_a_value() -> None:
    text = "\n\nversion: 1\n\n\n# said\nlegacy: |+\n  a\n\n\n"
    assert laid_out(text) == "version: 1\n\n# said\nlegacy: |+\n  a\n\n\n"
    assert laid_out("\nversion: 1\nlegacy: |\n  a\n# at the end\n\n") == "version: 1\nlegacy: |\n  a\n# at the end\n"


def test_unknown_keys_come_last_as_they_stood() -> None:
    assert laid_out("x-b: 1\nlegacy: a\nx-a: 2\nversion: 1\n") == "version: 1\nlegacy: a\nx-b: 1\nx-a: 2\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2\n", "fig.yaml:2:1: duplicate key 'a'"),
        ("a: [1\n", "fig.yaml:2:1: not YAML"),
        ("- a\n", "fig.yaml:1:1: a rules file is a mapping"),
        ("", "fig.yaml:1:1: the file is empty"),
        ("version: 1\u2028legacy: a\n", "fig.yaml:1:1: line ends other than those of Linux and Windows"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(RulesError) as caught:
        laid_out(text)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_every_rules_file_of_the_repository_keeps_its_meaning_and_its_comments(file: Path) -> None:
    _keeps_its_laws(file.read_text())


@pytest.mark.parametrize("text", ON_PAGES)
def test_every_example_of_the_documentation_keeps_its_meaning_and_its_comments(text: str) -> None:
    _keeps_its_laws(text)


def _keeps_its_laws(text: str) -> None:
    after = laid_out(text)
    assert laid_out(after) == after
    assert content(after) == content(text)
    assert comments(after) == comments(text)


NAMES = st.sampled_from(["r1", "orders", "'quoted'", "x-y"])
WORDS = st.sampled_from(
    ["GET", "/a/**", "'/a/{b}'", "10%", '"q # no comment"', "2s", "true", "7", "${V:-x}", "&a x", ""]
)
KEYS = {
    "file": ["version", "services", "legacy", "routes", "events", "gates", "x-own"],
    "route": ["name", "match", "candidate", "unit", "shadow", "rewrite", "rollout", "stage", "respond"],
    "match": ["path", "methods", "headers", "any", "not", "host"],
}


@st.composite
def values(draw: st.DrawFn, indent: int, depth: int) -> tuple[list[str], bool]:
    """Lines of a value in some layout, and whether the first goes on in the line of its key."""
    kind = draw(st.sampled_from(["word", "word", "flow", "text"] + ["mapping", "list"] * (depth > 0)))
    if kind == "word":
        return [draw(WORDS) + draw(st.sampled_from(["", "", "  # said"]))], True
    if kind == "flow":
        keys = draw(st.lists(st.sampled_from(KEYS["match"]), max_size=3, unique=True))
        gap = draw(st.sampled_from([" ", "\n" + " " * (indent + 3)]))
        return ("{" + f",{gap}".join(f"{key}: [a, 'b']" for key in keys) + "}").split("\n"), True
    if kind == "text":
        inner = " " * (indent + draw(st.integers(1, 4)))
        lines = draw(st.lists(st.sampled_from(["# x", "a: b", "  deep"]), min_size=1))
        heading = draw(st.sampled_from(["|", ">", "|+", "|-", "| # heading"]))
        return [heading, *(inner + line for line in lines), *draw(st.sampled_from([[], [""], ["", ""]]))], True
    if kind == "list":
        inner_indent = indent + draw(st.integers(0, 3))
        lines: list[str] = []
        for _ in range(draw(st.integers(1, 3))):
            gap = draw(st.integers(1, 3))
            block = draw(mappings(inner_indent + 1 + gap, depth - 1))
            at = next(number for number, line in enumerate(block) if line.strip() and not line.lstrip().startswith("#"))
            lines += block[:at]
            lines.append(" " * inner_indent + "-" + " " * gap + block[at].lstrip(" "))
            lines += block[at + 1 :]
        return lines, False
    return draw(mappings(indent + draw(st.integers(1, 4)), depth - 1)), False


@st.composite
def mappings(draw: st.DrawFn, indent: int, depth: int) -> list[str]:
    keys = draw(st.lists(st.sampled_from(KEYS[draw(st.sampled_from(list(KEYS)))]), min_size=1, max_size=4, unique=True))
    lines: list[str] = []
    for key in keys:
        if draw(st.integers(0, 3)) == 0:
            column = draw(st.sampled_from([indent, indent, 0, indent + 2]))
            lines += [*draw(st.sampled_from([[], [""], ["", ""]])), " " * column + f"# about {key}"]
        value, goes_on = draw(values(indent, depth))
        if goes_on:
            lines += [" " * indent + f"{key}: {value[0]}".rstrip(), *value[1:]]
        else:
            lines += [" " * indent + f"{key}:" + draw(st.sampled_from(["", " # here"])), *value]
    if draw(st.integers(0, 4)) == 0:
        lines.append(" " * indent + "# at the end")
    return lines


@settings(max_examples=100)
@given(mappings(0, 3))
def test_any_layout_becomes_one_that_stays_and_says_the_same(lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    root, problems = parse(text, "fig.yaml")
    if root is None or problems:
        return  # a text that no layout could keep
    _keeps_its_laws(text)
