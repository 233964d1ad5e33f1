"""Sends copies: one request to one service, as the worker would have sent it, and a plain account of what came of it.

The request is the captured one, with `X-Fig-Copy`, and for writes `Idempotency-Key`, set by fig. Redirects are not
followed, cookies not kept, codings not undone: the answer is the wire's, and the comparison decodes it. Accept-Encoding
goes out as the client sent it, so that both sides are asked the same.
"""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from rules.endpoint import Endpoint
from rules.service import Service
from rules.stages import Side
from shadow.delivery.retry import Answered, Attempt, Lost, Unsendable, Unsent
from shadow.pair import Answer

CAPTURE = 1024 * 1024
"""Bytes of an answer's body that are kept, as in the data plane."""
ANSWER_HEAD = 128 * 1024
"""Bytes of an answer's line or field, as much as the data plane takes: what clients get is no fault of a copy."""
KEEP_ALIVE = 15.0
"""Seconds that an unused connection stays: shorter than the keep-alive of common servers, so that fig closes first."""
_LARGE = 512 * 1024
_SET_HERE = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
        *("host", "content-length", "idempotency-key", "x-fig-copy", "x-request-id"),
    )
)
_NEVER_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp would add of its own; a copy says what the client said."""


@dataclass(frozen=True, slots=True)
class CopyRequest:
    """One request that the other side has answered."""

    to: Side
    method: str
    target: str
    """Path and query as forwarded."""
    host: str
    """``""``: that of the service."""
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    request_id: str
    idempotency_key: str = ""
    """The same in every attempt of a write; ``""`` for a read."""

    @property
    def direction(self) -> str:
        """``shadow`` towards the candidate, ``reverse`` towards legacy: so that services can hold side effects back."""
        return "shadow" if self.to is Side.CANDIDATE else "reverse"


class Securing(Protocol):
    """How services are spoken to by TLS."""

    async def context(self, service: Service) -> ssl.SSLContext:
        """Of a connection that begins now. Raises OSError where there is none."""

    def failed(self, service: Service, exc: BaseException) -> None:
        """A connection did not come about; somebody should be told why."""


class Sender:
    """Sends; decides nothing. Must be made and closed in a running loop."""

    def __init__(self, securing: Securing, *, capture: int = CAPTURE) -> None:
        self._securing = securing
        self._capture = capture
        self._turn = 0
        """Attempts so far: each goes to the next endpoint, so that a repeated one does not meet the same again."""
        self._kept = _session(force_close=False)
        # A kept connection may be closed by the service just when the next request goes out, and then nobody knows
        # whether it was read. Where nothing deduplicates that would be a doubt, so such writes get a fresh one each.
        self._fresh = _session(force_close=True)

    async def close(self) -> None:
        await self._kept.close()
        await self._fresh.close()

    async def send(self, request: CopyRequest, service: Service, *, repeatable: bool) -> Attempt:
        """One attempt. `repeatable`: sending it twice does no harm. Raises nothing but CancelledError."""
        session = self._kept if repeatable else self._fresh
        seen = SimpleNamespace(connected=False)
        # `total` ends what answers a byte a second too.
        timeout = aiohttp.ClientTimeout(
            total=service.connect_timeout + service.timeout,
            sock_connect=service.connect_timeout,
            sock_read=service.timeout,
        )
        try:
            endpoint = service.endpoints[self._turn % len(service.endpoints)]
            self._turn += 1
            url = URL(f"{endpoint.url}{request.target}", encoded=True)
            headers = _headers(request, endpoint)
        except ValueError as exc:
            return Unsendable(f"cannot be written as a request: {type(exc).__name__}")
        try:
            context = await self._securing.context(service) if endpoint.secure else True
        except OSError as exc:
            self._securing.failed(service, exc)
            return Unsent("tls")
        sent = time.perf_counter()
        try:
            async with session.request(
                request.method,
                url,
                headers=headers,
                data=io.BytesIO(request.body) if len(request.body) > _LARGE else request.body or None,
                timeout=timeout,
                allow_redirects=False,
                trace_request_ctx=seen,
                ssl=context,
                server_hostname=service.tls.server_name if service.tls is not None else None,
            ) as response:
                seconds = time.perf_counter() - sent
                body, truncated = await self._read(response)
                fields = tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in response.raw_headers)
                return Answered(Answer(response.status, fields, body, truncated, seconds))
        except (aiohttp.ClientSSLError, ssl.SSLError) as exc:
            if seen.connected:
                return Lost("reset")
            self._securing.failed(service, exc)
            return Unsent("tls")
        except TimeoutError:
            return Lost("timeout") if seen.connected else Unsent("timeout")
        except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, OSError):
            return Lost("reset") if seen.connected else Unsent("connect")
        except aiohttp.ClientError:
            return Lost("malformed") if seen.connected else Unsent("connect")
        except ValueError as exc:  # aiohttp's refusal of a header or method that is none
            return Unsendable(f"cannot be written as a request: {type(exc).__name__}")

    async def _read(self, response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
        """The body's beginning, and whether there is more of it (then the connection is given up)."""
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > self._capture:
                response.close()
                return bytes(body[: self._capture]), True
        return bytes(body), False


def _session(*, force_close: bool) -> aiohttp.ClientSession:
    async def connected(session: object, context: SimpleNamespace, params: object) -> None:
        context.trace_request_ctx.connected = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    # limit=0: how many run at once is decided before a copy comes here, per service.
    if force_close:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
    else:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_NEVER_ADDED,
        auto_decompress=False,
        max_line_size=ANSWER_HEAD,
        max_field_size=ANSWER_HEAD,
        trace_configs=[trace],
    )


def _headers(request: CopyRequest, endpoint: Endpoint) -> CIMultiDict[str]:
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in request.headers:
        text = name.decode("ascii")
        if text.lower() not in _SET_HERE:
            headers.add(text, _text(value))
    headers["Host"] = request.host or endpoint.authority
    headers["X-Request-Id"] = request.request_id
    headers["X-Fig-Copy"] = request.direction
    if request.idempotency_key:
        headers["Idempotency-Key"] = request.idempotency_key
    return headers


def _text(value: bytes) -> str:
    """aiohttp writes headers as UTF-8, so a value that is UTF-8 leaves as it came; any other is written anew."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
