"""W3C Trace Context over the wire, fig tracing or not; cases after the ideas of the specification's own test suite.

https://www.w3.org/TR/trace-context-2/: who forwards without taking part passes traceparent and tracestate on unchanged
(section 4); who takes part sends a parent id of its own, the flags that it knows, and drops what it cannot read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy.dataplane.tracing import Traced, Tracing
from tests.fakes.planes import Fig, running, table
from tests.fakes.wires import Answering, Message

TRACE, CALLER = "12345678901234567890123456789012", "1234567890123456"
WELL_FORMED = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@asynccontextmanager
async def wired(
    tracing: dict[str, Any] | None = None, *, roll: int = 0, **route: Any
) -> AsyncIterator[tuple[Fig, Answering]]:
    """A fig that decides about traces, or only forwards; and the service behind it."""
    async with Answering() as service:
        one = {"name": "r", "match": {"path": "/**"}, "candidate": "legacy", **route}
        async with running(table({"legacy": service.url}, one)) as fig:
            if tracing is not None:
                told = {"sample": 0, "parents": 1_000_000, "records": True, **tracing}
                fig.plane.tracing = Tracing(fig.plane.ids, lambda: roll, **told)
            yield fig, service


async def sent(fig: Fig, service: Answering, *lines: str) -> Message:
    """The request as the service got it."""
    client = await fig.connect()
    client.send("\r\n".join(("GET / HTTP/1.1", "Host: a", *lines, "", "")).encode("latin-1"))
    assert (await client.message()).status == 200
    return service.requests[-1]


def parts(message: Message) -> list[str]:
    """Version, trace, parent and flags of the one traceparent."""
    value = message.get("traceparent")
    assert value is not None
    assert WELL_FORMED.fullmatch(value), value
    return value.split("-")


async def traced(fig: Fig) -> Traced | None:
    return (await fig.finished())[-1].exchange.traced


BOTH = pytest.mark.parametrize("tracing", [None, {"sample": 1_000_000}], ids=["forwarding", "tracing"])


@BOTH
async def test_a_trace_begins_where_none_came(tracing: dict[str, Any] | None) -> None:
    async with wired(tracing) as (fig, service):
        got = await sent(fig, service)

        assert parts(got)[1] == got.get("x-request-id")
        assert parts(got)[3] == ("00" if tracing is None else "01")


@BOTH
async def test_a_tracestate_without_a_traceparent_belongs_to_nothing(tracing: dict[str, Any] | None) -> None:
    async with wired(tracing) as (fig, service):
        got = await sent(fig, service, "tracestate: foo=1", "tracestate: bar=2")

        assert parts(got)
        assert got.all("tracestate") == []


@BOTH
@pytest.mark.parametrize(
    "line",
    [
        f"traceparent: 00-{TRACE}-{CALLER}-01-more",
        f"traceparent: 00-{TRACE}-{CALLER}-01.",
        f"traceparent: ff-{TRACE}-{CALLER}-01",
        f"traceparent: cc-{TRACE}-{CALLER}-01.what-the-future-will-be-like",
        f"traceparent: 0-{TRACE}-{CALLER}-01",
        f"traceparent: 000-{TRACE}-{CALLER}-01",
        f"traceparent: .0-{TRACE}-{CALLER}-01",
        f"traceparent: 00-{'0' * 32}-{CALLER}-01",
        f"traceparent: 00-{TRACE}-{'0' * 16}-01",
        f"traceparent: 00-{TRACE[:-1]}.-{CALLER}-01",
        f"traceparent: 00-{TRACE[:-1]}A-{CALLER}-01",
        f"traceparent: 00-{TRACE}0-{CALLER}-01",
        f"traceparent: 00-{TRACE}-{CALLER[:-1]}-01",
        f"traceparent: 00-{TRACE}-{CALLER}-1",
        f"traceparent: 00-{TRACE}-{CALLER}-.0",
        f"traceparent: 00-{TRACE}-{CALLER}-001",
        f"traceparent: 00-{TRACE}-{CALLER}",
        "traceparent: ",
        f"trace-parent: 00-{TRACE}-{CALLER}-01",
        f"traceparent: 00-{TRACE}-{CALLER}-01, 00-{TRACE}-{CALLER}-01",
    ],
)
async def test_what_is_no_traceparent_is_as_none_and_its_tracestate_goes_with_it(
    tracing: dict[str, Any] | None, line: str
) -> None:
    async with wired(tracing) as (fig, service):
        got = await sent(fig, service, line, "tracestate: foo=1")

        assert parts(got)[1] != TRACE
        assert got.all("tracestate") == []


@BOTH
async def test_two_traceparents_are_as_none(tracing: dict[str, Any] | None) -> None:
    async with wired(tracing) as (fig, service):
        got = await sent(fig, service, f"traceparent: 00-{TRACE}-{CALLER}-01", f"Traceparent: 00-{TRACE}-{CALLER}-01")

        assert parts(got)[1] != TRACE


@BOTH
@pytest.mark.parametrize("name", ["traceparent", "TraceParent", "TRACEPARENT"])
async def test_the_names_case_and_blanks_around_the_value_do_not_matter(
    tracing: dict[str, Any] | None, name: str
) -> None:
    async with wired(tracing) as (fig, service):
        got = await sent(fig, service, f"{name}: \t 00-{TRACE}-{CALLER}-01 \t")

        assert parts(got)[1] == TRACE


@pytest.mark.parametrize(
    "value",
    [
        f"00-{TRACE}-{CALLER}-00",
        f"00-{TRACE}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}-03",
        f"00-{TRACE}-{CALLER}-ff",
        f"cc-{TRACE}-{CALLER}-01",
        f"cc-{TRACE}-{CALLER}-01-what-the-future-will-be-like",
    ],
)
async def test_who_only_forwards_changes_neither_the_parent_nor_the_state(value: str) -> None:
    async with wired() as (fig, service):
        got = await sent(fig, service, f"traceparent: {value}", "tracestate: foo=1", "X-Other: 1", "tracestate: bad")

        assert got.get("traceparent") == value
        assert got.all("tracestate") == ["foo=1", "bad"]


@pytest.mark.parametrize(
    ("came", "goes"), [("01", "01"), ("03", "03"), ("ff", "03"), ("09", "01")], ids=["sampled", "random", "all", "odd"]
)
@pytest.mark.parametrize("version", ["00", "cc"])
async def test_who_traces_sends_an_id_of_its_own_in_the_version_and_with_the_flags_that_it_knows(
    version: str, came: str, goes: str
) -> None:
    more = "-and-more" if version == "cc" else ""
    async with wired({}) as (fig, service):
        got = await sent(fig, service, f"traceparent: {version}-{TRACE}-{CALLER}-{came}{more}", "tracestate: foo=1")
        told = await traced(fig)

        assert told is not None
        assert (told.trace.decode(), told.parent.decode(), told.state) == (TRACE, CALLER, b"foo=1")
        assert parts(got) == ["00", TRACE, told.sendings[0].span.decode(), goes]
        assert got.all("tracestate") == ["foo=1"]


async def test_who_traces_discards_a_tracestate_that_it_cannot_read() -> None:
    async with wired({}) as (fig, service):
        got = await sent(fig, service, f"traceparent: 00-{TRACE}-{CALLER}-01", "tracestate: foo=1", "tracestate: foo=2")

        assert parts(got)[1] == TRACE
        assert got.all("tracestate") == []


async def test_a_caller_that_did_not_sample_is_followed_and_its_traceparent_goes_on_unchanged() -> None:
    async with wired({"sample": 1_000_000}) as (fig, service):
        got = await sent(fig, service, f"traceparent: 00-{TRACE}-{CALLER}-00", "tracestate: foo=1")

        assert await traced(fig) is None
        assert got.get("traceparent") == f"00-{TRACE}-{CALLER}-00"
        assert got.all("tracestate") == ["foo=1"]


async def test_a_routes_own_share_holds_against_a_caller_that_did_not_sample() -> None:
    async with wired({}, trace="100%") as (fig, service):
        got = await sent(fig, service, f"traceparent: 00-{TRACE}-{CALLER}-00")

        assert await traced(fig) is not None
        assert (parts(got)[1], parts(got)[3]) == (TRACE, "01")


@pytest.mark.parametrize(("roll", "is_traced"), [(249_999, True), (250_000, False)])
async def test_a_callers_wish_is_granted_as_often_as_it_may_be_and_services_are_told(
    roll: int, is_traced: bool
) -> None:
    async with wired({"parents": 250_000}, roll=roll) as (fig, service):
        got = await sent(fig, service, f"traceparent: 00-{TRACE}-{CALLER}-03")

        assert (await traced(fig) is not None) is is_traced
        assert parts(got)[1] == TRACE
        assert parts(got)[2] != CALLER
        assert parts(got)[3] == ("03" if is_traced else "02")


@pytest.mark.parametrize(("roll", "flags"), [(9_999, "01"), (10_000, "00")])
async def test_where_nobody_takes_spans_only_the_flag_of_traces_begun_here_is_decided(roll: int, flags: str) -> None:
    async with wired({"sample": 10_000, "records": False}, roll=roll) as (fig, service):
        got = await sent(fig, service)

        assert await traced(fig) is None
        assert parts(got)[3] == flags
        passed = await sent(fig, service, f"traceparent: 00-{TRACE}-{CALLER}-01")
        assert passed.get("traceparent") == f"00-{TRACE}-{CALLER}-01"


@pytest.mark.parametrize(("roll", "is_traced"), [(9_999, True), (10_000, False)])
async def test_a_routes_share_stands_in_place_of_the_general_one(roll: int, is_traced: bool) -> None:
    async with wired({"sample": 1_000_000}, roll=roll, trace="1%") as (fig, service):
        await sent(fig, service)

        assert (await traced(fig) is not None) is is_traced
