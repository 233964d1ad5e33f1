"""Forms are compared by field, cookies by attribute, redirects by the place that they lead to."""

from __future__ import annotations

import pytest

from proxy.dataplane.canonical import added_fields, copied_request
from proxy.dataplane.heads import parse_request
from shadow.comparing.compare import compare, judge
from shadow.comparing.differences import DifferenceKind as Kind
from shadow.comparing.headers import place_of, url_of
from shadow.pair import Answer
from shadow.redaction.redact import Redactor
from shadow.spec import Comparison, Redact
from tests.fakes.pairs import answer, pair, text

FORM = "application/x-www-form-urlencoded"
COOKIES = Comparison.model_validate({"headers": ["Set-Cookie"]})


def in_forms(legacy: str, candidate: str) -> list[tuple[Kind, str]]:
    differences = compare(text(legacy, FORM), text(candidate, FORM), Comparison()).differences
    return [(each.kind, each.pointer) for each in differences]


@pytest.mark.parametrize(
    ("legacy", "candidate"),
    [("a=1&b=2", "b=2&a=1"), ("a=x+y", "a=x%20y"), ("a=1&a=2&b=", "b=&a=1&a=2"), ("n=%C3%A9", "n=é")],
)
def test_forms_are_equal_when_each_name_has_the_same_values_in_order(legacy: str, candidate: str) -> None:
    assert in_forms(legacy, candidate) == []


def test_a_difference_in_a_form_is_named_by_its_field() -> None:
    assert in_forms("a=1&b=2&c=3", "a=1&b=4&d=") == [
        (Kind.VALUE_CHANGED, "form:b"),
        (Kind.MISSING, "form:c"),
        (Kind.ADDED, "form:d"),
    ]
    assert in_forms("a=1&a=2", "a=2&a=1") == [(Kind.VALUE_CHANGED, "form:a/0"), (Kind.VALUE_CHANGED, "form:a/1")]
    assert in_forms("a=1", "a=1&a=1") == [(Kind.ADDED, "form:a/1")]


def test_a_form_of_more_fields_than_are_read_is_compared_as_text() -> None:
    many = "&".join("a=1" for _ in range(10_001))
    assert in_forms(many, many + "2") == [(Kind.VALUE_CHANGED, "line:1")]


def test_a_mask_names_a_field_of_a_form() -> None:
    mask = {"path": "form:at", "kind": "timestamp", "within": "2s"}
    comparison = Comparison.model_validate({"masks": [mask]})
    legacy, candidate = (text(f"at=2026-11-22T10%3A00%3A0{n}Z", FORM) for n in (1, 2))
    assert compare(legacy, candidate, comparison).equal


def in_cookies(legacy: list[str], candidate: list[str], comparison: Comparison = COOKIES) -> list[tuple[Kind, str]]:
    sides = (answer({}, headers=tuple(("Set-Cookie", line) for line in lines)) for lines in (legacy, candidate))
    return [(each.kind, each.pointer) for each in compare(*sides, comparison).differences]


@pytest.mark.parametrize(
    ("legacy", "candidate"),
    [
        (["a=1; Path=/; HttpOnly"], ["a=1;HTTPONLY;path=/"]),
        (["a=1", "b=2"], ["b=2", "a=1"]),
        (["a=1; Domain=.shop.example"], ["a=1; domain=SHOP.example"]),
        (["a=1; Expires=Wed, 09-Jun-2027 10:18:14 GMT"], ["a=1; expires=Wed, 09 Jun 2027 10:18:14 GMT"]),
        (["a=1; SameSite=LAX; Secure"], ["a=1; secure; samesite=Lax"]),
        (["a=1; Path=/x", "a=1; Path=/y"], ["a=1; Path=/y", "a=1; Path=/x"]),
    ],
)
def test_cookies_are_equal_when_a_browser_keeps_the_same(legacy: list[str], candidate: list[str]) -> None:
    assert in_cookies(legacy, candidate) == []


def test_a_difference_in_a_cookie_is_named_by_cookie_and_attribute() -> None:
    assert in_cookies(["SID=1; Path=/; Secure", "gone=1"], ["SID=2; Path=/a; HttpOnly", "came=1"]) == [
        (Kind.HEADER, "header:set-cookie/SID/value"),
        (Kind.HEADER, "header:set-cookie/SID/path"),
        (Kind.HEADER, "header:set-cookie/SID/secure"),
        (Kind.HEADER, "header:set-cookie/SID/httponly"),
        (Kind.MISSING, "header:set-cookie/gone"),
        (Kind.ADDED, "header:set-cookie/came"),
    ]


def test_masks_name_a_cookie_an_attribute_or_all_cookies() -> None:
    legacy, candidate = ([f"SID={n}; Expires=Wed, 09 Jun 2027 10:18:1{n} GMT"] for n in (1, 2))
    value = {"path": "header:Set-Cookie/SID/value", "kind": "ignore"}
    expires = {"path": "header:set-cookie/*/expires", "kind": "timestamp", "within": "2s"}
    for masks in ([value, expires], [{"path": "header:Set-Cookie", "kind": "ignore"}]):
        comparison = Comparison.model_validate({"headers": ["set-cookie"], "masks": masks})
        assert in_cookies(legacy, candidate, comparison) == []


def test_no_secret_of_a_cookie_or_a_form_is_shown_in_a_difference() -> None:
    headers = (
        ("Set-Cookie", "SID=hunter2hunter2; Path=/"),
        ("Set-Cookie", "old=hunter3hunter3"),
        ("Content-Type", FORM),
    )
    legacy = Answer(200, headers, b"pin=hunter4&n=1&token=a;hunter5")
    candidate = Answer(200, (("Set-Cookie", "SID=hunter6; Path=/a"), headers[2]), b"pin=hunter7%26hunter8&n=2")
    judged = judge(pair(legacy, candidate), COOKIES)
    redact = Redact(fields=("/card/pin",), query=("token",))
    _, differences = Redactor(b"k" * 32).pair(judged.pair, judged.outcome.differences, redact)
    assert {each.pointer for each in differences} == {
        "header:set-cookie/SID/value",
        "header:set-cookie/SID/path",
        "header:set-cookie/old",
        "form:pin",
        "form:token",
        "form:n",
    }
    assert "hunter" not in repr(differences)
    shown = {each.pointer: (each.legacy, each.candidate) for each in differences}
    assert shown["form:n"] == ("1", "2")
    assert shown["header:set-cookie/SID/path"] == ("/", "/a")


def forwarded(scheme: str = "http", told: tuple[bytes, bytes] | None = None) -> tuple[tuple[str, str], ...]:
    """A request's header lines as a worker puts them into pairs. `told`: what a trusted proxy says of the client."""
    head = parse_request(b"GET /shop/cart?x=1 HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Proto: ftp", "10.0.0.7")
    head.scheme, head.told = scheme.encode(), told
    lines = copied_request(head) + added_fields(head, b"request", b"trace")
    return tuple((name.decode(), value.decode()) for name, value in lines)


def redirected(legacy: str, candidate: str, *headers: tuple[str, str]) -> bool:
    sides = (answer(b"", 302, headers=(("Location", place),)) for place in (legacy, candidate))
    made = pair(*sides, target="/shop/cart?x=1", request_headers=headers or forwarded())
    return judge(made, Comparison()).outcome.equal


@pytest.mark.parametrize(
    ("legacy", "candidate", "same"),
    [
        ("http://shop.example/shop/done", "/shop/done", True),
        ("http://shop.example/shop/done", "done", True),
        ("http://SHOP.example:80/a", "../a", True),
        ("http://shop.example", "/", True),
        ("?page=2", "/shop/cart?page=2", True),
        ("https://shop.example/a", "/a", False),
        ("http://legacy.example/a", "/a", False),
        ("/a", "/a?x=1", False),
        ("/a", "/a#b", False),
        ("http://shop.example:9000/a", "/a", False),
        ("http://[broken", "/a", False),
    ],
)
def test_redirects_are_equal_when_they_lead_to_the_same_place(legacy: str, candidate: str, same: bool) -> None:
    assert redirected(legacy, candidate) is same
    assert redirected(candidate, legacy) is same


def test_the_scheme_of_a_relative_redirect_is_the_one_that_the_client_used() -> None:
    assert redirected("https://shop.example/a", "/a", *forwarded("https"))
    assert not redirected("http://shop.example/a", "/a", *forwarded("https"))
    assert not redirected(
        "https://shop.example/shop/cart?x=1", "?x=1", *forwarded()
    )  # one goes to https, one in a circle


def test_behind_a_trusted_proxy_a_relative_redirect_leads_to_where_its_client_was() -> None:
    lines = forwarded("https", (b"203.0.113.9", b"www.shop.example"))
    assert redirected("https://www.shop.example/a", "/a", *lines)
    assert not redirected("https://shop.example/a", "/a", *lines)


def test_without_a_host_a_relative_place_stays_relative() -> None:
    assert url_of(pair(answer({}), answer({}))) == "/items"
    assert place_of("x", "/items") == "/x"
