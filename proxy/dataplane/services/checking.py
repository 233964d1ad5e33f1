"""Active health checks: each endpoint is asked for a path every so often, over a connection of its own.

What the checks say together, health.py knows; this file asks, and never for longer than a check may take. The sweep of
deadlines begins the checks, so a service that is no longer swept is no longer checked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from proxy.dataplane.heads import parse_answer
from proxy.dataplane.refusals import Refusal
from proxy.dataplane.services import tls
from proxy.dataplane.services.health import HealthRecord

if TYPE_CHECKING:
    from proxy.dataplane.services.pool import Pool
    from rules.service_care import HealthCheck

MOST = 64 * 1024
"""Bytes of an answer's head that are read at most."""


class Asking(asyncio.Protocol):
    """One check's connection: a GET, and the head of its answer."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._data = b""
        self._transport: asyncio.Transport | None = None
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """Of the final answer; 0 where there was none that can be read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.status.done():
            return
        self._data += data
        try:
            while (end := self._data.find(b"\r\n\r\n")) >= 0:
                head = parse_answer(self._data[:end], "GET")
                self._data = self._data[end + 4 :]
                if head.status >= 200:
                    self._end(head.status)
                    return
        except Refusal:
            self._end(0)
        if len(self._data) > MOST:
            self._end(0)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end(0)

    def close(self) -> None:
        """Whatever of the answer is still to come is not wanted."""
        if self._transport is not None:
            self._transport.abort()

    def _end(self, status: int) -> None:
        if not self.status.done():
            self.status.set_result(status)


def request(path: str, host: str) -> bytes:
    """What a check sends."""
    lines = (f"GET {path} HTTP/1.1", f"Host: {host}", "User-Agent: fig-health", "Accept: */*", "Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


async def check(pool: Pool, asked: bytes, spec: HealthCheck) -> str:
    """Ask once, over a connection as the endpoint's exchanges have it: ``""`` for a good answer, otherwise what was
    wrong with it, for people."""
    asking: Asking | None = None
    try:
        async with asyncio.timeout(spec.timeout):
            asking, _ = await pool.dial(lambda: Asking(asked))
            status = await asking.status
    except TimeoutError:
        return "no answer in time"
    except tls.FAILURES:
        return "no TLS connection"
    except (OSError, UnicodeError):  # UnicodeError: a host name that IDNA cannot encode
        return "no connection"
    finally:
        if asking is not None:
            asking.close()
    if status in spec.good:
        return ""
    return f"status {status}" if status else "no answer that can be read"


class Checking:
    """The checks of one endpoint. `changed` is told when they change what they say of it: whether it is well, and why.

    `roll` gives a whole number below a million.
    """

    def __init__(
        self, spec: HealthCheck, pool: Pool, changed: Callable[[Pool, bool, str], None], roll: Callable[[], int]
    ) -> None:
        self._spec = spec
        self._pool = pool
        self._asked = request(spec.path, spec.host or pool.endpoint.authority)
        self._record = HealthRecord(spec)
        self._changed = changed
        self._roll = roll
        self._due = 0.0
        """When the next check is to begin; 0 before the first sweep."""
        self._running: asyncio.Task[None] | None = None

    def sweep(self, now: float) -> None:
        """Begin a check where one is due and none is running."""
        if not self._due:
            self._due = self._record.first_at(now, self._roll())
        if now >= self._due and self._running is None:
            self._due = self._record.next_at(now, self._roll())
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            wrong = await check(self._pool, self._asked, self._spec)
        finally:
            self._running = None
        self._pool.count("health_checks", (("result", "bad" if wrong else "good"),))
        if self._record.seen(not wrong):
            self._changed(self._pool, self._record.is_well, wrong or "its checks are good again")

    def stop(self) -> None:
        """The service is gone."""
        self._due = float("inf")
        if self._running is not None:
            self._running.cancel()
