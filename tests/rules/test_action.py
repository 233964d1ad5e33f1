"""What an action's block refuses when it is loaded, so that no request meets it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rules.action import HeaderChanges, Redirect, Respond, Rewrite
from rules.document import Defaults, Route


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({}, "rewrites nothing"),
        ({"path": "x"}, "a path begins with '/'; write '/x'"),
        ({"path": "/a b"}, "not a path that can be sent"),
        ({"path": "/a/../.."}, "not a path that can be sent"),
        ({"path": "/a%2Fb"}, "not a path that can be sent"),
        ({"path": "/a#b"}, "not a path that can be sent"),
        ({"path": "/a?b#c"}, "not a path that can be sent"),
        ({"path": "/{id"}, "a brace stands alone"),
        ({"path": "/a", "prefix": "/b"}, "both say the path anew"),
        ({"prefix": "/a?b=c"}, "a prefix has no query"),
        ({"prefix": "/a/{**}"}, "by itself; write '/a/'"),
        ({"host": "a b"}, "not a host"),
        ({"host": "*.shop.example"}, "not a host"),
        ({"host": "shop.example:0"}, "not a host"),
        ({"host": "http://shop.example"}, "not a host"),
        ({"regex": {"match": "(", "replace": ""}}, "not a regular expression"),
        ({"regex": {"match": "a", "replace": r"\1"}}, "names group 1, and 'match' has 0"),
        ({"regex": {"match": "a", "replace": r"\n"}}, "names no group"),
        ({"regex": {"match": "a", "replace": "b\\"}}, "names no group"),
        ({"regex": {"match": "a", "replace": "/x?y"}}, "a query stays as it is"),
        ({"regex": {"match": "a", "replace": "a b"}}, "printable ASCII"),
    ],
)
def test_a_rewrite_that_could_never_be_sent_is_refused(block: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says.replace("(", r"\(").replace("**", r"\*\*").replace("?", r"\?")):
        Rewrite.model_validate(block)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("X A", "1", "not a header name"),
        ("Host", "a", "use 'rewrite: {host: ...}'"),
        ("Content-Length", "1", "no rule changes it"),
        ("X_Forwarded_For", "1", "no rule changes it"),
        ("X-A", "a\r\nB: c", "without line ends"),
        ("X-A", "é", "printable ASCII"),
        ("X-A", "{", "a brace stands alone"),
    ],
)
def test_a_header_that_could_never_be_sent_is_refused(name: str, value: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        HeaderChanges.model_validate({"set": {name: value}})


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ({}, "says nothing"),
        ({"query": "keep"}, "says nothing"),
        ({"status": 304, "path": "/x"}, "301, 302, 303, 307 or 308"),
        ({"scheme": "ftp"}, "'http', 'https', 'ws' or 'wss'"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"host": "a.example:81", "port": 82}, "both say the port"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_refused(block: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Redirect.model_validate(block)


def test_a_header_has_one_value_that_it_is_set_to_but_several_may_be_added() -> None:
    twice = {"X-Shop": "a", "x-shop": "b"}
    with pytest.raises(ValidationError, match="'x-shop' twice"):
        HeaderChanges.model_validate({"set": twice})
    assert HeaderChanges.model_validate({"add": twice}).add == twice


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_may_lead_to_the_same_url_because_what_comes_next_may_match_elsewhere(status: int) -> None:
    assert Redirect.model_validate({"status": status}).status == status


def test_an_answer_that_has_no_body_is_given_none() -> None:
    with pytest.raises(ValidationError, match="has no body"):
        Respond.model_validate({"status": 204, "body": "x"})


def _route(**more: Any) -> Route:
    return Route.model_validate({"name": "a", "candidate": "c"} | more)


@pytest.mark.parametrize("path", ["/a", "/a/{id}", {"regex": "/a/.*"}, ["/a/**", "/b"]])
def test_a_prefix_needs_a_path_that_goes_on(path: Any) -> None:
    with pytest.raises(ValidationError, match=r"write 'path: ...' for the whole path, or end the match in /\*\*"):
        _route(match={"path": path}, rewrite={"prefix": "/x"})


@pytest.mark.parametrize(
    ("key", "block"),
    [
        ("rewrite", {"path": "/x"}),
        ("request_headers", {"set": {"X-A": "1"}}),
        ("response_headers", {"remove": ["x-a"], "sides": "candidate"}),
    ],
)
def test_what_only_legacy_answers_is_not_changed_for_a_candidate(key: str, block: dict[str, Any]) -> None:
    route = {"name": "a", "match": {"path": "/a"}, "legacy": "l"}
    with pytest.raises(ValidationError, match=f"'{key}' changes nothing: only legacy answers here, so say 'sides: l"):
        Route.model_validate(route | {key: block})
    for sides in ("legacy", "both"):
        assert getattr(Route.model_validate(route | {key: block | {"sides": sides}}), key).sides == sides


def test_a_template_may_only_name_what_every_matching_request_has() -> None:
    with pytest.raises(ValidationError, match=r"nothing is named '\{name\}' here; known are \{client\}, .*\{id\}"):
        _route(match={"path": "/a/{id}"}, rewrite={"path": "/b/{name}"})


def test_a_default_may_only_name_what_every_request_has() -> None:
    with pytest.raises(ValidationError, match=r"'\{id\}' is not known to every route; known are \{client\}"):
        Defaults.model_validate({"request_headers": {"set": {"X-Id": "{id}"}}})
    assert Defaults.model_validate({"request_headers": {"set": {"X-Id": "{request_id}"}}}).request_headers is not None
