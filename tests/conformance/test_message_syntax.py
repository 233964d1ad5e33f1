"""RFC 9112 sections 2, 3 and 5: lines, the request line, field lines."""

from __future__ import annotations

import pytest

from tests.conformance.cases import LAST, OK, Case, Forwarded, Refused, Scripted, conformance, read_answer, soon
from tests.conformance.messages import get, post, raw
from tests.fakes.planes import running, table


@conformance(
    Forwarded("9112 2.2", "an empty line before the request line is skipped", b"\r\n" + get(), get()),
    Forwarded("9112 2.2", "so are several", b"\r\n\r\n\r\n" + get(), get()),
    Refused("9112 2.2", "a bare LF ends no request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400, "request_line"),
    Refused("9112 2.2", "a bare LF ends no field line", b"GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", 400,
            "header_value"),
    Refused("9112 2.2", "a bare LF ends no head", b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\n\r\n\r\n", 400, "header_value"),
    Refused("9112 2.2", "bare LF everywhere is no head", b"GET / HTTP/1.1\nHost: a\n\n", 400, "request_line"),
    Refused("9112 2.2", "a bare CR ends no line", b"GET / HTTP/1.1\rHost: a\r\r", 400, "request_line"),
    Refused("9112 2.2", "a bare CR in a value is invalid", get("X: a\rb"), 400, "header_value"),
    Refused("9112 2.2", "a bare CR in the request line is invalid", raw("GET /\r HTTP/1.1", "Host: a"), 400, "target"),
    Refused("9112 2.2", "a bare CR before a name is invalid", get("\rSome-Header: Test"), 400, "header_name"),
    Refused("9112 2.2", "CR CR LF is no line end", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400, "header_value"),
    Refused("9112 2.2", "a blank before the first field is refused", raw("GET / HTTP/1.1", " Host: a"), 400,
            "obs_fold"),
    Refused("9112 2.2", "a tab before the first field is refused", raw("GET / HTTP/1.1", "\tX: 1", "Host: a"), 400,
            "obs_fold"),
    Refused("9112 2.2", "a line of blanks is no empty line", b" \r\n" + get(), 400, "request_line"),
    Refused("9112 2.2", "what is no HTTP is answered with 400", b"\x00\x01\x02\xfe\xff\r\n\r\n", 400, "request_line"),
)  # fmt: skip
async def test_lines_end_in_crlf_and_in_nothing_else(case: Case) -> None:
    await case.check()


@conformance(
    Refused("9112 2.3", "the version's name is case-sensitive", raw("GET / http/1.1", "Host: a"), 400, "request_line"),
    Refused("9112 2.3", "a minor version is one digit", raw("GET / HTTP/1.10", "Host: a"), 400, "request_line"),
    Refused("9112 2.3", "a major version is one digit", raw("GET / HTTP/01.1", "Host: a"), 400, "request_line"),
    Refused("9112 2.3", "the minor version may not be missing", raw("GET / HTTP/1", "Host: a"), 400, "request_line"),
    Refused("9112 2.3", "blanks have no place in a version", raw("GET / HTTP/ 1.1", "Host: a"), 400, "request_line"),
    Refused("9112 2.3", "other protocols have no place here", raw("GET / ICE/1.0", "Host: a"), 400, "request_line"),
    Refused("9112 2.3", "HTTP/0.9 has no version, and is refused", b"GET /\r\n\r\n", 400, "request_line"),
    Refused("9112 2.3", "an empty version is none", raw("GET / ", "Host: a"), 400, "request_line"),
    Refused("9110 15.6.6", "a named 0.9 is another major version", raw("GET / HTTP/0.9", "Host: a"), 505, "version"),
    Refused("9110 15.6.6", "HTTP/2 is another major version", raw("GET / HTTP/2.0", "Host: a"), 505, "version"),
    Refused("9110 15.6.6", "HTTP/9.9 is another major version", raw("GET / HTTP/9.9", "Host: a"), 505, "version"),
    Refused("9113 3.4", "the preface of HTTP/2 is refused", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version"),
    Forwarded("9110 2.5", "a higher minor version is read as 1.1", raw("GET / HTTP/1.2", "Host: a"), get()),
    Forwarded("9110 2.5", "so is the highest one", raw("GET / HTTP/1.9", "Host: a"), get()),
    Refused("9112 3.2", "and Host is missed in it as in 1.1", raw("GET / HTTP/1.2"), 400, "host"),
)
async def test_versions(case: Case) -> None:
    await case.check()


@conformance(
    Refused("9112 3", "two blanks before the target are refused", raw("GET  / HTTP/1.1", "Host: a"), 400,
            "request_line"),
    Refused("9112 3", "two blanks behind the target are refused", raw("GET /  HTTP/1.1", "Host: a"), 400,
            "request_line"),
    Refused("9112 3", "a blank behind the version is refused", raw("GET / HTTP/1.1 ", "Host: a"), 400, "request_line"),
    Refused("9112 3", "a tab is no blank", raw("GET\t/\tHTTP/1.1", "Host: a"), 400, "request_line"),
    Refused("9112 3", "a target may not be missing", raw("GET HTTP/1.1", "Host: a"), 400, "request_line"),
    Refused("9112 3", "a method alone is no request", raw("GET", "Host: a"), 400, "request_line"),
    Refused("9112 3", "nothing may stand before the method", raw("Extra lineGET / HTTP/1.1", "Host: a"), 400,
            "request_line"),
    Refused("9112 3", "a blank in the target is refused", raw("GET /a b HTTP/1.1", "Host: a"), 400, "request_line"),
    Refused("9112 3.1", "an empty method is none", raw(" / HTTP/1.1", "Host: a"), 400, "method"),
    Refused("9110 9.1", "a method is a token: no delimiters", raw("G=\":<>(e),[T];?\" / HTTP/1.1", "Host: a"), 400,
            "method"),
    Refused("9110 9.1", "a method is a token: no NUL", raw("G\x00T / HTTP/1.1", "Host: a"), 400, "method"),
    Refused("9110 9.1", "a method is a token: no bytes over 0x7F", raw("G\xc9T / HTTP/1.1", "Host: a"), 400, "method"),
    Refused("9110 15.6.2", "a method longer than any is not implemented", raw(f"{'M' * 200} / HTTP/1.1", "Host: a"),
            501, "method"),
    Refused("9110 9.1", "methods are case-sensitive: get is not GET, though some servers say so",
            raw("get / HTTP/1.1", "Host: a"), 501, "method"),
    Refused("9110 9.1", "nor is it once in capitals", raw("Get / HTTP/1.1", "Host: a"), 501, "method"),
    Forwarded("9110 9.1", "a method that fig does not know is the service's to judge",
              raw("PROPFIND / HTTP/1.1", "Host: a"), raw("PROPFIND / HTTP/1.1", "Host: a")),
    Forwarded("9110 9.1", "every token is a method", raw("M!#$%&'*+-.^_`|~9 / HTTP/1.1", "Host: a"),
              raw("M!#$%&'*+-.^_`|~9 / HTTP/1.1", "Host: a")),
)  # fmt: skip
async def test_request_lines(case: Case) -> None:
    await case.check()


@conformance(
    Refused("9112 5.1", "no blank between name and colon", get("X : 1"), 400, "header_name"),
    Refused("9112 5.1", "no tab between name and colon", get("X\t: 1"), 400, "header_name"),
    Refused("9112 5.1", "nor before the colon of Host", raw("GET / HTTP/1.1", "Host : a"), 400, "header_name"),
    Refused("9112 5.1", "nor before the colon of a framing field", post("Content-Length : 5", body="hello"), 400,
            "header_name"),
    Refused("9112 5.1", "nor before that of the other one", post("Transfer-Encoding : chunked", body="0\r\n\r\n"), 400,
            "header_name"),
    Refused("9112 5.2", "a folded value is refused", get("X: 1", "  folded: 2"), 400, "obs_fold"),
    Refused("9112 5.2", "one that is folded without a colon too", get("X: 1", "\tfolded"), 400, "header_line"),
    Refused("9112 5.2", "a folded framing field is refused",
            post("Transfer-Encoding:", " chunked", body="0\r\n\r\n"), 400, "header_line"),
    Refused("9112 5", "a field line has a colon", get("NoColon"), 400, "header_line"),
    Refused("9112 5", "a field line has a name", get(": 1"), 400, "header_name"),
    Refused("9112 5", "a name is not continued on the next line", post("Transfer-", "Encoding: chunked"), 400,
            "header_line"),
    Refused("9110 5.1", "a name is a token: no brackets", get("X-Invalid[]: test"), 400, "header_name"),
    Refused("9110 5.1", "a name is a token: no blank inside", get("Bad Header: 1"), 400, "header_name"),
    Refused("9110 5.1", "a name is a token: no NUL", get("X\x00Y: 1"), 400, "header_name"),
    Refused("9110 5.1", "a name is a token: no control byte", get("X\x0bY: 1"), 400, "header_name"),
    Refused("9110 5.1", "a name is a token: no bytes over 0x7F", get("X\x85: 1"), 400, "header_name"),
    Refused("9110 5.1", "a name is a token: no quotes", get('"X": 1'), 400, "header_name"),
    Refused("9110 5.5", "no NUL in a value", get("X: a\x00b"), 400, "header_value"),
    Refused("9110 5.5", "no NUL in the value of Host", raw("GET / HTTP/1.1", "Host: a\x00b"), 400, "header_value"),
    Refused("9110 5.5", "no control byte in a value", get("X: a\x07"), 400, "header_value"),
    Refused("9110 5.5", "no DEL in a value", get("X: a\x7f"), 400, "header_value"),
    Refused("9110 5.5", "no vertical tab in a framing field", post("Transfer-Encoding: \x0bchunked"), 400,
            "header_value"),
    Forwarded("9112 5.1", "blanks around a value are no part of it", get("X: \t 1 \t "), get("X: 1")),
    Forwarded("9112 5.1", "they may be missing", get("X:1"), get("X: 1")),
    Forwarded("9112 5.1", "a tab is a blank there", raw("GET / HTTP/1.1", "hoSt:\ta"), get()),
    Forwarded("9110 5.5", "a value may be empty", get("X:", "Y: "), get("X: ", "Y: ")),
    Forwarded("9110 5.5", "a tab inside a value stays", get("X: a\tb"), get("X: a\tb")),
    Forwarded("9110 5.5", "bytes over 0x7F are opaque", get("X: \xff\x80\xe9"), get("X: \xff\x80\xe9")),
    Forwarded("9110 5.6.4", "quoted strings stay as they are", get('X: "a\\"b, c"'), get('X: "a\\"b, c"')),
    Forwarded("9110 5.1", "unknown fields are forwarded", get("X-Nobody-Knows: 1"), get("X-Nobody-Knows: 1")),
    Forwarded("9110 5.1", "every token is a name", get("!#$%&'*+-.^_`|~9A: 1"), get("!#$%&'*+-.^_`|~9A: 1")),
    Forwarded("9110 5.3", "lines of one name keep their order and stay apart",
              get("X: 1", "Y: 2", "X: 3", "x: 4"), get("X: 1", "Y: 2", "X: 3", "x: 4")),
    Forwarded("9110 5.3", "cookies stay in their line", get("Cookie: a=1; b=2"), get("Cookie: a=1; b=2")),
    Forwarded("9110 5.4", "a value of 16 KB is forwarded", get(f"X: {'v' * 16384}"), get(f"X: {'v' * 16384}")),
    Forwarded("9110 5.4", "ninety fields are forwarded", get(*(f"X-{n}: {n}" for n in range(90))),
              get(*(f"X-{n}: {n}" for n in range(90)))),
)  # fmt: skip
async def test_field_lines(case: Case) -> None:
    await case.check()


WHOLE = raw("GET /hello HTTP/1.1", "Host: a", "X: 1")


@pytest.mark.parametrize("size", range(1, len(WHOLE)), ids=lambda size: repr(WHOLE[:size][-6:]))
async def test_a_head_that_is_not_complete_is_waited_for(size: int) -> None:
    """RFC 9112 2.2: a message is what its grammar says, however it is cut into segments."""
    async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(WHOLE[:size])
        await soon()
        assert fig.notes.refusals == []
        assert service.connections == 0

        client.send(WHOLE[size:])
        assert (await client.message()).status == 200


@pytest.mark.parametrize(
    "start",
    [b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
     b"\n", b" GET", b"\r\n\x00"],
)  # fmt: skip
async def test_what_cannot_become_a_request_is_refused_at_once(start: bytes) -> None:
    """RFC 9112 2.2: the server SHOULD respond with 400. A client that speaks TLS, or ends its lines with LF, learns it
    now and not when the time for a head is over."""
    async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(start)

        got, _, _ = read_answer((await client.rest())[0])
        assert got.status_code == 400
        assert len(fig.notes.refusals) == 1


async def test_a_good_request_is_answered_though_the_one_behind_it_is_bad() -> None:
    """RFC 9112 9.3.2: answers come in the order of the requests."""
    async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(get() + get("X : 1") + LAST)

        assert (await client.message()).status == 200
        assert (await client.message()).status == 400
        assert await client.rest() == (b"", True)
