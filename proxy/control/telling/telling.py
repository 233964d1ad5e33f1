"""Everything that control tells others, wired: whoever the running rules name is asked and told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from proxy.control.book import Book
from proxy.control.telling.asking import Note, Questions
from proxy.control.telling.couriers import PATIENCE, Couriers, Lines
from proxy.control.telling.posting import Poster
from proxy.control.telling.spec import Notify, Webhook
from proxy.control.traffic import Labels

log = structlog.get_logger(__name__)

Count = Callable[[str, Labels, float], None]
"""(name of the metric, labels, how many)."""


class Telling:
    """Questions to webhooks, and couriers to them and to people."""

    def __init__(
        self, lines: Lines, note: Note, count: Count, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._count = count
        self._sleep = sleep
        self._book: Book | None = None
        self._changed = asyncio.Event()
        self._poster = Poster(sleep=sleep)
        self._couriers = Couriers(lines, self._poster, self._told, sleep)
        self.questions = Questions(lambda: self._hooks, self._poster, note, self._asked)

    def follow(self, book: Book) -> None:
        """To be called with every accepted book; the history has grown, most likely."""
        former, self._book = self._book, book
        if book.rulebook is not None and (former is None or former.rulebook is not book.rulebook):
            self.questions.forget(book.routes)
            self._changed.set()
        self._couriers.grown()

    def grown(self) -> None:
        """The history has a line more."""
        self._couriers.grown()

    async def run(self) -> None:
        """Follow the rules until cancelled."""
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                try:
                    await self._couriers.follow(self._receivers)
                except Exception:  # the store's: whoever is not followed yet is told later, from the history
                    log.exception("receivers cannot be followed")
                    self._changed.set()
                    await self._sleep(PATIENCE)
        finally:
            await self._couriers.stop()
            await self.questions.stop()
            await self._poster.close()

    @property
    def _hooks(self) -> Mapping[str, Webhook]:
        return self._book.rulebook.webhooks if self._book is not None and self._book.rulebook is not None else {}

    @property
    def _receivers(self) -> dict[str, Webhook | Notify]:
        rulebook = self._book.rulebook if self._book is not None else None
        if rulebook is None:
            return {}
        hooks = {f"webhook {name}": hook for name, hook in rulebook.webhooks.items() if "after" in hook.when}
        return {**hooks, **{f"notify {name}": each for name, each in rulebook.notify.items()}}

    def _asked(self, name: str, when: str, result: str) -> None:
        self._count("webhooks", (("result", result), ("webhook", name), ("when", when)), 1)

    def _told(self, receiver: str, result: str, lines: int) -> None:
        kind, _, name = receiver.partition(" ")
        if kind == "webhook":
            self._asked(name, "after", result)
            return
        self._count("notifications", (("notify", name), ("result", result)), 1)
        if lines > 1:
            self._count("notifications", (("notify", name), ("result", "coalesced")), lines - 1)
