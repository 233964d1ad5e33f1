"""Tells webhooks and people what happened, from the history: each has a task of its own and a cursor in the store.

The history is the queue, so nothing waits for a receiver, nothing is held in memory but what is being told, and what
was not told when control was killed its successor tells: at least once. A new receiver is told of what comes after it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from proxy.control.records import Entry
from proxy.control.telling import messages
from proxy.control.telling.happenings import EVERYTHING, VERSION, encoded, happening_of, told
from proxy.control.telling.pace import Pace
from proxy.control.telling.posting import Parcel, Poster
from proxy.control.telling.retrying import Outcome
from proxy.control.telling.spec import Notify, Webhook

log = structlog.get_logger(__name__)

AT_ONCE = 200
"""Lines of the history that one reading takes."""
PATIENCE = 5.0
"""Seconds after which the history is read although nobody said that it grew, and after a failure of the store."""

Receivers = Mapping[str, Webhook | Notify]
"""By the name of their cursor: ``webhook calendar``, ``notify team``."""


class Lines(Protocol):
    """What couriers need of the store. Its calls block; they are made in threads."""

    def lines_after(self, number: int, limit: int) -> list[Entry]:
        """The first `limit` lines of the history after that one, the oldest first."""

    def last_line(self) -> int:
        """The number of the history's latest line; 0 for none."""

    def cursors(self) -> dict[str, int]: ...

    def keep_cursor(self, name: str, number: int) -> None:
        """What `name` was told last."""

    def forget_cursors(self, kept: Sequence[str]) -> None:
        """All but these."""


Count = Callable[[str, str, int], None]
"""(name of the cursor, what came of it, of how many lines)."""


@dataclass(slots=True)
class _Courier:
    """One receiver, and how far it was told."""

    name: str
    receiver: Webhook | Notify
    grown: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Couriers:
    """One task for each receiver of the running rules."""

    def __init__(
        self,
        lines: Lines,
        poster: Poster,
        count: Count,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` is monotonic, in seconds."""
        self._lines = lines
        self._poster = poster
        self._count = count
        self._sleep = sleep
        self._clock = clock
        self._running: dict[str, _Courier] = {}

    def grown(self) -> None:
        """The history has a line more."""
        for courier in self._running.values():
            courier.grown.set()

    async def follow(self, receivers: Receivers) -> None:
        """The receivers of the rules that are in force now. Raises what the store raises."""
        for name, courier in list(self._running.items()):
            if receivers.get(name) != courier.receiver:
                del self._running[name]
                await _ended(courier)
        fresh = receivers.keys() - self._running.keys()
        await asyncio.to_thread(self._lines.forget_cursors, list(receivers))
        if not fresh:
            return
        known = await asyncio.to_thread(self._lines.cursors)
        latest = await asyncio.to_thread(self._lines.last_line)
        for name in sorted(fresh):
            if name not in known:
                await asyncio.to_thread(self._lines.keep_cursor, name, latest)
            courier = self._running[name] = _Courier(name, receivers[name])
            courier.task = asyncio.create_task(self._tell(courier, known.get(name, latest)))

    async def stop(self) -> None:
        """What is not told yet is the successor's."""
        running, self._running = list(self._running.values()), {}
        for courier in running:
            await _ended(courier)

    async def _tell(self, courier: _Courier, cursor: int) -> None:
        receiver = courier.receiver
        pace = Pace(receiver.per_minute) if isinstance(receiver, Notify) else None
        while True:
            courier.grown.clear()
            try:
                cursor = await self._told(courier, cursor, pace)
            except Exception:  # the store's: nothing is lost, as the cursor stands where it stood
                log.exception("the history cannot be told", receiver=courier.name)
                await self._sleep(PATIENCE)

    async def _told(self, courier: _Courier, cursor: int, pace: Pace | None) -> int:
        """Tell what the history holds after `cursor`, or wait for it to hold more; gives how far was told."""
        lines = await asyncio.to_thread(self._lines.lines_after, cursor, AT_ONCE)
        if not lines:
            await _set_within(courier.grown, PATIENCE)
            return cursor
        receiver = courier.receiver
        if not any(wants(receiver, line) for line in lines):
            await asyncio.to_thread(self._lines.keep_cursor, courier.name, lines[-1].number)
            return lines[-1].number
        if pace is None:
            for line in lines:
                if wants(receiver, line):
                    await self._told_one(courier, line)
                    await asyncio.to_thread(self._lines.keep_cursor, courier.name, line.number)
            await asyncio.to_thread(self._lines.keep_cursor, courier.name, lines[-1].number)
            return lines[-1].number
        if held := pace.wait(self._clock()):
            await self._sleep(held)
            lines = await asyncio.to_thread(self._lines.lines_after, cursor, AT_ONCE)  # and what came meanwhile
        await self._told_together(courier, [line for line in lines if wants(receiver, line)])
        pace.sent(self._clock())
        await asyncio.to_thread(self._lines.keep_cursor, courier.name, lines[-1].number)
        return lines[-1].number

    async def _told_one(self, courier: _Courier, line: Entry) -> None:
        assert isinstance(courier.receiver, Webhook)
        number = f"{courier.name.replace(' ', '-')}-{line.number}"
        body = encoded({"version": VERSION, "id": number, "when": "after", **told(line)})
        outcome = await self._poster.deliver(courier.receiver, courier.receiver.secret, Parcel(body, number))
        self._counted(courier, outcome, 1)

    async def _told_together(self, courier: _Courier, lines: Sequence[Entry]) -> None:
        receiver = courier.receiver
        assert isinstance(receiver, Notify)
        number = f"{courier.name.replace(' ', '-')}-{lines[-1].number}"
        document = messages.slack(lines) if receiver.form == "slack" else messages.plain(lines, number)
        outcome = await self._poster.deliver(receiver, receiver.secret, Parcel(encoded(document), number))
        self._counted(courier, outcome, len(lines))

    def _counted(self, courier: _Courier, outcome: Outcome, lines: int) -> None:
        self._count(courier.name, "sent" if outcome.accepted else "failed", lines)
        if not outcome.accepted:
            log.error("a receiver was not told", receiver=courier.name, lines=lines, problem=str(outcome))


def wants(receiver: Webhook | Notify, line: Entry) -> bool:
    """Whether the receiver is to be told of this line."""
    kind = happening_of(line)
    if isinstance(receiver, Notify):
        asked = kind in receiver.events
    else:
        asked = "after" in receiver.when and kind in receiver.moves
    return asked and (line.route == EVERYTHING or receiver.concerns(line.route))


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def _ended(courier: _Courier) -> None:
    if courier.task is not None:
        courier.task.cancel()
        await asyncio.wait([courier.task])
