"""What people decide about copies and gaps: actions for proxy/shadower/commands.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from proxy.shadower.commands import Action, Effect, Instruction, MalformedError, RefusedError
from proxy.shadower.deliveries import Deliveries
from shadow.journal.journal import Journal
from shadow.journal.writes import Copy, Settlement

MOST = 10_000
"""Sequences in one command."""


class Decisions:
    """`actions` is what goes into the table."""

    def __init__(self, journal: Journal, deliveries: Deliveries, on_owed: Callable[[Copy], None]) -> None:
        """`on_owed` gets each copy that is owed again."""
        self._journal = journal
        self._deliveries = deliveries
        self._on_owed = on_owed
        self.actions: dict[str, Action] = {
            "deliveries-retry": self._retry,
            "deliveries-drop": self._drop,
            "gaps-settle": self._settle_gap,
        }

    async def _retry(self, asked: Instruction) -> Effect:
        """`sequences`: dead copies that are owed again; `out_of_order`: even behind later writes of their keys."""
        copies = await self._journal.send_again(_sequences(asked), out_of_order=asked.flag("out_of_order"))
        for copy in copies:
            self._on_owed(copy)
        return Effect({"sequences": [copy.sequence for copy in copies]}, _routes([copy.route for copy in copies]))

    async def _drop(self, asked: Instruction) -> Effect:
        """`sequences`: copies that will never be sent."""
        settled = await self._deliveries.drop(_sequences(asked), who=asked.who, why=asked.reason())
        return Effect({"sequences": [one.sequence for one in settled]}, _routes([one.route for one in settled]))

    async def _settle_gap(self, asked: Instruction) -> Effect:
        """`id`: the gap that somebody has looked after by other means."""
        identity = asked.text("id")
        settled: Settlement | None = await self._journal.settle_gap(
            identity, who=asked.who, why=asked.reason(), now=time.time()
        )
        if settled is None:
            raise RefusedError(f"there is no gap '{identity:.100}' that is not settled")
        return Effect({"id": identity}, [settled.route])


def _sequences(asked: Instruction) -> tuple[int, ...]:
    found = asked.numbers("sequences")
    if len(found) > MOST:
        raise MalformedError(f"{len(found)} sequences are too many for one command; name {MOST} at most")
    return found


def _routes(routes: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(routes))
