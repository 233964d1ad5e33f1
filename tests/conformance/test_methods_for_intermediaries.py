"""RFC 9110 section 7.6.2: Max-Forwards, which says how far OPTIONS (and TRACE, which fig refuses) may go."""

from __future__ import annotations

import pytest

from tests.conformance.cases import OK, Case, Forwarded, Refused, Scripted, conformance, read_answer
from tests.conformance.messages import get, raw
from tests.fakes.planes import running, table


def options(*lines: str, target: str = "*") -> bytes:
    return raw(f"OPTIONS {target} HTTP/1.1", "Host: a", *lines)


@conformance(
    Forwarded("9110 7.6.2", "a hop is counted", options("Max-Forwards: 5"), options("Max-Forwards: 4")),
    Forwarded("9110 7.6.2", "the last one too", options("Max-Forwards: 1"), options("Max-Forwards: 0")),
    Forwarded("9110 7.6.2", "for a path as well", options("Max-Forwards: 010", target="/a"),
              options("Max-Forwards: 9", target="/a")),
    Forwarded("9110 7.6.2", "without it nothing is added", options(), options()),
    Forwarded("9110 7.6.2", "for other methods it may be ignored", get("Max-Forwards: 5"), get("Max-Forwards: 5")),
    Forwarded("9110 7.6.2", "however small it is there", get("Max-Forwards: 0"), get("Max-Forwards: 0")),
    Refused("9110 7.6.2", "it is a number", options("Max-Forwards: many"), 400, "max_forwards"),
    Refused("9110 7.6.2", "without a sign", options("Max-Forwards: -1"), 400, "max_forwards"),
    Refused("9110 7.6.2", "that does not overflow", options(f"Max-Forwards: {'9' * 40}"), 400, "max_forwards"),
    Refused("9110 7.6.2", "and is said once", options("Max-Forwards: 1", "Max-Forwards: 2"), 400, "max_forwards"),
    Refused("9110 7.6.2", "TRACE is refused with it as without", raw("TRACE / HTTP/1.1", "Host: a", "Max-Forwards: 0"),
            405, "method"),
)  # fmt: skip
async def test_max_forwards(case: Case) -> None:
    await case.check()


@pytest.mark.parametrize("target", ["*", "/a"])
async def test_options_that_may_go_no_further_is_answered_here(target: str) -> None:
    """RFC 9110 7.6.2: with 0, the intermediary MUST NOT forward, and responds as the final recipient; 9.3.7: Allow."""
    async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(options("Max-Forwards: 0", target=target))
        got, body, _ = read_answer((await client.rest())[0])

        fields = dict(got.headers)
        assert (got.status_code, body) == (200, b"")
        assert fields[b"content-length"] == b"0"
        assert b"GET" in fields[b"allow"]
        assert service.connections == 0
        assert fig.notes.refusals == ["max_forwards"]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
async def test_a_method_that_is_not_allowed_is_told_which_are(method: str) -> None:
    """RFC 9110 15.5.6: 405 carries Allow."""
    async with Scripted(OK) as service, running(table({"legacy": service.url})) as fig:
        client = await fig.connect()
        client.send(raw(f"{method} / HTTP/1.1", "Host: a"))
        got, _, _ = read_answer((await client.rest())[0])

        allowed = dict(got.headers)[b"allow"].split(b", ")
        assert {b"GET", b"HEAD", b"POST", b"OPTIONS"} <= set(allowed)
        assert method.encode() not in allowed
