"""Connections to a service, kept alive, bounded, each reading one answer at a time. Hot."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.dataplane.refusals import Refusal
from proxy.dataplane.retries import Budget
from proxy.dataplane.sending import Outbox
from proxy.dataplane.services.connection import ServiceConnection

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.ports import Limits
    from rules.service import Service


class Pool:
    """The connections to one service. Takes are answered at once, later (connecting, waiting) or never (full)."""

    def __init__(
        self, name: str, spec: Service, limits: Limits, now: Callable[[], float], outbox: Outbox | None = None
    ) -> None:
        self.name = name
        self.spec = spec
        self.limits = limits
        self.authority = spec.authority.encode("ascii")
        """The Host of a request that came without, or that the rules give the service's own."""
        self.now = now
        self.outbox = outbox or Outbox()
        self.retired = False
        """Whether a reload took this service away; connections then end with their exchanges."""
        self.idle: list[ServiceConnection] = []
        self.open = 0
        """Connections open or being opened."""
        self.waiting: deque[Exchange] = deque()
        self._taken = 0
        """Requests since the budget of retries was last told."""
        self._budget = Budget()
        self._connecting: set[asyncio.Task[None]] = set()

    def take(self, exchange: Exchange) -> ServiceConnection | None:
        """An idle connection, or None: then exchange.connected, or exchange.service_failed, comes later.

        Raises Refusal (503) when as many exchanges wait as may.
        """
        self._taken += 1
        while self.idle and not self._is_too_stale_for(exchange):
            connection = self.idle.pop()
            if connection.is_open:
                connection.reused = True
                return connection
        if self.open < self.spec.max_connections:
            self.connect(exchange)
        elif len(self.waiting) < self.limits.pending:
            self.waiting.append(exchange)
        else:
            raise Refusal(503, "overloaded", "the service has no room for another request", close=False, retry_after=1)
        return None

    def _is_too_stale_for(self, exchange: Exchange) -> bool:
        """A request that must not be repeated does not risk meeting a connection that its service is just closing:
        common servers close after 2 to 75 idle seconds. With no room for another connection, the risk is taken."""
        return (
            not exchange.repeatable
            and self.open < self.spec.max_connections
            and self.now() - self.idle[-1].idle_since > self.limits.fresh
        )

    def connect(self, exchange: Exchange) -> None:
        self.open += 1
        task = asyncio.get_running_loop().create_task(self._connect(exchange))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.spec.connect_timeout):
                _, connection = await loop.create_connection(
                    lambda: ServiceConnection(self), self.spec.host, self.spec.port
                )
        except TimeoutError:
            self._failed(exchange, "timeout", "the service did not take the connection in time")
        except (OSError, UnicodeError):  # UnicodeError: a host name that IDNA cannot encode
            self._failed(exchange, "connect", "the service takes no connections")
        else:
            if connection.is_lost:  # between its making and this moment
                self._failed(exchange, "connect", "the service closed the connection at once")
                return
            connection.counted = True
            if self._is_awaited_by(exchange):
                exchange.connected(connection)
            else:
                self.give_back(connection)

    def _failed(self, exchange: Exchange, kind: str, message: str) -> None:
        self.open -= 1
        if self._is_awaited_by(exchange):
            exchange.service_failed(kind, message)
        self._serve_waiting()

    def _is_awaited_by(self, exchange: Exchange) -> bool:
        """False also when the exchange meanwhile waits for another service, its fallback."""
        return exchange.awaits_connection and exchange.pool is self

    def forget(self, exchange: Exchange) -> None:
        """The exchange waits no longer."""
        with contextlib.suppress(ValueError):  # it waits for a connection that is being opened, not in the queue
            self.waiting.remove(exchange)

    def give_back(self, connection: ServiceConnection) -> None:
        if self.retired:
            connection.transport.close()
            return
        while self.waiting:
            exchange = self.waiting.popleft()
            if self._is_awaited_by(exchange):
                connection.reused = True
                exchange.connected(connection)
                return
        connection.idle_since = self.now()
        self.idle.append(connection)

    def lost(self, connection: ServiceConnection) -> None:
        if not connection.counted:
            return  # _connect still counts it
        self.open -= 1
        if connection.exchange is None and connection in self.idle:
            self.idle.remove(connection)
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        while self.waiting and self.open < self.spec.max_connections:
            exchange = self.waiting.popleft()
            if self._is_awaited_by(exchange):
                self.connect(exchange)

    def budget_at(self, now: float) -> Budget:
        """What retries may still cost this service."""
        self._budget.sent(self._taken, now)
        self._taken = 0
        return self._budget

    def sweep(self, now: float) -> None:
        """Close what has been idle too long. The list is in order of being given back, oldest first."""
        self.budget_at(now)
        oldest = now - self.limits.service_keep_alive
        count = 0
        for connection in self.idle:
            if connection.idle_since > oldest:
                break
            count += 1
        for connection in self.idle[:count]:
            connection.transport.close()
        del self.idle[:count]

    def retire(self) -> None:
        """No further exchange begins here; those that run end in peace."""
        self.retired = True
        for connection in self.idle:
            connection.transport.close()
        self.idle.clear()
