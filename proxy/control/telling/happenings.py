"""What a line of the history tells, in the words of webhooks and notifications. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from proxy.control.records import Entry
from proxy.control.standings import order
from proxy.control.status import entry_document, position_document
from proxy.control.telling.spec import Happening
from rules.effective import Position

VERSION = 1
"""Of what is posted: receivers may count on the keys that docs/canary.md names."""
EVERYTHING = "*"
"""Stands in the history for what concerns no single route; no route has that name."""
_BY_ACTION = {
    **{each.value: each for each in (Happening.FREEZE, Happening.UNFREEZE, Happening.VETO, Happening.SLO)},
    **dict.fromkeys(("enter", "leave", "attempt"), Happening.RULES),
}


def move_between(before: Position, after: Position) -> Happening | None:
    """What kind of move leads from one to the other; None where it leads nowhere."""
    if order(after) < order(before):
        return Happening.ROLLBACK
    if after.stage is not before.stage:
        return Happening.PROMOTE
    return Happening.STEP if after.share > before.share else None


def happening_of(entry: Entry) -> Happening:
    """A route that moved has moved, by whatever action: a file's new stage is a promotion too, or a rollback."""
    if entry.before is not None and entry.after is not None:
        move = move_between(entry.before, entry.after)
        if move is not None:
            return move
    return _BY_ACTION.get(entry.action, Happening.OTHER)


def told(entry: Entry) -> dict[str, Any]:
    """A line of the history as webhooks and notifications bring it."""
    return {"kind": happening_of(entry).value, **entry_document(entry)}


def encoded(document: dict[str, Any]) -> bytes:
    """As JSON."""
    return msgspec.json.encode(document, enc_hook=str)


@dataclass(frozen=True, slots=True)
class Intention:
    """A move forward that somebody wants to make: the same one however often it is looked at."""

    route: str
    before: Position
    since: float
    """When the route came to where it stands."""
    after: Position

    @property
    def kind(self) -> Happening:
        return move_between(self.before, self.after) or Happening.OTHER

    def number(self, asked: str, round_: int) -> str:
        """What the question to `asked` is known by, for each round of asking: the same in every attempt, and again for
        a control that was started anew and knows nothing of having asked."""
        words = (
            *(asked, self.route, str(round_), repr(self.since)),
            *(f"{each.stage.value} {each.share}" for each in (self.before, self.after)),
        )
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]

    def document(self, number: str, actor: str, why: str, now: float) -> dict[str, Any]:
        """What a webhook is asked with."""
        return {
            "version": VERSION,
            "id": number,
            "when": "before",
            "kind": self.kind.value,
            "route": self.route,
            "before": position_document(self.before),
            "after": position_document(self.after),
            "actor": actor,
            "why": why,
            "at": now,
        }
