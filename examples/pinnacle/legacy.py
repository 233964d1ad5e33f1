"""The monolith: pages, JSON, sessions, carts and orders in one program over one database.

Pages                          JSON
  /                              /api/products[?category=]   /api/products/{sku}
  /products/{sku}                /api/reviews/{sku}
  /cart      POST /cart          /api/cart[?lines=]
  /orders/{order}                POST /api/checkout/{order}
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from typing import Any, NamedTuple

import lines
import pages
from aiohttp import web
from catalogue import reviews
from serving import PRODUCT_TABLE, database, euros, fill_products, flags, now, problem, serve, transaction

SCHEMA = (
    PRODUCT_TABLE
    + """
CREATE TABLE review (id INTEGER PRIMARY KEY, sku TEXT, author TEXT, stars INTEGER, words TEXT, written TEXT);
CREATE INDEX review_sku ON review (sku);
CREATE TABLE session (id TEXT PRIMARY KEY, started TEXT, last_seen TEXT);
CREATE TABLE orders (number TEXT PRIMARY KEY, lines TEXT, session TEXT, answer TEXT);
"""
)
SESSION = "pinnacle_session"
routes = web.RouteTableDef()
DB = web.AppKey("db", sqlite3.Connection)


def fill(db: sqlite3.Connection) -> None:
    fill_products(db)
    db.executemany("INSERT INTO review (sku, author, stars, words, written) VALUES (?, ?, ?, ?, ?)", reviews())


def rows(request: web.Request, sql: str, *values: object) -> list[dict[str, Any]]:
    found = request.app[DB].execute(sql, values)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


# JSON


@routes.get("/api/products")
async def list_products(request: web.Request) -> web.Response:
    category = request.query.get("category", "")
    found = rows(request, "SELECT sku, name, cents FROM product WHERE ? IN ('', category)", category)
    if not found:
        return problem(404, "no such category")
    items = [{"sku": r["sku"], "name": r["name"], "price": euros(r["cents"])} for r in found]
    return web.json_response({"count": len(items), "items": items, "generated_at": now()})


@routes.get("/api/products/{sku}")
async def show_product(request: web.Request) -> web.Response:
    found = rows(request, "SELECT * FROM product WHERE sku = ?", request.match_info["sku"])
    if not found:
        return problem(404, "no such product")
    row = found[0]
    row["price"] = euros(row.pop("cents"))
    return web.json_response(row | {"currency": "EUR", "available": True, "generated_at": now()})


@routes.get("/api/reviews/{sku}")
async def show_reviews(request: web.Request) -> web.Response:
    sku = request.match_info["sku"]
    found = rows(request, "SELECT author, stars, words, written FROM review WHERE sku = ? ORDER BY id", sku)
    if not found:
        return problem(404, "no such product")
    average = rows(request, "SELECT ROUND(AVG(stars), 1) AS stars FROM review WHERE sku = ?", sku)[0]["stars"]
    return web.json_response({"sku": sku, "count": len(found), "average": average, "reviews": found})


class NotOnSaleError(Exception):
    """A line names something that is not on sale."""


class Line(NamedTuple):
    """One line of a cart with its product's name and price."""

    sku: str
    name: str
    quantity: int
    cents: int

    @property
    def total(self) -> int:
        return self.cents * self.quantity


def priced(request: web.Request, held: lines.Lines) -> list[Line]:
    """Raises NotOnSaleError."""
    marks = ", ".join("?" * len(held))
    found = {r["sku"]: r for r in rows(request, f"SELECT * FROM product WHERE sku IN ({marks})", *held)}  # noqa: S608
    if unknown := [sku for sku in held if sku not in found]:
        raise NotOnSaleError(min(unknown))
    return [Line(sku, found[sku]["name"], quantity, found[sku]["cents"]) for sku, quantity in held.items()]


def cart_content(cart: list[Line]) -> dict[str, Any]:
    subtotal = sum(line.total for line in cart)
    shipping = 490 if 0 < subtotal < 100_00 else 0
    return {
        "lines": [
            {
                "sku": line.sku,
                "name": line.name,
                "quantity": line.quantity,
                "price": euros(line.cents),
                "total": euros(line.total),
            }
            for line in cart
        ],
        "subtotal": euros(subtotal),
        "shipping": euros(shipping),
        "total": euros(subtotal + shipping),
    }


@routes.get("/api/cart")
async def show_cart(request: web.Request) -> web.Response:
    try:
        held = lines.parse(request.query.get("lines", request.cookies.get(lines.COOKIE, "")))
        return web.json_response(cart_content(priced(request, held)))
    except ValueError as exc:
        return problem(400, str(exc))
    except NotOnSaleError:
        return problem(404, "no such product")


@routes.post("/api/checkout/{order}")
async def check_out(request: web.Request) -> web.Response:
    number = request.match_info["order"]
    try:
        held = lines.from_json(json.loads(await request.read())["lines"])
        bought = priced(request, held)
    except (ValueError, TypeError, KeyError):
        return problem(400, 'send {"lines": [{"sku": ..., "quantity": ...}]}')
    except NotOnSaleError as exc:
        return problem(404, f"no such product: {exc}")
    if not held:
        return problem(400, "an order needs at least one line")
    if known := rows(request, "SELECT lines, answer FROM orders WHERE number = ?", number):
        if known[0]["lines"] != lines.write(held):
            return problem(409, "this order is already placed")
        content = json.loads(known[0]["answer"])
    else:
        content = {
            "order": number,
            "status": "placed",
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in held.items()],
            "total": euros(sum(line.total for line in bought)),
            "currency": "EUR",
            "confirmation": str(uuid.uuid4()),
            "placed_at": now(),
        }
        row = (number, lines.write(held), request.cookies.get(SESSION, ""), json.dumps(content))
        with transaction(request.app[DB]):
            request.app[DB].execute("INSERT INTO orders VALUES (?, ?, ?, ?)", row)
    answer = web.json_response(content, status=201)
    answer.del_cookie(lines.COOKIE, path="/")
    return answer


# Pages


def page(request: web.Request, html: str, status: int = 200) -> web.Response:
    """The page, and a session for whoever has none."""
    answer = web.Response(text=html, status=status, content_type="text/html")
    session = request.cookies.get(SESSION, "")
    if session and rows(request, "SELECT id FROM session WHERE id = ?", session):
        return answer
    session = uuid.uuid4().hex
    with transaction(request.app[DB]):
        request.app[DB].execute("INSERT INTO session VALUES (?, ?, NULL)", (session, now()))
    answer.set_cookie(SESSION, session, path="/", httponly=True, samesite="Lax")
    return answer


@routes.get("/")
async def home_page(request: web.Request) -> web.Response:
    seen = rows(
        request,
        "SELECT product.* FROM session JOIN product ON sku = last_seen WHERE id = ?",
        request.cookies.get(SESSION, ""),
    )
    shown = rows(request, "SELECT * FROM product ORDER BY cents LIMIT 12")
    return page(request, pages.home(shown, seen[0] if seen else None))


@routes.get("/products/{sku}")
async def product_page(request: web.Request) -> web.Response:
    sku = request.match_info["sku"]
    found = rows(request, "SELECT * FROM product WHERE sku = ?", sku)
    if not found:
        return page(request, pages.missing("product"), status=404)
    with transaction(request.app[DB]):
        request.app[DB].execute(
            "UPDATE session SET last_seen = ? WHERE id = ?", (sku, request.cookies.get(SESSION, ""))
        )
    written = rows(request, "SELECT * FROM review WHERE sku = ? ORDER BY id", sku)
    return page(request, pages.product(found[0], written))


@routes.get("/cart")
async def cart_page(request: web.Request) -> web.Response:
    try:
        held = priced(request, lines.parse(request.cookies.get(lines.COOKIE, "")))
    except (ValueError, NotOnSaleError):
        held = []
    return page(request, pages.cart(cart_content(held)))


@routes.post("/cart")
async def add_to_cart(request: web.Request) -> web.Response:
    form = await request.post()
    try:
        held = lines.add(lines.parse(request.cookies.get(lines.COOKIE, "")), form.get("sku"), form.get("quantity", "1"))
        priced(request, held)
    except ValueError as exc:
        return problem(400, str(exc))
    except NotOnSaleError:
        return problem(404, "no such product")
    answer = web.Response(status=303, headers={"Location": "/cart"})
    answer.set_cookie(lines.COOKIE, lines.write(held), path="/", samesite="Lax")
    return answer


@routes.get("/orders/{order}")
async def order_page(request: web.Request) -> web.Response:
    found = rows(request, "SELECT answer FROM orders WHERE number = ?", request.match_info["order"])
    if not found:
        return page(request, pages.missing("order"), status=404)
    return page(request, pages.order(json.loads(found[0]["answer"])))


def application(db: sqlite3.Connection) -> web.Application:
    app = web.Application(client_max_size=64 * 1024)
    app[DB] = db
    app.add_routes(routes)
    return app


def main() -> None:
    args = flags(__doc__, port=9000, slow=12).parse_args()
    serve(application(database(args.data, "legacy", SCHEMA, fill)), args, "legacy")


if __name__ == "__main__":
    main()
