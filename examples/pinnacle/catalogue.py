"""What Pinnacle sells: products and reviews, made from one seed, so that every program starts with the same data."""

from __future__ import annotations

import random
from typing import NamedTuple

SEED = 1987
PRODUCTS = 60
CATEGORIES = {
    "Kitchen": ("Kettle", "Cast-iron pan", "Chef's knife", "Teapot", "Pepper mill", "Bread tin"),
    "Garden": ("Trowel", "Watering can", "Pruning shears", "Seed tray", "Hand fork", "Hose reel"),
    "Study": ("Desk lamp", "Fountain pen", "Notebook", "Bookend", "Letter tray", "Ink bottle"),
}
MAKERS = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Gorse", "Hazel", "Ivy", "Juniper")
AUTHORS = ("Ada", "Blaise", "Carl", "Dorothea", "Emmy", "Florence", "Grace", "Hedy")
WORDS = (
    "Does what it should.",
    "Better than the one it took the place of.",
    "The handle came loose after a month.",
    "A present that was liked.",
    "Arrived late, works well.",
)


class Product(NamedTuple):
    """One thing on sale; the price in whole cents, so that no sum is ever off by a rounding."""

    sku: str
    name: str
    category: str
    cents: int
    description: str


class Review(NamedTuple):
    """What one buyer thought of one product; `stars` is 1 to 5, `written` a date."""

    sku: str
    author: str
    stars: int
    words: str
    written: str


def products() -> tuple[Product, ...]:
    """Every product, in the order of its SKU."""
    dice = random.Random(SEED)  # noqa: S311  (a seed that everyone knows is the point)
    kinds = [(category, kind) for category, kinds in CATEGORIES.items() for kind in kinds]
    made = []
    for number in range(PRODUCTS):
        category, kind = kinds[number % len(kinds)]
        maker = dice.choice(MAKERS)
        text = f"{kind} by {maker}, for the {category.lower()}. Made to be mended: every part can be had on its own."
        made.append(Product(f"P-{101 + number}", f"{maker} {kind.lower()}", category, dice.randrange(490, 12990), text))
    return tuple(made)


def reviews() -> tuple[Review, ...]:
    """Two to nine reviews of every product."""
    dice = random.Random(SEED + 1)  # noqa: S311
    return tuple(
        Review(
            product.sku,
            dice.choice(AUTHORS),
            min(5, dice.randint(2, 6)),
            dice.choice(WORDS),
            f"2024-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}",
        )
        for product in products()
        for _ in range(dice.randint(2, 9))
    )
