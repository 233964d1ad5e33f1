"""Thousands of attempts at request smuggling, with the real nginx and the real HAProxy behind fig: each of them reads
exactly the requests that fig forwarded, in fig's words, and nothing else.

fig gives every request that it forwards an id of its own and nothing hidden in a body can know one, so the servers'
logs tell: a request without an id, or one whose method or target is not fig's, is a request that fig did not see.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy.dataplane.heads import RequestHead
from proxy.dataplane.ports import Limits
from tests.cases.test_desync import payloads
from tests.fakes.planes import Fig, running, table, until
from tests.fakes.ports import free_ports
from tests.fakes.real_haproxy import running_haproxy
from tests.fakes.real_nginx import running_nginx
from tests.fakes.smuggling import Attempt, attempts

AT_ONCE = 40
LIMITS = Limits(head_seconds=0.3, keep_alive=0.3, linger=0.05, stall=0.5)
MOMENT = 0.02
"""Seconds: the pauses within an attempt, and how long its sender waits before it ends what it sends."""
CANARY = b"GET /canary HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = re.compile(rb"X-Request-Id: (\w{32})\r\n(?:[^\r\n]+\r\n)*\r\n\[(\w+) ")
"""An answer's id as fig says it, and the id that the server behind read with the request that it answered."""


@dataclass(frozen=True)
class Logged:
    """One request as a server behind fig read it."""

    id: str
    method: str
    target: str
    status: str


def read_log(log: Path) -> list[Logged]:
    lines = [line.split(" ") for line in log.read_text(errors="replace").splitlines()]
    return [Logged(line[0], line[1], " ".join(line[2:-1]), line[-1]) for line in lines if len(line) > 3]


async def attempt(fig: Fig, data: bytes, pauses: tuple[int, ...]) -> bytes:
    """Everything that is answered to this and to a harmless request behind it."""
    client = await fig.connect()
    at = 0
    try:
        for pause in (*pauses, len(data)):
            client.send(data[at:pause])
            at = pause
            await asyncio.sleep(MOMENT if pauses else 0)
        client.send(CANARY)
        await asyncio.sleep(MOMENT)
        client.finish()
        got, _ = await client.rest()
    except (ConnectionError, OSError):
        return b""
    finally:
        client.drop()
        fig.wires.remove(client)
    return got


async def all_of(fig: Fig, tries: list[Attempt]) -> list[bytes]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(each: Attempt) -> bytes:
        async with room:
            return await attempt(fig, each.data, each.pauses)

    return await asyncio.gather(*(one(each) for each in tries))


@pytest.mark.timeout(150)
@pytest.mark.parametrize("behind", ["nginx", "haproxy"])
async def test_no_server_behind_reads_a_request_that_fig_did_not_forward(behind: str, tmp_path: Path) -> None:
    tries = [*attempts(), *(Attempt("published", data) for data in payloads())]
    nginx_port, haproxy_port = free_ports(2)
    nginx_log = tmp_path / "nginx.log"
    with ExitStack() as stack:
        served = (
            '  log_format ours "$http_x_request_id $request_method $request_uri $status";\n'
            f"  server {{ listen 127.0.0.1:{nginx_port}; access_log {nginx_log} ours; keepalive_requests 100000;\n"
            "    client_max_body_size 0; location / { return 200 '[$http_x_request_id $request_uri]'; } }\n"
        )
        stack.enter_context(running_nginx(served, [nginx_port], tmp_path))
        logs = [nginx_log]
        port = nginx_port
        if behind == "haproxy":
            logs.append(stack.enter_context(running_haproxy(haproxy_port, nginx_port, tmp_path)))
            port = haproxy_port
        legacy = {"url": f"http://127.0.0.1:{port}", "timeout": "500ms", "idle_timeout": "300ms"}
        async with running(table({"legacy": legacy}), limits=LIMITS) as fig:
            answers = await all_of(fig, tries)
            forwarded = {
                each.exchange.request_id.decode(): each.exchange.head
                for each in fig.notes.finished_all
                if each.exchange.sent
            }
            answered = [each for each in fig.notes.finished_all if each.exchange.answer]
            await until(lambda: len(read_log(logs[-1])) >= len(answered), "the servers' logs")

    for log in logs:
        check_what_was_read(read_log(log), forwarded, sum(each.status == 400 for each in answered))
    own = [found for got in answers for found in ANSWER.findall(got)]
    assert all(head_id == body_id for head_id, body_id in own), "an answer went to another request"
    assert len(tries) / 10 < len(own) < len(forwarded) < len(tries) / 3, "most are refused, many are harmless anew"


def check_what_was_read(read: list[Logged], forwarded: dict[str, RequestHead], refused: int) -> None:
    """`refused`: how many requests the servers answered with 400 to fig."""
    known = [each for each in read if each.id != "-"]
    assert len({each.id for each in known}) == len(known), "a request was read twice"
    for each in known:
        assert each.id in forwarded, f"fig never forwarded {each}"
        head = forwarded[each.id]
        assert (each.method, each.target) == (head.method, head.target.decode()), each
    # A method in lower case and the like is refused before the id is read, and the connection ends there.
    assert all(each.status == "400" for each in read if each.id == "-"), read
    assert len(read) - len(known) <= refused
