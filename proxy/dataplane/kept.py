"""A body kept while it passes through: the answer that one side gave, to be compared with what the other side answers,
or what the value of an event is looked for in."""

from __future__ import annotations

from proxy.dataplane.canonical import Fields, copied_answer
from proxy.dataplane.heads import AnswerHead


class Kept:
    """Holds at most `limit` bytes of the body."""

    __slots__ = ("_limit", "_pieces", "_size", "head", "is_copied", "truncated")

    def __init__(self, limit: int, *, is_copied: bool = True) -> None:
        self.head: AnswerHead | None = None
        """None until the answer's head is there."""
        self.truncated = False
        """Whether the body was larger than the limit."""
        self.is_copied = is_copied
        """Whether a copy's answer is compared with it; else only an event's value is looked for in it."""
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, payload: bytes) -> None:
        """A piece of the body, or as much of it as there is room for."""
        room = self._limit - self._size
        if len(payload) > room:
            self.truncated = True
            payload = payload[:room]
        if payload:
            self._size += len(payload)
            self._pieces.append(payload)

    @property
    def body(self) -> bytes:
        return b"".join(self._pieces)

    @property
    def fields(self) -> Fields:
        """The answer's end-to-end fields, as the client gets them."""
        return copied_answer(self.head) if self.head is not None else []
