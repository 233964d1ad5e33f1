"""`writes.read_back` in a rules file: what it may say, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.rulebook import load
from rules.problems import RulesError
from rules.selectors import checked_selector, places_of, steps_of

FILE = """
version: 1
services: {legacy: {url: "http://a"}, shop: {url: "http://b"}}
legacy: legacy
routes:
  - name: orders
    match: {path: "/orders/{order}"}
    candidate: shop
    writes:
      order_by: "path:order"
      read_back: %s
"""


def told(tmp_path: Path, read_back: str) -> list[str]:
    """What is said of a file with that block."""
    path = tmp_path / "fig.yaml"
    path.write_text(FILE % read_back)
    try:
        load(path)
    except RulesError as exc:
        return [str(problem).removeprefix(f"{tmp_path}/") for problem in exc.problems]
    return []


def test_a_whole_block_is_accepted(tmp_path: Path) -> None:
    block = (
        '{path: "/api/orders/{order}?key={header:X-Key}", candidate: "/v2/{order}", absent: [404], within: 3s, '
        "applied: {status: 200, equals: [{body: /entries/*/key, with: header:idempotency-key}]}}"
    )

    assert told(tmp_path, block) == []


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            '{path: "/o/{ordr}", applied: {equals: [{body: /k, with: header:k}]}}',
            "fig.yaml:11:25: route 'orders': 'path': the path /orders/{order} names no '{ordr}'; did you mean 'order'?",
        ),
        (
            '{path: "/o/{order}", applied: {equals: [{body: /k, with: "path:oder"}]}}',
            "fig.yaml:11:75: route 'orders': 'with': the path /orders/{order} names no '{oder}'; did you mean 'order'?",
        ),
        ('{path: "/o/{order}"}', "shows that something is there, not that this write is applied"),
        ('{path: "o/{order}"}', "'o/{order}' is no path; write it like /api/orders/{order}"),
        ('{path: "/o/{order"}', "a brace stands alone"),
        ('{path: "/o/{body:/id}"}', "'body:/id' names no value here; write path:NAME, query:NAME"),
        ('{path: "/o", applied: {equals: [{body: key, with: header:k}]}}', "'key' is no JSON pointer; write it like"),
        ('{path: "/o", applied: {equals: [{body: /k, with: response:/k}]}}', "'response:/k' names no value here"),
        ('{path: "/o/{header:k}", aplied: {}}', "unknown key 'aplied'; did you mean 'applied'?"),
        ('{path: "/o/{header:k}", absent: [4o4]}', "fig.yaml:11:51"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_write(tmp_path: Path, block: str, expected: str) -> None:
    (said,) = told(tmp_path, block)

    assert expected in said
    assert said.startswith("fig.yaml:11:")


def test_a_question_for_the_write_itself_needs_no_values(tmp_path: Path) -> None:
    assert told(tmp_path, '{path: "/writes/{header:idempotency-key}"}') == []


def test_names_of_headers_have_one_form() -> None:
    assert list(places_of("/w/{header:Idempotency-Key}/x{id}")) == [
        ("/w/", "header:idempotency-key"),
        ("/x", "path:id"),
        ("", ""),
    ]


def test_pointers_are_unescaped_step_by_step() -> None:
    assert steps_of(checked_selector("request:/a~1b/~01", ("request",)).partition(":")[2]) == ("a/b", "~1")


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ('{order: {made: "response:/id", used: ["path:ordr"]}}', "names no '{ordr}'; did you mean 'order'?"),
        ('{order: {used: ["path:order"]}}', "'ids': no route says where 'order' is made; add 'made: response:/id'"),
        ('{order: {made: "header:location"}}', "'header:location' names no value here"),
        ('{order: {used: ["header:x-order"]}}', "'header:x-order' names no value here"),
        ("{order: {unknown: same}}", "says neither where the id is made nor where it is used"),
        ('{order: {mad: "response:/id"}}', "unknown key 'mad'; did you mean 'made'?"),
    ],
)
def test_a_mistake_in_ids_is_told_with_its_place(tmp_path: Path, ids: str, expected: str) -> None:
    path = tmp_path / "fig.yaml"
    path.write_text(FILE.replace("read_back", "ids") % ids)

    with pytest.raises(RulesError) as told:
        load(path)

    assert expected in str(told.value)
    assert ":11:" in str(told.value)
