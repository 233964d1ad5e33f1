"""What people change of journal and pairs: the table of actions, and how a command from control becomes an answer.

One process writes those files, so `fig shadow ...` commands come here by way of control (proxy/control/commanding.py).
Whoever has something to be changed puts an action into the table; nothing here knows what the actions do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from proxy.wire import Argument, Command, Done, Record
from shadow.journal.journal import JournalError

log = structlog.get_logger(__name__)

AT_ONCE = 100
"""Commands that may be under way; beyond it they are refused."""


class RefusedError(Exception):
    """What is asked for cannot be done as things stand. The message is a sentence for whoever asked; 409 over HTTP."""


class MalformedError(Exception):
    """The command itself is wrong. The message says what would be right; 400 over HTTP."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One command as its action sees it."""

    arguments: Mapping[str, Argument]
    who: str
    why: str

    def text(self, name: str, default: str | None = None) -> str:
        """Raises MalformedError, also where it is missing and has no default."""
        found = self.arguments.get(name, default)
        if not isinstance(found, str):
            raise MalformedError(f"'{name}' is to be a text")
        return found

    def number(self, name: str, default: int | None = None) -> int:
        """As `text`."""
        found = self.arguments.get(name, default)
        if not isinstance(found, int) or isinstance(found, bool):
            raise MalformedError(f"'{name}' is to be a whole number")
        return found

    def flag(self, name: str) -> bool:
        """False where it is missing."""
        found = self.arguments.get(name, False)
        if not isinstance(found, bool):
            raise MalformedError(f"'{name}' is to be true or false")
        return found

    def numbers(self, name: str) -> tuple[int, ...]:
        """At least one, in the order given, each once. Raises MalformedError."""
        found = self.arguments.get(name)
        if not isinstance(found, list) or not found:
            raise MalformedError(f"'{name}' is to be a list of at least one whole number")
        numbers = [each for each in found if isinstance(each, int) and not isinstance(each, bool)]
        if len(numbers) != len(found):
            raise MalformedError(f"'{name}' is to be a list of whole numbers")
        return tuple(dict.fromkeys(numbers))

    def reason(self) -> str:
        """Why, where a reason is a must. Raises MalformedError."""
        if not self.why.strip():
            raise MalformedError("say why (--why): it stands in the history and in the certificate")
        return self.why


@dataclass(frozen=True, slots=True)
class Effect:
    """What an action came to."""

    result: Mapping[str, Any]
    """Plain data, for whoever asked."""
    routes: Sequence[str] = ()
    """Those of which something was changed: control writes a line of history for each."""


Action = Callable[[Instruction], Awaitable[Effect]]
"""Raises RefusedError, MalformedError, JournalError: then nothing was changed."""


async def ping(_: Instruction) -> Effect:
    """Whether the shadower takes commands."""
    return Effect({"alive": True})


class Commands:
    """The table, and what is under way. `take` never waits; the answer goes out when the action is over."""

    def __init__(self) -> None:
        self.actions: dict[str, Action] = {"ping": ping}
        """By name, as `POST /api/shadow/NAME` has it. Add yours before the shadower runs."""
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, send: Callable[[Record], bool], command: Command) -> None:
        """Begin what is asked for; `send` takes the Done, and says whether it could."""
        if len(self._tasks) >= AT_ONCE:
            send(Done(command.id, problem=f"{AT_ONCE} commands are under way already; try again"))
            return
        task = asyncio.get_running_loop().create_task(self._answer(send, command))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Break off what is under way: whoever waits for it hears from control that the shadower is away."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, send: Callable[[Record], bool], command: Command) -> None:
        done = await self._carry_out(command)
        if not send(done):
            log.error("the answer to a command was not sent", action=command.action, problem=done.problem)

    async def _carry_out(self, command: Command) -> Done:
        action = self.actions.get(command.action)
        if action is None:
            known = ", ".join(sorted(self.actions))
            return Done(command.id, problem=f"no action '{command.action:.80}'; there are: {known}", malformed=True)
        try:
            effect = await action(Instruction(command.arguments, command.who, command.why))
        except MalformedError as exc:
            return Done(command.id, problem=str(exc), malformed=True)
        except (RefusedError, JournalError) as exc:
            return Done(command.id, problem=str(exc))
        except Exception as exc:
            log.exception("a command failed", action=command.action)
            return Done(command.id, problem=f"the shadower failed on it ({type(exc).__name__}); its log says why")
        if effect.routes:
            log.info("carried out", action=command.action, routes=list(effect.routes), who=command.who, why=command.why)
        return Done(command.id, dict(effect.result), list(effect.routes))
