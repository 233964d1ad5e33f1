"""The compiled table against a reference that a reader can check by eye: one loop over the routes, in file order."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.asked import Asked
from rules.buckets import bucket
from rules.explain import explain

SEGMENTS = ["a", "b", "A", "", "{x}", "*", "**", "aa"]


def naive_takes(match: dict[str, Any], request: Asked) -> bool:
    """Whether one route takes the request, from the rules reference and nothing else."""
    host = match.get("host")
    if host and not (
        request.host.endswith(host[1:]) and request.host != host[1:] if host[0] == "*" else request.host == host
    ):
        return False
    expression = "".join(
        "(/.*)?" if part == "**" else "/[^/]+" if part in ("*", "{x}") else "/" + re.escape(part)
        for part in match.get("path", "/**")[1:].split("/")
    )
    if not re.fullmatch(expression, request.path):
        return False
    if "methods" in match and request.method not in match["methods"]:
        return False
    for name, wanted in match.get("headers", {}).items():
        value = ",".join(request.values(name)) if request.values(name) else None
        if wanted == {"present": False}:
            holds = value is None
        elif isinstance(wanted, str):
            holds = value == wanted
        else:
            holds = value is not None and value.startswith(wanted["prefix"])
        if not holds:
            return False
    return True


def _patterns() -> st.SearchStrategy[str]:
    parts = st.lists(st.sampled_from(["a", "b", "A", "aa", "*", "{x}"]), max_size=4).filter(
        lambda p: p.count("{x}") < 2
    )
    ends = st.sampled_from(["", "/", "/**"])
    return st.tuples(parts, ends).map(lambda pair: "".join("/" + part for part in pair[0]) + pair[1] or "/")


MATCHES = st.fixed_dictionaries(
    {"path": _patterns()},
    optional={
        "host": st.sampled_from(["s.example", "a.s.example", "*.s.example", "*.example", "*.a.s.example"]),
        "methods": st.lists(st.sampled_from(["GET", "POST"]), min_size=1, max_size=2),
        "headers": st.dictionaries(
            st.sampled_from(["x-a", "x-b"]), st.sampled_from(["1", {"prefix": "1"}, {"present": False}]), max_size=2
        ),
    },
)
REQUESTS = st.builds(
    Asked,
    st.sampled_from(["GET", "POST", "HEAD"]),
    st.sampled_from(["s.example", "a.s.example", "b.a.s.example", "example", "other", ""]),
    st.lists(st.sampled_from(["a", "b", "A", "aa", "c", ""]), max_size=6).map(lambda parts: "/" + "/".join(parts)),
    headers=st.dictionaries(st.sampled_from(["x-a", "x-b"]), st.lists(st.sampled_from(["1", "12", "2"]), max_size=2)),
)


@settings(max_examples=200)
@given(st.lists(MATCHES, max_size=12), st.lists(REQUESTS, min_size=1, max_size=8))
def test_the_compiled_table_finds_the_first_route_that_a_plain_loop_finds(
    make_table: Any, matches: list[dict[str, Any]], requests: list[Asked]
) -> None:
    table = make_table([{"match": match} for match in matches])
    for request in requests:
        expected = next((f"r{n}" for n, match in enumerate(matches) if naive_takes(match, request)), "-")
        assert table.route(request).name == expected


@settings(max_examples=100)
@given(st.lists(MATCHES, max_size=8), REQUESTS, st.sampled_from(["legacy", "shadow", "canary", "live", "retired"]))
def test_an_explanation_agrees_with_the_decision(
    make_table: Any, matches: list[dict[str, Any]], request: Asked, stage: str
) -> None:
    unit = {"header": "x-a"}
    routes = [{"match": match, "stage": stage, "share": "50%", "unit": unit} for match in matches]
    table = make_table(routes)
    explanation = explain(table, request)
    choice = table.decide(request, lambda: "fresh")
    winner = choice.decision.route
    assert [miss.route for miss in explanation.misses.told] == [route.name for route in table.routes[: winner.index]]
    assert explanation.as_json()["side"] == choice.decision.side
    assert explanation.as_json()["copy_to"] == choice.decision.copy_to
    if choice.unit:
        assert explanation.bucket == bucket(winner.name, choice.unit)
