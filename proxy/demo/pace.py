"""How fast the story is told: how much traffic, how long at most, and which figures of the rules file are made smaller.

The gates decide in either case; a pace only chooses the rate of evidence and how much of it the rules ask for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """One way to tell the story."""

    name: str
    rate: float
    """Requests per second of all shoppers together."""
    shoppers: int
    limit: float
    """Seconds from the command until the shoppers are sent home, whatever has happened by then."""
    first_release: float
    """Seconds that cart's first release is left in canary before the second one is deployed."""
    linger: float
    """Seconds that the shoppers stay when every route has come to rest, to see that it does rest."""
    shown_every: float
    """Seconds between two tables where there is no terminal."""
    figures: tuple[tuple[str, str], ...] = ()
    """Texts of the rules file, and what stands there at this pace."""


FULL = Pace("full", rate=160, shoppers=40, limit=105, first_release=4, linger=5, shown_every=15)
FAST = Pace(
    "fast",
    rate=240,
    shoppers=48,
    limit=24,
    first_release=1.5,
    linger=1.5,
    shown_every=6,
    figures=(
        ("accuracy: 99%, pairs: 300", "accuracy: 95%, pairs: 60"),
        ("accuracy: 97%, pairs: 100", "accuracy: 95%, pairs: 60"),
        ("hold: 5s", "hold: 2s"),
        ("hold: 8s", "hold: 3s"),
        ("event: order_placed, margin: 50%", "event: order_placed, margin: 80%"),
    ),
)
