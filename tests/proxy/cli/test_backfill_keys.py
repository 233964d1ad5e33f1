"""Keys that an address gives a page at a time, and what is sent to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from typer import Exit

from proxy.cli.shadow import backfill_keys
from proxy.cli.shadow.backfill_keys import Address, headers_of, of_address
from tests.fakes.threaded import QuietServer, answering


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        value, link = self.server.pages[self.path]  # type: ignore[attr-defined]
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain" if isinstance(value, str) else "application/json")
        if link:
            self.send_header("Link", link)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: tests read what was asked."""


@contextmanager
def paged(pages: dict[str, tuple[Any, str]]) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """The address of a server with these pages (path -> answer, Link), and what it was asked."""
    server = QuietServer(("127.0.0.1", 0), _Pages)
    server.pages, server.asked = pages, []  # type: ignore[attr-defined]
    with answering(server):
        yield f"http://127.0.0.1:{server.server_address[1]}", server.asked  # type: ignore[attr-defined]


def test_pages_follow_each_other_by_their_link_header() -> None:
    pages = {
        "/ids": (["1", 2], '</ids?page=2>; rel="next", </ids?page=9>; rel="last"'),
        "/ids?page=2": ("3\n\n4\n", ""),
    }
    with paged(pages) as (url, asked):
        assert list(of_address(Address(f"{url}/ids", headers={"X-Api-Key": "canary"}))) == ["1", "2", "3", "4"]
    assert {headers["X-Api-Key"] for _, headers in asked} == {"canary"}


def test_pages_follow_each_other_by_an_address_in_their_json() -> None:
    pages = {
        "/ids": ({"items": [{"id": 1}, {"id": 2}], "next": "/ids/more"}, ""),
        "/ids/more": ({"items": [{"id": 3}], "next": None}, ""),
    }
    with paged(pages) as (url, _):
        assert list(of_address(Address(f"{url}/ids", "/items/*/id", "/next"))) == ["1", "2", "3"]


def test_pages_follow_each_other_by_a_cursor() -> None:
    pages = {
        "/ids?after=": ({"ids": [1], "page": {"cursor": "a/b"}}, ""),
        "/ids?after=a%2Fb": ({"ids": [2], "page": {"cursor": ""}}, ""),
    }
    with paged(pages) as (url, _):
        assert list(of_address(Address(f"{url}/ids?after={{cursor}}", "/ids/*", "/page/cursor"))) == ["1", "2"]


@pytest.mark.parametrize(
    ("answer", "link", "address", "said"),
    [
        ([1], "</ids>; rel=next", {}, "have no end"),
        ([1], "<http://elsewhere.example/ids>; rel=next", {}, "another server"),
        ([1], "<http://[::1/ids>; rel=next", {}, "is no address"),
        (["1" * 1_000], "", {}, "longer than the 1,000 bytes"),
        ({"ids": [1]}, "", {}, "--keys-at"),
        (None, "", {}, "holds null, and no keys"),
        ([1, None], "", {}, "texts or whole numbers"),
        ([1, True], "", {}, "texts or whole numbers"),
        ({"items": [{"id": 1}, {"id": False}]}, "", {"at": "/items/*/id"}, "texts or whole numbers"),
        (
            {"ids": [1], "next": "//x/\x1b[2J"},
            "",
            {"at": "/ids/*", "next": "/next"},
            r"http://x/\x1b[2J: the next page is on",
        ),
        ({"ids": [1], "next": 7}, "", {"at": "/ids/*", "next": "/next"}, "say where it goes"),
        ({"ids": [1], "next": {}}, "", {"at": "/ids/*", "next": "/next"}, "neither an address nor a cursor"),
        ({"ids": [1], "next": True}, "", {"at": "/ids/*", "next": "/next"}, "neither an address nor a cursor"),
    ],
)
def test_pages_that_cannot_be_followed_say_why(
    answer: object,
    link: str,
    address: dict[str, str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backfill_keys, "LONGEST_PAGE", 1_000)
    with paged({"/ids": (answer, link)}) as (url, asked), pytest.raises(Exit):
        list(of_address(Address(f"{url}/ids", **address)))  # type: ignore[arg-type]
    assert said in capsys.readouterr().err
    assert len(asked) == 1


@pytest.mark.parametrize("url", ["http://[::1/ids", "http://shop:port/ids", "ftp://shop/ids", "shop/ids"])
def test_an_address_that_is_none_is_said_to_be_none(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Exit):
        list(of_address(Address(url)))
    assert url in capsys.readouterr().err


def test_a_header_for_keys_is_named_and_its_value_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "Bearer canary")
    assert headers_of(["Authorization=SHOP_TOKEN"]) == {"Authorization": "Bearer canary"}
    monkeypatch.setenv("SHOP_TOKEN", "canary\nX-Evil: 1")
    for wrong in ("Authorization=SHOP_TOKEN", "Authorization=NOT_SET", "Authorization: Bearer canary"):
        with pytest.raises(Exit):
            headers_of([wrong])
    assert "canary" not in capsys.readouterr().err
