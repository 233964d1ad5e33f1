"""What is known of one path when a mask is thought of: counts and examples, as they are stored. Values only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shadow.comparing.values import ABSENT, Absent, Json, UnreadableError, parse
from shadow.noise.counts import PathCounts
from shadow.noise.fitting import Values
from shadow.noise.sampling import ORDER
from shadow.pairs.kept import MOST_VALUE

_MARK = re.compile(r"\b[a-z]+:[0-9a-f]{16}\b")
"""What stands where a secret stood (shadow.redaction.redact)."""


@dataclass(frozen=True, slots=True)
class Example:
    """One difference between legacy's first answer and another one, redacted; values as JSON text, None for none."""

    kind: str
    pair: str
    legacy: str | None
    other: str | None

    @property
    def is_order(self) -> bool:
        return self.kind == ORDER

    @property
    def values(self) -> Values:
        """What both had; ABSENT where nothing was, or where what was cannot be told from what is kept."""
        return value_of(self.legacy), value_of(self.other)

    @property
    def is_hidden(self) -> bool:
        """Whether a value was replaced before it was stored."""
        return any(text is not None and _MARK.search(text) for text in (self.legacy, self.other))


def value_of(text: str | None) -> Json | Absent:
    """A value as it is kept; ABSENT where it is not kept as it was: redacted, or cut because it was long."""
    if text is None or _MARK.search(text) or len(text) >= MOST_VALUE:
        return ABSENT
    try:
        return parse(text.encode())
    except (UnreadableError, UnicodeEncodeError):
        return ABSENT


@dataclass(frozen=True, slots=True)
class PathNoise:
    """One path of a route."""

    path: str
    counts: PathCounts
    noise: tuple[Example, ...]
    """Legacy's first answer, and legacy's when asked again."""
    candidate: tuple[Example, ...]
    """Legacy's first answer, and the candidate's."""
