"""What becomes of a copy after an attempt: delivered, tried again, given up, or in doubt. Pure; chance is an argument.

| the attempt                        | receiving service deduplicates      | it does not             |
| ---------------------------------- | ----------------------------------- | ----------------------- |
| no connection                      | again, without end                  | again, without end      |
| sent, no complete answer           | again, without end                  | in doubt                |
| an answer that is no HTTP          | again, `failures` times, then doubt | in doubt                |
| 5xx, 408, 425, 429                 | again, `failures` times, then dead  | the same                |
| 409 after an attempt               | the same: the first may still run   | delivered               |
| any other answer                   | delivered                           | delivered               |

A 4xx is an answer: the sides disagree about the write, which the comparison tells. 408, 425 and 429 are not, for they
say that the request was not processed (RFC 9110 section 15.5.9, RFC 8470, RFC 6585). What is no HTTP will be none the
next time either, and the key's later writes must not wait for it for ever. A 5xx on a route where nothing
deduplicates is tried again, because the service itself said that it failed.
"""

from __future__ import annotations

from dataclasses import dataclass

from shadow.journal.writes import State
from shadow.pair import Answer

NOT_PROCESSED = frozenset((408, 425, 429))


@dataclass(frozen=True, slots=True)
class Answered:
    """A complete answer."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Unsent:
    """The request certainly did not reach the service."""

    failure: str
    """``connect`` or ``timeout``."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The request, or a part of it, was sent, and no complete answer came: it may have been processed or not."""

    failure: str
    """``timeout``, ``reset`` or ``malformed``."""


@dataclass(frozen=True, slots=True)
class Unsendable:
    """No HTTP client could send this request, now or later."""

    reason: str


Attempt = Answered | Unsent | Lost | Unsendable


@dataclass(frozen=True, slots=True)
class Policy:
    """How often and how fast."""

    failures: int = 8
    """Failed answers before a copy is dead, or in doubt."""
    base: float = 0.1
    """Seconds that the first wait is at most."""
    cap: float = 5.0
    """Seconds that any wait is at most."""
    probe: float = 1.0
    """Seconds that a service which takes no connections is left alone at most: one attempt tells for all its copies."""

    def delay(self, tries: int, chance: float) -> float:
        """Seconds until the next try after `tries` of them; `chance` is uniform in [0, 1).

        Full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015): spread over the whole
        interval, so that what failed together does not come back together.
        """
        return chance * min(self.cap, self.base * 2.0 ** min(tries, 30))


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next."""

    state: State | None
    """The copy's end, or None: try again."""
    attempts: int
    """Failed answers so far."""
    reason: str = ""
    answer: Answer | None = None
    """What the pair is made of, when the copy has come to its end with an answer."""


def judge(attempt: Attempt, attempts: int, *, dedupe: bool, tried: bool, policy: Policy) -> Step:
    """The table above. `attempts` counts the failed answers before this one, `tried` says whether any try preceded."""
    match attempt:
        case Unsent(failure):
            return Step(None, attempts, failure)
        case Lost("malformed") if dedupe:
            attempts += 1
            if attempts < policy.failures:
                return Step(None, attempts, "malformed")
            return Step(State.IN_DOUBT, attempts, f"copy answered with what is no HTTP, {attempts} times")
        case Lost(failure) if dedupe:
            return Step(None, attempts, failure)
        case Lost(failure):
            return Step(State.IN_DOUBT, attempts, f"copy without an answer ({failure})")
        case Unsendable(reason):
            return Step(State.DEAD, attempts, reason)
        case Answered(answer):
            still_running = dedupe and tried and answer.status == 409
            if answer.status < 500 and answer.status not in NOT_PROCESSED and not still_running:
                return Step(State.DELIVERED, attempts, "", answer)
            attempts += 1
            if attempts < policy.failures:
                return Step(None, attempts, f"status {answer.status}")
            return Step(State.DEAD, attempts, f"status {answer.status}, {attempts} times", answer)
