"""A reverse proxy as one writes it with aiohttp: its server, its client, uvloop, one session, bodies as streams.

python aiohttp_proxy.py PORT SERVICE_PORT
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

HOP = ("Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding",
       "Upgrade")  # fmt: skip


def end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """Without the fields that end at this connection (RFC 9110 7.6.1)."""
    kept = headers.copy()
    for name in HOP:
        kept.popall(name, None)
    return kept


async def serve(port: int, service_port: int) -> None:
    """Until the process ends."""
    service = f"http://127.0.0.1:{service_port}"
    connector = TCPConnector(limit=0)
    session = ClientSession(
        connector=connector, auto_decompress=False, cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=60)
    )

    async def forward(request: web.BaseRequest) -> web.StreamResponse:
        async with session.request(
            request.method,
            URL(service + request.raw_path, encoded=True),
            headers=end_to_end(request.headers),
            data=request.content if request.body_exists else None,
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(
                status=answer.status, reason=answer.reason, headers=end_to_end(answer.headers)
            )
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    server = web.Server(forward, access_log=None)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
