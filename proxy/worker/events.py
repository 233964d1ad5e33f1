"""Business events that canaries count: which an exchange was, its value, and rows of them for control.

Called only for exchanges whose request matched such an event. Bodies were kept up to `Limits.event_body`; what cannot
be read of one is counted by reason, and the event then counts without a value.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from proxy.dataplane.kept import Kept
from proxy.wire import EVENT_ROW_STRUCT, EventRows, Record
from rules.events import side_for
from rules.selectors import Selector
from rules.stages import Side

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.watching import Watched
    from rules.events import WatchedEvent

ROWS_LIMIT = 1024 * 1024
"""Bytes of rows that a route may hold between two flushes: about 40,000 events."""
MOST_DECODED = 1024 * 1024
"""Bytes that a compressed body may become: it is read while the loop waits."""
_pack = struct.Struct(EVENT_ROW_STRUCT).pack
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}

Count = Callable[[str, tuple[tuple[str, str], ...]], None]


class UnreadableError(ValueError):
    """There is no number where the event's value should stand; the message is the reason that is counted."""


class EventLog:
    """The events since the last flush."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._rows: dict[tuple[str, int], bytearray] = {}
        self._dropped: dict[tuple[str, int], int] = {}

    def finished(self, exchange: Exchange, watched: Watched) -> None:
        """An exchange that may be an event is over."""
        documents: dict[str, object] = {}
        for event in watched.events:
            if exchange.status and event.is_told_by(exchange.status):
                self._happened(exchange, watched, event, documents)

    def _happened(
        self, exchange: Exchange, watched: Watched, event: WatchedEvent, documents: dict[str, object]
    ) -> None:
        name = (("event", event.name),)
        self._count("events", name)
        value = math.nan
        if event.value is not None:
            try:
                value = _value(exchange, watched, event.value, documents)
            except UnreadableError as exc:
                self._count("events_unreadable", (*name, ("reason", str(exc))))
        for route, number in event.watchers:
            counted = side_for(route, exchange.head, exchange.choice)
            if counted is None:
                continue
            unit, side = counted
            key = (route.name, exchange.generation)
            rows = self._rows.setdefault(key, bytearray())
            if len(rows) > ROWS_LIMIT:
                self._dropped[key] = self._dropped.get(key, 0) + 1
                continue
            rows += _pack(exchange.wall, unit, value, 1 if side is Side.CANDIDATE else 0, number)

    def flushing(self, send: Callable[[Record], bool]) -> Iterator[None]:
        """Send the rows, a route at a time; what is not taken stays until the limit."""
        for key in list(self._rows):
            rows = self._rows.get(key)
            if rows is None:  # another flush had the loop, and sent them
                continue
            route, generation = key
            if not send(EventRows(route, generation, bytes(rows), self._dropped.get(key, 0))):
                return
            del self._rows[key]
            self._dropped.pop(key, None)
            yield


def _value(exchange: Exchange, watched: Watched, selector: Selector, documents: dict[str, object]) -> float:
    """Of the body that the selector names; `documents` keeps what was read, for the next event. Raises
    UnreadableError."""
    if selector.kind not in documents:
        if selector.kind == "request":
            coding = ",".join(exchange.head.values("content-encoding"))
            documents["request"] = document(watched.asked, coding, whole=exchange.request_done)
        else:
            kept = exchange.kept
            head = kept.head if kept is not None else None
            fields = head.fields if head is not None else ()
            coding = ",".join(field.value.decode("latin-1") for field in fields if field.name == "content-encoding")
            documents["response"] = document(kept if head is not None else None, coding, whole=not exchange.failure)
    return number_at(documents[selector.kind], selector.steps)


def document(kept: Kept | None, coding: str, *, whole: bool) -> object:
    """The JSON document in a body with this content coding; `whole`: nothing of it failed to come. Raises
    UnreadableError."""
    if kept is None:
        raise UnreadableError("no_body")
    if kept.truncated:
        raise UnreadableError("too_large")
    if not whole:
        raise UnreadableError("incomplete")
    body = kept.body
    for name in reversed([part.strip().lower() for part in coding.split(",")]):
        if name and name != "identity":
            body = _decoded(body, name)
    if not body:
        raise UnreadableError("no_body")
    try:
        found: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise UnreadableError("not_json") from exc
    return found


def _decoded(body: bytes, coding: str) -> bytes:
    window = _WINDOWS.get(coding)
    if window is None:
        raise UnreadableError("coding")
    if coding == "deflate" and not (body[:1] and body[0] & 15 == 8):
        window = -15  # some servers send it without zlib's header (RFC 9110 section 8.4.1.2)
    stream = zlib.decompressobj(window)
    try:
        plain = stream.decompress(body, MOST_DECODED)
    except zlib.error as exc:
        raise UnreadableError("coding") from exc
    if stream.unconsumed_tail:
        raise UnreadableError("too_large")
    if not stream.eof:
        raise UnreadableError("incomplete")
    return plain


def number_at(found: object, steps: tuple[str, ...]) -> float:
    """The number at a JSON Pointer (RFC 6901), also one that is written as text, as money often is. Raises
    UnreadableError."""
    for step in steps:
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdecimal() and step.isascii() and int(step[:9]) < len(found):
            found = found[int(step[:9])]
        else:
            raise UnreadableError("no_value")
    if isinstance(found, str) and _NUMBER.fullmatch(found):
        found = float(found)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise UnreadableError("not_a_number")
    try:
        number = float(found)
    except OverflowError as exc:  # JSON's integers have no end
        raise UnreadableError("not_a_number") from exc
    if not math.isfinite(number):
        raise UnreadableError("not_a_number")
    return number
