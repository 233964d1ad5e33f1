"""Has a kept pair been mended? What the candidate answers today, held against what legacy answered then. Pure.

Legacy's answer is kept redacted, so the new one is redacted the same way before the two are compared: equal secrets
have equal marks. What legacy would answer today nobody asks; data that has moved on since shows as a difference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from shadow.comparing.compare import judge
from shadow.comparing.differences import DifferenceKind
from shadow.pair import Answer, Headers
from shadow.pairs.kept import KeptDifference, KeptPair, keep_difference
from shadow.redaction.redact import Redactor
from shadow.spec import Comparison


class Result(StrEnum):
    """What became of a pair that was asked again."""

    FIXED = "fixed"
    """It differed, and agrees now."""
    SAME = "same"
    """It agrees as before, or differs in the same places."""
    CHANGED = "changed"
    """It differs in other places than before."""
    UNASKED = "unasked"
    """It could not be sent again, or not be compared; the reason says why."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One pair, asked again."""

    pair: str
    result: Result
    reason: str = ""
    differences: tuple[KeptDifference, ...] = ()
    """What differs now, without secrets."""
    status: int = 0
    """What the candidate answered; 0 without an answer."""

    @property
    def agrees(self) -> bool:
        """Whether the candidate answers now as legacy did."""
        return self.result is not Result.UNASKED and not self.differences


def exit_code(replayed: Iterable[Replayed]) -> int:
    """DESIGN section 7: 1 when any differs now, 4 when any could not be asked, else 0."""
    found = list(replayed)
    if any(each.differences for each in found):
        return 1
    return 4 if any(each.result is Result.UNASKED for each in found) else 0


def judge_again(kept: KeptPair, asked: Headers, fresh: Answer, comparison: Comparison, redactor: Redactor) -> Replayed:
    """Compare a fresh answer of the candidate with legacy's kept one, under the masks of the pair's day.

    `asked` are the headers of the request as it was sent, secrets included: what of them the answer shows is redacted.
    """
    legacy = kept.pair.legacy
    if legacy.failure:
        return Replayed(kept.pair.id, Result.UNASKED, "legacy gave no answer then, so there is nothing to agree with")
    if legacy.truncated:
        return Replayed(kept.pair.id, Result.UNASKED, "legacy's answer is too large and was kept in part only")
    # Legacy's side is left out of the redaction: it was redacted when it was kept, and twice would be another mark.
    shown = replace(kept.pair, request_headers=asked, legacy=Answer(200), candidate=fresh)
    clean, _ = redactor.pair(shown, (), comparison.redact)
    pair = replace(kept.pair, legacy=_uncoded(legacy), candidate=_uncoded(clean.candidate))
    differences = tuple(map(keep_difference, judge(pair, comparison).outcome.differences))
    return Replayed(kept.pair.id, _result(kept.differences, differences), "", differences, fresh.status)


def _result(before: tuple[KeptDifference, ...], now: tuple[KeptDifference, ...]) -> Result:
    if not now:
        return Result.FIXED if before else Result.SAME
    return Result.SAME if _places(before) == _places(now) else Result.CHANGED


def _places(differences: tuple[KeptDifference, ...]) -> set[tuple[DifferenceKind, str]]:
    return {(each.kind, each.pointer) for each in differences}


def _uncoded(answer: Answer) -> Answer:
    """What is kept and redacted has no content coding on it any more, whatever its headers say."""
    return replace(answer, headers=tuple(line for line in answer.headers if line[0].lower() != "content-encoding"))
