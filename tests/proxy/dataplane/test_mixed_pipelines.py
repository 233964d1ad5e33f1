"""Requests that fig answers, refuses and forwards, behind one another on one connection and cut anywhere: each gets its
own answer, and no byte of a body is ever taken for a request."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import pytest

from tests.fakes.planes import running
from tests.fakes.planes import table as make_table
from tests.fakes.wires import Answering, Message, answer

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass(frozen=True)
class Asked:
    """One request and what must come of it."""

    raw: bytes
    status: int
    forwarded: bytes = b""
    """The target that the candidate sees, if it does."""
    method: str = "GET"

    @property
    def ends_the_connection(self) -> bool:
        """fig refuses it before its body is there."""
        return self.status == 500 and self.method in ("POST", "PUT")


def draw(rng: random.Random, number: int) -> Asked:
    """A request whose body, if it has one, looks like a request."""
    where = rng.choice(["own", "moved", "side", "broken"])
    method = rng.choice(["GET", "HEAD", "POST", "PUT"])
    path = f"/{where}/{'up/' if where == 'broken' else ''}{number}"
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\n".encode()
    if method in ("GET", "HEAD"):
        raw = head + b"\r\n"
    elif rng.random() < 0.5:
        raw = head + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED
    else:
        raw = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    status = {"own": 410, "moved": 301, "side": 200, "broken": 500}[where]
    return Asked(raw, status, f"/v2/{number}".encode() if where == "side" else b"", method)


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("seed", range(12))
async def test_every_request_gets_its_own_answer_and_no_body_is_taken_for_a_request(seed: int, ends: bool) -> None:
    rng = random.Random(seed)
    asked: list[Asked] = []
    while not asked or (len(asked) < 20 and not asked[-1].ends_the_connection):
        asked.append(draw(rng, len(asked)))

    def reply(request: Message) -> bytes:
        body = request.start.split(" ")[1].encode()
        if request.start.startswith("HEAD"):
            return answer(body).removesuffix(body)
        return answer(body)

    async with Answering(reply) as service:
        rules = make_table(
            {"legacy": "http://127.0.0.1:1", "candidate": service.url},
            {"name": "own", "match": {"path": "/own/**"}, "respond": {"status": 410, "body": "gone"}},
            {"name": "moved", "match": {"path": "/moved/**"}, "redirect": {"prefix": "/new", "status": 301}},
            {
                "name": "side",
                "match": {"path": "/side/**"},
                "candidate": "candidate",
                "stage": "live",
                "rewrite": {"prefix": "/v2"},
            },
            {
                "name": "broken",
                "match": {"path": "/broken/**"},
                "candidate": "candidate",
                "stage": "live",
                "rewrite": {"regex": {"match": "/up/", "replace": "/../../../"}},
            },
        )
        async with running(rules) as fig:
            wire = await fig.connect()
            left = b"".join(each.raw for each in asked)
            while left:
                size = rng.choice([1, 7, 40, 400])
                wire.send(left[:size])
                left = left[size:]
                if rng.random() < 0.3:
                    await asyncio.sleep(0)
            if ends:
                wire.finish()  # it sends no more, and still reads
            for each in asked:
                got = await wire.message(bodiless=each.method == "HEAD")
                assert got.status == each.status
                if each.forwarded and each.method != "HEAD":
                    assert got.body == each.forwarded
        seen = [request.start.split(" ")[1].encode() for request in service.requests]
        assert seen == [each.forwarded for each in asked if each.forwarded]
