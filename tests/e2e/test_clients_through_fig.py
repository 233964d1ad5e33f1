"""curl, a browser and Python clients through a real `fig serve`, in front of servers that know nothing of fig."""

from __future__ import annotations

import hashlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import httpx
import pytest

from tests.fakes.plain_service import plain_service
from tests.fakes.served import Served, eventually, serving
from tests.programs import need

RULES = """
version: 1
services:
  legacy: {{url: "{legacy}"}}
  shop: {{url: "{shop}"}}
  gone: {{url: "http://127.0.0.1:9", connect_timeout: 1s}}
  slow: {{url: "{shop}", timeout: 300ms}}
legacy: legacy
routes:
  - {{name: who, match: {{path: /who}}, candidate: shop, stage: live}}
  - {{name: bytes, match: {{path: "/bytes/{{n}}"}}, candidate: shop, stage: live}}
  - {{name: upload, match: {{path: /upload}}, candidate: shop, stage: live}}
  - {{name: safe, match: {{path: /safe/**}}, candidate: gone, stage: live, fallback: legacy}}
  - {{name: down, match: {{path: /down/**}}, candidate: gone, stage: live}}
  - {{name: slow, match: {{path: "/slow/*"}}, candidate: slow, stage: live}}
"""


@pytest.fixture(scope="module")
def fig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("clients")
    with plain_service("legacy") as legacy, plain_service("shop") as shop:
        (folder / "fig.yaml").write_text(RULES.format(legacy=legacy.url, shop=shop.url))
        with serving(folder) as served:
            eventually(served.ready, "fig ready")
            yield served


def url(fig: Served, path: str) -> str:
    return f"http://127.0.0.1:{fig.port}{path}"


def test_curl_gets_each_path_from_the_side_that_its_route_names(fig: Served) -> None:
    curl = need("curl", "curl")
    for path, name in (("/who", "shop"), ("/elsewhere", "legacy")):
        got = subprocess.run([curl, "-sS", "-m", "10", url(fig, path)], capture_output=True, text=True, check=True)
        assert got.stdout == name


def test_a_browser_runs_a_page_of_legacy_that_fetches_from_the_candidate(fig: Served, tmp_path: Path) -> None:
    chromium = need("chromium", "chromium")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path}",
             "--virtual-time-budget=5000", "--dump-dom"]  # fmt: skip
    got = subprocess.run([chromium, *flags, url(fig, "/page")], capture_output=True, text=True, timeout=50, check=True)
    assert "served by shop" in got.stdout


def test_httpx_streams_an_upload_in_chunks(fig: Served) -> None:
    pieces = [bytes([n]) * 10_000 for n in range(100)]
    answer = httpx.post(url(fig, "/upload"), content=iter(pieces), timeout=20, trust_env=False).json()
    assert answer == {"name": "shop", "bytes": 1_000_000, "sha256": hashlib.sha256(b"".join(pieces)).hexdigest()}


async def test_aiohttp_keeps_one_connection_for_many_requests(fig: Served) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        names = []
        for n in range(50):
            async with session.get(url(fig, "/who" if n % 2 else "/elsewhere")) as answer:
                names.append(await answer.text())
    assert names == ["legacy", "shop"] * 25


def test_a_service_that_is_down_gives_502_that_names_the_request_and_nothing_inside(fig: Served) -> None:
    answer = httpx.get(url(fig, "/down/1"), headers={"x-request-id": "find-me"}, timeout=10, trust_env=False)
    assert answer.status_code == 502
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "find-me"
    assert "127.0.0.1" not in answer.text
    assert "gone" not in answer.text


def test_a_service_that_is_down_is_answered_by_the_fallback_where_the_request_may_be_repeated(fig: Served) -> None:
    assert httpx.get(url(fig, "/safe/1"), timeout=10, trust_env=False).text == "legacy"
    assert httpx.post(url(fig, "/safe/1"), content=b"x", timeout=10, trust_env=False).status_code == 502


def test_a_service_that_does_not_answer_in_time_gives_504(fig: Served) -> None:
    assert httpx.get(url(fig, "/slow/3"), timeout=10, trust_env=False).status_code == 504


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nb\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_a_malformed_request_gets_400_and_the_connection_closes(fig: Served, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", fig.port), timeout=10) as client:
        client.sendall(request_bytes + b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def _resident(pid: int) -> int:
    """Bytes of memory that the process holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


@pytest.mark.timeout(120)
def test_a_gigabyte_passes_in_flat_memory(fig: Served) -> None:
    before = sum(_resident(fig.pid(f"worker-{n}")) for n in range(2))
    size = 1024**3
    got = 0
    with httpx.stream("GET", url(fig, f"/bytes/{size}"), timeout=60, trust_env=False) as answer:
        for piece in answer.iter_raw(1 << 20):
            got += len(piece)
    assert got == size
    assert sum(_resident(fig.pid(f"worker-{n}")) for n in range(2)) - before < 16 * 1024 * 1024
