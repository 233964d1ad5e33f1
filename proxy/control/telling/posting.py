"""Sends POST requests and takes their answers: time limits, bounded answers, signatures, attempts. The shell.

Redirects are not followed: what is signed is for the receiver that the rules file names. The environment's proxies
(HTTPS_PROXY) are used, as for everything that leaves a company's network. No error tells the URL.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from proxy.control.telling.retrying import MOST, Outcome, wait
from proxy.control.telling.signature import HEADER, sign
from proxy.control.telling.spec import LONGEST_TIMEOUT, Receiver

AGENT = "fig"


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is to be posted."""

    body: bytes
    """JSON."""
    number: str
    """Tells the receiver what it has seen already: the same for every attempt."""


class Poster:
    """Posts to receivers, each attempt within its time."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`clock`: seconds since the epoch."""
        self._clock = clock
        self._chance = chance
        self._sleep = sleep
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def deliver(self, receiver: Receiver, secret: str | None, parcel: Parcel) -> Outcome:
        """The first answer that settles it, or what the last attempt came to."""
        attempts = 0
        while True:
            outcome = await self._attempt(receiver, secret, parcel)
            attempts += 1
            if not outcome.worth_another or attempts >= receiver.attempts:
                return outcome
            await self._sleep(wait(attempts, receiver.backoff, outcome, self._chance()))

    async def _attempt(self, receiver: Receiver, secret: str | None, parcel: Parcel) -> Outcome:
        headers = {"Content-Type": "application/json", "User-Agent": AGENT, "Idempotency-Key": parcel.number}
        if secret is not None:
            headers[HEADER] = sign(secret, parcel.body, self._clock())
        client = await self._opened()
        try:
            async with asyncio.timeout(receiver.timeout):
                return await _exchange(client, receiver, headers, parcel.body)
        except TimeoutError:
            return Outcome(problem=f"no answer within {receiver.timeout:g} s from {receiver.place}")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as exc:
            return Outcome(problem=f"{receiver.place} cannot be reached ({type(exc).__name__})")

    async def _opened(self) -> httpx.AsyncClient:
        """Made when first needed: most rules files tell nobody, and TLS's authorities take a while to read."""
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(_open)
            return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _open() -> httpx.AsyncClient:
    """Blocking."""
    limits = httpx.Limits(max_connections=50, keepalive_expiry=30)
    return httpx.AsyncClient(timeout=LONGEST_TIMEOUT, limits=limits)


async def _exchange(client: httpx.AsyncClient, receiver: Receiver, headers: dict[str, str], content: bytes) -> Outcome:
    async with client.stream("POST", receiver.url, headers=headers, content=content) as answer:
        body = bytearray()
        async for piece in answer.aiter_bytes(8192):
            body += piece[: MOST + 1 - len(body)]
            if len(body) > MOST:
                break
        return Outcome(answer.status_code, bytes(body), retry_after=_seconds(answer.headers.get("Retry-After", "")))


def _seconds(text: str) -> float | None:
    """Of ``Retry-After: 120``. A date in it is passed over: the wait is then fig's own."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
