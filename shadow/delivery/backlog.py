"""Which copies may be sent now: in order within a key, side by side across keys. Pure; the caller keeps time.

A Lane holds the copies of one route that are owed to one side. However long the journal's list of them is, only a
window of it is in memory: the oldest ones, in the order in which their outcomes became durable. Within a key that is
the order in which the answering side saw the writes, because of the leases.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import replace

from shadow.journal.writes import Copy

WINDOW = 1000
"""Copies of one lane in memory; a lane asks for the next ones when half of them are gone."""
WINDOWS, LEAST = 8000, 50
"""Copies of all lanes in memory, about, and those of any one, however many there are."""
SPREAD, STRETCH = 64, 4
"""A window that holds fewer keys than the one is stretched, to so many of its lengths: else one key with a thousand
writes would hold up all others, which go side by side."""

_Line = bytes | int
"""A key, or for a write that is ordered with nothing its own sequence."""


class Lane:
    """The copies of one route that are owed to one side.

    Whoever takes a copy ends with `done` or `again`. New ones come by `offer`, in the order of their turns.
    """

    def __init__(self, *, owed: int = 0, newest: int = 0, window: int = WINDOW) -> None:
        """`owed` copies are in the journal already, the last of them with turn `newest`."""
        self.owed = owed
        """How many there are, in memory or not."""
        self.window = window
        """May be changed at any time."""
        self._newest = newest
        self._cursor = 0 if owed else newest
        self._asked: int | None = None
        """`_newest` when a page was asked for, until it is there."""
        self._lines: dict[_Line, deque[Copy]] = {}
        """Every line with a copy in memory; each is ready, delayed, or its head is being sent."""
        self._ready: deque[_Line] = deque()
        self._delayed: list[tuple[float, int, _Line]] = []
        self._loaded = 0

    def offer(self, copy: Copy) -> None:
        """A copy that is owed from now on. It is kept only when everything before it is in memory too."""
        self.owed += 1
        if copy.turn <= self._newest:
            return  # a page brought it already, or will
        complete = self._cursor == self._newest
        self._newest = copy.turn
        if complete and self._loaded < self.window and self._asked is None:
            self._cursor = copy.turn
            self._append(copy)

    def ask(self) -> int | None:
        """The turn after which the caller is to read a page from the journal, once; None when there is no need."""
        if self._asked is not None or self._cursor >= self._newest:
            return None
        half = self.window // 2
        if self._loaded > half and (len(self._lines) >= min(SPREAD, half) or self._loaded > half * STRETCH):
            return None
        self._asked = self._newest
        return self._cursor

    def page(self, copies: list[Copy] | None) -> None:
        """What was read after `ask`, in order of turns; None when reading failed."""
        asked, self._asked = self._asked, None
        if copies is None or asked is None:
            return
        if not copies:  # what was newest when we asked is no longer owed
            self._cursor = max(self._cursor, asked)
        for copy in copies:
            if copy.turn > self._cursor:
                self._cursor = copy.turn
                self._append(copy)
        self._newest = max(self._newest, self._cursor)

    def take(self, now: float, room: int) -> list[Copy]:
        """Copies to be sent now, `room` at most."""
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heapq.heappop(self._delayed)[2])
        return [self._lines[self._ready.popleft()][0] for _ in range(min(room, len(self._ready)))]

    def done(self, copy: Copy) -> None:
        """The copy is delivered or given up; the next one of its key may go."""
        line = _line(copy)
        copies = self._lines[line]
        copies.popleft()
        self._loaded -= 1
        self.owed -= 1
        if copies:
            self._ready.append(line)
        else:
            del self._lines[line]

    def again(self, copy: Copy, at: float) -> None:
        """The copy is to be tried again at that time, and nothing of its key before it. `copy` may be a later form."""
        line = _line(copy)
        self._lines[line][0] = copy
        heapq.heappush(self._delayed, (at, copy.sequence, line))

    def drop(self, copy: Copy) -> None:
        """The copy is owed no longer. It must not be one that `take` gave and nobody has brought back."""
        self.owed -= 1
        line = _line(copy)
        copies = self._lines.get(line, deque())
        place = next((index for index, one in enumerate(copies) if one.sequence == copy.sequence), None)
        if place is None:
            return  # not in memory, and no page will bring it
        del copies[place]
        self._loaded -= 1
        if not copies:  # what is left of the line would let two copies of its key go at once, later
            del self._lines[line]
            self._ready = deque(one for one in self._ready if one != line)
            self._delayed = [one for one in self._delayed if one[2] != line]
            heapq.heapify(self._delayed)

    @property
    def wake(self) -> float | None:
        """When the next delayed copy may go; None when none is delayed."""
        return self._delayed[0][0] if self._delayed else None

    def _append(self, copy: Copy) -> None:
        line = _line(copy)
        self._loaded += 1
        if line in self._lines:
            self._lines[line].append(copy)
        else:
            self._lines[line] = deque((copy,))
            self._ready.append(line)


def window_of(lanes: int) -> int:
    """The window of each of so many lanes that owe something."""
    return max(LEAST, min(WINDOW, WINDOWS // max(lanes, 1)))


def _line(copy: Copy) -> _Line:
    return copy.key or copy.sequence


def tried(copy: Copy, attempts: int) -> Copy:
    """The copy after one more try; `attempts` of them were answered with a failure."""
    return replace(copy, attempts=attempts, tries=copy.tries + 1)
