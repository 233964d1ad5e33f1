"""Path patterns: ``/api/products/{id}``, ``/static/**``. Their grammar, and the readable way to match one.

The compiled table matches through a trie of segments (trie.py), which must agree with `PathPattern.matches`.
``OPTIONS *`` has no path: its ``*`` is matched by ``/**`` alone, and by no expression.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rules.matching.path import normalise
from rules.matching.regex import compile_regex, whole_matcher

LONGEST = 64
"""Segments of one pattern; the trie's walk may nest as deep."""

_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")


@dataclass(frozen=True, slots=True)
class PathPattern:
    text: str
    segments: tuple[str | None, ...]
    """A literal, or None for any one segment that is not empty (``*`` or ``{name}``)."""
    names: tuple[tuple[str, int], ...]
    """(name, index of its segment) of every ``{name}``."""
    rest: bool
    """Ends in ``**``: any number of further segments, also none."""

    def matches(self, path: str) -> bool:
        """Whether a normalised path matches, segment by segment."""
        if path[:1] != "/":
            return self.rest and not self.segments
        given = path[1:].split("/")
        if len(given) < len(self.segments) or (len(given) > len(self.segments) and not self.rest):
            return False
        pairs = zip(self.segments, given, strict=False)
        return all(segment == want if want is not None else segment != "" for want, segment in pairs)

    def captures(self, path: str) -> dict[str, str]:
        """What each ``{name}`` stands for in a path that matches, and ``**`` with the slash before it.

        A path that is too short has less of them.
        """
        if not self.names and not self.rest:
            return {}
        given = path[1:].split("/") if path[:1] == "/" else []
        found = {name: given[index] for name, index in self.names if index < len(given)}
        if self.rest:
            found["**"] = "".join("/" + segment for segment in given[len(self.segments) :])
        return found


class PathExpression:
    """A regular expression that the whole path must match; its named groups are captures."""

    __slots__ = ("_groups", "_is_whole", "text")

    def __init__(self, text: str) -> None:
        """Raises ValueError saying what is wrong with the expression."""
        self.text = text
        self._is_whole = whole_matcher(text)
        self._groups: Any = None  # compiled once somebody asks: of many expressions no template wants a capture

    def matches(self, path: str) -> bool:
        return path[:1] == "/" and self._is_whole(path)

    def captures(self, path: str) -> dict[str, str]:
        """What each named group stands for in a path that matches; ``""`` for one that took no part."""
        if not self.matches(path):
            return {}
        if self._groups is None:
            self._groups = compile_regex(self.text)
        found = self._groups.fullmatch(path)
        return {} if found is None else {name: text or "" for name, text in found.groupdict().items()}


@lru_cache(maxsize=1024)
def parse_pattern(text: str) -> PathPattern:
    """The pattern that `text` writes. Raises ValueError saying what is wrong and how to write it."""
    if not text.startswith("/"):
        raise ValueError(f"a path begins with '/'; write '/{text:.80}'")
    parts = text[1:].split("/")
    rest = parts[-1] == "**"
    if rest:
        parts.pop()
    if len(parts) > LONGEST:
        raise ValueError(f"a path has at most {LONGEST} segments")
    segments: list[str | None] = []
    names: dict[str, int] = {}
    for index, part in enumerate(parts):
        named = _NAME.fullmatch(part)
        if named:
            if named[1] in names:
                raise ValueError(f"'{part}' stands twice in the path; give each segment its own name")
            names[named[1]] = index
        segments.append(None if named or part == "*" else _literal(part, is_last=index == len(parts) - 1 and not rest))
    return PathPattern(text, tuple(segments), tuple(names.items()), rest)


def _literal(part: str, is_last: bool) -> str:
    if part == "**":
        raise ValueError("'**' may stand only at the end of a path")
    if "*" in part or "{" in part or "}" in part:
        raise ValueError(
            f"in '{part:.80}': '*' and '{{name}}' stand for a whole segment, and a name is letters, digits and _"
        )
    if not part and not is_last:
        raise ValueError("an empty segment ('//') never matches, because fig merges slashes; remove one")
    seen = normalise("/" + part.encode().decode("latin-1"))  # its bytes, as the data plane sees them
    if seen is None or seen == "/" != "/" + part:
        raise ValueError(f"'{part:.80}' never matches: fig refuses or resolves such a segment before matching")
    if seen != "/" + part:
        raise ValueError(f"'{part:.80}' never matches, because fig sees the path normalised; write '{seen[1:]}'")
    return part
