"""RFC 9110 sections 7.6.1 and 11.7: what is said to the next hop only ends there. And who says what of whom."""

from __future__ import annotations

from tests.conformance.cases import OK, Case, Forwarded, Refused, Returned, conformance
from tests.conformance.messages import get, ok, post, raw

HELLO = post("Content-Length: 5", body="hello")


@conformance(
    Forwarded("9110 7.6.1", "Connection is not forwarded", get("Connection: keep-alive"), get()),
    Forwarded("9110 7.6.1", "nor what it names", get("Connection: X-A, x-b", "X-A: 1", "X-B: 2", "X-C: 3"),
              get("X-C: 3")),
    Forwarded("9110 7.6.1", "whether before it or behind", get("X-A: 1", "Connection: X-A", "x-a: 2"), get()),
    Forwarded("9110 7.6.1", "in whichever of its lines",
              get("X-A: 1", "Connection: x", "X-B: 2", "CONNECTION: X-a,X-b"), get()),
    Forwarded("9110 7.6.1", "also beside close", get("Connection: close, X-Foo", "X-Foo: 1"), get(), last=True),
    Forwarded("9110 7.6.1", "a name that did not come changes nothing", get("Connection: x-none", "X: 1"),
              get("X: 1")),
    Forwarded("9110 7.6.1", "a cookie that is named ends here", get("Cookie: a=1", "Connection: cookie"), get()),
    Forwarded("9110 7.6.1", "credentials too", get("Authorization: Basic x", "Connection: authorization"), get()),
    Forwarded("9112 9.6", "Host cannot be named away", get("Connection: host"), get()),
    Forwarded("9112 6", "nor the framing",
              post("Connection: content-length", "Content-Length: 5", body="hello"), HELLO),
    Forwarded("9112 6", "nor the other framing",
              post("Connection: keep-alive, transfer-encoding", "Transfer-Encoding: chunked",
                   body="5\r\nhello\r\n0\r\n\r\n"),
              post("Transfer-Encoding: chunked", body="5\r\nhello\r\n0\r\n\r\n")),
    Forwarded("9110 7.6.1", "Keep-Alive is not forwarded", get("Keep-Alive: timeout=5"), get()),
    Forwarded("9110 7.6.1", "Proxy-Connection is not", get("Proxy-Connection: keep-alive"), get()),
    Forwarded("9110 10.1.4", "TE is not", get("TE: trailers", "Connection: TE"), get()),
    Forwarded("9110 10.1.4", "nor without being named", get("TE: gzip, trailers"), get()),
    Forwarded("9110 7.8", "Upgrade that Connection does not name is not", get("Upgrade: websocket"), get()),
    Forwarded("9110 11.7.2", "Proxy-Authorization is for the nearest proxy", get("Proxy-Authorization: Basic x"),
              get()),
    Forwarded("9110 11.6.2", "Authorization is for the service", get("Authorization: Basic x"),
              get("Authorization: Basic x")),
    Forwarded("9110 6.6.2", "Trailer is forwarded", get("Trailer: X-Sum"), get("Trailer: X-Sum")),
)  # fmt: skip
async def test_fields_of_requests_that_end_here(case: Case) -> None:
    await case.check()


@conformance(
    Returned("9110 7.6.1", "Connection is not passed on", ok("Connection: keep-alive", "Content-Length: 0"),
             ok("Content-Length: 0")),
    Returned("9110 7.6.1", "nor what it names", ok("X-A: 1", "Connection: X-A", "X-B: 2", "Content-Length: 0"),
             ok("X-B: 2", "Content-Length: 0")),
    Returned("9110 7.6.1", "Keep-Alive is not", ok("Keep-Alive: timeout=5", "Content-Length: 0"),
             ok("Content-Length: 0")),
    Returned("9110 7.6.1", "Proxy-Connection is not", ok("Proxy-Connection: close", "Content-Length: 0"),
             ok("Content-Length: 0")),
    Returned("9110 11.7.1", "Proxy-Authenticate is for the nearest client",
             ok("Proxy-Authenticate: Basic", "Content-Length: 0"), ok("Content-Length: 0")),
    Returned("9110 11.6.1", "WWW-Authenticate is not",
             raw("HTTP/1.1 401 Unauthorized", "WWW-Authenticate: Basic", "WWW-Authenticate: B", "Content-Length: 0"),
             raw("HTTP/1.1 401 Unauthorized", "WWW-Authenticate: Basic", "WWW-Authenticate: B", "Content-Length: 0")),
    Returned("9110 7.8", "Upgrade in an answer that is no 101 speaks to the next hop",
             raw("HTTP/1.1 426 Upgrade Required", "Upgrade: HTTP/3", "Connection: upgrade", "Content-Length: 0"),
             raw("HTTP/1.1 426 Upgrade Required", "Content-Length: 0")),
    Returned("9112 6", "the framing cannot be named away", ok("Connection: content-length", "Content-Length: 2",
             body="ok"), OK),
)  # fmt: skip
async def test_fields_of_answers_that_end_here(case: Case) -> None:
    await case.check()


MANY = (
    "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; Secure", "Cache-Control: no-transform", "Age: 12", 'ETag: W/"1"',
    'Warning: 110 - "stale"', "Location: http://inner:9000/x", "Vary: Accept, *", "X-Empty: ", "Link: </a>",
)  # fmt: skip


@conformance(
    Returned("9110 5.3", "everything else comes as it was sent, in its order", ok(*MANY, "Content-Length: 0"),
             ok(*MANY, "Content-Length: 0")),
    Returned("9110 7.7", "content is not transformed",
             ok("Content-Encoding: gzip", "Content-Length: 4", body="\x1f\x8b\x08\x00"),
             ok("Content-Encoding: gzip", "Content-Length: 4", body="\x1f\x8b\x08\x00")),
    Returned("9110 14", "nor are ranges",
             raw("HTTP/1.1 206 Partial Content", "Content-Range: bytes 0-1/9", "Content-Length: 2", body="ab"),
             raw("HTTP/1.1 206 Partial Content", "Content-Range: bytes 0-1/9", "Content-Length: 2", body="ab")),
    Returned("9110 5.5", "bytes over 0x7F are opaque", ok("X: \xff\xe9", "Content-Length: 0"),
             ok("X: \xff\xe9", "Content-Length: 0")),
    Forwarded("9110 12.5.3", "what a client accepts is its own affair",
              get("Accept-Encoding: gzip, br", "Accept: */*", "Range: bytes=0-1", "If-None-Match: \"1\"",
                  "Cache-Control: no-cache"),
              get("Accept-Encoding: gzip, br", "Accept: */*", "Range: bytes=0-1", "If-None-Match: \"1\"",
                  "Cache-Control: no-cache")),
)  # fmt: skip
async def test_what_goes_from_end_to_end_is_left_alone(case: Case) -> None:
    await case.check()


@conformance(
    Forwarded("9110 7.6.3", "Via is added to what is forwarded", get(), get("Via: 1.1 fig"), keep=("via",)),
    Forwarded("9110 7.6.3", "with the version that came", raw("GET / HTTP/1.0", "Host: a"), get("Via: 1.0 fig"),
              keep=("via",), last=True),
    Forwarded("9110 7.6.3", "behind those of earlier hops", get("Via: 1.0 fred, 1.1 p.example.net", "X: 1"),
              get("Via: 1.0 fred, 1.1 p.example.net", "X: 1", "Via: 1.1 fig"), keep=("via",)),
    Forwarded("9110 7.6.3", "another fig before this one is an earlier hop", get("Via: 1.1 fig, 1.1 fig"),
              get("Via: 1.1 fig, 1.1 fig", "Via: 1.1 fig"), keep=("via",)),
    Refused("9110 7.6.3", "a request that comes round and round is ended", get(f"Via: {', '.join(['1.1 fig'] * 20)}"),
            508, "loop"),
    Refused("9110 7.6.3", "in however many lines", get(*["Via: 1.1 fig"] * 20), 508, "loop"),
)  # fmt: skip
async def test_via(case: Case) -> None:
    await case.check()


@conformance(
    Forwarded("7239 8.1", "what anybody says of the client is not believed: Forwarded", get("Forwarded: for=6.6.6.6"),
              get()),
    Forwarded("7239 8.1", "nor X-Real-IP", get("X-Real-IP: 6.6.6.6"), get()),
    Forwarded("7239 8.1", "nor X-Forwarded-anything",
              get("X-Forwarded-Port: 1", "X-Forwarded-Prefix: /x", "X-Forwarded-User: root", "X: 1"), get("X: 1")),
    Forwarded("7239 8.1", "in whatever case, and with underscores",
              get("x-FORWARDED-server: 1", "X_Forwarded_User: root", "X_Real_IP: 6.6.6.6", "x_forwarded_for: 6"),
              get()),
    Forwarded("3875 4.1.18", "nor what some servers would read as one of them",
              get("X.Forwarded.For: 6.6.6.6", "X~Real~IP: 6.6.6.6", "X.Mine: 1"), get("X.Mine: 1")),
    Forwarded("7239 8.1", "what fig saw is said in their place",
              get("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil"),
              get("X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: a"),
              keep=("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")),
)  # fmt: skip
async def test_who_the_client_is(case: Case) -> None:
    await case.check()
