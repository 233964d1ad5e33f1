"""Reviews as a service of their own: what buyers thought of a product, with the average of their stars.

    GET /api/reviews/P-101

`--bug` plants a mistake that people do make: the average is cut off after one decimal instead of rounded, so 4.67
becomes 4.6. Only some products show it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict

from aiohttp import web
from catalogue import reviews
from serving import database, flags, problem, serve

SCHEMA = """
CREATE TABLE review (id INTEGER PRIMARY KEY, sku TEXT, author TEXT, stars INTEGER, words TEXT, written TEXT);
CREATE INDEX review_sku ON review (sku);
"""


def fill(db: sqlite3.Connection) -> None:
    db.executemany("INSERT INTO review (sku, author, stars, words, written) VALUES (?, ?, ?, ?, ?)", reviews())


def rounded(stars: int, count: int) -> float:
    """The average to one decimal, halves upwards, in whole numbers so that no float decides."""
    return (20 * stars + count) // (2 * count) / 10


def cut_off(stars: int, count: int) -> float:
    """The planted mistake."""
    return 10 * stars // count / 10


def application(db: sqlite3.Connection, bug: bool) -> web.Application:
    average = cut_off if bug else rounded
    by_product: dict[str, list[dict[str, object]]] = defaultdict(list)
    stars: dict[str, int] = defaultdict(int)
    for sku, author, given, words, written in db.execute(
        "SELECT sku, author, stars, words, written FROM review ORDER BY id"
    ):
        by_product[sku].append({"author": author, "stars": given, "words": words, "written": written})
        stars[sku] += given

    async def show(request: web.Request) -> web.Response:
        sku = request.match_info["sku"]
        if sku not in by_product:
            return problem(404, "no such product")
        written = by_product[sku]
        content = {"sku": sku, "count": len(written), "average": average(stars[sku], len(written)), "reviews": written}
        return web.json_response(content)

    app = web.Application()
    app.router.add_get("/api/reviews/{sku}", show)
    return app


def main() -> None:
    parser = flags(__doc__, port=9003, slow=5)
    parser.add_argument("--bug", action="store_true", help="cut averages off instead of rounding them")
    args = parser.parse_args()
    serve(application(database(args.data, "reviews", SCHEMA, fill), args.bug), args, "reviews")


if __name__ == "__main__":
    main()
