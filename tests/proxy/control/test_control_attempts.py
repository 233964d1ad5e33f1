"""Evidence over a book and over a restart: of this attempt, and of no other."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from canary.plan import RolloutPlan
from canary.rollout import Rollout
from canary.spec import Gate
from proxy.control.attempts import Attempts
from proxy.control.book import Book
from proxy.control.records import Kept, Standing
from proxy.rulebook import Rulebook
from rules.document import Rules
from rules.effective import Effective
from rules.stages import Stage
from tests.fakes.worker_link import rows

GATE = Gate.model_validate(
    {"metrics": [{"name": "errors", "kind": "error_rate", "margin": "5pp"}], "window": "100ms", "silence": "1h"}
)
PLAN = RolloutPlan.model_validate({"steps": ["10%"], "gate": "g"})
CANARY = Rollout(Stage.CANARY, 100_000, since=1000.0, began=1000.0, subject="v1")


def book(rollout: Rollout, generation: int = 3) -> Book:
    rules = Rules.model_validate(
        {
            "version": 1,
            "services": {"shop": {"url": "http://127.0.0.1:1"}},
            "legacy": "shop",
            "routes": [{"name": "cart", "match": {"path": "/cart"}, "candidate": "shop", "unit": {"cookie": "u"}}],
        }
    )
    rulebook = Rulebook(rules, {}, {"g": GATE}, {"cart": PLAN}, {}, ())
    return Book(Effective(generation, rules), {"cart": Standing("cart", rollout, "canary")}, rulebook)


def counted(attempts: Attempts) -> int:
    return int(attempts.running["cart"].requests.sum())


def kept_of_an_attempt() -> dict[str, Kept]:
    """What control leaves of eight seconds of traffic in an attempt that began at 1000."""
    attempts, chance = Attempts({}), random.Random(1)
    attempts.follow(book(CANARY))
    exchanges = [
        (1001.0 + number / 400, unit := chance.getrandbits(64), 0.01, int(unit % 1_000_000 < 100_000), 0)
        for number in range(3200)
    ]
    attempts.take_rows(rows("cart", 3, exchanges))
    assert counted(attempts) > 3000
    return {name: one for name, one in attempts.to_keep().items() if one is not None}


def test_what_was_kept_is_taken_up_by_the_same_attempt() -> None:
    again = Attempts(kept_of_an_attempt())
    again.follow(book(CANARY))

    assert counted(again) > 3000


@pytest.mark.parametrize(
    "other",
    [replace(CANARY, since=2000.0, began=2000.0), replace(CANARY, subject="v2")],
    ids=["a later attempt", "another candidate"],
)
def test_what_was_kept_of_another_attempt_is_not(other: Rollout) -> None:
    """A control that was killed may leave more than what the next one goes on with."""
    again = Attempts(kept_of_an_attempt())
    again.follow(book(other))

    assert counted(again) == 0


def test_what_was_kept_is_taken_up_once() -> None:
    again = Attempts(kept_of_an_attempt())
    again.follow(book(CANARY))
    again.follow(book(Rollout(Stage.SHADOW, 0, since=1500.0, subject="v1"), generation=4))

    again.follow(book(CANARY, generation=5))

    assert counted(again) == 0
