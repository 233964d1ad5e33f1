"""What the names of a match stand for in a request that it takes: `{id}` of a path, named groups of a regex, `**`.

Where two parts of a match give one name, the match's own path comes before `all`, and `all` before `any`. What asks no
path (``/**``) names nothing; only if the match itself asks none, and nothing in it names ``**``, is that the whole
path.
"""

from __future__ import annotations

from collections.abc import Callable

from rules.decision import Request
from rules.match import EVERY_PATH, Match
from rules.matching.predicates import AllPredicate, PathPredicate, whole

CaptureReader = Callable[[Request], dict[str, str]]


def capture_reader(match: Match) -> CaptureReader:
    """A function that reads the captures of a request that `match` takes. All parsing is done here, none per call."""
    read = _reader(match)
    if match.path != (EVERY_PATH,):
        return read or _nothing
    whole_path = PathPredicate(match.path).captures
    if read is None:
        return lambda request: whole_path(request.path)
    inner = read
    return lambda request: whole_path(request.path) | inner(request)


def _reader(match: Match) -> CaptureReader | None:
    """None for a match that names nothing."""
    own = PathPredicate(match.path).captures if match.path != (EVERY_PATH,) else None
    every = [reader for reader in map(_reader, match.all) if reader is not None]
    alternatives = [(whole(each), _reader(each) or _nothing) for each in match.any]
    if all(reader is _nothing for _, reader in alternatives):
        alternatives = []  # so nobody has to know which of them holds
    if not every and not alternatives:
        return None if own is None else lambda request: own(request.path)

    def read(request: Request) -> dict[str, str]:
        found = own(request.path) if own is not None else {}
        for reader in (*every, *_chosen(alternatives, request)):
            found = reader(request) | found
        return found

    return read


def _nothing(request: Request) -> dict[str, str]:
    return {}


def _chosen(alternatives: list[tuple[AllPredicate, CaptureReader]], request: Request) -> list[CaptureReader]:
    """The reader of the first alternative that holds."""
    return next(([reader] for holds, reader in alternatives if holds.holds(request)), [])
