"""One service as this worker knows it: what an exchange asks for a connection, and what it tells of the outcome.

Hot. A service with one URL and neither breaker nor `max_requests` pays one comparison for all that is possible here.
Where a connection comes from: an idle one, or a new one, of the endpoint whose turn it is among those that are well;
with no room there, of any of them; with no room at all the exchange waits its turn in a bounded queue.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import structlog

from proxy.dataplane import failing
from proxy.dataplane.refusals import Refusal
from proxy.dataplane.retries import Budget
from proxy.dataplane.services.balancing import Balancer, LeastRequests, RoundRobin, usable
from proxy.dataplane.services.breaker import Breaker
from proxy.dataplane.services.checking import Checking
from proxy.dataplane.services.ejection import UNANSWERED, Ejector, kind_of
from proxy.dataplane.services.pool import Pool
from rules.stages import Side

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.ports import Labels
    from proxy.dataplane.services.connection import ServiceConnection
    from proxy.dataplane.services.world import World
    from rules.service import Service

log = structlog.get_logger(__name__)


class RunningService:
    """See the module. Takes are answered at once, later (connecting, waiting) or never (no room, breaker open)."""

    def __init__(self, name: str, spec: Service, world: World) -> None:
        self.name = name
        self.spec = spec
        self.world = world
        self.authority = spec.authority.encode("ascii")
        """The Host of a request that came without, or that the rules give the service's own."""
        self.waiting: OrderedDict[Exchange, None] = OrderedDict()
        """Exchanges that found no room, in the order in which they came."""
        self._ejector = Ejector(spec.ejects, len(spec.endpoints)) if spec.ejects is not None else None
        self._breakers = {side: Breaker(spec.breaker) for side in Side} if spec.breaker is not None else {}
        self.is_watched = self._ejector is not None or bool(self._breakers)
        """Whether anybody wants to know how exchanges end."""
        self.pools = tuple(Pool(self, number, endpoint) for number, endpoint in enumerate(spec.endpoints))
        self._is_several = len(self.pools) > 1
        self._only = None if self._is_several or self._breakers or spec.max_requests is not None else self.pools[0]
        """The one to take from, where there is nothing else to look at."""
        self._usable = tuple(range(len(self.pools)))
        self._balancer: Balancer = (
            LeastRequests() if spec.balance == "least_requests" else RoundRobin(world.roll() % len(self.pools))
        )
        self._busy = _Busy(self.pools)
        self._checks = [self._checking(pool) for pool in self.pools] if spec.health is not None else []
        self._taken = 0
        """Requests since the budget of retries was last told."""
        self._budget = Budget()

    def _checking(self, pool: Pool) -> Checking:
        assert self.spec.health is not None
        return Checking(self.spec.health, pool, self._checked, self.world.roll)

    # --- asking for a connection -------------------------------------------------------------------------------------

    def take(self, exchange: Exchange) -> ServiceConnection | None:
        """An idle connection, or None: then exchange.connected, or failing.service_failed, comes later.

        Raises Refusal (503) when as many exchanges wait as may, or when the breaker is open.
        """
        self._taken += 1
        pool = self._only
        if pool is None:
            pool = self._choose(exchange)
            if pool is None:
                self._wait(exchange)
                return None
        idle = pool.idle
        while idle and (exchange.repeatable or not self._is_too_stale(pool)):
            connection = idle.pop()
            if connection.is_open:
                connection.reused = True
                return connection
        if pool.open < self.spec.max_connections:
            exchange.connecting()
            pool.connect(exchange)
        else:
            self._wait(exchange)
        return None

    def _is_too_stale(self, pool: Pool) -> bool:
        """A request that must not be repeated does not risk meeting a connection that its service is just closing:
        common servers close after 2 to 75 idle seconds. With no room for another connection, the risk is taken."""
        world = self.world
        return pool.open < self.spec.max_connections and world.now() - pool.idle[-1].idle_since > world.limits.fresh

    def _choose(self, exchange: Exchange) -> Pool | None:
        """None where it has to wait. Raises Refusal."""
        breakers = self._breakers
        if breakers and not exchange.ticket:
            breaker = breakers[exchange.side]
            now = self.world.now()
            before = breaker.state
            exchange.ticket = breaker.admit(now)
            if breaker.state != before:
                self._turned(exchange.side, "a request tries it")
            if not exchange.ticket:
                self._turned_away("breaker")
                message = "the service has failed too often and is left alone for a moment"
                raise Refusal(503, "breaker", message, close=False, retry_after=breaker.retry_after(now))
        return self._pick(exchange) if self._may_begin() else None

    def _may_begin(self) -> bool:
        most = self.spec.max_requests
        return most is None or self.in_flight < most

    def _pick(self, exchange: Exchange) -> Pool | None:
        """An endpoint that has room: the one whose turn it is, or else any that may be asked."""
        if not self._is_several:
            return self.pools[0] if self.pools[0].has_room else None
        numbers = self._usable
        if exchange.avoided:
            numbers = tuple(each for each in numbers if self.pools[each] not in exchange.avoided) or numbers
        pool = self.pools[self._balancer.pick(numbers, self._busy, self.world.roll)]
        if pool.has_room:
            return pool
        return next((self.pools[number] for number in numbers if self.pools[number].has_room), None)

    def _give(self, pool: Pool, exchange: Exchange) -> None:
        """A connection of `pool`'s, which has room: an idle one, or a new one."""
        while pool.idle and (exchange.repeatable or not self._is_too_stale(pool)):
            connection = pool.idle.pop()
            if connection.is_open:
                connection.reused = True
                exchange.connected(connection)
                return
        pool.connect(exchange)

    def connect_anew(self, exchange: Exchange, pool: Pool) -> None:
        """A fresh connection, because a kept one had been closed: to the same endpoint, where that is still asked, or
        where no other may have one more."""
        if self._is_several and pool.number not in self._usable:
            other = self._pick(exchange)
            if other is not None and other.open < self.spec.max_connections:
                pool = other
        exchange.connecting()
        pool.connect(exchange)

    def connect_failed(self, exchange: Exchange, pool: Pool, kind: str, message: str) -> None:
        """No connection came about, so nothing was sent: another endpoint is tried, each once, and all of them before
        the deadline of the first. Says nothing to an exchange that has meanwhile turned elsewhere."""
        self._ended(pool, UNANSWERED)
        if self.is_awaited_by(exchange) and exchange.opening is pool and exchange not in self.waiting:
            other = self._another(exchange, pool) if self._is_several else None
            if other is None:
                failing.service_failed(exchange, kind, message)
            else:
                self.world.observer.count("service_failovers", (("service", self.name),))
                self._give(other, exchange)
        self.serve_waiting()

    def _another(self, exchange: Exchange, failed: Pool) -> Pool | None:
        """An endpoint that has room and has not failed this exchange."""
        exchange.avoided += (failed,)
        for number in self._usable:
            pool = self.pools[number]
            if pool.has_room and pool not in exchange.avoided:
                return pool
        return None

    def is_awaited_by(self, exchange: Exchange) -> bool:
        """False also when the exchange meanwhile waits for another service, its fallback."""
        return exchange.awaits_connection and exchange.service is self

    # --- waiting -----------------------------------------------------------------------------------------------------

    def _wait(self, exchange: Exchange) -> None:
        if len(self.waiting) >= self.spec.max_pending:
            self._turned_away("full")
            raise Refusal(503, "overloaded", "the service has no room for another request", close=False, retry_after=1)
        self.waiting[exchange] = None
        exchange.queued()

    def has_queued(self, exchange: Exchange) -> bool:
        """Whether it waits for room, and not for a connection that is being opened."""
        return exchange in self.waiting

    def had_no_room(self) -> Refusal:
        """What an exchange that has waited too long for room is told."""
        self._turned_away("waited")
        return Refusal(503, "overloaded", "the service had no room for the request in time", close=False, retry_after=1)

    def forget(self, exchange: Exchange) -> None:
        """The exchange waits no longer."""
        self.waiting.pop(exchange, None)  # it may wait for a connection that is being opened instead

    def hand_on(self, connection: ServiceConnection) -> bool:
        """Give a connection that has become free to whoever has waited longest; whether anybody took it."""
        if self._is_several and connection.pool.number not in self._usable:
            return False
        while self.waiting:
            exchange, _ = self.waiting.popitem(last=False)
            if self.is_awaited_by(exchange):
                connection.reused = True
                exchange.connected(connection)
                return True
        return False

    def serve_waiting(self) -> None:
        """There may be room: those that have waited longest go first."""
        while self.waiting and self._may_begin():
            exchange = next(iter(self.waiting))
            pool = self._pick(exchange)
            if pool is None:
                return
            del self.waiting[exchange]
            if self.is_awaited_by(exchange):
                exchange.connecting()
                self._give(pool, exchange)

    # --- what became of it -------------------------------------------------------------------------------------------

    def answered(self, exchange: Exchange, pool: Pool, status: int) -> None:
        """An answer's head is there. Called where `is_watched`."""
        kind = kind_of(status)
        if self._ejector is not None:
            self._ended(pool, kind)
        if exchange.ticket:
            self._came_to(exchange, is_failure=bool(kind))

    def failed(self, exchange: Exchange, pool: Pool | None) -> None:
        """No answer, or not all of it: the service's fault. `pool` where a connection was used; that one could not be
        opened is known already."""
        if pool is not None:
            self._ended(pool, UNANSWERED)
            if self._is_several and pool not in exchange.avoided:
                exchange.avoided += (pool,)
        if exchange.ticket:
            self._came_to(exchange, is_failure=True)

    def abandoned(self, exchange: Exchange) -> None:
        """Nobody will know what would have become of it: the client left, or fig ended it."""
        self._breakers[exchange.side].abandoned(exchange.ticket)
        exchange.ticket = 0

    def _came_to(self, exchange: Exchange, *, is_failure: bool) -> None:
        breaker = self._breakers[exchange.side]
        ticket, exchange.ticket = exchange.ticket, 0
        before = breaker.state
        if is_failure:
            breaker.failed(ticket, self.world.now())
        else:
            breaker.succeeded(ticket, self.world.now())
        if breaker.state != before:
            self._turned(exchange.side, "requests failed" if is_failure else "requests succeeded")
            if breaker.state == "open":
                self._send_waiting_away(exchange.side)

    def _send_waiting_away(self, side: Side) -> None:
        """The breaker has opened: those that waited for this service are not sent after those that failed."""
        for exchange in [each for each in self.waiting if each.side is side and each.ticket]:
            if exchange in self.waiting:
                self.abandoned(exchange)
                failing.ask_again(exchange)

    def _ended(self, pool: Pool, kind: int) -> None:
        ejector = self._ejector
        if ejector is not None and ejector.result(pool.number, kind, self.world.now()):
            self._changed(pool, "ejected", ejector.why(pool.number))

    def _checked(self, pool: Pool, is_well: bool, why: str) -> None:
        """Health checks have changed their mind about an endpoint."""
        pool.is_ill = not is_well
        self._changed(pool, "well" if is_well else "ill", why)
        if is_well and self._ejector is not None and self._ejector.readmit(pool.number):
            self._changed(pool, "readmitted", "health checks found it well again")

    def _changed(self, pool: Pool, what: str, why: str) -> None:
        ejector = self._ejector
        wells = [not (each.is_ill or (ejector is not None and ejector.is_out(each.number))) for each in self.pools]
        self._usable = usable(wells)
        log.warning(f"an endpoint is {what}", service=self.name, endpoint=pool.endpoint.url, reason=why)
        pool.count("endpoint_changes", (("now", what),))
        self.serve_waiting()

    def _turned(self, side: Side, why: str) -> None:
        state = self._breakers[side].state
        log.warning("a circuit breaker turned", service=self.name, side=side.value, state=state, reason=why)
        labels = (("service", self.name), ("side", side.value), ("state", state))
        self.world.observer.count("breaker_changes", labels)

    def _turned_away(self, why: str) -> None:
        """Count an exchange that got no connection: ``breaker``, ``full``, ``waited``."""
        self.world.observer.count("service_turned_away", (("reason", why), ("service", self.name)))

    # --- from the sweep, and what is told ----------------------------------------------------------------------------

    def budget_at(self, now: float) -> Budget:
        """What retries may still cost this service."""
        self._budget.sent(self._taken, now)
        self._taken = 0
        return self._budget

    def sweep(self, now: float) -> None:
        """Close what is idle or old, look up hosts, begin checks, end ejections: whatever of it is due."""
        self.budget_at(now)
        for pool in self.pools:
            pool.sweep(now)
        for checking in self._checks:
            checking.sweep(now)
        if self._ejector is not None:
            swept = self._ejector.sweep(now)
            for number in swept.returned:
                self._changed(self.pools[number], "readmitted", "its time is over")
            for number in swept.ejected:
                self._changed(self.pools[number], "ejected", self._ejector.why(number))

    def retire(self) -> None:
        """A reload took the service away: no further exchange begins here; those that run end in peace."""
        for pool in self.pools:
            pool.retire()
        for checking in self._checks:
            checking.stop()

    @property
    def open(self) -> int:
        """Connections open or being opened."""
        return sum(pool.open for pool in self.pools)

    @property
    def idle(self) -> int:
        """Connections that carry nothing."""
        return sum(len(pool.idle) for pool in self.pools)

    @property
    def in_flight(self) -> int:
        """Connections that carry an exchange, or are being opened for one. A connection carries one at a time, so
        nothing has to be counted apart, and nothing can be counted wrong."""
        total = 0
        for pool in self.pools:
            total += pool.open - len(pool.idle)
        return total

    def gauges(self) -> Iterator[tuple[str, Labels, float]]:
        """How things stand: name, labels, value."""
        labels: Labels = (("service", self.name),)
        yield "service_connections", labels, float(self.open)
        yield "service_idle", labels, float(self.idle)
        yield "service_in_flight", labels, float(self.in_flight)
        yield "service_waiting", labels, float(len(self.waiting))
        for pool in self.pools:
            endpoint: Labels = (("endpoint", pool.endpoint.url), *labels)
            yield "endpoint_up", endpoint, float(not pool.is_ill)
            is_out = self._ejector is not None and self._ejector.is_out(pool.number)
            yield "endpoint_ejected", endpoint, float(is_out)
        for side, breaker in self._breakers.items():
            for state in ("closed", "half_open", "open"):
                of_side: Labels = (*labels, ("side", side.value), ("state", state))
                yield "breaker_state", of_side, float(breaker.state == state)


class _Busy:
    """Requests under way, of every endpoint by its number; looked at for the few that a balancer weighs."""

    __slots__ = ("_pools",)

    def __init__(self, pools: tuple[Pool, ...]) -> None:
        self._pools = pools

    def __getitem__(self, number: int) -> int:
        pool = self._pools[number]
        return pool.open - len(pool.idle)

    def __len__(self) -> int:
        return len(self._pools)
