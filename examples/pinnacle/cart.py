"""The cart as a service of its own: prices the lines that the shopper holds. Nothing is kept here but the price list.

GET  /api/cart?lines=P-101.2~P-107.1      (or the lines in the cookie pinnacle_cart)
POST /api/cart/items {"sku": "P-101", "quantity": 1}
"""

from __future__ import annotations

import sqlite3

import lines
from aiohttp import web
from catalogue import products
from serving import database, euros, flags, problem, serve

SCHEMA = "CREATE TABLE price (sku TEXT PRIMARY KEY, name TEXT, cents INTEGER);"
SHIPPING = 490
FREE_SHIPPING_FROM = 10_000


def fill(db: sqlite3.Connection) -> None:
    db.executemany("INSERT INTO price VALUES (?, ?, ?)", [(p.sku, p.name, p.cents) for p in products()])


class NotOnSaleError(Exception):
    """A line names something that is not on sale."""


class PriceList:
    """Names and prices, in memory: there are few, and they change with a release."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._prices = {sku: (name, cents) for sku, name, cents in db.execute("SELECT sku, name, cents FROM price")}

    def price(self, held: lines.Lines) -> dict[str, object]:
        """The cart as JSON carries it. Raises NotOnSaleError."""
        priced, subtotal = [], 0
        for sku, quantity in held.items():
            if sku not in self._prices:
                raise NotOnSaleError(sku)
            name, cents = self._prices[sku]
            subtotal += cents * quantity
            line = {"sku": sku, "name": name, "quantity": quantity, "price": euros(cents)}
            priced.append(line | {"total": euros(cents * quantity)})
        shipping = SHIPPING if 0 < subtotal < FREE_SHIPPING_FROM else 0
        return {
            "lines": priced,
            "subtotal": euros(subtotal),
            "shipping": euros(shipping),
            "total": euros(subtotal + shipping),
        }


def application(prices: PriceList) -> web.Application:
    async def show(request: web.Request) -> web.Response:
        try:
            held = lines.parse(request.query.get("lines", request.cookies.get(lines.COOKIE, "")))
            return web.json_response(prices.price(held))
        except ValueError as exc:
            return problem(400, str(exc))
        except NotOnSaleError:
            return problem(404, "no such product")

    app = web.Application()
    app.router.add_get("/api/cart", show)
    return app


def main() -> None:
    args = flags(__doc__, port=9002, slow=5).parse_args()
    serve(application(PriceList(database(args.data, "cart", SCHEMA, fill))), args, "cart")


if __name__ == "__main__":
    main()
