"""What a webhook that was asked before a move has answered. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from proxy.control.telling.retrying import MOST, Outcome

LONGEST = 500
"""Characters of a reason that are shown and kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the move may be made."""

    allowed: bool
    reason: str = ""
    """Why not, as a sentence; or why it was not asked and the move is made all the same."""
    reached: bool = True
    """Whether there was an answer at all."""


def read_answer(name: str, outcome: Outcome, on_failure: str) -> Answer:
    """What the webhook called `name` says, by what its last attempt came to.

    Any 2xx allows, unless its body is a JSON object whose ``allow`` is not true, or begins as one and cannot be read.
    Every other answer forbids, also when `on_failure` is ``go``: that speaks of webhooks that nobody can reach, and
    this one was reached.
    """
    if outcome.status is None:
        if on_failure == "go":
            return Answer(True, f"webhook '{name}': {outcome.problem}; on_failure is go", reached=False)
        return Answer(False, f"webhook '{name}': {outcome.problem}; on_failure is hold", reached=False)
    said = _object(outcome.body)
    if not outcome.accepted:
        because = f": {_line(said['reason'])}" if said and said.get("reason") else ""
        return Answer(False, f"webhook '{name}' answered {outcome.status}{because}")
    if len(outcome.body) > MOST:
        return Answer(False, f"webhook '{name}' answered with more than {MOST // 1024} KB, which is not read")
    if said is None and outcome.body.lstrip()[:1] == b"{":
        return Answer(False, f"webhook '{name}' answered with a JSON object that cannot be read")
    if not said or said.get("allow", True) is True:
        return Answer(True)
    if said["allow"] is not False:
        return Answer(False, f"webhook '{name}' answered with an 'allow' that is neither true nor false")
    return Answer(False, f"webhook '{name}': {_line(said.get('reason') or 'it gave no reason')}")


def _object(body: bytes) -> dict[str, object] | None:
    """None for whatever is no JSON object: ``OK``, say."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _line(text: object) -> str:
    """On one line, without what a terminal would obey, and not too long."""
    line = " ".join(("".join(each if each.isprintable() else " " for each in str(text))).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
