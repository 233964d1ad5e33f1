"""The checkout as a service of its own: takes an order once, however often it is sent.

    POST /api/checkout/O-4711 {"lines": [{"sku": "P-101", "quantity": 2}]}    Idempotency-Key: ...

A request whose Idempotency-Key was seen before gets the stored answer again and changes nothing
(draft-ietf-httpapi-idempotency-key-header). Without a key, the order's own number is the key.
"""

from __future__ import annotations

import json
import sqlite3
import uuid

import lines
from aiohttp import web
from serving import PRODUCT_TABLE, database, euros, fill_products, flags, now, problem, serve, transaction

SCHEMA = (
    PRODUCT_TABLE
    + """
CREATE TABLE orders (number TEXT PRIMARY KEY, lines TEXT, cents INTEGER, placed_at TEXT);
CREATE TABLE answer (key TEXT PRIMARY KEY, request TEXT, content TEXT);
"""
)
MAX_BODY = 64 * 1024


class Checkout:
    """Orders, and the answers that were given for them."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._prices = dict(db.execute("SELECT sku, cents FROM product"))

    def place(self, number: str, key: str, held: lines.Lines) -> tuple[int, dict[str, object]]:
        """Status and content of the answer; the same ones for the same key."""
        request = f"{number} {lines.write(held)}"
        known = self._db.execute("SELECT request, content FROM answer WHERE key = ?", (key,)).fetchone()
        if known is not None:
            if known[0] != request:
                return 422, {"error": "this Idempotency-Key belongs to another order"}
            return 201, json.loads(known[1])
        if unknown := sorted(set(held) - set(self._prices)):
            return 404, {"error": f"no such product: {unknown[0]}"}
        cents = sum(self._prices[sku] * quantity for sku, quantity in held.items())
        content: dict[str, object] = {
            "order": number,
            "status": "placed",
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in held.items()],
            "total": euros(cents),
            "currency": "EUR",
            "confirmation": str(uuid.uuid4()),
            "placed_at": now(),
        }
        try:
            with transaction(self._db):
                self._db.execute(
                    "INSERT INTO orders VALUES (?, ?, ?, ?)", (number, lines.write(held), cents, content["placed_at"])
                )
                self._db.execute("INSERT INTO answer VALUES (?, ?, ?)", (key, request, json.dumps(content)))
        except sqlite3.IntegrityError:
            return 409, {"error": "this order is already placed"}
        return 201, content


def application(checkout: Checkout) -> web.Application:
    async def place(request: web.Request) -> web.Response:
        number = request.match_info["order"]
        try:
            held = lines.from_json(json.loads(await request.read())["lines"])
        except (ValueError, TypeError, KeyError):
            return problem(400, 'send {"lines": [{"sku": ..., "quantity": ...}]}')
        if not held:
            return problem(400, "an order needs at least one line")
        status, content = checkout.place(number, request.headers.get("Idempotency-Key", number), held)
        answer = web.json_response(content, status=status)
        if status == 201:
            answer.del_cookie(lines.COOKIE, path="/")
        return answer

    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_post("/api/checkout/{order}", place)
    return app


def main() -> None:
    args = flags(__doc__, port=9004, slow=5).parse_args()
    serve(application(Checkout(database(args.data, "checkout", SCHEMA, fill_products))), args, "checkout")


if __name__ == "__main__":
    main()
