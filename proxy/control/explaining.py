"""`POST /api/explain`: why the running fig sends a request where it does, by the positions in force.

Answers from a table of its own, off the loop. What is asked may hold secrets (header values): it is neither logged nor
kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from proxy.control.table_in_force import TableInForce
from rules.asked import DEFAULT_CLIENT, RefusedError, ask
from rules.effective import Effective
from rules.explaining.explain import Tell, explain
from rules.explaining.logged import Line, retell
from rules.explaining.text import told


class Question(BaseModel):
    """Body of the request."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    url: Annotated[str | None, Field(max_length=16_384)] = None
    logged: Line | None = None
    """A line of the access log, in place of `url` and all below."""
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    """Lines, in order."""
    client: str = DEFAULT_CLIENT
    unit: str | None = None
    all: bool = False
    """Tell of each earlier route."""
    by: str = ""
    """Who asks; nothing is recorded."""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Question:
        if (self.url is None) == (self.logged is None):
            raise ValueError("give either 'url' or 'logged'")
        return self


class Explaining:
    """The table that questions are answered from."""

    def __init__(self, effective: Callable[[], Effective]) -> None:
        """`effective` gives what is in force now."""
        self._effective = effective
        self._in_force = TableInForce(effective)
        self._one_at_a_time = asyncio.Lock()

    async def answer(self, question: Question) -> dict[str, Any]:
        """What `fig rules explain --json` prints, with its lines for people under ``text``; or why fig refuses it.

        Raises ValueError for what is no request at all.
        """
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._answer, question)

    def _answer(self, question: Question) -> dict[str, Any]:
        """Blocking."""
        if question.logged is not None:
            return retell(self._in_force.table(), question.logged).as_json()
        try:
            request = ask(question.method, question.url or "", question.headers, question.client)
        except RefusedError as exc:
            return {"refused": exc.status, "why": str(exc), "generation": self._effective().generation}
        tell: Tell = "all" if question.all else "near"
        return told(explain(self._in_force.table(), request, question.unit, tell))
