"""RFC 9110 sections 6.4.1, 8.6, 9.3.2 and 15: HEAD, 204, 205 and 304, whose answers end with their head."""

from __future__ import annotations

from tests.conformance.cases import LAST, Case, Refused, Returned, Scripted, conformance
from tests.conformance.messages import get, ok, raw
from tests.fakes.planes import running, table

HEAD = raw("HEAD / HTTP/1.1", "Host: a")
NO_CONTENT = "HTTP/1.1 204 No Content"
NOT_MODIFIED = "HTTP/1.1 304 Not Modified"


@conformance(
    Returned("9110 9.3.2", "HEAD gets the length that GET would", ok("Content-Length: 50", "ETag: x"),
             ok("ETag: x", "Content-Length: 50"), request=HEAD),
    Returned("9110 9.3.2", "also none", ok("Content-Length: 0"), ok("Content-Length: 0"), request=HEAD),
    Returned("9110 9.3.2", "without a length none is made up", ok("ETag: x"), ok("ETag: x"), request=HEAD),
    Returned("9112 6.3", "its chunks would be those of GET", ok("Transfer-Encoding: chunked"), ok(), request=HEAD),
    Returned("9110 9.3.2", "errors too", raw("HTTP/1.1 404 Not Found", "Content-Length: 9"),
             raw("HTTP/1.1 404 Not Found", "Content-Length: 9"), request=HEAD),
    Returned("9110 15.3.5", "204 has no content", raw(NO_CONTENT, "ETag: x"), raw(NO_CONTENT, "ETag: x")),
    Returned("9110 8.6", "and no length", raw(NO_CONTENT, "Content-Length: 0"), raw(NO_CONTENT)),
    Returned("9112 6.1", "and no chunks", raw(NO_CONTENT, "Transfer-Encoding: chunked"), raw(NO_CONTENT)),
    Returned("9110 15.4.5", "304 has no content", raw(NOT_MODIFIED, "ETag: x"), raw(NOT_MODIFIED, "ETag: x")),
    Returned("9110 8.6", "but may say the length that 200 would have", raw(NOT_MODIFIED, "Content-Length: 9"),
             raw(NOT_MODIFIED, "Content-Length: 9")),
    Returned("9112 6.1", "no chunks either", raw(NOT_MODIFIED, "Transfer-Encoding: chunked"), raw(NOT_MODIFIED)),
    Returned("9110 15.3.6", "205 says that nothing follows", raw("HTTP/1.1 205 Reset Content", "Content-Length: 0"),
             raw("HTTP/1.1 205 Reset Content", "Content-Length: 0")),
    Refused("9110 9.3.2", "a refused HEAD gets no content either", raw("HEAD / HTTP/1.1"), 400, "host"),
)  # fmt: skip
async def test_answers_that_have_no_content(case: Case) -> None:
    await case.check()


async def test_content_where_none_may_be_is_dropped_with_its_connection() -> None:
    """RFC 9112 6.3: such an answer ends with its head, whatever follows; what follows is nobody's answer."""
    for request, answer in (
        (HEAD, ok("Content-Length: 6", body="poison")),
        (get(), raw(NO_CONTENT, "Content-Length: 6", body="poison")),
        (get(), raw(NOT_MODIFIED, body=ok("Content-Length: 6", body="poison").decode())),
    ):
        async with Scripted(answer) as service, running(table({"legacy": service.url})) as fig:
            client = await fig.connect()
            client.send(request)
            first = await client.message(bodiless=True)
            client.send(LAST)

            assert first.status in (200, 204, 304)
            assert (await client.message()).body == b"last"
            assert service.connections == 2
