"""What the data plane refuses, explain refuses alike: the same request is read by both."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dataplane.heads import RequestHead, parse_request
from proxy.dataplane.ports import Limits
from proxy.dataplane.refusals import Refusal
from rules.asked import LARGEST_HEAD, LONGEST_LINE, Asked, RefusedError, ask

Lines = list[tuple[str, str]]


def by_the_data_plane(method: str, target: str, lines: Lines) -> RequestHead | int:
    head = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in lines)]
    try:
        return parse_request("\r\n".join(head).encode(), "10.0.0.1")
    except Refusal as refusal:
        return refusal.status


def by_explain(method: str, target: str, lines: Lines) -> Asked | int:
    try:
        return ask(method, target, lines, "10.0.0.1")
    except RefusedError as exc:
        return exc.status


def agree(method: str, target: str, lines: Lines) -> bool:
    """Whether both refuse the request, or both take it and see the same in it."""
    theirs, ours = by_the_data_plane(method, target, lines), by_explain(method, target, lines)
    if isinstance(theirs, int) or isinstance(ours, int):
        return isinstance(theirs, int) and isinstance(ours, int)  # of several faults either may be named first
    names = {"cookie", *(name.lower() for name, _ in lines)}
    return (
        (theirs.method, theirs.host, theirs.port, theirs.path, theirs.query, theirs.client)
        == (ours.method, ours.host, ours.port, ours.path, ours.query, ours.client)
    ) and all(list(theirs.values(name)) == list(ours.values(name)) for name in names)


HOST = [("Host", "shop.example")]


@pytest.mark.parametrize(
    ("method", "target", "lines"),
    [
        ("GET", "/api//products/%37?x=1", HOST),
        ("CONNECT", "/", HOST),
        ("TRACE", "/", HOST),
        ("get", "/", HOST),
        ("G(T", "/", HOST),
        ("OPTIONS", "*", HOST),
        ("GET", "*", HOST),
        ("GET", "/a%2fb", HOST),
        ("GET", "/../x", HOST),
        ("GET", "/caf\xe9?q=\xe9", HOST),
        ("GET", '/?q="quoted"', HOST),
        ("GET", "/?a=b?c=%zz", HOST),
        ("GET", "/", [("Host", "Shop.Example:8080")]),
        ("GET", "/", [("Host", "shop.example:")]),
        ("GET", "/", [("Host", "[::1]:9")]),
        ("GET", "/", [("Host", "shop example")]),
        ("GET", "/", [("Host", "shop.example:999999")]),
        ("GET", "/", [("Host", "x" * 262)]),
        ("GET", "/", [("Host", "")]),
        ("GET", "/", [*HOST, ("host", "other.example")]),
        ("GET", "/", [*HOST, ("X App", "a")]),
        ("GET", "/", [*HOST, ("X-App", "a\x01b")]),
        ("GET", "/", [*HOST, ("X-App", "  caf\xe9\t")]),
        ("GET", "/", [*HOST, ("X-App", "a"), ("x-app", "b")]),
        ("GET", "/", [*HOST, ("Cookie", "a=1"), ("Cookie", "b=2")]),
        ("GET", "/", [*HOST, ("X-App", "a"), ("Cookie", "a=1"), ("Connection", "x-app, Cookie, host")]),
        ("POST", "/", [*HOST, ("Content-Length", "5"), ("Transfer-Encoding", "chunked")]),
        ("POST", "/", [*HOST, ("Transfer-Encoding", "gzip, chunked")]),
        ("POST", "/", [*HOST, ("Transfer-Encoding", "Chunked")]),
        ("POST", "/", [*HOST, ("Content-Length", "+5")]),
        ("POST", "/", [*HOST, ("Content-Length", "5"), ("Content-Length", "5")]),
        ("POST", "/", [*HOST, ("Expect", "200-maybe")]),
        ("POST", "/", [*HOST, ("Idempotency-Key", "a"), ("idempotency-key", "a")]),
        ("GET", "/", [*HOST, *((f"X-{number}", "") for number in range(99))]),
        ("GET", "/", [*HOST, *((f"X-{number}", "") for number in range(100))]),
    ],
)
def test_explain_reads_a_request_as_the_data_plane_does(method: str, target: str, lines: Lines) -> None:
    assert agree(method, target, lines)
    theirs, ours = by_the_data_plane(method, target, lines), by_explain(method, target, lines)
    assert not isinstance(ours, int) or theirs == ours


TARGETS = st.text("/ab.%2fF5cC7eE~;x?=&\"'\\ \xe9*|[]", max_size=12).map(lambda rest: "/" + rest)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["X-A", "x-a", "Cookie", "Connection", "Content-Length", "X_Forwarded_For", "Te", "Expect"]),
        st.text("ab1, ;=x-XA\xe9\x7f\tcookie", max_size=10),
    ),
    max_size=5,
)


@settings(max_examples=500)
@given(st.sampled_from(["GET", "POST", "CONNECT", "M-SEARCH", "a b", "OPTIONS"]), TARGETS, HEADERS)
def test_whatever_is_asked_explain_and_the_data_plane_agree(method: str, target: str, lines: Lines) -> None:
    if " " in target or " " in method:
        return  # the data plane sees another request line, and a URL never holds a blank
    assert agree(method, target, [*HOST, *lines])


def test_what_is_too_large_for_the_data_plane_is_too_large_for_explain() -> None:
    assert (Limits().target, Limits().head) == (LONGEST_LINE, LARGEST_HEAD)
    fits = "/" + "a" * (LONGEST_LINE - len("GET / HTTP/1.1"))
    assert by_explain("GET", fits + "a", HOST) == 414
    assert isinstance(by_explain("GET", fits, HOST), Asked)
    line = ("x-a", "a" * 1000)
    assert by_explain("GET", "/", [*HOST, *[line] * 66]) == 431
    assert isinstance(by_explain("GET", "/", [*HOST, *[line] * 64]), Asked)


@pytest.mark.parametrize("url", ["http://[::1/", "ftp://shop.example/", "shop.example/api", "", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    if url == "http://":
        assert ask("GET", url).host == "localhost"
        return
    with pytest.raises(RefusedError):
        ask("GET", url)


def test_a_request_that_names_no_port_is_for_its_schemes_own() -> None:
    assert (Asked("GET", "h", "/").port, Asked("GET", "h", "/", scheme="https").port) == (80, 443)
    assert Asked("GET", "h", "/", scheme="https", port=80).port == 80


def test_a_url_says_host_port_scheme_path_and_query_and_keeps_name_and_fragment_to_itself() -> None:
    asked = ask("GET", "https://jane:secret@Shop.Example/a?b#c")
    assert (asked.scheme, asked.host, asked.port, asked.path, asked.query) == ("https", "shop.example", 443, "/a", "b")
    assert "secret" not in repr(asked)
