"""What people decide about doubts: an action for proxy/shadower/commands.py."""

from __future__ import annotations

from collections.abc import Callable

from proxy.shadower.commands import Action, Effect, Instruction, MalformedError
from shadow.journal.doubts import Doubts
from shadow.journal.writes import Recorded

MOST = 1000
"""Doubts in one command."""


class Settling:
    """`actions` is what goes into the table."""

    def __init__(self, doubts: Doubts, on_known: Callable[[Recorded], None], wall: Callable[[], float]) -> None:
        """`on_known` gets each doubt that is cleared."""
        self._doubts = doubts
        self._on_known = on_known
        self._wall = wall
        self.actions: dict[str, Action] = {"doubts-settle": self._settle}

    async def _settle(self, asked: Instruction) -> Effect:
        """`sequences`: writes in doubt; `applied`: whether the side in question has applied them."""
        sequences = asked.numbers("sequences")
        if len(sequences) > MOST:
            raise MalformedError(f"{len(sequences)} sequences are too many for one command; name {MOST} at most")
        if "applied" not in asked.arguments:
            raise MalformedError("say whether they are applied ('applied': true or false)")
        routes = [doubt.route for each in sequences if (doubt := self._doubts.of(each)) is not None]
        settled = await self._doubts.settle(
            sequences, applied=asked.flag("applied"), who=asked.who, why=asked.reason(), now=self._wall()
        )
        for recorded in settled:
            self._on_known(recorded)
        became = [{"sequence": one.sequence, "state": one.state.value} for one in settled]
        return Effect({"settled": became}, list(dict.fromkeys(routes)))
