"""Who may use the admin API. Over the wire, as browsers and commands would."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from proxy.control.__main__ import parse
from proxy.control.guard import Guard
from proxy.settings import Address, SettingsError

LOOPBACK = Address("127.0.0.1", 9900)
EVERYWHERE = Address("0.0.0.0", 9900)
JSON = {"Content-Type": "application/json"}


async def ask(guard: Guard, method: str, path: str, headers: dict[str, str]) -> int:
    """The status of one request; 200 when the guard lets it pass."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application(middlewares=[guard.middleware])
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestClient(TestServer(app)) as client:
        answer = await client.request(method, path, headers=headers, data=b"{}" if method == "POST" else None)
        return answer.status


@pytest.mark.parametrize("host", ["127.0.0.1:9900", "localhost:9900", "[::1]:9900", "127.9.9.9", "LOCALHOST"])
async def test_without_tokens_this_machine_may_read_and_change(host: str) -> None:
    assert await ask(Guard(LOOPBACK), "GET", "/api/status", {"Host": host}) == 200
    assert await ask(Guard(LOOPBACK), "POST", "/api/routes/a/promote", {"Host": host, **JSON}) == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9900", "127.0.0.1.evil.example"])
async def test_a_name_that_is_re_pointed_at_this_machine_reads_nothing(host: str) -> None:
    assert await ask(Guard(LOOPBACK), "GET", "/api/status", {"Host": host}) == 403
    assert await ask(Guard(LOOPBACK), "POST", "/api/routes/a/promote", {"Host": host, **JSON}) == 403


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain;application/json",
    ],
)
async def test_a_form_on_any_page_cannot_change_anything(kind: str) -> None:
    assert (
        await ask(Guard(LOOPBACK), "POST", "/api/routes/a/promote", {"Host": "localhost", "Content-Type": kind}) == 415
    )


async def test_a_script_of_another_origin_cannot_change_anything() -> None:
    guard, own = Guard(LOOPBACK), {"Host": "localhost:9900", **JSON}

    assert await ask(guard, "POST", "/x", {**own, "Origin": "http://evil.example"}) == 403
    assert await ask(guard, "POST", "/x", {**own, "Origin": "null"}) == 403
    assert await ask(guard, "POST", "/x", {**own, "Origin": "http://localhost:1"}) == 403
    assert await ask(guard, "POST", "/x", {**own, "Origin": "http://localhost:9900"}) == 200


@pytest.mark.parametrize(
    ("method", "token", "status"),
    [
        ("GET", "", 401),
        ("GET", "Bearer wrong", 401),
        ("GET", "Basic reading", 401),
        ("GET", "Bearer reading", 200),
        ("GET", "Bearer changing", 200),
        ("POST", "", 401),
        ("POST", "Bearer wrong", 401),
        ("POST", "Bearer reading", 403),
        ("POST", "Bearer changing", 200),
    ],
)
async def test_reading_and_changing_take_different_tokens(method: str, token: str, status: int) -> None:
    guard = Guard(EVERYWHERE, "changing", "reading")
    headers = {"Host": "fig.example", **JSON, **({"Authorization": token} if token else {})}

    assert await ask(guard, method, "/api/status", headers) == status


async def test_with_a_token_for_changes_alone_reading_still_takes_this_machines_name() -> None:
    """Else a page whose name is re-pointed at this machine reads what nobody needs a token for."""
    guard = Guard(LOOPBACK, "changing")

    assert await ask(guard, "GET", "/api/status", {"Host": "evil.example:9900"}) == 403
    assert await ask(guard, "GET", "/api/status", {"Host": "localhost:9900"}) == 200
    assert await ask(guard, "POST", "/x", {"Host": "localhost:9900", **JSON}) == 401


@pytest.mark.parametrize("host", ["[", "[::1", "[x]:9900", "a]", ""])
async def test_a_host_that_is_none_is_not_ours(host: str) -> None:
    assert await ask(Guard(LOOPBACK), "GET", "/api/status", {"Host": host}) in (400, 403)


async def test_origins_and_tokens_that_are_none_are_refused() -> None:
    own = {"Host": "localhost:9900", **JSON}

    assert await ask(Guard(LOOPBACK), "POST", "/x", {**own, "Origin": "http://["}) == 403
    assert await ask(Guard(EVERYWHERE, "changing", "reading"), "GET", "/x", {"Authorization": "Bearer \udcff"}) == 401


async def test_probes_need_neither_token_nor_name() -> None:
    guard = Guard(EVERYWHERE, "changing", "reading")

    assert await ask(guard, "GET", "/healthz", {"Host": "10.0.0.7"}) == 200
    assert await ask(guard, "GET", "/readyz", {"Host": "10.0.0.7"}) == 200
    assert await ask(guard, "GET", "/metrics", {"Host": "10.0.0.7"}) == 401


@pytest.mark.parametrize(
    ("admin", "changing", "reading", "words"),
    [
        ("0.0.0.0:9900", "", "", "needs --admin-token and --read-token"),
        ("[::]:9900", "a", "", "needs --admin-token and --read-token"),
        ("fig.example:9900", "", "b", "needs --admin-token and --read-token"),
        ("127.0.0.1:9900", "", "b", "without --admin-token"),
        ("0.0.0.0:9900", "same", "same", "must differ"),
        ("127.0.0.1:9900", "two words", "", "printable ASCII"),
    ],
)
def test_control_refuses_to_start_where_strangers_could_use_it(
    admin: str, changing: str, reading: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIG_ADMIN_TOKEN", changing)
    monkeypatch.setenv("FIG_READ_TOKEN", reading)

    with pytest.raises(SettingsError, match=words):
        parse(["-c", "fig.yaml", "--state", "s", "--admin", admin, "--listen", "127.0.0.1:8080", "--workers", "1"])
