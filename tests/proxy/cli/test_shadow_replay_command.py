"""`fig shadow replay` as people read it: what became of the pairs, and of how many they are."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from proxy.cli import app
from tests.fakes.pair_folder import Folder
from tests.fakes.pairs import answer


class FakeControl(BaseHTTPRequestHandler):
    """Answers the replay of any pairs: each is fixed."""

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        pairs = json.loads(self.rfile.read(length))["arguments"]["pairs"]
        fixed = [
            {"pair": each, "result": "fixed", "agrees": True, "reason": "", "status": 200, "differences": []}
            for each in pairs
        ]
        body = json.dumps({"replayed": fixed}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def control() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeControl)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def replay(folder: Folder, control: str, name: str, *more: str) -> Result:
    arguments = ["shadow", "replay", name, "--state", str(folder.path), "--admin", control, *more]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = Folder(tmp_path)
    opened.add(answer({"price": 12.5}), answer({"price": 1250}), 25)
    yield opened
    opened.store.close()


def test_a_cause_is_told_of_how_many_pairs_those_are_that_were_asked(folder: Folder, control: str) -> None:
    (cause,) = folder.report().routes[0].causes
    told = replay(folder, control, cause.name)
    assert told.exit_code == 0, told.output
    assert "10 pairs: 10 fixed; 10 agree now" in told.output
    assert "10 of 25 pairs with this cause are kept; what became of the others is not known" in told.output
    document = json.loads(replay(folder, control, cause.name, "--json").output)
    assert (document["members"], document["members_are_exact"], len(document["pairs"])) == (25, True, 10)


def test_a_pair_is_one_of_one(folder: Folder, control: str) -> None:
    (cause,) = folder.report().routes[0].causes
    told = replay(folder, control, cause.samples[0].pair.id)
    assert "1 pair: 1 fixed; 1 agree now" in told.output
    assert "are kept" not in told.output


def test_what_is_neither_a_pair_nor_a_cause_exits_2(folder: Folder, control: str) -> None:
    told = replay(folder, control, "nope\x1b[2J")
    assert told.exit_code == 2
    assert "\x1b" not in told.output
    assert "there is no pair and no cause 'nope\\x1b[2J'" in told.output
