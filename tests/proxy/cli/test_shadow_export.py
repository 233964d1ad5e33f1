"""An exported pair is run as the candidate's team would: by pytest, in an empty folder, against a real service."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from proxy.cli import app
from shadow.pairs.reader import PairReader
from tests.fakes.shadowing import ROUTE, Service, Worker, effective, eventually, shadowing

QUOTES = '{"quote": "\\"\\"\\" \\\\ $HOME é \\u202e", "price": 1.10, "made": "2026-01-01"}'.encode()


def export(state: Path, pair: str, *more: str) -> Result:
    return CliRunner().invoke(app, ["shadow", "export", pair, "--state", str(state), *more])


async def kept_name(state: Path) -> str:
    def look() -> str:
        with PairReader(state / "pairs.db") as reader:
            windows = reader.windows(ROUTE)
            if not windows or not windows[0].pairs:
                return ""
            found = [pair for place in reader.places(windows[0]) for pair in reader.samples(windows[0], place, 1)]
            return (found or list(reader.equal(windows[0], 1)))[0].pair.id

    name: str = await eventually(look, "a pair")
    return name


async def run(folder: Path, **variables: str) -> tuple[int, str]:
    """pytest in a folder that knows nothing of fig: exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_exported.py"),
        cwd=folder,
        env={"PATH": os.environ["PATH"], **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await asyncio.wait_for(process.communicate(), 50)
    assert process.returncode is not None
    return process.returncode, told.decode()


async def test_an_exported_read_fails_on_the_candidate_as_it_was_and_passes_once_it_is_mended(tmp_path: Path) -> None:
    state, folder = tmp_path / "state", tmp_path / "elsewhere"
    state.mkdir()
    folder.mkdir()
    candidate = await Service(body=lambda target: b'{"price": 2}').up()
    headers = [(b"Authorization", b"Bearer canary-token"), (b"Cookie", b"session=canary-cookie"), (b"X-App", b"a$b")]
    async with shadowing(state, effective(candidate.port)), Worker(state) as worker:
        worker.mirror(target="/orders/17?a=$1", answer_body=QUOTES, headers=headers)
        name = await kept_name(state)
    result = export(state, name, "--pytest", "-o", str(folder / "test_exported.py"))
    assert result.exit_code == 0, result.output
    source = (folder / "test_exported.py").read_text()
    assert "canary" not in source
    assert "\u202e" not in source, "nothing that turns an editor's lines around"
    secrets = {"SECRET_AUTHORIZATION": "canary-token", "SECRET_COOKIE_SESSION": "canary-cookie"}
    assert all(secret in source for secret in secrets)
    service = {"SERVICE_URL": f"http://127.0.0.1:{candidate.port}", "HOME": "/nowhere"}
    unset, told = await run(folder, **service)
    assert unset == 1
    assert "set SECRET_AUTHORIZATION" in told
    before, told = await run(folder, **service, **secrets)
    assert before == 1, told
    assert "/price: expected Decimal('1.10'), got 2" in told
    candidate.body = lambda target: QUOTES
    after, told = await run(folder, **service, **secrets)
    assert after == 0, told
    target, asked, _ = candidate.requests[-1]
    await candidate.down()
    assert target == "/orders/17?a=$1"
    assert (asked["authorization"], asked["cookie"]) == ("Bearer canary-token", "session=canary-cookie")
    assert (asked["x-app"], asked["x-fig-copy"]) == ("a$b", "shadow")


async def test_an_exported_write_has_its_body_and_a_key_of_its_own(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    candidate = await Service().up()
    async with shadowing(state, effective(candidate.port)), Worker(state) as worker:
        await worker.write(body=b'{"card": "4111 1111 1111 1111", "n": 1}')
        name = await kept_name(state)
        result = export(state, name, "--pytest")
    assert "4111" not in result.output
    (tmp_path / "test_exported.py").write_text(result.output)
    code, told = await run(
        tmp_path,
        SERVICE_URL=f"http://127.0.0.1:{candidate.port}",
        SECRET_BODY="4111111111111111",
        SECRET_COOKIE_SESSION="s",
    )
    first, again = candidate.requests
    await candidate.down()
    assert code == 0, told
    assert again[2] == b'{"card": "4111111111111111", "n": 1}'
    assert first[1]["idempotency-key"] != again[1]["idempotency-key"]


def test_what_cannot_be_exported_exits_2_and_says_why(tmp_path: Path) -> None:
    assert "say --pytest" in export(tmp_path, "any").output
    missing = export(tmp_path, "any", "--pytest")
    assert missing.exit_code == 2
    assert "there are no pairs" in missing.output
