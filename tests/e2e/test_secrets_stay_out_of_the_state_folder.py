"""What clients send in confidence is found in no file and in no line of the log of a real `fig serve`."""

from __future__ import annotations

from pathlib import Path

import httpx

from shadow.reader import PairReader
from tests.fakes.ledger import Entries, ledger
from tests.fakes.plain_service import plain_service
from tests.fakes.served import eventually, serving

RULES = """
version: 1
services:
  legacy: {{url: "{legacy}"}}
  shop: {{url: "{candidate}"}}
legacy: legacy
force: {{header: x-force-side, cookie: force_side, token: canary-token-of-force}}
routes:
  - name: orders
    match: {{path: "/orders/{{order}}"}}
    candidate: shop
    stage: shadow
    writes: {{order_by: "cookie:session", dedupe: idempotency-key}}
  - name: pages
    match: {{path: /**, methods: [GET]}}
    candidate: shop
    stage: shadow
"""
SECRETS = {
    "Authorization": "Bearer canary-bearer",
    "Cookie": "session=canary-session; force_side=legacy:canary-token-of-force",
    "X-Force-Side": "legacy:canary-token-of-force",
    "X-Api-Key": "canary-key",
}


def test_no_file_and_no_line_of_the_log_shows_a_secret(tmp_path: Path) -> None:
    with plain_service("legacy") as legacy, ledger(Entries()) as candidate:
        legacy_url = f"http://127.0.0.1:{legacy.server_address[1]}"
        (tmp_path / "fig.yaml").write_text(RULES.format(legacy=legacy_url, candidate=candidate.url))
        with serving(tmp_path, more={"FIG_ADMIN_TOKEN": "canary-admin", "FIG_READ_TOKEN": "canary-read"}) as fig:
            eventually(fig.ready, "fig ready")
            for method, path in (("GET", "/who"), ("POST", "/orders/7")):
                url = f"http://127.0.0.1:{fig.port}{path}"
                httpx.request(method, url, headers=SECRETS, content=b"x", timeout=10, trust_env=False)
            pairs = fig.state / "pairs.db"

            def kept() -> int:
                with PairReader(pairs) as reader:
                    return sum(window.pairs for route in reader.routes() for window in reader.windows(route))

            eventually(lambda: kept() >= 1, "a pair")
            assert fig.end() == 0

        files = {
            path.name: path for path in (*(tmp_path / "state").iterdir(), *tmp_path.glob("log-*")) if path.is_file()
        }
        assert "pairs.db" in files and "journal.db" in files
        for name, path in files.items():
            assert b"canary" not in path.read_bytes(), name
        with PairReader(pairs) as reader:
            for route in reader.routes():
                for window in reader.windows(route):
                    shown = [reader.samples(window, place, 9) for place in reader.places(window)]
                    assert "canary" not in repr((shown, reader.equal(window, 9)))
        open_to_others = [p.name for p in (tmp_path / "state").iterdir() if p.stat().st_mode & 0o077]
        assert open_to_others == []
