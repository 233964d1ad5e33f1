"""The catalogue as a service of its own: lists and details, prepared once, in the order of their names.

GET /api/products?category=Garden
GET /api/products/P-101
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from aiohttp import web
from serving import PRODUCT_TABLE, database, euros, fill_products, flags, now, problem, serve

Row = tuple[str, str, str, int, str]


class Prepared:
    """An answer whose body is ready but for the moment in which it is given."""

    def __init__(self, content: dict[str, object]) -> None:
        self._head = json.dumps(content).encode()[:-1] + b', "generated_at": "'

    def respond(self) -> web.Response:
        return web.Response(body=self._head + now().encode() + b'"}', content_type="application/json")


def listing(rows: Iterable[Row]) -> Prepared:
    items = [{"sku": sku, "name": name, "price": euros(cents)} for sku, name, _, cents, _ in rows]
    return Prepared({"count": len(items), "items": items})


def detail(row: Row) -> Prepared:
    sku, name, category, cents, description = row
    return Prepared(
        {
            "sku": sku,
            "name": name,
            "category": category,
            "price": euros(cents),
            "currency": "EUR",
            "available": True,
            "description": description,
        }
    )


def application(db: sqlite3.Connection) -> web.Application:
    rows: list[Row] = db.execute("SELECT sku, name, category, cents, description FROM product ORDER BY name").fetchall()
    lists = {category: listing(r for r in rows if r[2] == category) for category in {r[2] for r in rows}}
    lists[""] = listing(rows)
    details = {row[0]: detail(row) for row in rows}

    async def show_list(request: web.Request) -> web.Response:
        found = lists.get(request.query.get("category", ""))
        return found.respond() if found else problem(404, "no such category")

    async def show_detail(request: web.Request) -> web.Response:
        found = details.get(request.match_info["sku"])
        return found.respond() if found else problem(404, "no such product")

    app = web.Application()
    app.router.add_get("/api/products", show_list)
    app.router.add_get("/api/products/{sku}", show_detail)
    return app


def main() -> None:
    args = flags(__doc__, port=9001, slow=5).parse_args()
    serve(application(database(args.data, "products", PRODUCT_TABLE, fill_products)), args, "products")


if __name__ == "__main__":
    main()
