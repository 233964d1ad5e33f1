"""A control that answers one question: what a route's gate says. Judgements are given in advance; the last stays. A
number among them is the status of an answer that fails, a text is one that is no JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer


class FakeAdmin:
    """Serves GET /api/routes/{route}/gate on loopback while it is entered."""

    def __init__(self, route: str, documents: Sequence[Any], token: str = "") -> None:
        self._route = route
        self._documents = list(documents)
        self._token = token
        self.asked = 0
        app = web.Application()
        app.router.add_get("/api/routes/{route}/gate", self._gate)
        self._server = TestServer(app)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.port}"

    async def __aenter__(self) -> FakeAdmin:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    async def _gate(self, request: web.Request) -> web.Response:
        if self._token and request.headers.get("Authorization") != f"Bearer {self._token}":
            return web.json_response({"error": "this admin API wants a token"}, status=401)
        if request.match_info["route"] != self._route:
            return web.json_response({"error": f"no route '{request.match_info['route']}'"}, status=404)
        document = self._documents[min(self.asked, len(self._documents) - 1)]
        self.asked += 1
        if isinstance(document, int):
            return web.json_response({"error": f"failed with {document}"}, status=document)
        if isinstance(document, str):
            return web.Response(text=document, content_type="application/json")
        return web.json_response(document)
