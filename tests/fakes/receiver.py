"""A small HTTP server that fig posts to: it keeps what came, and answers as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Reply = int | tuple[int, object] | web.Response
"""A status; a status and a JSON document (or a text as it is); or all of an answer."""


@dataclass(frozen=True, slots=True)
class Posted:
    """One request that came."""

    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class Receiver:
    """Serves POST on any path while it is entered. Replies are given in advance; the last one stays.

    While `silent` is set, requests come and get no answer.
    """

    def __init__(self, replies: Sequence[Reply] = (200,)) -> None:
        self.replies = list(replies)
        self.posted: list[Posted] = []
        self.silent = False
        self._asked = 0
        self._came = asyncio.Condition()
        self._loud = asyncio.Event()
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._server = TestServer(app)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}/hooks/T0P53CR3T"

    async def __aenter__(self) -> Receiver:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._loud.set()
        await self._server.close()

    def speak(self) -> None:
        """Answer what waits for an answer, and what comes."""
        self.silent = False
        self._loud.set()

    async def got(self, count: int) -> list[Posted]:
        """All that came, once there are so many."""
        async with asyncio.timeout(30), self._came:
            await self._came.wait_for(lambda: len(self.posted) >= count)
        return list(self.posted)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        reply = self.replies[min(self._asked, len(self.replies) - 1)]
        self._asked += 1
        body = await request.read()
        async with self._came:
            self.posted.append(Posted(dict(request.headers), body))
            self._came.notify_all()
        if self.silent:
            await self._loud.wait()
        if isinstance(reply, web.Response):
            return reply
        if isinstance(reply, int):
            return web.Response(status=reply)
        status, document = reply
        if isinstance(document, str):
            return web.Response(status=status, text=document)
        return web.json_response(document, status=status)
