"""Webhooks that are asked before a move forward: whether it may be made. Implements canary.pilot.Veto.

Each is asked once for each intended move, in a task of its own, so neither the pilot nor anything else waits; until it
has answered, the move has a reason to wait. Ways back are never asked about. A refusal is noted in the history.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from canary.rollout import Move, Rollout
from proxy.control.flight import PILOT
from proxy.control.standings import MoveError
from proxy.control.telling.answers import Answer, read_answer
from proxy.control.telling.happenings import Intention, encoded
from proxy.control.telling.posting import Parcel, Poster
from proxy.control.telling.spec import FORWARD, Webhook
from rules.effective import Position

log = structlog.get_logger(__name__)

INTENTIONS = 8
"""Moves of one route that are remembered at once: people may ask for others than the pilot."""
PATIENCE = 7.0
"""Seconds that a person's move waits for answers; less than `fig promote` waits for control."""

Note = Callable[[str, str, str], Awaitable[None]]
"""Puts a veto into the history: (route, who, why)."""
Count = Callable[[str, str, str], None]
"""(webhook, ``before`` or ``after``, what came of it)."""


@dataclass(slots=True)
class _Asked:
    """One question to one webhook."""

    hook: Webhook
    round: int
    task: asyncio.Task[None] | None = None
    answer: Answer | None = None
    answered_at: float = 0.0
    noted: str = ""
    """The reason that the history has last."""


class Questions:
    """What webhooks were asked, and what they said."""

    def __init__(
        self,
        hooks: Callable[[], Mapping[str, Webhook]],
        poster: Poster,
        note: Note,
        count: Count,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`hooks` gives those of the running rules, by name."""
        self._hooks = hooks
        self._poster = poster
        self._note = note
        self._count = count
        self._clock = clock
        self._asked: dict[str, dict[Intention, dict[str, _Asked]]] = {}
        """By route, by what is intended, by webhook."""
        self._under_way: set[asyncio.Task[None]] = set()

    def reasons(self, route: str, rollout: Rollout, move: Move, now: float) -> Sequence[str]:
        """Why the pilot may not make this move now; a webhook that was not asked yet is asked from here on."""
        before = Position(rollout.stage, rollout.share)
        intention = Intention(route, before, rollout.since, Position(move.stage, move.share))
        return [reason for reason, _ in self._unsettled(intention, PILOT, move.why)]

    async def permit(self, intention: Intention, actor: str, why: str, patience: float = PATIENCE) -> bool:
        """True when webhooks were asked about this move and all allowed it; False where none is, as of a way back.

        Raises MoveError with every reason; while there is no answer within `patience` seconds, with that.
        """
        waiting = [task for _, task in self._unsettled(intention, actor, why) if task is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=patience)
        found = [reason for reason, _ in self._unsettled(intention, actor, why)]
        if found:
            raise MoveError(f"route '{intention.route}' stays: {'; '.join(found)}")
        return any(self._concerns(hook, intention) for hook in self._hooks().values())

    def forget(self, routes: Mapping[str, object]) -> None:
        """All but these: the others left the rules file."""
        for route in self._asked.keys() - routes.keys():
            del self._asked[route]

    async def stop(self) -> None:
        """Whoever comes after asks again."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _unsettled(self, intention: Intention, actor: str, why: str) -> list[tuple[str, asyncio.Task[None] | None]]:
        """Why the move waits, with the task of whoever has not answered."""
        found: list[tuple[str, asyncio.Task[None] | None]] = []
        for name, hook in self._hooks().items():
            if self._concerns(hook, intention):
                asked = self._ask(name, hook, intention, actor, why)
                if asked.answer is None:
                    found.append((f"waits for the answer of webhook '{name}'", asked.task))
                elif not asked.answer.allowed:
                    found.append((asked.answer.reason, None))
        return found

    @staticmethod
    def _concerns(hook: Webhook, intention: Intention) -> bool:
        """Whether the webhook is asked about the move: never about a way back."""
        kind = intention.kind
        return "before" in hook.when and kind in FORWARD and kind in hook.moves and hook.concerns(intention.route)

    def _ask(self, name: str, hook: Webhook, intention: Intention, actor: str, why: str) -> _Asked:
        """What is known of the webhook's mind; it is asked where that is nothing, or too long ago."""
        by_hook = self._remembered(intention)
        asked = by_hook.get(name)
        if asked is not None and asked.hook == hook and not self._is_old(asked):
            return asked
        begun = _Asked(
            hook, asked.round + 1 if asked is not None else 1, noted=asked.noted if asked is not None else ""
        )
        by_hook[name] = begun
        begun.task = asyncio.create_task(self._settle(name, begun, intention, actor, why))
        self._under_way.add(begun.task)
        begun.task.add_done_callback(self._under_way.discard)
        return begun

    def _is_old(self, asked: _Asked) -> bool:
        return asked.answer is not None and not 0 <= self._clock() - asked.answered_at < asked.hook.ask_again

    def _remembered(self, intention: Intention) -> dict[str, _Asked]:
        """Room for what is asked about this move; what was asked from where the route stood before is let go."""
        of_route = self._asked.setdefault(intention.route, {})
        for other in list(of_route):
            if (other.before, other.since) != (intention.before, intention.since):
                del of_route[other]
        if intention not in of_route and len(of_route) >= INTENTIONS:
            del of_route[next(iter(of_route))]
        return of_route.setdefault(intention, {})

    async def _settle(self, name: str, asked: _Asked, intention: Intention, actor: str, why: str) -> None:
        number = intention.number(name, asked.round)
        body = encoded(intention.document(number, actor, why, self._clock()))
        try:
            outcome = await self._poster.deliver(asked.hook, asked.hook.secret, Parcel(body, number))
            answer = read_answer(name, outcome, asked.hook.on_failure)
        except Exception as exc:  # whoever could not be asked has not agreed
            log.exception("a webhook cannot be asked", webhook=name)
            answer = Answer(False, f"webhook '{name}' cannot be asked ({type(exc).__name__})", reached=False)
        asked.answer, asked.answered_at = answer, self._clock()
        self._count(name, "before", _result(answer))
        if answer.reached and answer.allowed:
            return
        log.warning("a webhook did not allow a move", webhook=name, route=intention.route, reason=answer.reason)
        if answer.allowed or answer.reason == asked.noted:
            return
        try:
            await self._note(intention.route, f"webhook {name}", answer.reason)
            asked.noted = answer.reason
        except Exception:  # the move waits all the same, and status says why
            log.exception("a veto is not in the history", route=intention.route)


def _result(answer: Answer) -> str:
    if not answer.reached:
        return "unreached"
    return "allowed" if answer.allowed else "refused"
