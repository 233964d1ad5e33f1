"""RFC 9112 section 3.2 and RFC 9110 section 4.2: what a request is about. What is read twice is written once."""

from __future__ import annotations

from tests.conformance.cases import Case, Forwarded, Refused, conformance
from tests.conformance.messages import get, raw


def to(target: str, *lines: str, host: str = "a", method: str = "GET") -> bytes:
    return raw(f"{method} {target} HTTP/1.1", f"Host: {host}", *lines)


@conformance(
    Forwarded("9112 3.2.1", "path and query are forwarded", to("/a/b?c=d&e"), to("/a/b?c=d&e")),
    Forwarded("9112 3.2.1", "an empty query stays one", to("/a?"), to("/a?")),
    Forwarded("9110 7.7", "the query stays as it is", to("/?q=%2F%2e+a%20b&x=;,"), to("/?q=%2F%2e+a%20b&x=;,")),
    Forwarded("9110 7.7", "escapes in the path that mean something stay", to("/a%20b%3Fc"), to("/a%20b%3Fc")),
    Forwarded("9110 4.2.3", "an escape that means nothing is written out", to("/%7Euser/%41"), to("/~user/A")),
    Forwarded("9110 4.2.3", "the case of an escape's digits is one", to("/%3b"), to("/%3B")),
    Forwarded("9110 4.2.3", "a byte over 0x7F in the query is escaped", to("/?a=\xe9"), to("/?a=%E9")),
    Forwarded("3986 5.2.4", "dots in the path are resolved", to("/a/./b/../c"), to("/a/c")),
    Refused("3986 5.2.4", "dots that lead out are refused", to("/../etc/passwd"), 400, "target"),
    Refused("3986 5.2.4", "escaped dots are dots", to("/a/%2e%2e/%2e%2e/b"), 400, "target"),
    Refused("9112 3.2", "a fragment is no part of a target", to("/a#b"), 400, "target"),
    Refused("9112 3.2", "nor behind a query", to("/a?b#c"), 400, "target"),
    Refused("9112 3.2", "a path begins with a slash", to("a/b"), 400, "target"),
    Refused("3986 2.1", "an escape has two digits", to("/a%zz"), 400, "target"),
    Refused("3986 2.1", "an escape is not cut off", to("/a%4"), 400, "target"),
    Refused("3986 2.1", "an escaped NUL is refused", to("/a%00b"), 400, "target"),
    Refused("3986 2.1", "an escaped slash is refused: it may be read as one", to("/a%2Fb"), 400, "target"),
    Refused("3986 2.1", "a NUL is refused", to("/a\x00b"), 400, "target"),
    Refused("3986 2.1", "a control byte is refused", to("/a\x01b"), 400, "target"),
    Refused("3986 2.1", "a control byte in the query is refused", to("/?a\x01b"), 400, "target"),
    Refused("3986 2.1", "a backslash is refused", to("/a\\b"), 400, "target"),
)
async def test_the_origin_form(case: Case) -> None:
    await case.check()


@conformance(
    Forwarded("9112 3.2.2", "the absolute form is understood", to("http://a/b?c"), to("/b?c")),
    Forwarded("9112 3.2.2", "without a path it is the root", to("http://a"), to("/")),
    Forwarded("9112 3.2.2", "a query may follow the authority", to("http://a?b"), to("/?b")),
    Forwarded("9110 4.2.3", "scheme and host know no case", to("HTTP://A/b", host="a"), to("/b", host="A")),
    Forwarded("9112 3.2.2", "a port belongs to the authority", to("http://a:8080/", host="a:8080"),
              to("/", host="a:8080")),
    Forwarded("9112 3.2.2", "from HTTP/1.0 it brings the host along", raw("GET http://a/b HTTP/1.0"), to("/b"),
              last=True),
    Refused("9112 3.2.2", "Host that says otherwise is refused", to("http://b/", host="a"), 400, "host"),
    Refused("9112 3.2.2", "also by its port alone", to("http://a:81/", host="a"), 400, "host"),
    Refused("9112 3.2", "the absolute form does not stand for Host", raw("GET http://a/ HTTP/1.1"), 400, "host"),
    Refused("9110 4.2.4", "who says who he is in a URL is refused", to("http://me@a/", host="me@a"), 400, "host"),
    Refused("9110 4.2.1", "a URL without a host is refused", to("http:///b"), 400, "host"),
    Refused("9110 4.2.1", "with a port alone too", to("http://:80/b", host=":80"), 400, "host"),
    Refused("9110 7.4", "other schemes are not served here", to("ftp://a/b"), 400, "target"),
    Refused("9110 7.4", "nor a scheme of no server", to("mailto:a@b"), 400, "target"),
    Refused("9112 3.2.3", "the authority form is for CONNECT", to("a:80"), 400, "target"),
)  # fmt: skip
async def test_the_absolute_form(case: Case) -> None:
    await case.check()


@conformance(
    Forwarded("9112 3.2.4", "the asterisk is for OPTIONS", to("*", method="OPTIONS"), to("*", method="OPTIONS")),
    Forwarded("9112 3.2.4", "an empty path of OPTIONS is forwarded as the asterisk",
              to("http://a", method="OPTIONS"), to("*", method="OPTIONS")),
    Forwarded("9112 3.2.4", "a path of OPTIONS stays one", to("http://a/", method="OPTIONS"),
              to("/", method="OPTIONS")),
    Forwarded("9112 3.2.4", "a query of OPTIONS has a path", to("http://a?b", method="OPTIONS"),
              to("/?b", method="OPTIONS")),
    Refused("9112 3.2.4", "the asterisk is for no other method", to("*"), 400, "target"),
    Refused("9112 3.2.4", "nor with a query", to("*?a", method="OPTIONS"), 400, "target"),
    Refused("9110 9.3.6", "CONNECT is refused", raw("CONNECT a:443 HTTP/1.1", "Host: a:443"), 405, "method"),
    Refused("9110 9.3.6", "in whatever form", raw("CONNECT / HTTP/1.1", "Host: a"), 405, "method"),
    Refused("9110 9.3.8", "TRACE is refused", to("/", method="TRACE"), 405, "method"),
    Refused("9110 9.3.8", "with content all the more",
            raw("TRACE / HTTP/1.1", "Host: a", "Content-Length: 1", body="x"), 405, "method"),
)  # fmt: skip
async def test_the_other_forms(case: Case) -> None:
    await case.check()


@conformance(
    Refused("9112 3.2", "Host may not be missing", raw("GET / HTTP/1.1"), 400, "host"),
    Refused("9112 3.2", "nor come twice", get("Host: a"), 400, "host"),
    Refused("9112 3.2", "nor twice with different values", get("Host: b"), 400, "host"),
    Refused("9112 3.2", "in whatever case its name is written", get("hOsT: b"), 400, "host"),
    Refused("9112 3.2", "an empty Host names no http server", to("/", host=""), 400, "host"),
    Refused("9112 3.2", "a list of hosts is none", to("/", host="a, b"), 400, "host"),
    Refused("9112 3.2", "no blank in it", to("/", host="a b"), 400, "host"),
    Refused("9112 3.2", "no path in it", to("/", host="a/b"), 400, "host"),
    Refused("9112 3.2", "no query in it", to("/", host="a?b"), 400, "host"),
    Refused("9112 3.2", "no user in it", to("/", host="me@a"), 400, "host"),
    Refused("9112 3.2", "no scheme in it", to("/", host="http://a"), 400, "host"),
    Refused("9112 3.2", "a port is a number", to("/", host="a:b"), 400, "host"),
    Refused("9112 3.2", "a port is not negative", to("/", host="a:-1"), 400, "host"),
    Refused("9112 3.2", "a port is below 65536", to("/", host="a:65536"), 400, "host"),
    Refused("9110 7.2", "brackets hold an IPv6 address", to("/", host="[1]"), 400, "host"),
    Refused("9112 3.2", "there is one port", to("/", host="a:1:2"), 400, "host"),
    Refused("9112 3.2", "an address in brackets is closed", to("/", host="[::1"), 400, "host"),
    Refused("9112 3.2", "what is in brackets is an address", to("/", host="[x]"), 400, "host"),
    Refused("9112 3.2", "bytes over 0x7F name no host", to("/", host="\xffa\xff"), 400, "host"),
    Refused("9112 3.2", "a name is not longer than names are", to("/", host="a" * 300), 400, "host"),
    Forwarded("9110 7.2", "Host is forwarded first, as it came", raw("GET / HTTP/1.1", "X: 1", "Host: ShOp.example:81"),
              raw("GET / HTTP/1.1", "Host: ShOp.example:81", "X: 1")),
    Forwarded("9110 4.2.3", "a port may be empty", to("/", host="a:"), to("/", host="a:")),
    Forwarded("3986 3.2.2", "an address of IPv6 is a host", to("/", host="[::1]:8080"), to("/", host="[::1]:8080")),
    Forwarded("3986 3.2.2", "an address of IPv4 is a host", to("/", host="127.0.0.1"), to("/", host="127.0.0.1")),
    Forwarded("3986 3.2.2", "an underscore is part of a name", to("/", host="a_b.c"), to("/", host="a_b.c")),
)  # fmt: skip
async def test_host(case: Case) -> None:
    await case.check()
