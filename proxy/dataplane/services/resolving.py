"""Which addresses an endpoint's host has: looked up off the loop, anew every so often, used in turn.

A lookup that fails changes nothing: the last addresses that were found stay. An address that took no connection is
tried last until it takes one again, or until the name is next looked up.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host, best first (RFC 6724), for a port. Raises OSError or UnicodeError."""

SOONEST = 1.0
"""Seconds between two lookups at least, however often connecting fails."""


async def look_up(host: str, port: int) -> list[str]:
    """As the machine resolves names (hosts file, DNS), in a thread of the loop's."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


def interleaved(addresses: list[str]) -> tuple[str, ...]:
    """Each once, families in turn, so that a family which leads nowhere costs one attempt (RFC 8305 section 4)."""
    each_once = list(dict.fromkeys(addresses))
    first_is_six = ":" in each_once[0] if each_once else False
    first = [each for each in each_once if (":" in each) == first_is_six]
    others = [each for each in each_once if (":" in each) != first_is_six]
    mixed: list[str] = []
    for number in range(max(len(first), len(others))):
        mixed += first[number : number + 1] + others[number : number + 1]
    return tuple(mixed)


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Addresses:
    """Those of one host. `known` is empty until the name was looked up for the first connection."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        every: float | None,
        now: Callable[[], float],
        lookup: Lookup,
        changed: Callable[[frozenset[str]], None],
        failed: Callable[[], None],
    ) -> None:
        """`every`: seconds, None for once for each connection. `changed` is told of addresses that are gone, `failed`
        of a lookup that found nothing."""
        self.known: tuple[str, ...] = (host,) if is_address(host) else ()
        self._is_fixed = bool(self.known)
        self._host = host
        self._port = port
        self._every = every
        self._now = now
        self._lookup = lookup
        self._changed = changed
        self._failed = failed
        self._turn = 0
        self._shunned: set[str] = set()
        self._due = float("inf")
        self._looked_up = -float("inf")
        self._running: asyncio.Task[None] | None = None

    async def next(self) -> list[str]:
        """All of them, for one connection: the one whose turn it is first. Raises OSError when none was ever found."""
        if not self.known or (self._every is None and not self._is_fixed):
            await asyncio.shield(self._look_up())
            if not self.known:
                raise OSError(f"{self._host} has no address")
        at = self._turn % len(self.known)
        self._turn += 1
        turned = self.known[at:] + self.known[:at]
        return sorted(turned, key=self._shunned.__contains__)

    def took(self, address: str) -> None:
        """It took a connection."""
        self._shunned.discard(address)

    def refused(self, address: str) -> None:
        """It took none. When none does, the name may lead elsewhere by now."""
        self._shunned.add(address)
        if not self._is_fixed and self._shunned.issuperset(self.known):
            self._due = min(self._due, self._looked_up + SOONEST)

    def sweep(self, now: float) -> None:
        """Begin a lookup where one is due."""
        if now >= self._due:
            self._look_up()

    def stop(self) -> None:
        """Look nothing up any more but what a connection waits for."""
        self._due = float("inf")
        self._every = None

    def _look_up(self) -> asyncio.Task[None]:
        """The lookup that is running; one at a time."""
        if self._running is None:
            self._due = float("inf")
            self._running = asyncio.get_running_loop().create_task(self._run())
        return self._running

    async def _run(self) -> None:
        try:
            found = interleaved(await self._lookup(self._host, self._port))
        except (OSError, UnicodeError):  # UnicodeError: a name that IDNA cannot encode
            found = ()
        finally:  # also after what nobody foresaw: the next lookup must come
            self._running = None
            self._looked_up = self._now()
            if self._every is not None:
                self._due = self._looked_up + self._every
        if not found:
            self._failed()
            return
        gone = frozenset(self.known) - frozenset(found)
        self.known = found
        self._shunned.clear()
        if gone:
            self._changed(gone)
