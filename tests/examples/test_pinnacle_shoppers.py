"""Shoppers count what a person would notice, stop when told, and say so in JSON lines."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.ports import free_port

SHOPPERS = Path(__file__).parents[2] / "examples" / "pinnacle" / "shoppers.py"


def shop(url: str, *flags: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and JSON lines of a short run."""
    command = [sys.executable, str(SHOPPERS), "--url", url, "--rate", "150", "--shoppers", "10", *flags]
    run = subprocess.run(command, capture_output=True, text=True, timeout=40)
    assert "Traceback" not in run.stderr, run.stderr
    return run.returncode, [json.loads(line) for line in run.stdout.splitlines()]


class Answering(BaseHTTPRequestHandler):
    """Gives the server's one answer to everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.server.body  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def broken() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_healthy_shop_fails_nobody_and_is_used_in_every_way(start: Any, tmp_path: Path) -> None:
    legacy = start("legacy", tmp_path).client

    code, lines = shop(str(legacy.base_url), "--seconds", "3")

    assert code == 0
    last = lines[-1]
    assert last["final"]
    assert last["failed"] == 0
    assert last["requests"] == sum(last["by"].values())
    assert set(last["by"]) == {"page", "list", "product", "reviews", "add", "cart", "checkout"}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(503, b"{}", "status 503"), (200, b'{"sku": "P-000", "count": 0, "items": []}', "wrong answer"), (200, b"{", "")],
)
def test_what_a_shopper_would_notice_is_a_failure(
    broken: ThreadingHTTPServer, status: int, body: bytes, said: str
) -> None:
    broken.status, broken.body = status, body  # type: ignore[attr-defined]

    code, lines = shop(f"http://127.0.0.1:{broken.server_port}", "--seconds", "0.5")

    assert code == 1
    assert lines[-1]["failed"] > 0
    assert said in lines[-1]["failures"][0]


def test_no_answer_at_all_is_a_failure() -> None:
    code, lines = shop(f"http://127.0.0.1:{free_port()}", "--seconds", "0.5")

    assert code == 1
    assert lines[-1]["failed"] == lines[-1]["requests"] > 0


def test_sigterm_lets_requests_under_way_finish_and_gives_the_last_count(start: Any, tmp_path: Path) -> None:
    legacy = start("legacy", tmp_path, "--slow", "300").client
    command = [sys.executable, str(SHOPPERS), "--url", str(legacy.base_url), "--every", "0.2"]
    shoppers = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert shoppers.stdout is not None
    shoppers.stdout.readline()

    shoppers.send_signal(signal.SIGTERM)
    rest, _ = shoppers.communicate(timeout=20)

    last = json.loads(rest.splitlines()[-1])
    assert (shoppers.returncode, last["final"], last["failed"]) == (0, True, 0)
