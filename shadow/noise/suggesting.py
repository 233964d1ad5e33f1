"""Masks suggested from what was seen, with what speaks against them. Pure; nothing here is ever applied by itself.

A suggestion rests on noise: on what legacy disagrees with *itself* about. What the candidate does decides only whether
it is withheld. It is, when the differences that the mask would excuse come oftener than noise does, lean to one side
where noise does not, or repeat a value where legacy never does: a bug inside a noisy field shows in one of these ways,
or lies outside the mask's bound and stays a difference.

Without noise at a path there is one exception, and it says so: UUIDs of one version that each side assigns. A bound for
numbers or times is never made from differences of the candidate, for it would fit any bug.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shadow.comparing.masks import Predicate, moment, number, predicate
from shadow.comparing.values import Absent, Json, canonical
from shadow.noise.evidence import Example, PathNoise
from shadow.noise.fitting import FEWEST_EXAMPLES, Family, Fit, Unfit, fit
from shadow.noise.orders import Order
from shadow.noise.rates import ALPHA, FEWEST, sign_test
from shadow.noise.reaching import Reach, reach
from shadow.pairs.kept import KeptPair
from shadow.spec import Comparison, Mask, MaskKind

SHOWN = 5
"""Examples and counter-examples that a suggestion carries."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A mask that somebody may want, and what is known for and against it."""

    mask: Mask
    sentence: str
    """What holds on both sides: ``both are UUIDv4``."""
    from_noise: bool
    """Whether legacy itself shows it; else it explains differences of the candidate, without evidence of noise."""
    support: int
    """Examples of noise (or else of differences) that it holds for."""
    examples: int
    """All of those."""
    counter: tuple[Example, ...]
    """Some for which it does not hold."""
    differing: int
    """Samples in which the candidate differs at the path."""
    beyond: int
    """Of the kept examples of that, those that the mask does not excuse: they stay differences."""
    reach: Reach
    """What it would excuse of the pairs that are kept."""
    withheld: str = ""
    """Why it is not recommended after all; empty when it is."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A noisy path for which no mask is suggested, and why."""

    path: str
    reason: str
    noisy: int
    asked: int


@dataclass(frozen=True, slots=True)
class Advice:
    """What can be said of one route."""

    suggestions: tuple[Suggestion, ...]
    refusals: tuple[Refusal, ...]


Pairs = Callable[[str], Sequence[KeptPair]]
"""Path -> kept pairs that differ there or below."""


def advise(places: Sequence[PathNoise], others: Sequence[PathNoise], pairs: Pairs, comparison: Comparison) -> Advice:
    """Suggest masks for the noisy `places`; and for `others`, where differences are known and no noise.

    `others` carry differences of kept pairs as candidate's examples. `comparison` is the route's own, whose masks stay.
    """
    suggestions: list[Suggestion] = []
    refusals: list[Refusal] = []
    for place in places:
        if not place.counts.noisy:
            continue
        found = _from_noise(place, pairs, comparison)
        if isinstance(found, Suggestion):
            suggestions.append(found)
        else:
            refusals.append(Refusal(place.path, found.reason, place.counts.noisy, place.counts.asked))
    noisy = {place.path for place in places if place.counts.noisy}
    for place in others:
        if place.path not in noisy and (assigned := _assigned(place, pairs, comparison)) is not None:
            suggestions.append(assigned)
    return Advice(tuple(suggestions), tuple(refusals))


def _from_noise(place: PathNoise, pairs: Pairs, comparison: Comparison) -> Suggestion | Unfit:
    orders = [each for each in place.noise if each.is_order]
    if orders:
        found = _order(place.path, orders, len(place.noise))
    elif any(each.is_hidden for each in place.noise):
        return Unfit("the values are redacted before they are stored, so nothing can be told about them")
    elif not place.path.startswith(("/", "header:")):
        return Unfit("a mask on the status or the whole body would hide everything behind it")
    else:
        found = fit(place.path, [each.values for each in place.noise])
    if isinstance(found, Unfit):
        return found
    holds = _holds(found)
    fitting = [each for each in place.candidate if holds(each)]
    withheld = ""
    if place.counts.asked < FEWEST:
        withheld = f"only {place.counts.asked} samples; {FEWEST} are the fewest that say anything"
    for against in (_oftener, _leaning, _repeated):
        withheld = withheld or against(place, fitting, found)
    return Suggestion(
        found.mask,
        found.sentence,
        True,
        found.support,
        found.examples,
        tuple(each for each in place.noise if not holds(each))[:SHOWN],
        place.counts.differing,
        len(place.candidate) - len(fitting),
        reach(found.mask, pairs(place.path), comparison),
        withheld,
    )


def _holds(found: Fit) -> Callable[[Example], bool]:
    if found.family is Family.ORDER:
        return lambda each: each.is_order
    holds: Predicate = predicate(found.mask)
    return lambda each: holds(*each.values)


def _order(path: str, examples: Sequence[Example], of: int) -> Fit | Unfit:
    """A mask for lists whose items come in another order whenever legacy is asked."""
    if len(examples) < FEWEST_EXAMPLES:
        return Unfit(f"only {len(examples)} examples of another order; {FEWEST_EXAMPLES} are the fewest to go by")
    said = [value for each in examples if isinstance(value := each.values[0], list) and value]
    orders = {value[0] for value in said if isinstance(value[0], str)}
    fields = [[name for name in value[1:] if isinstance(name, str)] for value in said]
    by = next((name for name in fields[0] if all(name in each for each in fields)), None) if fields else None
    if Order.SET in orders:
        return Fit(Mask(path=path, kind=MaskKind.SAME_SET), Family.ORDER, "both hold the same set", len(examples), of)
    if by is None and Order.BY in orders:
        return Unfit("the items come in another order and are told apart by several fields")
    mask = Mask(path=path, kind=MaskKind.ANY_ORDER, by=by)
    same = f"both hold the same items, told apart by {by}" if by else "both hold the same items, each as often"
    return Fit(mask, Family.ORDER, f"{same}, in any order", len(examples), of)


# --- what speaks against a mask ---------------------------------------------------------------------------------------


def _oftener(place: PathNoise, fitting: Sequence[Example], found: Fit) -> str:
    """Whether what the mask would excuse comes oftener than legacy's own noise."""
    counts = place.counts
    part = len(fitting) / len(place.candidate) if place.candidate else 0.0
    if sign_test(round(counts.only_differing * part), counts.only_after) > ALPHA / 3:
        return ""
    return (
        f"it would excuse about {round(counts.differing * part):,} of {counts.asked:,} samples, and legacy disagrees "
        f"with itself in {counts.after:,}: more than noise"
    )


def _leaning(place: PathNoise, fitting: Sequence[Example], found: Fit) -> str:
    """Whether the candidate's values lie to one side of legacy's where noise does not."""
    noise, candidate = ([_side(each) for each in group] for group in (place.noise, fitting))
    table = [[group.count(1), group.count(-1)] for group in (candidate, noise)]
    if found.is_drawn or not all(sum(row) for row in table):
        return ""
    from scipy.stats import fisher_exact  # here, because it takes a second and most commands never ask

    if fisher_exact(table).pvalue > ALPHA / 3:
        return ""
    (more, less), (up, down) = table
    return (
        f"the candidate's value is the larger one in {more} of {more + less} of these, legacy's own second answer in "
        f"{up} of {up + down}: that is no noise"
    )


def _side(each: Example) -> int:
    """1 where the other answer's value is the larger one, -1 where it is the smaller one; 0 where nobody can tell."""
    left, right = (_size(value) for value in each.values)
    return 0 if left is None or right is None else (right > left) - (right < left)


def _size(value: Json | Absent) -> float | None:
    at = moment(value) if isinstance(value, str) else None
    if at is not None and not isinstance(at, float):
        return at.timestamp() if at.tzinfo is not None or at.year > 1970 else None
    found = number(value)
    return float(found) if found is not None else None


def _repeated(place: PathNoise, fitting: Sequence[Example], found: Fit) -> str:
    """Whether the candidate gives one value to several requests, where legacy's are drawn anew each time."""
    if not found.is_drawn:
        return ""
    again, candidate = ([canonical_of(each.values[1]) for each in group] for group in (place.noise, fitting))
    twice = len(candidate) - len(set(candidate))
    if not twice or len(again) != len(set(again)):
        return ""
    return f"the candidate gives the same value again in {twice} of {len(candidate)} samples, which legacy never does"


def canonical_of(value: Json | Absent) -> str:
    """One text per value."""
    return "" if isinstance(value, Absent) else canonical(value)


# --- without noise ----------------------------------------------------------------------------------------------------


def _assigned(place: PathNoise, pairs: Pairs, comparison: Comparison) -> Suggestion | None:
    """UUIDs that each side assigns: always the same when legacy is asked again, and never the candidate's."""
    found = fit(place.path, [each.values for each in place.candidate])
    if isinstance(found, Unfit) or found.family is not Family.UUID or found.support != found.examples:
        return None
    legacy, candidate = ({canonical_of(each.values[side]) for each in place.candidate} for side in (0, 1))
    if len(legacy) != len(candidate):
        return None  # one of legacy's ids has several on the other side, or the other way round: that is no assignment
    return Suggestion(
        found.mask,
        f"{found.sentence}, each side's own",
        False,
        found.support,
        found.examples,
        (),
        place.counts.differing,
        0,
        reach(found.mask, pairs(place.path), comparison),
    )
