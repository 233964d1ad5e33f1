"""A thousand secrets go through a real `fig serve`, and none is found in any file, log, page, span or command."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from proxy.cli.commands import app
from shadow.certifying.strata import StratumKind
from shadow.pairs.reader import PairReader
from tests.fakes.canaries import WORD, Canaries, found_in
from tests.fakes.collector import collector
from tests.fakes.indiscreet_service import indiscreet_service
from tests.fakes.served import Served, eventually, serving

PLANTED = 1000
ROUNDS = 5
FORMS = ("json", "html", "text", "form", "xml", "gzip", "broken", "bytes", "fails", "leaves")
WRITES = 8
"""Writes of a round."""
FORCE = f"{WORD}-token-of-force"
TOKENS = {"FIG_ADMIN_TOKEN": f"{WORD}-admin", "FIG_READ_TOKEN": f"{WORD}-read"}
CREDENTIALS = {"SHOP_KEY": f"{WORD}-of-the-shop"}
LOST = 6
"""Writes at most that legacy leaves without an answer: they have no pair."""


def rules(legacy: str, candidate: str) -> dict[str, object]:
    """Reads and writes in shadow; a candidate that fails now and then, and a legacy that does not answer at times."""
    return {
        "version": 1,
        "services": {
            "legacy": {"url": legacy},
            "shop": {"url": candidate, "timeout": "2s"},
        },
        "legacy": "legacy",
        "force": {"header": "x-force-side", "cookie": "force_side", "token": FORCE},
        "comparisons": {
            "shop": {
                "headers": ["x-seen", "location", "set-cookie"],
                "redact": {"headers": ["x-tenant"], "fields": ["/pin", "/**/secret"], "query": ["token"]},
            }
        },
        "defaults": {"trace": "100%"},
        "routes": [
            {
                "name": "orders",
                "match": {"path": "/orders/{order}", "methods": ["POST"]},
                "candidate": "shop",
                "stage": "shadow",
                "writes": {
                    "order_by": "path:order",
                    "dedupe": "idempotency-key",
                    "ids": {"order": {"made": "response:/pin", "used": ["path:order"], "unknown": "same"}},
                    "read_back": {
                        "path": "/orders/{order}/{header:idempotency-key}",
                        "within": "0.1s",
                        "state": "100%",
                    },
                },
                "shadow": {
                    "compare": "shop",
                    "backfill": {
                        "read": "/orders/{key}",
                        "write": "PUT /orders/{key}",
                        "credentials": {"candidate": {"X-Api-Key": "SHOP_KEY"}},
                    },
                },
            },
            {
                "name": "baskets",
                "match": {"path": "/baskets/**", "methods": ["PUT"]},
                "candidate": "shop",
                "stage": "shadow",
                "writes": {"order_by": "cookie:session"},
                "shadow": {"compare": "shop"},
            },
            {
                "name": "pages",
                "match": {"path": "/**", "methods": ["GET"]},
                "candidate": "shop",
                "stage": "shadow",
                "shadow": {"compare": "shop", "noise": "100%"},
            },
        ],
    }


def requests(secret: Canaries) -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """One round: (method, target, headers, body), with a secret wherever there can be one."""
    for form in FORMS:
        target = f"/{form}/{secret()}/x?token={secret.word()}&by={quote(secret())}&card={quote(secret())}"
        yield "GET", target, headers(secret), b""
    bodies = (
        ("application/json", json.dumps({"secret": secret.word(), "to": secret(), secret(): [secret()]})),
        ("application/x-www-form-urlencoded", f"a={quote(secret())}&secret={secret.word()}"),
        ("text/plain", f"Dear {secret()}, {secret()}"),
        ("application/json", f'{{"broken": "{secret()}", }}'),
    )
    for kind, body in bodies:
        for method, path in (("POST", f"/orders/{secret()}"), ("PUT", "/baskets/mine")):
            yield method, path, {**headers(secret), "Content-Type": kind}, body.encode()


def headers(secret: Canaries) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {secret.word()}",
        "Cookie": f"session={secret.word()}; force_side=legacy:{FORCE}; note={secret()}",
        "X-Tenant": secret.word(),
        "X-Api-Key": secret.word(),
        "X-Request-Id": f"of-{secret.card()}",
        "Idempotency-Key": secret(),
        "Referer": f"https://shop.example/?token={secret.word()}&e={secret()}",
    }


@pytest.mark.timeout(180)
def test_a_thousand_secrets_leave_no_trace(tmp_path: Path) -> None:
    secret = Canaries()
    shown: dict[str, bytes] = {}
    with (
        indiscreet_service("legacy", secret, leaves_each=11) as legacy,
        indiscreet_service("candidate", secret, fails_each=7) as candidate,
        collector() as spans,
    ):
        (tmp_path / "fig.yaml").write_text(yaml.safe_dump(rules(legacy.url, candidate.url)))
        tracing = f"http://127.0.0.1:{spans.server_address[1]}"
        outside = {"FIG_ACCESS_LOG": "100%", "FIG_OTLP": tracing, **TOKENS, **CREDENTIALS}
        with serving(tmp_path, more=outside) as fig:
            eventually(fig.ready, "fig ready")
            for number in range(ROUNDS):
                ask(fig, requests(secret))
                if number == ROUNDS // 2:
                    os.kill(fig.pid("shadower"), signal.SIGKILL)
                    eventually(lambda: len(fig.logged("started", child="shadower")) > 1, "another shadower")
            assert secret.planted >= PLANTED
            pairs = fig.state / "pairs.db"
            # 57 where the killed shadower was through with its copies; the copies of a whole round may end with it.
            eventually(lambda: kept(pairs) >= 57 - len(FORMS) - WRITES - LOST, "pairs")
            eventually(lambda: held(fig.state) >= WORKED, "ids learnt, questions asked, states read")
            eventually(lambda: post(fig, "/api/shadow/ping", {}).status_code == 200, "a shadower that control knows")
            keys = [secret() for _ in range(8)]
            shown |= {f"POST {path}": post(fig, path, body).raise_for_status().content for path, body in changes(keys)}
            for path, body in mistakes(keys):  # whose answers quote what was wrong, to whoever said it and nobody else
                assert post(fig, path, body).status_code in (400, 409)
            shown |= {f"GET {path}": page(fig, path) for path in PAGES}
            shown |= {" ".join(command): said(fig, command) for command in (*COMMANDS, *into_files(tmp_path))}
            for pair in some_pairs(pairs):
                shown[f"show {pair}"] = said(fig, ("shadow", "show", pair))
                shown[f"export {pair}"] = said(fig, ("shadow", "export", pair, "--pytest"))
                shown[f"replay {pair}"] = said(fig, ("shadow", "replay", pair, "--json", "--force", "--why", "a test"))
            for path in everything(tmp_path):  # while the shadower has -wal and -shm open
                shown[f"{path} (running)"] = path.read_bytes()
            assert fig.end() == 0
            shown |= {f"span {number}": body for number, body in enumerate(spans.bodies)}
        assert spans.spans, "nothing was traced"
    shown |= {str(path): path.read_bytes() for path in everything(tmp_path)}
    shown["everything that is kept"] = contents(pairs)
    assert {"pairs.db", "journal.db"} <= {Path(name).name for name in shown}

    leaks = [f"{name}: {found}" for name, data in shown.items() if (found := found_in(data))]
    assert not leaks, "\n".join(leaks)
    open_to_others = [path.name for path in (tmp_path / "state").iterdir() if path.stat().st_mode & 0o077]
    assert open_to_others == []


PAGES = ("/metrics", "/api/status", "/api/history", "/readyz", "/api/routes/pages/gate", "/api/routes/orders/gate")
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("shadow", "report", "--samples", "50"),
    ("shadow", "report", "--samples", "50", "--json"),
    ("shadow", "deliveries"),
    ("shadow", "deliveries", "--json"),
    ("shadow", "doubts"),
    ("shadow", "doubts", "--json"),
    ("shadow", "gaps"),
    ("shadow", "causes", "--json"),
    ("shadow", "causes"),
    ("shadow", "noise", "pages"),
    ("shadow", "suggest", "pages"),
    ("shadow", "certify", "orders", "--json"),
    ("shadow", "certify", "pages"),
    ("status",),
    ("history",),
)


def into_files(folder: Path) -> Iterator[tuple[str, ...]]:
    """Commands that write files, which are looked through like all."""
    for name in ("report", "certify orders", "certify pages"):
        command, _, route = name.partition(" ")
        files = (str(folder / f"{command}{route}.{ending}") for ending in ("html", "md", "xml"))
        written = [part for pair in zip(("--html", "--markdown", "--junit"), files, strict=True) for part in pair]
        yield ("shadow", command, *((route,) if route else ()), *written)
    yield ("shadow", "certify", "orders", "-o", str(folder / "orders.json"))
    yield ("shadow", "causes", "--markdown", str(folder / "causes.md"))


def changes(keys: list[str]) -> Iterator[tuple[str, dict[str, object]]]:
    """What people ask the shadower for, with secrets for keys."""
    yield "/api/shadow/backfill-add", {"route": "orders", "keys": keys}
    yield "/api/shadow/backfill-start", {"route": "orders", "rate": 1000}
    yield "/api/shadow/backfill-status", {"route": "orders"}


def mistakes(keys: list[str]) -> Iterator[tuple[str, dict[str, object]]]:
    """What cannot be done, with secrets in the wrong place."""
    for action in ("backfill-add", "cause-acknowledge", "doubts-settle", "deliveries-drop", "gaps-settle", "replay"):
        yield f"/api/shadow/{action}", {"route": keys[0], "pair": keys[1], "cause": keys[2], "sequences": [17]}


def post(fig: Served, path: str, arguments: dict[str, object]) -> httpx.Response:
    asked = {"arguments": arguments, "why": "a test"}
    return fig.admin.post(path, json=asked, headers={"Authorization": f"Bearer {TOKENS['FIG_ADMIN_TOKEN']}"})


WORKED = {"identities", "questions", "states"}


def held(state: Path) -> set[str]:
    """Which of `WORKED` have left something in the state folder."""
    with sqlite3.connect(f"file:{state / 'journal.db'}?mode=ro", uri=True) as journal:
        found = {name for name in ("identities", "questions") if journal.execute(f"SELECT 1 FROM {name}").fetchone()}
    with sqlite3.connect(f"file:{state / 'pairs.db'}?mode=ro", uri=True) as pairs:
        if pairs.execute("SELECT 1 FROM strata WHERE kind = ?", (StratumKind.STATE.value,)).fetchone():
            found.add("states")
    return found


def ask(fig: Served, asked: Iterator[tuple[str, str, dict[str, str], bytes]]) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{fig.port}", timeout=20, trust_env=False) as client:
        for method, target, fields, body in asked:
            answer = client.request(method, target, headers=fields, content=body)
            assert answer.status_code in (200, 500, 502, 503), answer.text


def kept(pairs: Path) -> int:
    with PairReader(pairs) as reader:
        return sum(window.pairs for route in reader.routes() for window in reader.windows(route))


def some_pairs(pairs: Path) -> list[str]:
    """Names of the latest pairs of each route."""
    with PairReader(pairs) as reader:
        windows = [next(iter(reader.windows(route))) for route in reader.routes() if reader.windows(route)]
        return [
            sample.pair.id
            for window in windows
            for place in reader.places(window)[:1]
            for sample in reader.samples(window, place, 1)
        ]


def page(fig: Served, path: str) -> bytes:
    answer = fig.admin.get(path, headers={"Authorization": f"Bearer {TOKENS['FIG_ADMIN_TOKEN']}"})
    return answer.content


def said(fig: Served, command: tuple[str, ...]) -> bytes:
    """What a command writes, also into files of its own."""
    environment = {
        "FIG_STATE": str(fig.state),
        "FIG_ADMIN": fig.admin_address,
        "FIG_ADMIN_TOKEN": TOKENS["FIG_ADMIN_TOKEN"],
    }
    done = CliRunner().invoke(app, list(command), env=environment)
    refused = "cannot be exported" in done.output  # a body that cannot be cleared of secrets
    assert refused or done.exit_code in (0, 1, 3, 4), done.output
    return done.output.encode()


def everything(folder: Path) -> list[Path]:
    """Every file, but for the rules, which hold the forced side's token because the user wrote it there."""
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "fig.yaml"]


def contents(pairs: Path) -> bytes:
    """What the store gives back of every pair: in the file it is compressed."""
    parts: list[bytes] = []
    with PairReader(pairs) as reader:
        for route in reader.routes():
            for window in reader.windows(route):
                parts += [repr(reader.samples(window, place, 99)).encode() for place in reader.places(window)]
                parts.append(repr((window, reader.places(window), reader.equal(window, 99))).encode())
    return b"\n".join(parts)
