"""Connections to one endpoint of a service: opened, kept alive, closed when they are idle for long or old. Hot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar, cast

import structlog

from proxy.dataplane.services import tls
from proxy.dataplane.services.connecting import PAUSE, connect_to_any
from proxy.dataplane.services.connection import ServiceConnection
from proxy.dataplane.services.jitter import sooner
from proxy.dataplane.services.resolving import Addresses

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.ports import Labels
    from proxy.dataplane.services.service import RunningService
    from rules.endpoint import Endpoint

log = structlog.get_logger(__name__)

_PAST: Final = -float("inf")

P = TypeVar("P", bound=asyncio.BaseProtocol)


class Pool:
    """See the module. Which exchange gets a connection, and where it waits when there is none, `service` decides."""

    def __init__(self, service: RunningService, number: int, endpoint: Endpoint) -> None:
        self.service = service
        self.number = number
        """Its place among the service's endpoints."""
        self.endpoint = endpoint
        self.watch = service if service.is_watched else None
        """Who wants to know how exchanges end, if anybody."""
        self.limits = service.world.limits
        self.outbox = service.world.outbox
        self.is_retired = False
        """Whether a reload took the service away; connections then end with their exchanges."""
        self.is_ill = False
        """Whether health checks say so."""
        self.idle: list[ServiceConnection] = []
        """In order of being given back, oldest first."""
        self.open = 0
        """Connections open or being opened."""
        self._now = service.world.now
        self._waiting = service.waiting
        self._most = service.spec.max_connections
        max_age = service.spec.max_age
        self._max_age = float("inf") if max_age == "off" else max_age
        self._of: dict[str, set[ServiceConnection]] = {}
        """Connections by address."""
        self._connecting: set[asyncio.Task[None]] = set()
        resolve = service.spec.resolve
        self._addresses = Addresses(
            endpoint.host,
            endpoint.port,
            every=None if resolve == "off" else resolve,
            now=self._now,
            lookup=service.world.lookup,
            changed=self._leave,
            failed=lambda: self.count("resolution_failures", ()),
        )

    @property
    def has_room(self) -> bool:
        """Whether a request can be sent over it now, or once a connection is opened."""
        return bool(self.idle) or self.open < self._most

    def count(self, name: str, labels: Labels) -> None:
        """Something happened to this endpoint."""
        of_endpoint = (("endpoint", self.endpoint.url), *labels, ("service", self.service.name))
        self.service.world.observer.count(name, of_endpoint)

    # --- opening -----------------------------------------------------------------------------------------------------

    def connect(self, exchange: Exchange) -> None:
        """Open a connection for `exchange`. It gets this one, or the service hears that there is none."""
        self.open += 1
        exchange.opening = self
        task = asyncio.get_running_loop().create_task(self._connect(exchange))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, exchange: Exchange) -> None:
        service = self.service
        try:
            async with asyncio.timeout(service.spec.connect_timeout):
                connection, address = await self.dial(lambda: ServiceConnection(self))
        except TimeoutError:
            self._failed(exchange, "timeout", "the service did not take the connection in time")
        except tls.FAILURES as exc:
            service.world.contexts.tell(service.name, exc)
            self._failed(exchange, "tls", tls.MESSAGE)
        except (OSError, UnicodeError):  # UnicodeError: a host name that IDNA cannot encode
            self._failed(exchange, "connect", "the service takes no connections")
        except Exception:  # no thread to be had, a mistake of ours: the exchange ends, and its place is not lost
            log.exception("opening a connection failed", service=service.name, endpoint=self.endpoint.url)
            self._failed(exchange, "connect", "the service could not be connected to")
        else:
            if connection.is_lost:  # between its making and this moment
                self._failed(exchange, "connect", "the service closed the connection at once")
                return
            self._count(connection, address)
            self.count("service_connects", ())
            if service.is_awaited_by(exchange):
                service.forget(exchange)  # it may meanwhile have turned to the queue
                exchange.connected(connection)
            else:
                self.give_back(connection)

    async def dial(self, protocol: Callable[[], P]) -> tuple[P, str]:
        """A connection to whichever of the host's addresses takes it, with TLS where the endpoint wants it, and that
        address. Raises tls.FAILURES, OSError or UnicodeError; sets no bound to the time."""
        loop = asyncio.get_running_loop()
        endpoint = self.endpoint
        spec = self.service.spec
        context = await self.service.world.contexts.of(spec) if endpoint.secure else None
        name = tls.server_name(spec, endpoint) if endpoint.secure else None

        async def connect(address: str) -> tuple[asyncio.BaseTransport, P, str]:
            begun = self._now()
            try:
                made = await loop.create_connection(protocol, address, endpoint.port, ssl=context, server_hostname=name)
            except OSError:
                self._addresses.refused(address)
                raise
            except asyncio.CancelledError:  # the time is up, or another address was faster
                if self._now() - begun >= PAUSE:
                    self._addresses.refused(address)
                raise
            self._addresses.took(address)
            return (*made, address)

        def drop(made: tuple[asyncio.BaseTransport, P, str]) -> None:
            cast(asyncio.Transport, made[0]).abort()

        _, connection, address = await connect_to_any(await self._addresses.next(), connect, drop)
        return connection, address

    def _count(self, connection: ServiceConnection, address: str) -> None:
        connection.counted = True
        connection.address = address
        if not self.is_retired:
            connection.until = self._now() + sooner(self._max_age, self.service.world.roll())
        self._of.setdefault(address, set()).add(connection)

    def _failed(self, exchange: Exchange, kind: str, message: str) -> None:
        self.open -= 1
        self.count("service_connect_failures", (("kind", kind),))
        self.service.connect_failed(exchange, self, kind, message)

    # --- keeping -----------------------------------------------------------------------------------------------------

    def give_back(self, connection: ServiceConnection) -> None:
        """The connection carries nothing any more."""
        now = self._now()
        if now >= connection.until:
            self._end(connection)
            self.service.serve_waiting()
            return
        if self._waiting and self.service.hand_on(connection):
            return
        connection.idle_since = now
        self.idle.append(connection)
        if self._waiting:
            self.service.serve_waiting()

    def lost(self, connection: ServiceConnection) -> None:
        """The connection has ended."""
        if not connection.counted:
            return  # _connect still counts it, or nobody does any more
        self.open -= 1
        self._forget(connection)
        if connection.exchange is None and connection in self.idle:
            self.idle.remove(connection)
        self.service.serve_waiting()

    def _forget(self, connection: ServiceConnection) -> None:
        same = self._of[connection.address]
        same.discard(connection)
        if not same:
            del self._of[connection.address]

    def _leave(self, gone: frozenset[str]) -> None:
        """The host has lost these addresses: what is connected to them takes no further request."""
        for address in gone:
            for connection in self._of.get(address, ()):
                connection.until = _PAST
        self._end_idle(_PAST)

    def sweep(self, now: float) -> None:
        """Close what has been idle too long, or is too old; look the host up where that is due."""
        self._end_idle(now)
        self._addresses.sweep(now)

    def _end_idle(self, now: float) -> None:
        """Close what is idle and over its time."""
        oldest = now - self.limits.service_keep_alive
        over = {each for each in self.idle if each.until <= now or each.idle_since <= oldest}
        if over:
            self.idle[:] = [each for each in self.idle if each not in over]
            for connection in over:
                self._end(connection)
            self.service.serve_waiting()

    def _end(self, connection: ServiceConnection) -> None:
        """Close one that carries nothing. Its place is free at once: by TLS both ends say goodbye, and a service that
        reads nothing between two requests takes as long for that as the loop allows it, half a minute."""
        self.open -= 1
        self._forget(connection)
        connection.counted = False
        connection.transport.close()

    def retire(self) -> None:
        """No further exchange begins here; those that run end in peace."""
        self.is_retired = True
        self._addresses.stop()
        self._leave(frozenset(self._of))
