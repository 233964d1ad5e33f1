"""What was to happen, what did happen, and the exit code that follows. Pure: facts in, an ending out.

The story is broken on purpose by `--without reviews-bug` and `--without slow-cart`: then there is nothing to catch, the
routes go live, and the ending says so with exit code 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rules.stages import Stage

PRODUCTS, CART, REVIEWS, CHECKOUT = "products", "cart", "reviews", "checkout"


class Fault(StrEnum):
    """What is planted in the candidates, unless the demo is told to go without it."""

    REVIEWS_BUG = "reviews-bug"
    SLOW_CART = "slow-cart"


@dataclass(frozen=True, slots=True)
class Move:
    """One line of fig's history."""

    at: float
    """Seconds since the epoch."""
    route: str
    actor: str
    action: str
    stage: Stage | None
    """Where the route stands after it; None when it left the rules file."""
    share: float
    why: str


@dataclass(frozen=True, slots=True)
class Place:
    """One path at which the shadow report counted differences."""

    path: str
    count: int
    legacy: str
    candidate: str


@dataclass(frozen=True, slots=True)
class Compared:
    """What the shadow report says of one route."""

    pairs: int = 0
    differing: int = 0
    places: tuple[Place, ...] = ()
    """Largest count first."""
    causes: tuple[str, ...] = ()
    """What the differences have in common, in sentences; the one with most pairs first."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of the dual writes of one route."""

    delivered: int = 0
    undelivered: int = 0
    gaps: int = 0
    doubts: int = 0


@dataclass(frozen=True, slots=True)
class Certified:
    """The certificate of checkout, as `fig shadow certify` gave it and `fig shadow verify` checked it."""

    verdict: str
    reason: str
    verified: bool
    """Whether signature, numbers and every link of its chain hold."""
    beyond: str
    """What a real shop's accuracy would take: ``99.99% takes 29,956 pairs without a difference``."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What the databases of both sides hold, looked at directly, past fig."""

    same: int = 0
    """Orders that both have, with the same lines."""
    apart: int = 0
    """Orders that one side lacks, or has with other lines."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was measured, when the shoppers had gone home."""

    requests: int
    failed: int
    failures: Sequence[str]
    moves: Sequence[Move]
    """fig's history, oldest first."""
    compared: Mapping[str, Compared]
    writes: Delivered
    orders: Orders
    certified: Certified | None
    """None when it could not be had."""
    released_at: float | None
    """When fig had taken cart's second release over, in seconds since the epoch; None when it was never deployed."""
    crashed: Sequence[str] = ()
    """Programs that ended by themselves, and processes of fig that its supervisor had to start anew."""
    interrupted: str = ""
    """Why the story was not told to its end, if so."""
    faults: frozenset[Fault] = field(default_factory=lambda: frozenset(Fault))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that had to happen: whether it did, in words."""

    subject: str
    ok: bool
    said: str


@dataclass(frozen=True, slots=True)
class Ending:
    findings: tuple[Finding, ...]
    seconds_to_rollback: float | None

    @property
    def exit_code(self) -> int:
        return 0 if all(finding.ok for finding in self.findings) else 1


def stages(moves: Sequence[Move], route: str) -> list[Stage]:
    """The stages that the route passed, in order, none twice in a row."""
    passed: list[Stage] = []
    for move in moves:
        if move.route == route and move.stage is not None and passed[-1:] != [move.stage]:
            passed.append(move.stage)
    return passed


def rollback_of_release(facts: Facts) -> Move | None:
    """The first move that took cart's second release out of the way, by fig's own decision."""
    if facts.released_at is None:
        return None
    for move in facts.moves:
        if move.route == CART and move.action == "rollback" and move.actor == "pilot" and move.at >= facts.released_at:
            return move
    return None


def is_over(moves: Sequence[Move], released: bool, refused: bool) -> bool:
    """Whether every route came to rest: nothing more is to be expected of them.

    `released`: cart's second release was deployed. `refused`: the certificate of reviews was judged NO-GO.
    """
    products, cart, reviews = (stages(moves, route)[-1:] for route in (PRODUCTS, CART, REVIEWS))
    cart_rolled_back = any(move.route == CART and move.action == "rollback" for move in moves)
    return (
        products == [Stage.LIVE]
        and (cart == [Stage.LIVE] or (released and cart_rolled_back))
        and (reviews == [Stage.LIVE] or (refused and reviews == [Stage.SHADOW]))
    )


def end(facts: Facts) -> Ending:
    """Judge what was measured."""
    rollback = rollback_of_release(facts)
    took = rollback.at - facts.released_at if rollback and facts.released_at is not None else None
    findings = (
        _served(facts),
        _moved_by_fig(facts),
        _products(facts),
        _reviews(facts),
        _cart(facts, rollback, took),
        _checkout(facts),
        _certificate(facts.certified),
        _told_to_the_end(facts),
    )
    return Ending(findings, took)


def _served(facts: Facts) -> Finding:
    if facts.failed:
        first = f"; the first: {facts.failures[0]}" if facts.failures else ""
        return Finding("requests", False, f"{facts.requests} served, {facts.failed} failed{first}")
    return Finding("requests", facts.requests > 0, f"{facts.requests} served, 0 failed")


def _moved_by_fig(facts: Facts) -> Finding:
    others = sorted({move.actor for move in facts.moves} - {"file", "pilot"})
    if others:
        return Finding("moves", False, f"routes were moved by hand, by {', '.join(others)}")
    by_pilot = sum(1 for move in facts.moves if move.actor == "pilot")
    return Finding("moves", by_pilot > 0, f"{by_pilot} of them, each decided by a gate or a certificate")


def _path(moves: Sequence[Move], route: str) -> str:
    return " -> ".join(stages(moves, route)) or "not known to fig"


PROOF = ("typical", "conversion")
"""The metrics of products' gate that its promotion must rest on."""


def _products(facts: Facts) -> Finding:
    passed = stages(facts.moves, PRODUCTS)
    ok = passed == [Stage.SHADOW, Stage.CANARY, Stage.LIVE]
    said = _path(facts.moves, PRODUCTS)
    if not ok:
        return Finding(PRODUCTS, False, f"{said}; it was to go shadow -> canary -> live")
    proof = next((move.why for move in facts.moves if move.route == PRODUCTS and move.stage is Stage.LIVE), "")
    if missing := [metric for metric in PROOF if f"'{metric}'" not in proof]:
        return Finding(PRODUCTS, False, f"{said}; nothing was shown of {' and '.join(missing)}: {proof}")
    return Finding(PRODUCTS, True, f"{said}, as its latency and its shoppers' orders allow: {proof}")


def _reviews(facts: Facts) -> Finding:
    passed = stages(facts.moves, REVIEWS)
    compared = facts.compared.get(REVIEWS, Compared())
    if passed != [Stage.SHADOW]:
        planted = "the planted bug was not caught" if Fault.REVIEWS_BUG in facts.faults else "there was no bug to catch"
        where = "reviews went live" if passed[-1:] == [Stage.LIVE] else f"reviews went {_path(facts.moves, REVIEWS)}"
        return Finding(REVIEWS, False, f"no catch was made: {planted}, and {where}")
    if not compared.differing or not compared.places:
        return Finding(REVIEWS, False, f"stayed in shadow, but {compared.pairs} pairs show no difference")
    if not compared.causes:
        where = compared.places[0].path
        return Finding(REVIEWS, False, f"caught by its pairs and kept in shadow, but no cause is named at {where}")
    return Finding(REVIEWS, True, f"caught by its pairs and kept in shadow: {compared.causes[0]}")


SLOWNESS = ("typical", "slowest")
"""The latency metrics of the example's gate."""


def _cart(facts: Facts, rollback: Move | None, took: float | None) -> Finding:
    passed = stages(facts.moves, CART)
    if passed[-1:] == [Stage.LIVE]:
        planted = "its slow release was not caught" if Fault.SLOW_CART in facts.faults else "its release was not slow"
        return Finding(CART, False, f"no catch was made: {planted}, and cart went live")
    if Stage.CANARY not in passed:
        return Finding(CART, False, f"{_path(facts.moves, CART)}; it was to reach canary")
    if facts.released_at is None:
        return Finding(CART, False, f"{_path(facts.moves, CART)}; its second release was never taken over")
    if rollback is None or took is None:
        return Finding(CART, False, f"{_path(facts.moves, CART)}; its second release was not rolled back")
    if passed[-1] not in (Stage.SHADOW, Stage.LEGACY):
        return Finding(CART, False, f"{_path(facts.moves, CART)}; it was rolled back, but does not stand there")
    if not any(f"'{metric}'" in rollback.why for metric in SLOWNESS):
        return Finding(CART, False, f"it was rolled back, but not for being slow: {rollback.why}")
    return Finding(CART, True, f"slow release rolled back {took:.1f} s after fig took it over: {rollback.why}")


def _checkout(facts: Facts) -> Finding:
    compared, writes = facts.compared.get(CHECKOUT, Compared()), facts.writes
    wrong = [
        f"stood in {_path(facts.moves, CHECKOUT)} instead of shadow"
        if stages(facts.moves, CHECKOUT) != [Stage.SHADOW]
        else "",
        "not one pair was made" if not compared.pairs else "",
        f"{compared.differing} of {compared.pairs} pairs differ" if compared.differing else "",
        "no order was delivered" if not writes.delivered else "",
        f"{writes.undelivered} undelivered" if writes.undelivered else "",
        f"{writes.gaps} gaps" if writes.gaps else "",
        f"{writes.doubts} in doubt" if writes.doubts else "",
        f"{facts.orders.apart} orders are not the same in both databases" if facts.orders.apart else "",
        "no order is in the databases" if not facts.orders.same else "",
    ]
    if said := "; ".join(filter(None, wrong)):
        return Finding(CHECKOUT, False, f"dual writes in shadow: {said}")
    return Finding(
        CHECKOUT,
        True,
        f"{facts.orders.same} orders, the same in both databases; {writes.delivered} writes delivered, "
        f"{compared.pairs} pairs equal, 0 undelivered, 0 in doubt",
    )


def _certificate(certified: Certified | None) -> Finding:
    """At the end of a short demo there may be too few pairs: then the certificate says so, which is no fault of it."""
    if certified is None:
        return Finding("proof", False, "no certificate of checkout was made")
    if not certified.verified:
        return Finding("proof", False, "the certificate of checkout does not hold")
    said = f"checkout is {certified.verdict}: {certified.reason} ({certified.beyond})"
    return Finding("proof", certified.verdict in ("GO", "TOO FEW"), f"{said}; signed, and its chain followed")


def _told_to_the_end(facts: Facts) -> Finding:
    if facts.crashed:
        return Finding("programs", False, f"ended by themselves: {', '.join(facts.crashed)}")
    if facts.interrupted:
        return Finding("programs", False, facts.interrupted)
    return Finding("programs", True, "all of them ran to the end")
