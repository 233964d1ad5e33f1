"""How each of Pinnacle's programs runs: its flags, its own database, its health check, an end on SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from catalogue import Product
from catalogue import products as all_products

SPREAD = 0.4
"""Of the time that a database takes: one answer in twenty takes twice as long as usual. No two are quite the same."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def flags(doc: str | None, port: int, slow: float) -> argparse.ArgumentParser:
    """The flags that every program has; `port` and `slow` hold unless it is told otherwise."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=port, help="port to listen on (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of its database (default: %(default)s)")
    parser.add_argument(
        "--slow",
        type=float,
        default=slow,
        metavar="MILLISECONDS",
        help="what its database usually takes for an /api answer (default: %(default)s)",
    )
    return parser


def database(folder: Path, name: str, schema: str, fill: Callable[[sqlite3.Connection], object]) -> sqlite3.Connection:
    """The program's own SQLite file in `folder`, made and filled when it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.db"
    fresh = not path.exists()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    if fresh:
        db.executescript(schema)
        with transaction(db):
            fill(db)
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of the block or none of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


PRODUCT_TABLE = """
CREATE TABLE product (sku TEXT PRIMARY KEY, name TEXT, category TEXT, cents INTEGER, description TEXT);
"""


def fill_products(db: sqlite3.Connection, products: Iterable[Product] | None = None) -> None:
    """The whole catalogue into PRODUCT_TABLE."""
    db.executemany("INSERT INTO product VALUES (?, ?, ?, ?, ?)", products or all_products())


def now() -> str:
    """The moment, as an ISO 8601 text in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def euros(cents: int) -> float:
    """Whole cents as the number that JSON carries."""
    return cents / 100


def problem(status: int, text: str) -> web.Response:
    """An answer that says what was wrong with the request."""
    return web.json_response({"error": text}, status=status)


def serve(app: web.Application, args: argparse.Namespace, name: str) -> None:
    """Answer until SIGTERM or Ctrl-C; requests in flight are finished. Exits 1 when the port cannot be had."""

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"service": name, "status": "ok"})

    @web.middleware
    async def slowly(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/api/"):
            await asyncio.sleep(args.slow / 1000 * random.lognormvariate(0, SPREAD))
        return await handler(request)

    if args.slow > 0:
        app.middlewares.append(slowly)
    app.router.add_get("/healthz", healthz)
    try:
        web.run_app(app, host=args.host, port=args.port, access_log=None, print=None, shutdown_timeout=5)
    except OSError as exc:
        sys.exit(f"{name}: cannot listen on {args.host}:{args.port}: {exc.strerror}")
