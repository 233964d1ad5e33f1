"""The data plane of one worker: what all its connections share, the sweep of deadlines, and the drain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.dataplane import failing, goodbyes
from proxy.dataplane.addresses import TrustedProxies
from proxy.dataplane.client import ClientConnection
from proxy.dataplane.ports import Copies, Limits, Observer
from proxy.dataplane.sending import Outbox
from proxy.dataplane.services.resolving import Lookup, look_up
from proxy.dataplane.services.service import RunningService
from proxy.dataplane.services.tls import Contexts
from proxy.dataplane.services.world import World

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.ids import Ids
    from proxy.dataplane.tracing import Tracing
    from rules.events import Events
    from rules.table import Table

SWEEP = 0.25
"""Seconds between looks at the deadlines: one attribute compared per connection, so 12,000 cost about a millisecond.
A timer for each would cost more on every request; the price is that a timeout may be this much late."""
DRAIN_IDLE = 1.0
"""While draining, a client connection that was idle this long is closed; sooner, its next request may be on its way."""


class Plane:
    """The shared half of every connection. `now` is monotonic seconds, `wall` seconds since the epoch."""

    def __init__(
        self,
        table: Table,
        *,
        observer: Observer,
        copies: Copies | None,
        ids: Ids,
        now: Callable[[], float],
        wall: Callable[[], float],
        roll: Callable[[], int],
        limits: Limits | None = None,
        lookup: Lookup = look_up,
    ) -> None:
        """`roll` gives a whole number below a million: the chance that samples are taken by. `lookup` finds the
        addresses of services' hosts."""
        self.limits = limits or Limits()
        self.table = table
        self.observer = observer
        self.copies = copies
        self.ids = ids
        self.fresh_unit = ids.unit
        self.now = now
        self.wall = wall
        self.roll = roll
        self.outbox = Outbox()
        self.proxies: TrustedProxies | None = None
        """Whose word on clients is taken; None for nobody's."""
        self.tracing: Tracing | None = None
        """Decides which exchanges are traced; None where fig only passes on what came."""
        self.draining = False
        self.clients: set[ClientConnection] = set()
        self.arriving: set[asyncio.Task[None]] = set()
        """TLS handshakes under way; each becomes a client or comes to nothing."""
        self.orphans: set[Exchange] = set()
        """Journaled writes whose client is gone, followed to their outcome."""
        self._world = World(self.limits, observer, self.outbox, now, roll, lookup, Contexts(now))
        self.services: dict[str, RunningService] = {}
        self.events: Events | None = None
        """The table's: what is counted for routes in canary."""
        self.load(table)

    def load(self, table: Table) -> None:
        """Decide by `table` from now on. Exchanges that have begun end as they were decided."""
        services = {}
        for name, spec in table.services.items():
            known = self.services.get(name)
            is_same = known is not None and known.spec == spec
            services[name] = known if known is not None and is_same else RunningService(name, spec, self._world)
        for name, service in self.services.items():
            if services.get(name) is not service:
                service.retire()
        self.services = services
        self.events = table.events
        self.proxies = TrustedProxies(table.trusted_proxies) if table.trusted_proxies else None
        self.table = table

    def accept(self) -> ClientConnection:
        """The protocol of a connection that was accepted."""
        return ClientConnection(self)

    def sweep(self) -> None:
        """End what has waited too long."""
        now = self.now()
        for client in list(self.clients):
            exchange = client.exchange
            if exchange is not None:
                if exchange.deadline < now:
                    failing.timed_out(exchange)
            elif client.deadline < now:
                goodbyes.timed_out(client)
        for exchange in list(self.orphans):
            if exchange.deadline < now:
                failing.timed_out(exchange)
        for service in self.services.values():
            service.sweep(now)

    async def drain(self, seconds: float) -> int:
        """End every exchange that is running, close connections as they become idle, abort the rest after `seconds`.

        Returns how many connections had to be aborted.
        """
        self.draining = True
        end = self.now() + seconds
        while (self.clients or self.arriving or self.orphans) and self.now() < end:
            for client in list(self.clients):
                # Once: closing gives a client time to say goodbye, which would begin anew.
                if client.is_idle and not client.close_after and self.now() - client.idle_since > DRAIN_IDLE:
                    goodbyes.close(client)
            await asyncio.sleep(0.05)
        for handshake in list(self.arriving):
            handshake.cancel()
        left = list(self.clients)
        for client in left:
            client.transport.abort()
        return len(left)
