"""RFC 9110 section 6.5 and RFC 9112 section 7.1.2: fields behind a body. They are passed on, and decide nothing."""

from __future__ import annotations

from tests.conformance.cases import Case, Forwarded, Refused, Returned, conformance
from tests.conformance.messages import chunked, ok, raw

CHUNK = "5\r\nhello\r\n"
FORBIDDEN = (
    "Content-Length: 9", "Transfer-Encoding: chunked", "Host: evil", "Connection: close", "Authorization: Basic x",
    "Content-Type: text/html", "Cookie: a=1", "X-Forwarded-For: 6.6.6.6", "X-Real-IP: 6.6.6.6", "Via: 1.1 x",
    "X-Forwarded-User: root", "Forwarded: for=x", "Expect: 100-continue", "X-Request-Id: 1", "Trailer: x", "TE: x",
    "Max-Forwards: 1", "Content-Encoding: gzip", "Content-Range: 1", "Keep-Alive: 5", "Upgrade: x", "Cache-Control: x",
    "Range: bytes=0-1", "If-Match: *", "Proxy-Authorization: x", "Set-Cookie: a=1", "X_Forwarded_For: 6.6.6.6",
)  # fmt: skip


def trailed(*lines: str) -> bytes:
    return chunked(CHUNK, "0\r\n", *(f"{line}\r\n" for line in lines), "\r\n")


def answered(*lines: str) -> bytes:
    return ok("Transfer-Encoding: chunked", body="".join((CHUNK, "0\r\n", *(f"{line}\r\n" for line in lines), "\r\n")))


@conformance(
    Forwarded("9112 7.1.2", "trailers are understood and forwarded", trailed("X-Sum: 1", "X-Note: a b"),
              trailed("X-Sum: 1", "X-Note: a b")),
    Forwarded("9112 5.1", "blanks around their values are no part of them", trailed("X-Sum: \t1 "),
              trailed("X-Sum: 1")),
    *(Forwarded("9110 6.5.1", f"{line.partition(':')[0]} has no place there", trailed("X-Sum: 1", line),
                trailed("X-Sum: 1")) for line in FORBIDDEN),
    Refused("9112 5.1", "no blank before a colon", trailed("X : 1"), 400, "trailers"),
    Refused("9112 5.2", "no folded line", trailed("X: 1", " folded"), 400, "trailers"),
    Refused("9112 5", "no line without a colon", trailed("NoColon"), 400, "trailers"),
    Refused("9110 5.1", "no name that is no token", trailed("X(): 1"), 400, "trailers"),
    Refused("9110 5.5", "no NUL", trailed("X: \x00"), 400, "trailers"),
    Refused("9112 2.2", "no bare LF", chunked(CHUNK, "0\r\n", "X: 1\n", "\r\n"), 400, "trailers"),
    Refused("9112 2.2", "nor at their end", chunked(CHUNK, "0\r\n\n", "\r\n"), 400, "trailers"),
    Refused("9112 2.2", "no bare CR", trailed("X: a\rb"), 400, "trailers"),
    Refused("9110 5.4", "not more than there is room for", trailed(f"X: {'v' * 20_000}"), 400, "trailers"),
)  # fmt: skip
async def test_trailers_of_requests(case: Case) -> None:
    await case.check()


@conformance(
    Returned("9112 7.1.2", "trailers are understood and passed on", answered("X-Sum: 1"), answered("X-Sum: 1")),
    Returned("9110 6.5.1", "framing has no place there", answered("Content-Length: 1", "X-Sum: 1"),
             answered("X-Sum: 1")),
    Returned("9110 6.5.1", "nor has Set-Cookie", answered("Set-Cookie: a=1"), answered()),
    Returned("9112 7.1.2", "a client of 1.0 gets none", answered("X-Sum: 1"), ok("Connection: close", body="hello"),
             request=raw("GET / HTTP/1.0", "Host: a"), last=True),
)  # fmt: skip
async def test_trailers_of_answers(case: Case) -> None:
    await case.check()
