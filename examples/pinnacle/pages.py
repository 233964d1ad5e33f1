"""The monolith's HTML: strings from rows, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

Row = Mapping[str, Any]

FRAME = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title} · Pinnacle</title>
<style>body{{font:16px/1.5 system-ui;max-width:44rem;margin:2rem auto;padding:0 1rem}}nav a{{margin-right:1rem}}</style>
</head><body><nav><a href="/">Pinnacle</a><a href="/cart">Cart</a></nav><h1>{title}</h1>
{content}
</body></html>
"""


def frame(title: str, content: str) -> str:
    return FRAME.format(title=escape(title), content=content)


def money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02} EUR"


def home(products: Iterable[Row], seen: Row | None) -> str:
    items = "".join(
        f'<li><a href="/products/{p["sku"]}">{escape(p["name"])}</a> {money(p["cents"])}</li>' for p in products
    )
    again = f"<p>You last looked at {escape(seen['name'])}.</p>" if seen is not None else ""
    return frame("Things that last", f"{again}<ul>{items}</ul>")


def product(row: Row, reviews: Iterable[Row]) -> str:
    written = "".join(f"<li>{'★' * r['stars']} {escape(r['words'])} <i>{escape(r['author'])}</i></li>" for r in reviews)
    form = f'<form method="post" action="/cart"><input type="hidden" name="sku" value="{row["sku"]}">'
    form += '<input name="quantity" value="1" size="2"> <button>Add to cart</button></form>'
    content = f"<p>{escape(row['description'])}</p><p>{money(row['cents'])}</p>{form}<h2>Reviews</h2><ul>{written}</ul>"
    return frame(row["name"], content)


def cart(content: Mapping[str, Any]) -> str:
    items = "".join(
        f"<li>{line['quantity']} × {escape(line['name'])}: {line['total']:.2f} EUR</li>" for line in content["lines"]
    )
    return frame("Your cart", f"<ul>{items}</ul><p>Together {content['total']:.2f} EUR</p>")


def order(content: Mapping[str, Any]) -> str:
    return frame(f"Order {content['order']}", f"<p>{escape(content['status'])}, {content['total']:.2f} EUR</p>")


def missing(what: str) -> str:
    return frame(f"No such {what}", '<p><a href="/">Back to the shop</a></p>')
