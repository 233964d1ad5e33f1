"""How the candidate was asked a write, or would be: for asking it again. Values only."""

from __future__ import annotations

from rules.stages import Side
from shadow.journal.writes import Original
from shadow.pair import Asked


def asked_of(original: Original, side: Side) -> Asked | None:
    """The write that `side` answered, as the candidate gets it.

    None where the candidate answered it and the rules change what they ask it: the original is the client's, and the
    changed one is that of the copy, which went to legacy.
    """
    copy = original.copy
    if copy is None:
        return Asked(original.target, original.host, tuple(original.headers), original.body)
    if side is Side.CANDIDATE:
        return None
    return Asked(
        copy.target,
        copy.host,
        tuple(copy.headers),
        original.body,
        tuple(copy.answer_removed),
        tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in copy.answer_added),
    )
