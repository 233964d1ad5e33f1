"""What a gate answers of a route whose canary is over: what came of it. Pure.

Its last judgement alone would not do. What took the route back may have been something else (fatal errors, the watch, a
person), and then the gate's own last word was that it keeps watching, or even `promote`.
"""

from __future__ import annotations

from dataclasses import replace

from canary.rollout import Rollout
from canary.verdict import Judgement, Verdict
from rules.stages import Stage

_BEYOND = (Stage.LIVE, Stage.RETIRED)


def last_words(
    rollout: Rollout, latest: Judgement | None, unasked: Judgement, watched: Judgement | None = None
) -> Judgement:
    """For a route that stands in no canary, where its rollout does; `latest` is what its gate said last of the present
    candidate, `unasked` a fault with the reason that nobody is compared, `watched` what a running watch says.

    An attempt that was ended is a `rollback`, with the reason that it was ended for, and the gate's last numbers. A
    `promote` holds where it was followed, unless the watch has found harm, and tells what that sees.
    """
    if rollout.ended:
        if latest is not None and latest.verdict is Verdict.ROLLBACK:
            return latest
        known = latest if latest is not None else replace(unasked, since=rollout.since)
        return replace(known, verdict=Verdict.ROLLBACK, reason=rollout.ended)
    if latest is None or latest.verdict is not Verdict.PROMOTE or rollout.stage not in _BEYOND:
        return watched or unasked
    if watched is None:
        return latest
    if watched.verdict is Verdict.ROLLBACK:
        return watched
    return replace(latest, reason=f"{latest.reason}; live since then, and watched: {watched.reason}")
