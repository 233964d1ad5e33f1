"""What control does with error budgets beside counting: tells people, shows them to Prometheus, keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from proxy.control.budgets import Budgets
from proxy.wire import Tally

log = structlog.get_logger(__name__)

SHOW_EVERY = 2.0
"""Seconds."""
KEEP_EVERY = 15.0
"""Seconds of counts that a killed control may lose."""
TOLD = "slo"
"""What the history calls it, and whoever tells its gauges."""


class Kept(Protocol):
    """What is needed of the store; the call blocks."""

    def keep_budgets(self, changed: Mapping[str, bytes | None]) -> None: ...


class BudgetUpkeep:
    """The loop."""

    def __init__(
        self,
        budgets: Budgets,
        store: Kept,
        note: Callable[[str, str], Awaitable[None]],
        show: Callable[[str, Tally], None],
        clock: Callable[[], float],
        failures: type[Exception],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`note` puts a sentence about a route into the history; `show` takes gauges; `clock`: seconds since the epoch;
        `failures`: what store and `note` raise when the database fails."""
        self._budgets = budgets
        self._store = store
        self._note = note
        self._show = show
        self._clock = clock
        self._failures = failures
        self._sleep = sleep
        self._kept_at = 0.0
        self._untold: list[tuple[str, str]] = []

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await self._sleep(SHOW_EVERY)

    async def look(self) -> None:
        """Show, tell, and keep what is due."""
        now = self._clock()
        self._show(TOLD, Tally(gauges=self._budgets.gauges(now)))
        self._untold += self._budgets.news(now)
        while self._untold:
            try:
                await self._note(*self._untold[0])
            except self._failures as exc:
                log.error("an error budget's alert is not in the history yet", problem=str(exc))
                break
            log.warning("error budget", sentence=self._untold.pop(0)[1])
            self._kept_at = 0.0  # a control that is killed now must not tell it again
        if now - self._kept_at >= KEEP_EVERY:
            self._kept_at = now
            await asyncio.to_thread(self.keep)

    def keep(self) -> None:
        """Blocking."""
        changed = self._budgets.to_keep()
        try:
            self._store.keep_budgets(changed)
        except self._failures as exc:
            self._budgets.not_kept(changed)
            log.error("error budgets not kept; a restart of control would forget some counts", problem=str(exc))
