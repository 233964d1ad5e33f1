"""The application's cookies pass as they came, byte for byte, on both sides; fig adds one line of its own at most."""

from __future__ import annotations

import pytest

from rules.document import Rules
from rules.effective import Effective
from rules.table import Table, compile_table
from tests.fakes.planes import running, table
from tests.fakes.wires import Answering, Service, Wire, answer

REQUEST_COOKIES = [
    ["a=1"],
    ["a=1; b=2;c=3;;  d"],
    ['session="quoted; with semicolon"; fig_side_=x; afig_unit=1'],
    ["a=1", "a=2; b", "FIG_UNIT=other"],
    ["=nameless; caf\xe9=\xff; a==b=; fig_unit"],
    ["a=1; fig_unit=abc; fig_unit=def; z="],
    ["fig_unit=; a=1"],
    ["a=" + "x" * 4000],
]
ANSWER_COOKIES = [
    ["app=1; Path=/; HttpOnly"],
    ["a=1", "b=2; Expires=Wed, 21 Oct 2037 07:28:00 GMT; Secure", "a=3; Max-Age=0"],
    ['q="x, y"; Domain=.shop.example', "caf\xe9=\xff", "nameless"],
    ["fig_unit_of_the_application=1; SameSite=None"],
]
ROUTE = {
    "name": "r",
    "match": {"path": "/**"},
    "candidate": "candidate",
    "stage": "canary",
    "unit": {"cookie": "fig_unit", "issue": True},
}


class Raw(Service):
    """Keeps each request's head as it came, and answers `reply`."""

    def __init__(self, reply: bytes) -> None:
        super().__init__(self._answer)
        self.reply = reply
        self.heads: list[bytes] = []

    async def _answer(self, wire: Wire) -> None:
        while head := await wire.head():
            self.heads.append(head)
            wire.send(self.reply)


def lines_of(head: bytes, name: bytes) -> list[bytes]:
    return [line for line in head.split(b"\r\n") if line.lower().startswith(name + b":")]


def plane_table(legacy: str, candidate: str, share: str) -> Table:
    return table({"legacy": legacy, "candidate": candidate}, {**ROUTE, "share": share})


@pytest.mark.parametrize("share", ["0%", "100%"], ids=["legacy", "candidate"])
@pytest.mark.parametrize("cookies", REQUEST_COOKIES, ids=range(len(REQUEST_COOKIES)))
async def test_cookies_of_a_request_reach_the_service_byte_for_byte(cookies: list[str], share: str) -> None:
    lines = [f"Cookie: {cookie}".encode("latin-1") for cookie in cookies]
    async with (
        Raw(answer()) as legacy,
        Raw(answer()) as candidate,
        running(plane_table(legacy.url, candidate.url, share)) as fig,
    ):
        client = await fig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n")
        await client.message()

        [head] = [*legacy.heads, *candidate.heads]
        assert lines_of(head, b"cookie") == lines


@pytest.mark.parametrize("share", ["0%", "100%"], ids=["legacy", "candidate"])
@pytest.mark.parametrize("comes_with", ["", "Cookie: fig_unit=abc\r\n"], ids=["issued", "known"])
@pytest.mark.parametrize("cookies", ANSWER_COOKIES, ids=range(len(ANSWER_COOKIES)))
async def test_cookies_of_an_answer_reach_the_client_byte_for_byte(
    cookies: list[str], comes_with: str, share: str
) -> None:
    lines = [f"Set-Cookie: {cookie}".encode("latin-1") for cookie in cookies]
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    async with (
        Raw(reply) as legacy,
        Raw(reply) as candidate,
        running(plane_table(legacy.url, candidate.url, share)) as fig,
    ):
        client = await fig.connect()
        client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{comes_with}\r\n".encode())
        got = lines_of(await client.head(), b"set-cookie")

        own = [line for line in got if line not in lines]
        assert [line for line in got if line in lines] == lines
        assert [line.partition(b"=")[0] for line in own] == ([] if comes_with else [b"Set-Cookie: fig_unit"])


@pytest.mark.parametrize(
    ("reply", "method"),
    [
        (b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n', "GET"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", "GET"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "POST"),
    ],
    ids=["not modified", "no content", "head", "redirect of the service", "error of the service"],
)
async def test_a_unit_is_issued_with_every_kind_of_answer(reply: bytes, method: str) -> None:
    async with Raw(reply) as service, running(plane_table(service.url, service.url, "50%")) as fig:
        client = await fig.connect()
        client.send(f"{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
        head = await client.head()

        assert len(lines_of(head, b"set-cookie")) == 1
        assert lines_of(head, b"cache-control") == [b"Cache-Control: private"]


@pytest.mark.parametrize("comes_with", ["", "Cookie: fig_unit=abc\r\n"], ids=["issued", "known"])
async def test_what_overrules_cache_control_does_not_stand_beside_an_issued_unit(comes_with: str) -> None:
    lines = ("CDN-Cache-Control: max-age=600", "Surrogate-Control: max-age=600", "X-Accel-Expires: 600")
    async with (
        Raw(answer(b"page", "200 OK", "Cache-Control: public, max-age=5", *lines)) as service,
        running(plane_table(service.url, service.url, "50%")) as fig,
    ):
        client = await fig.connect()
        client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{comes_with}\r\n".encode())
        got = await client.message()

        kept = [got.get(line.partition(":")[0].lower()) is not None for line in lines]
        assert kept == [bool(comes_with)] * 3
        assert got.get("cache-control") == ("public, max-age=5" if comes_with else "private, max-age=5")


async def test_a_unit_is_issued_also_where_the_side_that_it_chose_could_not_answer() -> None:
    # Otherwise the units of a failing side are dealt anew until they meet the other one: the sides drift.
    async with Answering() as legacy, running(plane_table(legacy.url, "http://127.0.0.1:9", "100%")) as fig:
        client = await fig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        got = await client.message()

        assert got.status == 502
        [unit] = got.all("set-cookie")
        assert unit.startswith("fig_unit=")
        assert got.all("cache-control") == ["no-store"]


async def test_what_fig_refuses_before_it_has_a_route_issues_nothing() -> None:
    async with Answering() as legacy, running(plane_table(legacy.url, legacy.url, "100%")) as fig:
        client = await fig.connect()
        client.send(b"GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n")
        got = await client.message()

        assert (got.status, got.all("set-cookie")) == (400, [])


async def test_a_redirect_of_fig_itself_issues_nothing() -> None:
    redirect = {"name": "old", "match": {"path": "/old"}, "redirect": {"path": "/"}}
    async with Answering() as legacy:
        rules = table({"legacy": legacy.url, "candidate": legacy.url}, redirect, {**ROUTE, "share": "50%"})
        async with running(rules) as fig:
            client = await fig.connect()
            client.send(b"GET /old HTTP/1.1\r\nHost: a\r\n\r\n")
            got = await client.message()

            assert (got.status, got.all("set-cookie")) == (302, [])


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        ('a="x;y"; fig_side=candidate:no;  b', 'a="x;y";  b'),
        ("fig_side=candidate:no;a=1 ;", "a=1 ;"),
        ('note="fig_side is a name"; a="x;y"', 'note="fig_side is a name"; a="x;y"'),
        ("my_fig_side=1;;b", "my_fig_side=1;;b"),
    ],
)
async def test_where_the_forcing_cookie_is_taken_out_all_others_keep_their_bytes(sent: str, heard: str) -> None:
    force = {"cookie": "fig_side", "token": "let-the-pilot-users-in"}
    async with Raw(answer()) as legacy:
        content = {"version": 1, "services": {"legacy": {"url": legacy.url}}, "legacy": "legacy", "force": force}
        async with running(compile_table(Effective(generation=1, rules=Rules.model_validate(content)))) as fig:
            client = await fig.connect()
            client.send(f"GET / HTTP/1.1\r\nHost: a\r\nCookie: {sent}\r\n\r\n".encode())
            await client.message()

            assert lines_of(legacy.heads[0], b"cookie") == [f"Cookie: {heard}".encode()]
