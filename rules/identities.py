"""`writes.ids`: what legacy and candidate number differently, where an answer tells it, and where requests name it.

The grammar only; what is learnt and rewritten is shadow/delivery/identities.py's.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from rules.names import Block
from rules.selectors import checked_selector


def _of_answer(text: str) -> str:
    return checked_selector(text, ("response",))


def _of_request(text: str) -> str:
    return checked_selector(text, ("path", "query", "request"))


AnswerValue = Annotated[str, AfterValidator(_of_answer)]
NamedValue = Annotated[str, AfterValidator(_of_request)]


class Identity(Block):
    """One kind of id, such as that of an order. Routes that give it the same name mean the same ids."""

    made: AnswerValue | None = None
    """Where the answer to a write tells the id that its side has made: ``response:/id``."""
    used: tuple[NamedValue, ...] = ()
    """Where requests name it: ``path:order``, ``query:order``, ``request:/order_id``."""
    shown: tuple[AnswerValue, ...] = ()
    """Where other answers show it. There, and where it is made, the sides' ids for one thing count as equal."""
    unknown: Literal["dead", "same"] = "dead"
    """What becomes of a copy whose id nobody has learnt: it is dead, or both sides have the same id for it."""

    @model_validator(mode="after")
    def _says_something(self) -> Identity:
        if self.made is None and not self.used and not self.shown:
            raise ValueError("says neither where the id is made nor where it is used; add 'made: response:/id', say")
        return self
