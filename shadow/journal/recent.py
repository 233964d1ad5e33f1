"""The last writes' originals, in memory: a copy mostly goes out right after its write, and need not be read and opened.

Only what the journal has made durable is here, and only until its copy has ended, so whoever finds nothing here finds
it there.
"""

from __future__ import annotations

from shadow.journal.writes import Original, Write

MOST = 16 * 1024 * 1024
"""Bytes of bodies and all that comes with them; beyond it the oldest leave."""
BESIDES = 2048
"""Bytes that a write takes beside its body and headers, about."""


class Recent:
    """One thread's."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._bytes = 0
        self._kept: dict[int, tuple[str, Original]] = {}

    def keep(self, sequence: int, write: Write) -> None:
        self._kept[sequence] = write.method, write.original
        self._bytes += _size(write.original)
        while self._bytes > self._most:
            self.forget(next(iter(self._kept)))

    def find(self, sequence: int) -> tuple[str, Original] | None:
        """(method, the rest)."""
        return self._kept.get(sequence)

    def forget(self, sequence: int) -> None:
        kept = self._kept.pop(sequence, None)
        if kept is not None:
            self._bytes -= _size(kept[1])


def _size(original: Original) -> int:
    return len(original.body) + sum(len(name) + len(value) for name, value in original.headers) + BESIDES
