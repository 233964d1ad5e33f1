"""What a service is sent in place of what the client sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.action import HeaderChanges, Rewrite
from rules.asked import Asked
from rules.matching.path import normalise
from rules.rewriting import RewriteError, Rewritten, SideChange, compile_fields, compile_rewriting
from rules.stages import Side
from tests.rules.conftest import MakeTable


def _asked(target: str, host: str = "shop.example", headers: dict[str, list[str]] | None = None) -> Asked:
    path, _, query = target.partition("?")
    return Asked("GET", host, path, query, "192.0.2.7", headers=headers or {})


@pytest.fixture
def rewritten(make_table: MakeTable) -> Any:
    def rewritten(match: Any, rewrite: dict[str, Any], target: str, host: str = "shop.example") -> Rewritten:
        route = {"match": match if isinstance(match, dict) else {"path": match}, "rewrite": rewrite}
        request = _asked(target, host)
        taken = make_table([route]).route(request)
        change = taken.changes[Side.CANDIDATE]
        assert change is not None
        return change.request(request, taken.captures(request) | {"host": host, "path": request.path})

    return rewritten


@pytest.mark.parametrize(
    ("prefix", "path", "sent"),
    [
        ("/catalog", "/api/products", "/catalog"),
        ("/catalog", "/api/products/", "/catalog/"),
        ("/catalog", "/api/products/7", "/catalog/7"),
        ("/catalog/", "/api/products/7", "/catalog/7"),
        ("/catalog/", "/api/products/", "/catalog/"),
        ("/", "/api/products/7", "/7"),
        ("/", "/api/products/", "/"),
        ("/", "/api/products", "/"),
    ],
)
def test_a_prefix_stands_for_what_comes_before_the_rest(rewritten: Any, prefix: str, path: str, sent: str) -> None:
    assert rewritten("/api/products/**", {"prefix": prefix}, f"{path}?page=2") == Rewritten(sent, "page=2", "")


def test_a_prefix_may_be_put_before_every_path(rewritten: Any) -> None:
    assert rewritten("/**", {"prefix": "/shop"}, "/a/b").path == "/shop/a/b"


def test_a_prefix_may_hold_captures(rewritten: Any) -> None:
    assert rewritten("/{tenant}/api/**", {"prefix": "/t/{tenant}"}, "/acme/api/x").path == "/t/acme/x"


def test_of_several_paths_the_one_that_matched_gives_the_rest(rewritten: Any) -> None:
    assert rewritten(["/a/b/**", "/a/**"], {"prefix": "/x"}, "/a/c/b/d").path == "/x/c/b/d"
    assert rewritten(["/a/b/**", "/a/**"], {"prefix": "/x"}, "/a/b/d").path == "/x/d"


def test_a_path_is_replaced_by_a_template_and_keeps_its_query(rewritten: Any) -> None:
    assert rewritten("/p/{id}/**", {"path": "/v2/{id}{**}"}, "/p/7/a?x=1") == (
        "/v2/7/a",
        "x=1",
        "",
    )


def test_a_query_in_the_template_stands_in_place_of_the_requests(rewritten: Any) -> None:
    assert rewritten("/p/{id}", {"path": "/get?id={id}"}, "/p/7?x=1")[:2] == ("/get", "id=7")
    assert rewritten("/p/{id}", {"path": "/get?"}, "/p/7?x=1")[:2] == ("/get", "")


def test_a_capture_cannot_bring_a_parameter_along(rewritten: Any) -> None:
    assert rewritten("/p/{id}", {"path": "/get?id={id}&role=guest"}, "/p/7&role=admin").query == (
        "id=7%26role=admin&role=guest"
    )


def test_a_regex_replaces_every_place_it_finds_and_leaves_the_query(rewritten: Any) -> None:
    rewrite = {"regex": {"match": "/([a-z]+)([0-9])", "replace": r"/\2\1"}}
    assert rewritten("/**", rewrite, "/a1/b2?a1")[:2] == ("/1a/2b", "a1")


def test_a_backslash_before_a_backslash_is_one(rewritten: Any) -> None:
    with pytest.raises(RewriteError, match="no single reading"):
        rewritten("/**", {"regex": {"match": "a", "replace": r"\\"}}, "/a")


def test_a_regex_that_finds_nothing_leaves_the_path(rewritten: Any) -> None:
    assert rewritten("/**", {"regex": {"match": "^/old/", "replace": "/"}}, "/new/x").path == "/new/x"


@pytest.mark.parametrize(
    ("match", "path", "sent"), [("^/api", "/api", "/"), ("^/api/", "/api/x", "/x"), (".*", "/x", "/")]
)
def test_a_regex_that_takes_the_first_slash_too_leaves_one(rewritten: Any, match: str, path: str, sent: str) -> None:
    assert rewritten("/**", {"regex": {"match": match, "replace": ""}}, path).path == sent


def test_what_is_sent_is_canonical_again(rewritten: Any) -> None:
    assert rewritten("/**", {"regex": {"match": "x", "replace": ""}}, "/a/x/b").path == "/a/b"


def test_no_value_climbs_out_of_the_path_that_it_is_filled_into(rewritten: Any) -> None:
    with pytest.raises(RewriteError, match="no single reading"):
        rewritten("/**", {"path": "/inside/{host}/x"}, "/a", host="..")
    with pytest.raises(RewriteError, match="no single reading"):
        rewritten("/**", {"regex": {"match": "x", "replace": "."}}, "/a/xx/b")


@pytest.mark.parametrize(
    ("replace", "path"), [("%2F", "/a/x"), ("", "/a/%C3%A4"), ("..", "/x"), ("/" * 3000, "/" + "x" * 60)]
)
def test_a_path_without_a_single_reading_is_not_sent(rewritten: Any, replace: str, path: str) -> None:
    rewrite = {"regex": {"match": "x" if replace else "A4", "replace": replace}}
    with pytest.raises(RewriteError):
        rewritten("/**", rewrite, path)


def test_a_host_is_kept_replaced_or_filled_in(rewritten: Any) -> None:
    assert rewritten("/**", {"path": "/x"}, "/a").host == ""
    assert rewritten("/**", {"host": "Catalog.Internal:8080"}, "/a").host == "catalog.internal:8080"
    assert rewritten("/**", {"host": "service"}, "/a").host == "service"
    assert rewritten("/{tenant}/**", {"host": "{tenant}.internal"}, "/ACME/x").host == "acme.internal"


@pytest.mark.parametrize("tenant", ["a@b", "a%20b", "a,b", "a:99999", "x" * 300])
def test_what_is_no_host_is_not_sent(rewritten: Any, tenant: str) -> None:
    with pytest.raises(RewriteError):
        rewritten("/{tenant}/**", {"host": "{tenant}"}, f"/{tenant}/x")


def test_only_the_side_that_is_meant_is_changed(make_table: MakeTable) -> None:
    changes = {
        sides: make_table([{"match": {"path": "/**"}, "rewrite": {"path": "/x", "sides": sides}}]).routes[0].changes
        for sides in ("candidate", "legacy", "both")
    }
    changed = {sides: {side for side, change in each.items() if change} for sides, each in changes.items()}
    assert changed == {"candidate": {Side.CANDIDATE}, "legacy": {Side.LEGACY}, "both": set(Side)}


def _fields(make_table: MakeTable, block: dict[str, Any], **more: Any) -> SideChange:
    change = make_table([{"match": {"path": "/{id}/**"}, "request_headers": block}], **more).routes[0]
    found = change.changes[Side.CANDIDATE]
    assert found is not None
    return found


def test_headers_are_taken_away_set_and_added(make_table: MakeTable) -> None:
    block = {"remove": ["X-Debug"], "set": {"X-Shop": "b"}, "add": {"X-Via": "fig {id}"}}
    fields = _fields(make_table, block).request_fields
    assert fields is not None
    assert fields.removed == {"x-debug", "x-shop"}
    assert fields.lines({"id": "7"}) == [("X-Shop", "b"), ("X-Via", "fig 7")]


def test_a_routes_headers_stand_in_place_of_the_defaults(make_table: MakeTable) -> None:
    defaults = {"request_headers": {"set": {"X-A": "1"}}, "response_headers": {"set": {"X-B": "1"}}}
    change = _fields(make_table, {"set": {"X-C": "1"}}, defaults=defaults)
    assert change.request_fields is not None
    assert change.answer_fields is not None
    assert change.request_fields.removed == {"x-c"}
    assert change.answer_fields.removed == {"x-b"}


def test_a_change_says_which_values_it_asks_for(make_table: MakeTable) -> None:
    route = {
        "match": {"path": "/{id}/**"},
        "rewrite": {"prefix": "/{id}", "host": "{host}"},
        "response_headers": {"set": {"X-Id": "{request_id}"}},
    }
    change = make_table([route]).routes[0].changes[Side.CANDIDATE]
    assert change is not None
    assert change.names == {"id", "**", "host", "request_id"}


_any_text = st.text(st.characters(max_codepoint=0x2FF), max_size=12) | st.binary(max_size=8).map(
    lambda raw: raw.decode("utf-8", "surrogateescape")
)


@given(st.dictionaries(st.sampled_from(["id", "**", "client", "host", "path", "query", "request_id"]), _any_text))
def test_no_header_line_ever_holds_a_control_byte_whatever_the_request(values: dict[str, str]) -> None:
    everything = "a{id} {client}{host}{path}{query}-{request_id}{**}"
    changes = HeaderChanges(set={"x-a": everything}, add={"x-b": "{id}"})
    for _, value in compile_fields(changes).lines(values):
        assert value.isascii()
        assert value.isprintable() or value == ""


_paths = st.lists(st.text("ab%.;/~é", max_size=4), max_size=5).map(lambda parts: normalise("/" + "/".join(parts)))


@given(
    _paths.filter(bool),
    st.sampled_from(
        [
            {"prefix": "/"},
            {"prefix": "/x/"},
            {"path": "/{**}"},
            {"path": "{path}"},
            {"path": "/x{**}?y={**}"},
            {"regex": {"match": "[ab]", "replace": "."}},
            {"regex": {"match": "/(.)", "replace": r"\1/"}},
        ]
    ),
)
def test_what_is_sent_is_canonical_or_refused(path: str, rewrite: dict[str, Any]) -> None:
    request = _asked(path)
    for rest in (path, "", "/"):
        try:
            sent = compile_rewriting(Rewrite.model_validate(rewrite)).of(request, {"**": rest, "path": path})
        except RewriteError:
            continue
        assert normalise(sent.path) == sent.path
        assert not any(character in sent.query for character in "# \r\n")
