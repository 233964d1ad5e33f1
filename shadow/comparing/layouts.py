"""The orders in which the candidate of a comparison writes its keys, learnt from equal pairs. Hot. Pure but for that.

A service writes the keys of one kind of answer in one order. Once that is known, legacy's text is read into that order
(as msgspec's structs, which are read and written without a dictionary) and written anew: where this gives the
candidate's text, both mean the same, and the candidate's had not to be read at all. What was learnt makes a comparison
faster or slower, never wrong: no struct takes a key that it does not know, and no token gets longer when it is written,
so a text as long as legacy's holds all that legacy's does; and one that is the candidate's to the byte has its value.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec

from shadow.comparing.exact import REFUSALS, too_deep

MOST_LAYOUTS = 4
"""Layouts held at a time: kinds of answers of one comparison."""
MOST_IDLE = 50
"""Texts in a row for which a layout was of no use, after which it is forgotten."""
MOST_LEARNT = 32
"""Layouts ever learnt for one comparison, about 1 ms each: some answers have new keys every time."""
MOST_KEYS = 300
"""Keys of one layout; a text of more is not learnt from."""
LONGEST = 100_000
"""Bytes of a text that is learnt from."""

_encoder = msgspec.json.Encoder()


class Layouts:
    """What is known of the candidate's order of keys."""

    __slots__ = ("_known", "_left")

    def __init__(self) -> None:
        self._known: list[_Layout] = []
        self._left = MOST_LEARNT

    def agree(self, legacy: bytes, candidate: bytes) -> bool:
        """Whether both texts, without blanks, are shown to mean the same; False says nothing."""
        for layout in self._known:
            if layout.rewritten(legacy) == candidate:
                layout.idle = 0
                return not too_deep(candidate)
            layout.idle += 1
            if layout.idle == MOST_IDLE:
                self._known = [each for each in self._known if each is not layout]
        return False

    def learn(self, legacy: bytes, candidate: bytes) -> None:
        """Take the order of keys from a pair, without blanks, that is equal though no layout could tell."""
        if not self._left or len(candidate) > LONGEST:
            return
        self._left -= 1
        try:
            layout = _Layout(msgspec.json.decode(candidate))
        except REFUSALS:  # too many keys, or names that no field of a struct can have
            return
        if layout.rewritten(legacy) == candidate:
            self._known = [layout, *self._known[: MOST_LAYOUTS - 1]]


class _Layout:
    """One order of keys, of everything in a text."""

    __slots__ = ("_decode", "idle")

    def __init__(self, value: Any) -> None:
        self._decode = msgspec.json.Decoder(_Study().reading([value]), float_hook=msgspec.Raw).decode
        self.idle = 0

    def rewritten(self, text: bytes) -> bytes | None:
        """The same value in this order of keys; None for texts of other keys, and unless nothing can have got lost."""
        try:
            written = _encoder.encode(self._decode(text))
        except REFUSALS:
            return None
        return written if len(written) == len(text) else None


class _Study:
    """Makes the type that reads a value; raises ValueError beyond MOST_KEYS."""

    def __init__(self) -> None:
        self._keys = 0

    def reading(self, values: list[Any]) -> Any:
        """The type that reads all of `values`; objects with the keys of all, of which those that some lack may lack."""
        objects = [value for value in values if type(value) is dict]
        lists = [value for value in values if type(value) is list]
        others = sum(value is not None for value in values) - len(objects) - len(lists)
        if others or bool(objects) == bool(lists):
            return Any
        found: Any = self._struct(objects) if objects else list[self.reading(list(chain(*lists)))]  # type: ignore[misc]
        return found if len(objects) + len(lists) == len(values) else found | None

    def _struct(self, objects: list[dict[str, Any]]) -> type[msgspec.Struct]:
        fields: list[tuple[str, Any, Any]] = []
        for key in self._in_order(objects):
            values = [each[key] for each in objects if key in each]
            reading = self.reading(values)
            field = msgspec.field(name=key)
            if len(values) < len(objects):
                reading, field = reading | msgspec.UnsetType, msgspec.field(default=msgspec.UNSET, name=key)
            fields.append((f"key_{len(fields)}", reading, field))
        return msgspec.defstruct("Keys", fields, kw_only=True, forbid_unknown_fields=True, gc=False)

    def _in_order(self, objects: list[dict[str, Any]]) -> list[str]:
        """The keys of all, each behind the one that it follows where it comes first."""
        keys: list[str] = []
        for each in objects:
            place = 0
            for key in each:
                if key in keys:
                    place = keys.index(key) + 1
                    continue
                self._keys += 1
                if self._keys > MOST_KEYS:
                    raise ValueError(f"more than {MOST_KEYS} keys")
                keys.insert(place, key)
                place += 1
        return keys
