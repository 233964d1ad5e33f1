"""Redirects and fixed answers."""

from __future__ import annotations

from typing import Any

import pytest

from rules.asked import Asked
from rules.own_answers import OwnAnswer
from rules.rewriting import RewriteError
from tests.rules.conftest import MakeTable


@pytest.fixture
def answered(make_table: MakeTable) -> Any:
    def answered(
        route: dict[str, Any],
        target: str = "/api/products/7?page=2",
        scheme: str = "http",
        host: str = "shop.example",
        port: int | None = None,
        **more: Any,
    ) -> OwnAnswer:
        path, _, query = target.partition("?")
        request = Asked("GET", host, path, query, "192.0.2.7", port or {"http": 80, "https": 443}[scheme])
        whole = {"match": {"path": "/api/products/**"}} | route
        taken = make_table([whole], **more).route(request)
        assert taken.own is not None
        return taken.own.answer(request, scheme, taken.captures(request) | {"host": host, "path": path})

    return answered


@pytest.fixture
def location(answered: Any) -> Any:
    return lambda redirect, *args, **more: dict(answered({"redirect": redirect}, *args, **more).headers)["Location"]


@pytest.mark.parametrize(
    ("redirect", "leads"),
    [
        ({"host": "new.example"}, "http://new.example/api/products/7?page=2"),
        ({"scheme": "https"}, "https://shop.example/api/products/7?page=2"),
        ({"path": "/gone"}, "http://shop.example/gone?page=2"),
        ({"path": "/gone?why=moved"}, "http://shop.example/gone?why=moved"),
        ({"path": "/gone?"}, "http://shop.example/gone"),
        ({"prefix": "/catalog"}, "http://shop.example/catalog/7?page=2"),
        ({"regex": {"match": "^/api", "replace": ""}}, "http://shop.example/products/7?page=2"),
        ({"query": "drop", "path": "/x"}, "http://shop.example/x"),
        ({"port": 8443, "scheme": "https"}, "https://shop.example:8443/api/products/7?page=2"),
        ({"port": 80}, "http://shop.example/api/products/7?page=2"),
        ({"port": 443, "scheme": "https"}, "https://shop.example/api/products/7?page=2"),
        ({"port": 443}, "http://shop.example:443/api/products/7?page=2"),
        ({"scheme": "wss"}, "wss://shop.example/api/products/7?page=2"),
        ({"scheme": "ws", "port": 8080}, "ws://shop.example:8080/api/products/7?page=2"),
        ({"status": 307}, "http://shop.example/api/products/7?page=2"),
        ({"regex": {"match": "^/api/", "replace": ""}}, "http://shop.example/products/7?page=2"),
        ({"host": "new.example:81"}, "http://new.example:81/api/products/7?page=2"),
        ({"host": "[2001:db8::1]", "port": 81}, "http://[2001:db8::1]:81/api/products/7?page=2"),
        ({"host": "www.{host}"}, "http://www.shop.example/api/products/7?page=2"),
    ],
)
def test_what_a_redirect_does_not_say_stays_as_the_request_has_it(
    location: Any, redirect: dict[str, Any], leads: str
) -> None:
    assert location(redirect) == leads


def test_the_port_that_host_named_is_kept_unless_the_scheme_changes(location: Any) -> None:
    assert location({"path": "/x", "query": "drop"}, port=8080) == "http://shop.example:8080/x"
    assert location({"path": "/x", "query": "drop"}, scheme="https", port=443) == "https://shop.example/x"
    assert location({"scheme": "https"}, "/api/products", port=8080) == "https://shop.example/api/products"


def test_without_a_host_the_location_is_a_path(location: Any) -> None:
    assert location({"path": "/x"}, host="") == "/x?page=2"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_has_the_status_it_names_and_no_body(answered: Any, status: int) -> None:
    answer = answered({"redirect": {"path": "/x", "status": status}})
    assert (answer.status, answer.body) == (status, b"")


def test_a_redirect_never_leads_to_another_host_by_its_path(location: Any) -> None:
    leads = location({"regex": {"match": "^/api/products", "replace": "/"}}, "/api/products/evil.example/x")
    assert leads == "http://shop.example/evil.example/x"
    assert location({"regex": {"match": "products", "replace": "/"}}, "/api/products/x", host="") == "/api/x"


def test_a_redirect_whose_host_is_none_is_refused(answered: Any) -> None:
    with pytest.raises(RewriteError):
        answered({"match": {"path": "/api/{a}/**"}, "redirect": {"host": "{a}.example"}}, "/api/a%40b/x")


def test_a_request_about_the_server_has_no_path_to_lead_to(answered: Any) -> None:
    with pytest.raises(RewriteError, match="about no path"):
        answered({"match": {"methods": ["GET"]}, "redirect": {"scheme": "https"}}, "*")


def test_a_retired_path_answers_410_with_its_body(answered: Any) -> None:
    answer = answered({"respond": {"status": 410, "body": "gone, see /v2"}})
    assert answer == OwnAnswer(410, (("Content-Type", "text/plain; charset=utf-8"),), b"gone, see /v2")


def test_a_maintenance_page_names_its_own_type_and_headers(answered: Any) -> None:
    headers = {"content-type": "text/html", "Retry-After": "120", "X-Path": "{path}"}
    answer = answered({"respond": {"status": 503, "body": "<p>é", "headers": headers}})
    assert answer.headers == (("content-type", "text/html"), ("Retry-After", "120"), ("X-Path", "/api/products/7"))
    assert answer.body == "<p>é".encode()


def test_without_a_body_no_type_is_named(answered: Any) -> None:
    assert answered({"respond": {"status": 204}}) == OwnAnswer(204, (), b"")


def test_response_headers_bind_figs_own_answers_too(answered: Any) -> None:
    block = {"set": {"Content-Type": "text/x"}, "add": {"X-A": "1"}}
    answer = answered({"respond": {"status": 410, "body": "x"}, "response_headers": block})
    assert answer.headers == (("Content-Type", "text/x"), ("X-A", "1"))


def test_defaults_bind_figs_own_answers_only_when_they_name_both_sides(answered: Any) -> None:
    for sides, expected in (("both", (("X-A", "1"),)), ("candidate", ())):
        defaults = {"response_headers": {"set": {"X-A": "1"}, "sides": sides}}
        assert answered({"respond": {"status": 404}}, defaults=defaults).headers == expected


def test_an_own_answer_says_which_values_it_asks_for(make_table: MakeTable) -> None:
    route = {"match": {"path": "/{id}/**"}, "redirect": {"prefix": "/x", "host": "{id}.example"}}
    own = make_table([route]).routes[0].own
    assert own is not None
    assert own.names == {"id", "**"}
