"""The demo's ending follows from what was measured, and only from that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxy.demo.story import (
    Certified,
    Compared,
    Delivered,
    Ending,
    Facts,
    Fault,
    Move,
    Orders,
    Place,
    end,
    is_over,
    stages,
)
from rules.stages import Stage

RELEASED = 1020.0


def move(at: float, route: str, stage: Stage, action: str = "stage", actor: str = "pilot", share: float = 0.0) -> Move:
    return Move(at, route, actor, action, stage, share, "because")


ENTERED = tuple(
    move(1000, route, Stage.SHADOW, "enter", "file") for route in ("products", "cart", "reviews", "checkout")
)
PROVEN = replace(
    move(1030, "products", Stage.LIVE, "promote"), why="'typical' -2 % is within 20 %; 'conversion' +1 % is within 50 %"
)
PRODUCTS = (move(1010, "products", Stage.CANARY), PROVEN)
CART_IN_CANARY = move(1012, "cart", Stage.CANARY)
ROLLED_BACK = replace(
    move(RELEASED + 2.5, "cart", Stage.SHADOW, "rollback"),
    why="'slowest' is worse by +400 %, more than the harm of 50 %",
)
CUT_OFF = "average is cut off after 1 decimal where legacy rounds (in 120 of 400 answers, at /average)"
BUG = Compared(pairs=400, differing=120, places=(Place("/average", 120, "4.7", "4.6"),), causes=(CUT_OFF,))

AS_TOLD = Facts(
    requests=9000,
    failed=0,
    failures=(),
    moves=(*ENTERED, *PRODUCTS, CART_IN_CANARY, ROLLED_BACK),
    compared={"reviews": BUG, "checkout": Compared(pairs=80), "products": Compared(pairs=300)},
    writes=Delivered(delivered=80),
    orders=Orders(same=78),
    certified=Certified("GO", "none of the first 60 pairs differs", True, "99.99% takes 29,956 pairs"),
    released_at=RELEASED,
)


def faulty(ending: Ending) -> dict[str, str]:
    """What did not happen: subject -> what is said of it."""
    return {finding.subject: finding.said for finding in ending.findings if not finding.ok}


def test_a_story_that_happened_as_told_ends_with_0_and_the_measured_time_to_rollback() -> None:
    ending = end(AS_TOLD)

    assert faulty(ending) == {}
    assert ending.exit_code == 0
    assert ending.seconds_to_rollback == 2.5


def test_the_ending_names_the_bug_that_the_pairs_showed() -> None:
    [reviews] = [finding for finding in end(AS_TOLD).findings if finding.subject == "reviews"]

    assert reviews.said == f"caught by its pairs and kept in shadow: {CUT_OFF}"


def test_the_ending_says_what_checkout_has_proven_and_what_more_would_take() -> None:
    [proof] = [finding for finding in end(AS_TOLD).findings if finding.subject == "proof"]

    assert proof.said == (
        "checkout is GO: none of the first 60 pairs differs (99.99% takes 29,956 pairs); signed, and its chain followed"
    )
    too_few = replace(AS_TOLD, certified=Certified("TOO FEW", "48 of the 60 pairs", True, "more"))
    assert faulty(end(too_few)) == {}


def test_a_bug_that_was_seen_and_not_named_is_no_good_ending() -> None:
    facts = replace(AS_TOLD, compared={**AS_TOLD.compared, "reviews": replace(BUG, causes=())})

    assert "no cause is named at /average" in faulty(end(facts))["reviews"]


@pytest.mark.parametrize(
    ("facts", "subject", "said"),
    [
        (
            replace(AS_TOLD, failed=1, failures=["cart: status 502"]),
            "requests",
            "1 failed; the first: cart: status 502",
        ),
        (replace(AS_TOLD, requests=0), "requests", "0 served"),
        (replace(AS_TOLD, moves=(*ENTERED, CART_IN_CANARY, ROLLED_BACK)), "products", "it was to go"),
        (
            replace(
                AS_TOLD, moves=(*ENTERED, PRODUCTS[0], replace(PROVEN, why="'typical'"), CART_IN_CANARY, ROLLED_BACK)
            ),
            "products",
            "nothing was shown of conversion",
        ),
        (
            replace(AS_TOLD, moves=(*AS_TOLD.moves, move(1050, "products", Stage.SHADOW, "rollback"))),
            "products",
            "live -> s",
        ),
        (
            replace(AS_TOLD, compared={**AS_TOLD.compared, "reviews": Compared(pairs=400)}),
            "reviews",
            "show no difference",
        ),
        (replace(AS_TOLD, released_at=None), "cart", "never taken over"),
        (replace(AS_TOLD, released_at=RELEASED + 9), "cart", "not rolled back"),
        (
            replace(AS_TOLD, moves=(*AS_TOLD.moves[:-1], replace(ROLLED_BACK, why="'errors' is worse by +4 pp"))),
            "cart",
            "not for being slow: 'errors' is worse",
        ),
        (replace(AS_TOLD, moves=(*ENTERED, *PRODUCTS)), "cart", "it was to reach canary"),
        (replace(AS_TOLD, moves=(*AS_TOLD.moves, move(1050, "cart", Stage.CANARY))), "cart", "does not stand there"),
        (replace(AS_TOLD, writes=Delivered(delivered=79, undelivered=1)), "checkout", "1 undelivered"),
        (replace(AS_TOLD, writes=Delivered(delivered=80, gaps=2)), "checkout", "2 gaps"),
        (replace(AS_TOLD, writes=Delivered(delivered=80, doubts=3)), "checkout", "3 in doubt"),
        (replace(AS_TOLD, orders=Orders(same=77, apart=1)), "checkout", "1 orders are not the same in both databases"),
        (replace(AS_TOLD, orders=Orders()), "checkout", "no order is in the databases"),
        (replace(AS_TOLD, writes=Delivered()), "checkout", "no order was delivered"),
        (replace(AS_TOLD, compared={"reviews": BUG}), "checkout", "not one pair"),
        (
            replace(AS_TOLD, compared={"reviews": BUG, "checkout": Compared(pairs=80, differing=4)}),
            "checkout",
            "4 of 80 pairs differ",
        ),
        (replace(AS_TOLD, moves=(*AS_TOLD.moves, move(1050, "checkout", Stage.LIVE))), "checkout", "instead of shadow"),
        (replace(AS_TOLD, certified=None), "proof", "no certificate of checkout was made"),
        (replace(AS_TOLD, certified=Certified("GO", "why", False, "more")), "proof", "does not hold"),
        (replace(AS_TOLD, certified=Certified("FAULT", "2 gaps", True, "more")), "proof", "checkout is FAULT: 2 gaps"),
        (replace(AS_TOLD, crashed=["cart"]), "programs", "ended by themselves: cart"),
        (replace(AS_TOLD, interrupted="the time was over"), "programs", "the time was over"),
    ],
)
def test_whatever_did_not_happen_is_said_and_the_exit_code_is_1(facts: Facts, subject: str, said: str) -> None:
    ending = end(facts)

    assert said in faulty(ending)[subject]
    assert set(faulty(ending)) == {subject}
    assert ending.exit_code == 1


def test_without_the_bug_reviews_goes_live_and_the_ending_says_that_no_catch_was_made() -> None:
    live = (move(1020, "reviews", Stage.CANARY), move(1040, "reviews", Stage.LIVE, "promote"))
    facts = replace(AS_TOLD, moves=(*AS_TOLD.moves, *live), faults=frozenset({Fault.SLOW_CART}))

    assert faulty(end(facts)) == {"reviews": "no catch was made: there was no bug to catch, and reviews went live"}
    assert end(facts).exit_code == 1


def test_with_the_bug_planted_a_reviews_that_goes_live_was_not_caught() -> None:
    live = (move(1020, "reviews", Stage.CANARY), move(1040, "reviews", Stage.LIVE, "promote"))

    assert "the planted bug was not caught" in faulty(end(replace(AS_TOLD, moves=(*AS_TOLD.moves, *live))))["reviews"]


def test_with_a_fast_release_cart_goes_live_and_the_ending_says_that_no_catch_was_made() -> None:
    moves = (*ENTERED, *PRODUCTS, CART_IN_CANARY, move(1040, "cart", Stage.LIVE, "promote"))
    facts = replace(AS_TOLD, moves=moves, faults=frozenset({Fault.REVIEWS_BUG}))

    assert faulty(end(facts)) == {"cart": "no catch was made: its release was not slow, and cart went live"}
    assert end(facts).seconds_to_rollback is None


def test_a_rollback_before_the_slow_release_is_no_catch_of_it() -> None:
    early = move(RELEASED - 1, "cart", Stage.SHADOW, "rollback")
    facts = replace(AS_TOLD, moves=(*ENTERED, *PRODUCTS, CART_IN_CANARY, early))

    assert "not rolled back" in faulty(end(facts))["cart"]


def test_a_rollback_by_hand_is_no_decision_of_the_gate() -> None:
    by_hand = replace(ROLLED_BACK, actor="someone")
    facts = replace(AS_TOLD, moves=(*ENTERED, *PRODUCTS, CART_IN_CANARY, by_hand))

    assert set(faulty(end(facts))) == {"moves", "cart"}


def test_a_story_in_which_fig_moved_nothing_is_none() -> None:
    assert "moves" in faulty(end(replace(AS_TOLD, moves=ENTERED)))


def test_stages_are_told_in_order_and_steps_within_one_are_not_repeated() -> None:
    moves = (*ENTERED, move(1, "cart", Stage.CANARY, share=0.1), move(2, "cart", Stage.CANARY, share=0.5))

    assert stages(moves, "cart") == [Stage.SHADOW, Stage.CANARY]
    assert stages(moves, "unknown") == []


@pytest.mark.parametrize(
    ("moves", "released", "refused", "over"),
    [
        (AS_TOLD.moves, True, True, True),
        (AS_TOLD.moves, True, False, False),
        (AS_TOLD.moves, False, True, False),
        ((*ENTERED, CART_IN_CANARY, ROLLED_BACK), True, True, False),
        ((*ENTERED, *PRODUCTS, CART_IN_CANARY), True, True, False),
        ((*ENTERED, *PRODUCTS, move(1, "cart", Stage.LIVE), move(1, "reviews", Stage.LIVE)), True, False, True),
        ((), False, False, False),
    ],
)
def test_it_is_over_when_every_route_came_to_rest(
    moves: tuple[Move, ...], released: bool, refused: bool, over: bool
) -> None:
    assert is_over(moves, released, refused) is over
