"""Where `fig shadow backfill` takes its keys from: a file, an address with as many pages as it has, or a query.

Credentials for an address are named, not given: what a command line holds, everybody on the machine may read.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urljoin, urlsplit

import httpx

from proxy.cli.shadow.reading import refuse, visible
from rules.selectors import steps_of
from shadow.delivery.read_back import found_at

CURSOR = "{cursor}"
"""In an address: what a page says of the next one."""
MOST_PAGES = 100_000
SECONDS = 60.0
"""For one page."""
LONGEST_PAGE = 64 * 1024 * 1024
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where keys are asked for."""

    url: str
    """May hold ``{cursor}``, which is empty for the first page."""
    at: str = ""
    """JSON pointer to each key of a page, with ``*`` for every item; ``""``: the page is a list of keys."""
    next: str = ""
    """JSON pointer to the next page's address, or to the cursor; ``""``: its Link header says it (RFC 8288)."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By name, with their values."""


def of_file(name: str) -> Iterator[str]:
    """A key in each line; ``-`` is standard input."""
    try:
        with nullcontext(sys.stdin) if name == "-" else Path(name).open(encoding="utf-8") as stream:
            yield from _lines(stream)
    except (OSError, UnicodeDecodeError) as exc:
        refuse(f"{name}: cannot be read ({exc})")


def of_query(url: str, sql: str) -> Iterator[str]:
    """The first column."""
    from sqlalchemy import create_engine, text  # here, so that no other command waits for it
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_engine(url).connect().execution_options(stream_results=True) as connection:
            yield from (str(row[0]) for row in connection.execute(text(sql)) if row[0] is not None)
    except (SQLAlchemyError, ImportError) as exc:
        refuse(f"--keys-query: {str(exc).splitlines()[0]}")


def of_address(address: Address) -> Iterator[str]:
    """Page after page, until one names no next."""
    page = address.url.replace(CURSOR, "")
    seen: set[str] = set()
    with httpx.Client(timeout=SECONDS, trust_env=False, headers=dict(address.headers)) as client:
        while page:
            if page in seen or len(seen) == MOST_PAGES:
                _refuse_page(page, "is named as the next page again; the pages have no end")
            try:
                if _origin(page) != _origin(address.url):  # it would be sent what is for another
                    _refuse_page(page, f"the next page is on another server than {address.url}")
                answer, body = _got(client, page)
            except httpx.HTTPError as exc:
                _refuse_page(page, str(exc))
            except (httpx.InvalidURL, ValueError) as exc:
                _refuse_page(page, f"is no address ({exc})")
            seen.add(page)
            value = _json(page, answer, body)
            lines = body.decode(answer.encoding or "utf-8", "replace").splitlines() if value is None else ()
            yield from _lines(lines) if value is None else _keys_in(page, value, address.at)
            page = _next(page, answer, value, address)


def _refuse_page(page: str, problem: str) -> NoReturn:
    """Its address may be what a service answered."""
    refuse(visible(f"{page}: {problem}"))


def _got(client: httpx.Client, page: str) -> tuple[httpx.Response, bytes]:
    """The head of an answer, and its body. Raises httpx.HTTPError; httpx.InvalidURL and ValueError at no address."""
    body = bytearray()
    with client.stream("GET", page) as answer:
        answer.raise_for_status()
        for part in answer.iter_bytes():
            body += part
            if len(body) > LONGEST_PAGE:
                _refuse_page(
                    page, f"is longer than the {LONGEST_PAGE:,} bytes that are taken; let it give its keys in pages"
                )
    return answer, bytes(body)


def headers_of(named: Sequence[str]) -> dict[str, str]:
    """``Name=VARIABLE`` each, with what this command's environment holds."""
    found = {}
    for each in named:
        name, equals, variable = each.partition("=")
        if not (name and equals and variable):
            refuse("--keys-header: write a header and the variable that holds its value: Authorization=SHOP_TOKEN")
        value = os.environ.get(variable, "").strip()
        if not value or not value.isascii() or not value.isprintable():
            refuse(f"--keys-header: the variable {variable} is to hold the header's value, one line of ASCII")
        found[name] = value
    return found


def _lines(lines: Iterable[str]) -> Iterator[str]:
    return (key for line in lines if (key := line.strip()))


def _json(page: str, answer: httpx.Response, body: bytes) -> Any:
    """None where it is none by its type."""
    if "json" not in answer.headers.get("content-type", ""):
        return None
    try:
        value = json.loads(body)
    except ValueError as exc:
        _refuse_page(page, f"is no JSON ({exc})")
    if value is None:
        _refuse_page(page, "holds null, and no keys")
    return value


def _keys_in(page: str, value: Any, at: str) -> list[str]:
    found = list(found_at(value, steps_of(at))) if at else value
    if not isinstance(found, list) or not all(_is_text_or_whole(each) for each in found):
        _refuse_page(
            page,
            "is to answer with a JSON list of texts or whole numbers, or with a key in each line; where they "
            "stand deeper, say where: --keys-at '/items/*/id'",
        )
    return [str(each) for each in found]


def _is_text_or_whole(value: Any) -> bool:
    """``true`` is neither, though Python counts with it."""
    return isinstance(value, str | int) and not isinstance(value, bool)


def _next(page: str, answer: httpx.Response, value: Any, address: Address) -> str:
    """The next page's address; ``""`` where this was the last."""
    if not address.next:
        return _joined(page, link) if (link := answer.links.get("next", {}).get("url", "")) else ""
    told = next(iter(found_at(value, steps_of(address.next))), None)
    if told is None or told is False or told == "":
        return ""
    if not _is_text_or_whole(told):
        _refuse_page(page, f"what stands at {address.next} is neither an address nor a cursor")
    if CURSOR in address.url:
        return address.url.replace(CURSOR, quote(str(told), safe=""))
    if not isinstance(told, str):
        _refuse_page(
            page, f"{address.next} holds a cursor; say where it goes: --keys-url 'http://.../ids?after={CURSOR}'"
        )
    return _joined(page, told)


def _joined(page: str, link: str) -> str:
    try:
        return urljoin(page, link)
    except ValueError as exc:
        _refuse_page(link, f"is no address ({exc}), and {page} names it as the next page")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
