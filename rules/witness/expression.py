"""Regular expressions in RE2 syntax, read as parts of an automaton. What is not read is said so, never guessed.

Read: literals, classes, ``.``, groups (also named), alternation, quantifiers, ``^ $ \\A \\z``, ``\\d \\w \\s``, POSIX
classes, ``\\Q...\\E``, and the flags i, s and U. Not read: ``\\b``, ``\\pL``, multi-line (https://github.com/google/re2,
its syntax page). The expression is one that RE2 has compiled, so faults of form need no message here.
"""

from __future__ import annotations

import re
import string
from functools import lru_cache

from rules.witness.automaton import (
    BEYOND,
    EVERY,
    Automaton,
    Chain,
    Characters,
    Choice,
    Edge,
    Part,
    Repeat,
    UnreadableError,
    characters,
)

_DEEPEST = 50
_DIGITS = characters(string.digits)
_WORD = characters(string.ascii_letters + string.digits + "_")
_BLANKS = characters("\t\n\f\r ")
_SHORT = {"d": _DIGITS, "w": _WORD, "s": _BLANKS}
_POSIX = {
    "alnum": characters(string.ascii_letters + string.digits),
    "alpha": characters(string.ascii_letters),
    "ascii": EVERY & ~BEYOND,
    "blank": characters("\t "),
    "cntrl": characters("".join(map(chr, (*range(32), 127)))),
    "digit": _DIGITS,
    "graph": characters("".join(map(chr, range(0x21, 0x7F)))),
    "lower": characters(string.ascii_lowercase),
    "print": characters("".join(map(chr, range(0x20, 0x7F)))),
    "punct": characters(string.punctuation),
    "space": characters("\t\n\v\f\r "),
    "upper": characters(string.ascii_uppercase),
    "word": _WORD,
    "xdigit": characters(string.hexdigits),
}
_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_COUNTED = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")
_GROUP = re.compile(r"\(\?(?:P?<[^>]*>|([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)]))")
_HEX = re.compile(r"x(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))")
_OCTAL = re.compile(r"0[0-7]{0,2}|[1-7][0-7]{2}")


@lru_cache(maxsize=4096)
def parts_of(expression: str) -> tuple[Part, bool] | None:
    """The expression as parts, and whether they take nothing beyond it; None where it is not read."""
    reader = _Reader(expression)
    try:
        part = reader.choice(0)
    except (UnreadableError, IndexError):
        return None
    return (part, reader.exact) if reader.at == len(expression) else None


@lru_cache(maxsize=4096)
def automaton_of(expression: str) -> Automaton | None:
    """The automaton that takes what `expression` matches as a whole; None where it is not read."""
    found = parts_of(expression)
    try:
        return Automaton(*found) if found is not None else None
    except UnreadableError:
        return None


class _Reader:
    """Reads from `at` on; `exact` falls when something beyond ASCII is taken more widely than it is written."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.exact = True
        self._folds = False
        self._dot_takes_all = False

    def choice(self, depth: int) -> Part:
        if depth > _DEEPEST:
            raise UnreadableError
        kept = self._folds, self._dot_takes_all
        parts = [self._chain(depth)]
        while self.text[self.at : self.at + 1] == "|":
            self.at += 1
            parts.append(self._chain(depth))
        self._folds, self._dot_takes_all = kept
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _chain(self, depth: int) -> Part:
        parts: list[Part] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            found = self._one(depth)
            if found is not None:
                parts.append(self._repeated(found))
        return parts[0] if len(parts) == 1 else Chain(tuple(parts))

    def _repeated(self, part: Part) -> Part:
        while self.at < len(self.text):
            character = self.text[self.at]
            counted = _COUNTED.match(self.text, self.at) if character == "{" else None
            if counted is not None:
                least = int(counted[1])
                most = least if counted[2] is None else int(counted[3]) if counted[3] else None
                self.at = counted.end()
            elif character in "*+?":
                least, most = (1 if character == "+" else 0), (1 if character == "?" else None)
                self.at += 1
            else:
                break
            if self.text[self.at : self.at + 1] == "?":
                self.at += 1  # which match is found first does not matter where the whole text must match
            part = Repeat(part, least, most)
        return part

    def _one(self, depth: int) -> Part | None:
        character = self.text[self.at]
        if character == "(":
            return self._group(depth)
        self.at += 1
        if character == "[":
            return Characters(self._class())
        if character == "\\":
            return self._escape()
        if character == ".":
            return Characters(EVERY if self._dot_takes_all else EVERY & ~characters("\n"))
        if character in "^$":
            return Edge.BEGIN if character == "^" else Edge.END
        return self._literal(character)

    def _group(self, depth: int) -> Part | None:
        found = _GROUP.match(self.text, self.at)
        if found is None:
            self.at += 1
            if self.text[self.at] == "?":
                raise UnreadableError
            return self._inside(depth)
        self.at = found.end()
        if found[3] is None:
            return self._inside(depth)
        kept = self._folds, self._dot_takes_all
        for flags, value in ((found[1] or "", True), (found[2] or "", False)):
            for flag in flags:
                self._set(flag, value)
        if found[3] == ")":
            return None
        part = self._inside(depth)
        self._folds, self._dot_takes_all = kept
        return part

    def _set(self, flag: str, value: bool) -> None:
        if flag == "i":
            self._folds = value
        elif flag == "s":
            self._dot_takes_all = value
        elif flag != "U" and value:
            raise UnreadableError

    def _inside(self, depth: int) -> Part:
        part = self.choice(depth + 1)
        if self.text[self.at] != ")":
            raise UnreadableError
        self.at += 1
        return part

    def _literal(self, character: str) -> Characters:
        if ord(character) > 127:
            self.exact = False
        return Characters(self._folded(characters(character)))

    def _folded(self, found: int) -> int:
        if not self._folds:
            return found
        for lower, upper in zip(string.ascii_lowercase, string.ascii_uppercase, strict=True):
            if found & characters(lower + upper):
                found |= characters(lower + upper)
                if lower in "ks":  # the Kelvin sign and the long s fold to them
                    found |= BEYOND
                    self.exact = False
        if found & BEYOND:
            found |= characters("kKsS")
            self.exact = False
        return found

    def _escape(self) -> Part:
        character = self.text[self.at]
        if character in "Az":
            self.at += 1
            return Edge.BEGIN if character == "A" else Edge.END
        if character == "Q":
            end = self.text.find("\\E", self.at)
            quoted = self.text[self.at + 1 : end if end >= 0 else len(self.text)]
            self.at = end + 2 if end >= 0 else len(self.text)
            if len(quoted) > 1 and self.text[self.at : self.at + 1] in ("*", "+", "?", "{"):
                raise UnreadableError  # the quantifier is the last character's alone
            return Chain(tuple(self._literal(each) for each in quoted))
        if character.lower() in _SHORT:
            self.at += 1
            return Characters(self._short(character))
        return self._literal(self._escaped())

    def _short(self, character: str) -> int:
        found = _SHORT[character.lower()]
        return self._folded(found) if character.islower() else EVERY & ~found

    def _escaped(self) -> str:
        """The character that an escape stands for; `at` is behind its backslash."""
        number = _HEX.match(self.text, self.at)
        if number is not None:
            self.at = number.end()
            return chr(int(number[1] or number[2], 16))
        number = _OCTAL.match(self.text, self.at)
        if number is not None:
            self.at = number.end()
            return chr(int(number[0], 8))
        character = self.text[self.at]
        self.at += 1
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character.isalnum():
            raise UnreadableError  # \b, \pL and what else has a meaning of its own
        return character

    def _class(self) -> int:
        """The characters of a class; `at` is behind its bracket."""
        negated = self.text[self.at] == "^"
        self.at += negated
        found = 0
        first = True
        while first or self.text[self.at] != "]":
            first = False
            found |= self._class_item()
        self.at += 1
        some_beyond = found & BEYOND
        found = self._folded(found)
        some_beyond |= found & BEYOND
        if negated:
            # Of the characters beyond ASCII some are in it and others are not, so both forms may take the symbol.
            found = (EVERY & ~found) | (BEYOND if some_beyond and not self.exact else 0)
        return found

    def _class_item(self) -> int:
        if self.text.startswith("[:", self.at):
            end = self.text.index(":]", self.at) if ":]" in self.text[self.at :] else -1
            name = self.text[self.at + 2 : end]
            if end < 0 or name.removeprefix("^") not in _POSIX:
                raise UnreadableError
            self.at = end + 2
            return EVERY & ~_POSIX[name[1:]] if name.startswith("^") else _POSIX[name]
        low = self._class_character()
        if isinstance(low, int):
            return low
        if self.text[self.at] != "-" or self.text[self.at + 1] == "]":
            if ord(low) > 127:
                self.exact = False
            return characters(low)
        self.at += 1
        high = self._class_character()
        if isinstance(high, int):
            raise UnreadableError
        found = characters("".join(map(chr, range(ord(low), min(ord(high), 127) + 1))))
        if ord(high) > 127:
            self.exact = self.exact and ord(low) <= 128 and ord(high) == 0x10FFFF
            found |= BEYOND
        return found

    def _class_character(self) -> str | int:
        """One character, or the set that ``\\d`` and its like stand for."""
        character = self.text[self.at]
        self.at += 1
        if character != "\\":
            return character
        if self.text[self.at].lower() in _SHORT:
            short = self.text[self.at]
            self.at += 1
            return self._short(short)
        return self._escaped()
