"""Finding a request in an access log of any size and shape."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from proxy.cli.rules import access_lines
from proxy.cli.rules.access_lines import find

DESIGN = Path(__file__).parents[2] / "rules/design.yaml"


def logged(request_id: str, **more: Any) -> bytes:
    line = {
        "request_id": request_id, "client": "10.0.0.1", "method": "GET", "host": "h", "path": "/api/products/7",
        "route": "products", "side": "legacy", "service": "legacy", "reason": "share", "generation": 3, "status": 200,
        "failure": "", "fallback": "", "event": "exchange", "timestamp": "2026-11-22T10:00:00Z",
    }  # fmt: skip
    return json.dumps(line | more).encode()


@pytest.mark.parametrize("chunk", [1, 7, 64, 1024 * 1024])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_request_is_found_wherever_reads_cut_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, end: bytes
) -> None:
    monkeypatch.setattr(access_lines, "CHUNK", chunk)
    log = tmp_path / "log"
    log.write_bytes(
        end.join([logged("a"), b'{"event": "started", "request_id": "b"}', logged("b"), logged("bb"), b"b"])
    )
    assert [line.request_id for line in find(log, "b")] == ["b"]
    assert [line.request_id for line in find(log, "bb")] == ["bb"]
    assert find(log, "c") == []


def test_the_last_line_needs_no_end_and_the_id_may_hold_quotes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(logged('it"s') + b"\n" + logged("last"))
    assert [line.request_id for line in find(log, 'it"s')] == ['it"s']
    assert len(find(log, "last")) == 1


def test_gzip_and_the_prefixes_of_containers_are_read_through(tmp_path: Path) -> None:
    log = tmp_path / "log.gz"
    log.write_bytes(gzip.compress(b"fig-1  | " + logged("a") + b"\n"))
    assert len(find(log, "a")) == 1


def test_lines_that_are_none_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_lines, "CHUNK", 1000)
    monkeypatch.setattr(access_lines, "LONGEST", 2000)
    log = tmp_path / "log"
    long = b'{"request_id": "a", "x": "' + b"x" * 9000 + b'"}'
    log.write_bytes(
        b"\n".join([long, b'"a"', b'{"request_id": "a"', b"[" * 1900 + b'"a"', b"\xff\x00", logged("a"), long])
    )
    assert len(find(log, "a")) == 1


def explain(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["rules", "explain", "-c", str(DESIGN), *arguments])


def test_a_request_of_the_log_is_explained(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(logged("a", bucket=4) + b"\n" + logged("a", bucket=5, sent_path="/p/7") + b"\n")
    result = explain("--log", str(log), "--id", "a")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:4] == [
        "2 exchanges had this id; the last of them:",
        "GET /api/products/7  (host h, client 10.0.0.1, request id a)",
        "  then at 2026-11-22T10:00:00Z, by generation 3",
        "    taken by route products, sent as /p/7",
    ]
    assert json.loads(explain("--log", str(log), "--id", "a", "--json").stdout)["found"] == 2


def test_a_request_that_is_not_in_the_log_exits_1_with_a_hint(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(logged("a"))
    result = explain("--log", str(log), "--id", "b")
    assert (result.exit_code, "1 % of the good ones" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--log", "/nowhere", "--id", "a"], "/nowhere: cannot be read"),
        (["--log", "/nowhere"], "--log goes with --id REQUEST_ID alone"),
        (["GET", "/", "--log", "/nowhere", "--id", "a"], "--log goes with --id REQUEST_ID alone"),
        (["--log", "/nowhere", "--id", "a", "--client", "10.0.0.1"], "--log goes with --id REQUEST_ID alone"),
        (["GET", "/", "--id", "a"], "--id goes with --log FILE"),
        (["GET", "/", "--live", "--state", "/nowhere"], "--live asks the running fig, --state its folder; give one"),
        (["GET"], "say which request: METHOD and URL, or --log FILE and --id REQUEST_ID"),
    ],
)
def test_what_cannot_be_asked_exits_2(arguments: list[str], message: str) -> None:
    result = explain(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_gzip_file_that_is_cut_off_is_no_traceback(tmp_path: Path) -> None:
    log = tmp_path / "log.gz"
    log.write_bytes(gzip.compress(logged("a") * 100)[:-20])
    result = explain("--log", str(log), "--id", "a")
    assert (result.exit_code, "cannot be read" in result.stderr) == (2, True)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_log_comes_from_a_pipe_and_from_standard_input(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    log = pack(logged("a"))
    ours, theirs = os.pipe()
    os.write(theirs, log)
    os.close(theirs)
    assert explain("--log", f"/dev/fd/{ours}", "--id", "a").exit_code == 0
    os.close(ours)
    arguments = ["rules", "explain", "-c", str(DESIGN), "--log", "-", "--id", "a"]
    assert CliRunner().invoke(app, arguments, input=log).exit_code == 0


def test_a_gzip_file_that_is_broken_is_no_traceback(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"\n".join(logged(f"r{number}", status=number) for number in range(900))))
    packed[60:400] = bytes(340)
    (tmp_path / "log.gz").write_bytes(packed)
    result = explain("--log", str(tmp_path / "log.gz"), "--id", "r899")
    assert (result.exit_code, "cannot be read" in result.stderr) == (2, True)
