"""Shoppers: browsers, an app and a program without cookies, who browse, fill a cart and check out.

Each request is judged by what a shopper would notice: no answer, a 5xx, or an answer that does not say what was asked
for. Counts go to stdout, one JSON object a second and a last one at the end; then the exit code is 0 if nothing failed.

    python shoppers.py --url http://127.0.0.1:8080 --rate 150 --seconds 60
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

TIMEOUT = aiohttp.ClientTimeout(total=10)
CATEGORIES = ("Kitchen", "Garden", "Study")
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/json;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.5",
}
APP = {"User-Agent": "PinnacleApp/7.2", "Accept": "application/json", "X-App": "shop-android"}
PROGRAM = {"User-Agent": "price-watch/1.0", "Accept": "*/*"}
KINDS = ((BROWSER, 6), (APP, 3), (PROGRAM, 1))
"""Headers of each kind of client, and how many of ten shoppers are of it."""
FAILURES_TOLD = 5

Check = Callable[[Any], bool]


@dataclass
class Ledger:
    """What all shoppers together have seen so far."""

    began: float
    requests: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    orders: int = 0
    failures: list[str] = field(default_factory=list)
    """The first few, in words."""

    def note(self, what: str, problem: str) -> None:
        self.requests[what] += 1
        if problem:
            self.failed += 1
            if len(self.failures) < FAILURES_TOLD:
                self.failures.append(f"{what}: {problem}")

    def line(self, final: bool = False) -> str:
        return json.dumps(
            {
                "seconds": round(time.monotonic() - self.began, 3),
                "requests": self.requests.total(),
                "failed": self.failed,
                "orders": self.orders,
                "by": dict(self.requests),
                "failures": self.failures,
                "final": final,
            }
        )


class ClosedError(Exception):
    """The shop is closing: the shopper leaves instead of sending its next request."""


class Closing:
    """Ends everybody's thinking at once; a request that is under way is always finished."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    def close(self) -> None:
        self._closed.set()

    async def pause(self, seconds: float) -> None:
        """Wait so long (not at all when negative). Raises ClosedError as soon as the shop closes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), max(0.0, seconds))
        if self._closed.is_set():
            raise ClosedError


@dataclass
class Shopper:
    """One visitor: a client with its own cookies (or none), a pace, and what it holds in its cart."""

    client: aiohttp.ClientSession
    ledger: Ledger
    dice: random.Random
    closing: Closing
    think: float
    """Mean seconds between two requests."""
    held: dict[str, tuple[int, float]] = field(default_factory=dict)
    """SKU -> quantity and price, as the shop told it."""

    async def ask(self, what: str, method: str, path: str, check: Check, **how: Any) -> Any:
        """Send one request, judge the answer, then think. The content; None when it failed."""
        began = time.monotonic()
        content, problem = None, ""
        try:
            async with self.client.request(method, path, **how) as answer:
                is_json = answer.content_type == "application/json"
                content = await (answer.json() if is_json else answer.text())
                if answer.status >= 500:
                    problem = f"status {answer.status}"
                elif answer.status >= 400 or not check(content):
                    problem = f"wrong answer to {method} {path}: {answer.status} {str(content)[:120]}"
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as exc:
            problem = f"{method} {path}: {exc or type(exc).__name__}"
        self.ledger.note(what, problem)
        await self.closing.pause(self.dice.uniform(0.5, 1.5) * self.think - (time.monotonic() - began))
        return None if problem else content

    async def look_at(self, sku: str) -> float | None:
        """The product's price, after reading what others say of it."""
        product = await self.ask("product", "GET", f"/api/products/{sku}", lambda c: c["sku"] == sku and c["price"] > 0)
        await self.ask(
            "reviews", "GET", f"/api/reviews/{sku}", lambda c: c["sku"] == sku and c["count"] == len(c["reviews"])
        )
        return product["price"] if product else None

    def cart_is_right(self, cart: Any) -> bool:
        """Every line is there, and they come to what this shopper expects to pay."""
        quantities = {line["sku"]: line["quantity"] for line in cart["lines"]}
        expected = sum(quantity * price for quantity, price in self.held.values())
        return quantities == {sku: n for sku, (n, _) in self.held.items()} and abs(cart["subtotal"] - expected) < 0.005

    async def choose(self) -> str | None:
        category = self.dice.choice(CATEGORIES)
        listing = await self.ask(
            "list", "GET", f"/api/products?category={category}", lambda c: c["count"] == len(c["items"]) > 0
        )
        return str(self.dice.choice(listing["items"])["sku"]) if listing else None

    def take(self, sku: str, price: float) -> int:
        """Hold some more of it; how many."""
        quantity = self.dice.randint(1, 3)
        self.held[sku] = (self.held.get(sku, (0, price))[0] + quantity, price)
        return quantity

    async def see_cart(self, **how: Any) -> None:
        await self.ask("cart", "GET", "/api/cart", self.cart_is_right, **how)

    async def check_out(self, twice: bool, headers: dict[str, str]) -> str:
        """Place one order for all that is held; `twice` is an impatient finger. The order's number."""
        order = f"O-{self.dice.getrandbits(64):016x}"
        body = {"lines": [{"sku": sku, "quantity": n} for sku, (n, _) in self.held.items()]}
        total = sum(n * price for n, price in self.held.values())
        for _ in range(2 if twice else 1):
            await self.ask(
                "checkout",
                "POST",
                f"/api/checkout/{order}",
                lambda c: c["order"] == order and abs(c["total"] - total) < 0.005,
                json=body,
                headers=headers,
            )
        self.ledger.orders += 1
        self.held.clear()
        return order


async def browse(shopper: Shopper) -> None:
    """A person in a browser: pages, forms, and the JSON that the pages' scripts ask for. The cart is a cookie."""
    await shopper.ask("page", "GET", "/", lambda html: "Pinnacle" in html)
    for _ in range(shopper.dice.randint(1, 3)):
        if (sku := await shopper.choose()) is None:
            return
        await shopper.ask("page", "GET", f"/products/{sku}", lambda html: "Reviews" in html)
        price = await shopper.look_at(sku)
        await shopper.see_cart()
        if price is not None and shopper.dice.random() < 0.8:
            form = {"sku": sku, "quantity": str(shopper.take(sku, price))}
            await shopper.ask("add", "POST", "/cart", lambda _: True, data=form, allow_redirects=False)
            await shopper.see_cart()
    if shopper.held and shopper.dice.random() < 0.6:
        order = await shopper.check_out(twice=False, headers={})
        await shopper.ask("page", "GET", f"/orders/{order}", lambda html: order in html)


async def use_app(shopper: Shopper) -> None:
    """The shop's own app: JSON only, holds the cart itself, and sends an Idempotency-Key with every order."""
    for _ in range(shopper.dice.randint(1, 3)):
        if (sku := await shopper.choose()) is None:
            return
        price = await shopper.look_at(sku)
        if price is not None:
            shopper.take(sku, price)
        await shopper.see_cart(params={"lines": "~".join(f"{sku}.{n}" for sku, (n, _) in shopper.held.items())})
    if shopper.held and shopper.dice.random() < 0.6:
        key = f"{shopper.dice.getrandbits(128):032x}"
        await shopper.check_out(shopper.dice.random() < 0.2, {"Idempotency-Key": key})


async def watch_prices(shopper: Shopper) -> None:
    """A program without cookies, which asks what one of each would cost and never buys."""
    for _ in range(shopper.dice.randint(3, 6)):
        if (sku := await shopper.choose()) is None:
            return
        price = await shopper.look_at(sku)
        if price is not None:
            shopper.held = {sku: (1, price)}
            await shopper.see_cart(params={"lines": f"{sku}.1"})


@asynccontextmanager
async def client_of(kind: dict[str, str], url: str, connector: aiohttp.BaseConnector) -> AsyncIterator[Any]:
    jar = aiohttp.DummyCookieJar() if kind is PROGRAM else aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(
        url, headers=kind, cookie_jar=jar, connector=connector, connector_owner=False, timeout=TIMEOUT
    ) as client:
        yield client


async def visit_again_and_again(number: int, args: argparse.Namespace, ledger: Ledger, closing: Closing) -> None:
    """One visitor after another over the same few connections, each with fresh cookies, until the shop closes."""
    dice = random.Random(f"{args.seed}/{number}")  # noqa: S311
    think = args.shoppers / args.rate
    async with aiohttp.TCPConnector(limit=2, keepalive_timeout=30) as connector:
        with contextlib.suppress(ClosedError):
            await closing.pause(dice.random() * think)
            while True:
                kind = dice.choices([kind for kind, _ in KINDS], [weight for _, weight in KINDS])[0]
                visit = browse if kind is BROWSER else use_app if kind is APP else watch_prices
                async with client_of(kind, args.url, connector) as client:
                    await visit(Shopper(client, ledger, dice, closing, think))


async def shop(args: argparse.Namespace) -> Ledger:
    """Send shoppers until the time is over or SIGTERM comes."""
    ledger, closing = Ledger(time.monotonic()), Closing()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, closing.close)
    if args.seconds is not None:
        loop.call_later(args.seconds, closing.close)

    async def tell() -> None:
        with contextlib.suppress(ClosedError):
            while True:
                await closing.pause(args.every)
                print(ledger.line(), flush=True)

    async with asyncio.TaskGroup() as group:
        group.create_task(tell())
        for number in range(args.shoppers):
            group.create_task(visit_again_and_again(number, args, ledger, closing))
    return ledger


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--url", default="http://127.0.0.1:8080", help="where the shop is (default: %(default)s)")
    flags.add_argument("--rate", type=float, default=150.0, help="requests per second, all together")
    flags.add_argument("--shoppers", type=int, default=40, help="how many at a time (default: %(default)s)")
    flags.add_argument("--seconds", type=float, default=None, help="when to stop (default: at SIGTERM)")
    flags.add_argument("--every", type=float, default=1.0, help="seconds between lines (default: %(default)s)")
    flags.add_argument("--seed", type=int, default=1, help="of what they choose (default: %(default)s)")
    return flags


def main() -> None:
    args = parser().parse_args()
    if args.rate <= 0 or args.shoppers < 1:
        parser().error("--rate and --shoppers must be above 0")
    ledger = asyncio.run(shop(args))
    print(ledger.line(final=True), flush=True)
    sys.exit(1 if ledger.failed else 0)


if __name__ == "__main__":
    main()
