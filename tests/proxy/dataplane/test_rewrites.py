"""What a route changes, byte for byte on the wire: for the side it is meant for, and for no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rules.table import Table
from tests.fakes.planes import FakeCopies, running, until
from tests.fakes.planes import table as make_table
from tests.fakes.wires import Answering, answer

GET = b"GET /api/products/7?b=2&a=1 HTTP/1.1\r\nHost: Shop.Example\r\n\r\n"


def table(legacy: str, candidate: str, stage: str = "live", **route: Any) -> Table:
    return make_table(
        {"legacy": legacy, "candidate": candidate},
        {"name": "r", "match": {"path": "/api/{kind}/**"}, "candidate": "candidate", "stage": stage, **route},
    )


# --- path and host ---


@pytest.mark.parametrize(
    ("rewrite", "target"),
    [
        ({"path": "/catalog/{kind}{**}"}, "/catalog/products/7?b=2&a=1"),
        ({"path": "/fixed?page={kind}"}, "/fixed?page=products"),
        ({"prefix": "/v2"}, "/v2/7?b=2&a=1"),
        ({"regex": {"match": "^/api/([a-z]+)", "replace": "/\\1/x"}}, "/products/x/7?b=2&a=1"),
        ({"host": "inside.example"}, "/api/products/7?b=2&a=1"),
    ],
)
async def test_the_candidate_is_asked_for_the_rewritten_target(rewrite: dict[str, Any], target: str) -> None:
    async with Answering() as candidate, running(table("http://a", candidate.url, rewrite=rewrite)) as fig:
        client = await fig.connect()
        client.send(GET)
        await client.message()

        assert candidate.requests[0].start == f"GET {target} HTTP/1.1"
        (done,) = await fig.finished()
        assert done.exchange.head.path == "/api/products/7"
        assert done.exchange.actions.sent_path == (target.partition("?")[0] if "host" not in rewrite else None)


async def test_legacy_is_asked_as_it_always_was() -> None:
    rewrite = {"path": "/catalog{**}", "host": "inside.example"}
    headers = {"set": {"X-Tenant": "{kind}"}}
    async with Answering() as legacy:
        for sides in ("candidate", "both"):
            rules = table(
                legacy.url,
                "http://a",
                "legacy",
                rewrite={**rewrite, "sides": sides},
                request_headers={**headers, "sides": sides},
            )
            async with running(rules) as fig:
                client = await fig.connect()
                client.send(GET)
                await client.message()

        plain, changed = legacy.requests
        assert plain.start == "GET /api/products/7?b=2&a=1 HTTP/1.1"
        assert (plain.get("host"), plain.get("x-tenant")) == ("Shop.Example", None)
        assert changed.start == "GET /catalog/7?b=2&a=1 HTTP/1.1"
        assert (changed.get("host"), changed.get("x-tenant")) == ("inside.example", "products")


@pytest.mark.parametrize("host", ["{kind}.inside.example:8443", "service"])
async def test_the_host_may_be_said_anew_and_the_clients_own_goes_along(host: str) -> None:
    async with Answering() as candidate, running(table("http://a", candidate.url, rewrite={"host": host})) as fig:
        client = await fig.connect()
        client.send(GET)
        await client.message()

        seen = candidate.requests[0]
        own = candidate.url.removeprefix("http://")
        assert seen.get("host") == (own if host == "service" else "products.inside.example:8443")
        assert seen.get("x-forwarded-host") == "Shop.Example"


async def test_a_path_that_the_rules_make_unreadable_is_an_answer_of_fig_and_the_connection_goes_on() -> None:
    rewrite = {"regex": {"match": "/up/", "replace": "/../../../"}}
    async with Answering() as candidate, running(table("http://a", candidate.url, rewrite=rewrite)) as fig:
        client = await fig.connect()
        client.send(GET.replace(b"/7", b"/up/7") + GET)
        refused = await client.message()

        assert refused.status == 500
        assert json.loads(refused.body)["message"] == "the rules make nothing of this request that can be sent"
        assert (await client.message()).status == 200
        assert len(candidate.requests) == 1
        assert [(f.status, f.exchange.refused) for f in await fig.finished(2)] == [(500, "rewrite"), (200, "")]


async def test_what_the_rules_made_of_it_is_not_told_to_the_client() -> None:
    rewrite = {"host": "{kind}.inside.example"}
    async with running(table("http://a", "http://127.0.0.1:1", rewrite=rewrite)) as fig:
        client = await fig.connect()
        client.send(b"GET /api/a!b/7 HTTP/1.1\r\nHost: a\r\n\r\n")
        refused = await client.message()

        assert refused.status == 500
        assert b"inside" not in refused.body


async def test_the_asterisk_of_options_is_not_rewritten() -> None:
    async with Answering() as candidate:
        rules = make_table(
            {"legacy": "http://a", "candidate": candidate.url},
            {"name": "r", "match": {"methods": ["OPTIONS"]}, "candidate": "candidate", "stage": "live",
             "rewrite": {"path": "/x"}},
        )  # fmt: skip
        async with running(rules) as fig:
            client = await fig.connect()
            client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.message()

            assert candidate.requests[0].start == "OPTIONS * HTTP/1.1"


async def test_the_fallback_gets_the_request_as_legacy_knows_it() -> None:
    async with Answering(lambda _: answer(b"ok", "200 OK", "X-From: legacy itself")) as legacy:
        rules = table(
            legacy.url,
            "http://127.0.0.1:1",
            fallback="legacy",
            rewrite={"path": "/catalog{**}"},
            request_headers={"remove": ["X-App"], "set": {"X-Tenant": "{side}"}},
            response_headers={"set": {"X-From": "{side}"}},
        )
        async with running(rules) as fig:
            client = await fig.connect()
            client.send(GET.replace(b"\r\n\r\n", b"\r\nX-App: ios\r\n\r\n"))
            got = await client.message()

            seen = legacy.requests[0]
            assert seen.start == "GET /api/products/7?b=2&a=1 HTTP/1.1"
            assert (seen.get("x-app"), seen.get("x-tenant")) == ("ios", None)
            assert got.get("x-from") == "legacy itself"
            assert (await fig.finished())[0].exchange.actions.sent_path is None


# --- headers ---


async def test_request_headers_are_removed_set_and_added_in_that_order() -> None:
    changes = {
        "remove": ["X-Internal", "Cookie"],
        "set": {"X-Tenant": "{kind} of {host} for {client}", "Authorization": "Bearer s3cret"},
        "add": {"Via-Route": "{route}/{side}", "X-Twice": "2"},
    }
    async with Answering() as candidate, running(table("http://a", candidate.url, request_headers=changes)) as fig:
        client = await fig.connect()
        client.send(
            GET.replace(
                b"\r\n\r\n",
                b"\r\nX-Internal: yes\r\nx_internal: yes\r\nCookie: a=1\r\nCookie: b=2\r\nX-TENANT: theirs\r\n"
                b"Authorization: Basic abc\r\nX-Twice: 1\r\nX-Kept: Case\r\n\r\n",
            )
        )
        await client.message()

        seen = candidate.requests[0]
        assert seen.all("x-internal") == []
        assert seen.all("x_internal") == []  # what reads headers as CGI does would take it for the other
        assert seen.all("cookie") == []
        assert seen.all("x-tenant") == ["products of shop.example for 127.0.0.1"]
        assert seen.all("authorization") == ["Bearer s3cret"]
        assert seen.all("x-twice") == ["1", "2"]
        assert seen.all("via-route") == ["r/candidate"]
        assert seen.all("x-kept") == ["Case"]


async def test_the_letter_case_of_names_is_as_written() -> None:
    raw: list[bytes] = []

    class Raw(Answering):
        async def _answer(self, wire: Any) -> None:
            raw.append(await wire.head())
            wire.send(answer())

    changes = {"set": {"X-ACCOUNT-Id": "1"}}
    async with Raw() as candidate, running(table("http://a", candidate.url, request_headers=changes)) as fig:
        client = await fig.connect()
        client.send(GET)
        await client.message()

        assert b"\r\nX-ACCOUNT-Id: 1\r\n" in raw[0]


async def test_what_ends_at_this_connection_does_not_come_back_through_the_rules() -> None:
    changes = {"add": {"X-Also": "1"}}
    async with Answering() as candidate, running(table("http://a", candidate.url, request_headers=changes)) as fig:
        client = await fig.connect()
        client.send(
            GET.replace(b"\r\n\r\n", b"\r\nConnection: X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n")
        )
        await client.message()

        names = {name for name, _ in candidate.requests[0].fields}
        assert "x-also" in names
        assert not names & {"x-hop", "te", "keep-alive", "connection"}


async def test_no_line_can_be_smuggled_in_through_a_capture() -> None:
    changes = {"set": {"X-What": "{**}"}}
    async with Answering() as candidate, running(table("http://a", candidate.url, request_headers=changes)) as fig:
        client = await fig.connect()
        client.send(b"GET /api/products/%20X-Evil:1\xff?a HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.message()

        seen = candidate.requests[0]
        assert seen.get("x-what") == "/%20X-Evil:1%FF"
        assert seen.get("x-evil") is None


async def test_answer_headers_are_changed_and_several_cookies_stay() -> None:
    raw = answer(b"ok", "200 OK", "Server: inside/1.0", "Set-Cookie: a=1", "Set-Cookie: b=2", "Cache-Control: no-store")
    changes = {"remove": ["server"], "set": {"Cache-Control": "max-age=60"}, "add": {"Set-Cookie": "c={kind}"}}
    async with (
        Answering(lambda _: raw) as candidate,
        running(table("http://a", candidate.url, response_headers=changes)) as fig,
    ):
        client = await fig.connect()
        client.send(GET)
        got = await client.message()

        assert got.all("server") == []
        assert got.all("set-cookie") == ["a=1", "b=2", "c=products"]
        assert got.all("cache-control") == ["max-age=60"]
        assert got.body == b"ok"


async def test_the_answer_to_head_still_says_how_long_it_would_have_been() -> None:
    changes = {"remove": ["server"]}

    class Head(Answering):
        async def _answer(self, wire: Any) -> None:
            await wire.message()
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nServer: x\r\n\r\n")

    async with Head() as candidate, running(table("http://a", candidate.url, response_headers=changes)) as fig:
        client = await fig.connect()
        client.send(GET.replace(b"GET", b"HEAD"))
        got = await client.message(bodiless=True)

        assert (got.get("content-length"), got.get("server")) == ("1234", None)


async def test_an_answer_that_issues_a_unit_stays_private_whatever_the_rules_say() -> None:
    async with Answering() as candidate:
        rules = table(
            "http://a",
            candidate.url,
            "canary",
            share="100%",
            unit={"cookie": "fig_unit", "issue": True},
            response_headers={"set": {"Cache-Control": "public, max-age=60"}},
        )
        async with running(rules) as fig:
            client = await fig.connect()
            client.send(GET)

            assert (await client.message()).all("cache-control") == ["private, max-age=60"]


async def test_what_is_removed_from_a_head_does_not_come_in_behind_the_body() -> None:
    async def reply(wire: Any) -> None:
        while True:
            seen.append(await wire.message())
            wire.send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Debug: 1\r\nX-Sum: 2\r\n\r\n"
            )

    seen: list[Any] = []
    both = {"remove": ["X-Debug"]}
    service = Answering()
    service.handler = reply
    async with (
        service as candidate,
        running(table("http://a", candidate.url, request_headers=both, response_headers=both)) as fig,
    ):
        client = await fig.connect()
        client.send(
            b"POST /api/a/b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\nx\r\n0\r\nx_debug: 1\r\nX-Sum: 1\r\n\r\n"
        )
        got = await client.message()

        assert got.trailers == ("X-Sum: 2",)
        assert seen[0].trailers == ("X-Sum: 1",)


async def test_what_is_removed_from_an_answer_does_not_come_before_it_either() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nX_Secret: 1\r\nLink: </a.css>\r\n\r\n"
    async with (
        Answering(lambda _: hints + answer(b"ok", "200 OK", "X-Secret: 1")) as candidate,
        running(table("http://a", candidate.url, response_headers={"remove": ["X-Secret"]})) as fig,
    ):
        client = await fig.connect()
        client.send(GET)

        assert (await client.message()).fields == (("link", "</a.css>"),)
        assert (await client.message()).get("x-secret") is None


async def test_a_tunnel_is_opened_with_the_rewritten_target() -> None:
    async def switch(wire: Any) -> None:
        heads.append(await wire.head())
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello")
        await wire.rest()

    heads: list[bytes] = []
    service = Answering()
    service.handler = switch
    async with service as candidate, running(table("http://a", candidate.url, rewrite={"prefix": "/ws"})) as fig:
        client = await fig.connect()
        client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
        assert (await client.head()).startswith(b"HTTP/1.1 101")
        assert await client.some() == b"hello"
        assert heads[0].startswith(b"GET /ws/7?b=2&a=1 HTTP/1.1\r\n")


# --- copies ---


async def test_a_copy_says_what_its_own_side_would_have_been_told() -> None:
    copies = FakeCopies()
    async with Answering(lambda _: answer(b"ok", "200 OK", "Server: legacy")) as legacy:
        rules = table(
            legacy.url,
            "http://b",
            "shadow",
            rewrite={"path": "/catalog{**}", "host": "inside.example"},
            request_headers={"set": {"X-Tenant": "{side}"}, "remove": ["X-App"]},
            response_headers={"set": {"X-From": "{side}"}, "remove": ["Server"]},
        )
        async with running(rules, copies=copies) as fig:
            client = await fig.connect()
            client.send(GET.replace(b"\r\n\r\n", b"\r\nX-App: ios\r\n\r\n"))
            got = await client.message()

            assert got.get("server") == "legacy"
            assert legacy.requests[0].get("x-tenant") is None
            (exchange,) = copies.mirrored
            copy = exchange.actions.for_copy()
            assert copy is not None
            assert (copy.target, copy.host) == (b"/catalog/7?b=2&a=1", b"inside.example")
            assert (b"X-Tenant", b"candidate") in copy.fields
            assert not [name for name, _ in copy.fields if name == b"X-App"]
            assert (copy.answer_removed, copy.answer_added) == ({"server", "x-from"}, [(b"X-From", b"candidate")])


async def test_what_is_compared_of_the_answering_side_is_what_its_client_got() -> None:
    copies = FakeCopies()
    async with Answering(lambda _: answer(b"ok", "200 OK", "Server: new")) as candidate:
        rules = table("http://a", candidate.url, response_headers={"set": {"X-From": "{side}"}, "remove": ["Server"]})
        async with running(rules, copies=copies) as fig:
            client = await fig.connect()
            client.send(GET)
            await client.message()

            (exchange,) = copies.mirrored
            assert exchange.kept is not None
            assert exchange.kept.fields == [(b"X-From", b"candidate")]
            assert exchange.actions.for_copy() is None  # the copy goes to legacy, for which nothing is changed


async def test_a_write_whose_copy_cannot_be_written_is_refused_or_a_gap_as_the_route_says() -> None:
    rewrite = {"regex": {"match": "/7", "replace": "/../../../.."}}
    post = b"POST /api/products/7 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"
    async with Answering() as legacy:
        for on_failure, status, events in (("refuse", 500, []), ("forward", 200, ["gap"])):
            copies = FakeCopies()
            writes = {"on_journal_failure": on_failure}
            rules = table(legacy.url, "http://b", "shadow", rewrite=rewrite, writes=writes)
            async with running(rules, copies=copies) as fig:
                client = await fig.connect()
                client.send(post)

                assert (await client.message()).status == status
                assert copies.events == events
                assert all("/.." not in text for _, text in copies.log), "a gap holds no path: order keys are secret"


async def test_a_copy_that_nobody_is_owed_holds_no_write_up_and_lets_none_by() -> None:
    """In stage legacy a write waits for its key's lease, whatever the rules would make of it for the candidate."""
    copies = FakeCopies(lambda _: True)
    rewrite = {"regex": {"match": "/7", "replace": "/../../../.."}}
    async with (
        Answering() as legacy,
        running(table(legacy.url, "http://b", "legacy", rewrite=rewrite, writes={}), copies=copies) as fig,
    ):
        client = await fig.connect()
        client.send(b"POST /api/products/7 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        await until(lambda: copies.intents, "the intent")
        assert legacy.connections == 0
        copies.grant(copies.intents[0][0])

        assert (await client.message()).status == 200
        assert copies.events == ["intend", "granted", "outcome"]
