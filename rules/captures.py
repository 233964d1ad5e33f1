"""What the names of a match stand for in a request that it takes: `{id}` of a path, named groups of a regex, `**`.

Where two parts of a match give one name, the match's own path comes before `all`, and `all` before `any`; only the
``**`` of a path that asks nothing (``/**``) gives way to theirs.
"""

from __future__ import annotations

from collections.abc import Callable

from rules.decision import Request
from rules.match import EVERY_PATH, Match
from rules.predicates import AllPredicate, PathPredicate, whole

CaptureReader = Callable[[Request], dict[str, str]]


def capture_reader(match: Match) -> CaptureReader:
    """A function that reads the captures of a request that `match` takes. All parsing is done here, none per call."""
    path = PathPredicate(match.path)
    if not match.all and not match.any:
        return lambda request: path.captures(request.path)
    every = [capture_reader(each) for each in match.all]
    alternatives = [(whole(each), capture_reader(each)) for each in match.any]
    asks_no_path = match.path == (EVERY_PATH,)

    def read(request: Request) -> dict[str, str]:
        own = path.captures(request.path)
        found: dict[str, str] = {}
        for reader in (*every, *_chosen(alternatives, request)):
            found = reader(request) | found
        return own | found if asks_no_path else found | own

    return read


def _chosen(alternatives: list[tuple[AllPredicate, CaptureReader]], request: Request) -> list[CaptureReader]:
    """The reader of the first alternative that holds."""
    return next(([reader] for holds, reader in alternatives if holds.holds(request)), [])


def captures_of(match: Match, request: Request) -> dict[str, str]:
    """What each name of a match stands for in a request that it takes."""
    return capture_reader(match)(request)
