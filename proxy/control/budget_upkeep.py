"""What control does with error budgets beside counting: tells people, shows them to Prometheus, keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from proxy.control.budgets import Budgets
from proxy.control.shelves import Shelf
from proxy.wire import Tally

log = structlog.get_logger(__name__)

SHOW_EVERY = 2.0
"""Seconds."""
KEEP_EVERY = 15.0
"""Seconds of counts that a killed control may lose."""
TOLD = "slo"
"""What the history calls it, and whoever tells its gauges."""


class BudgetUpkeep:
    """The loop."""

    def __init__(
        self,
        budgets: Budgets,
        shelf: Shelf,
        note: Callable[[str, str], Awaitable[None]],
        show: Callable[[str, Tally], None],
        clock: Callable[[], float],
        failures: type[Exception],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`shelf` keeps the ledgers; `note` puts a sentence about a route into the history; `show` takes gauges;
        `clock`: seconds since the epoch; `failures`: what shelf and `note` raise when the database fails."""
        self._budgets = budgets
        self._shelf = shelf
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
        if not 0 <= now - self._kept_at < KEEP_EVERY:  # nor do they wait for a clock that was set back
            self._kept_at = now
            changed = self._budgets.to_keep()  # here and not in the thread, as the loop goes on counting
            if not await asyncio.to_thread(self._keep, changed):
                self._budgets.not_kept(changed)

    def keep(self) -> None:
        """Keep what there is, at the end of control. Blocking."""
        self._keep(self._budgets.to_keep())

    def _keep(self, changed: Mapping[str, bytes | None]) -> bool:
        """Whether they are kept. Blocking."""
        try:
            self._shelf.keep(changed)
        except self._failures as exc:
            log.error("error budgets not kept; a restart of control would forget some counts", problem=str(exc))
            return False
        return True
