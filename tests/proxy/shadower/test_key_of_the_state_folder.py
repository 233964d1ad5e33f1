"""The key of a state folder: in its file or in the environment, and what happens where it is another one or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli.shadow import app
from proxy.shadower.process import Settings, Shadower, StartError
from shadow.journal.reader import JournalReader
from shadow.journal.writes import Standing
from shadow.sealing import KEY_VARIABLE, Sealer
from tests.fakes.shadowing import Service, Worker, effective, eventually, shadower_process, shadowing


async def owe_a_copy(state: Path) -> None:
    """One write of which the candidate, which is away, is owed the copy."""
    async with shadowing(state, effective(9)) as fig, Worker(state) as worker:
        await worker.write()
        assert fig.standing.undelivered == 1


async def test_it_does_not_start_on_a_journal_whose_key_is_gone_or_another(tmp_path: Path) -> None:
    await owe_a_copy(tmp_path)
    key = (tmp_path / "key").read_bytes()

    (tmp_path / "key").unlink()
    with pytest.raises(StartError, match=r"key: the key of this state folder is missing"):
        Shadower(Settings(tmp_path, 5.0, None))
    assert not (tmp_path / "key").exists()
    (tmp_path / "key").write_bytes(os.urandom(32))
    with pytest.raises(StartError, match=r"journal\.db: was sealed with another key"):
        Shadower(Settings(tmp_path, 5.0, None))

    (tmp_path / "key").write_bytes(key)
    service = await Service().up()
    async with shadowing(tmp_path, effective(service.port, generation=2)) as fig:
        await eventually(lambda: fig.standing == Standing(), "nothing was lost: the copy is delivered")
    await service.down()


async def test_a_key_of_the_environment_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "17" * 32)

    async with shadower_process(tmp_path, effective(9)), Worker(tmp_path) as worker:
        sequence = await worker.write(body=b'{"note":1}')
        reader = JournalReader(tmp_path / "journal.db", Sealer(bytes([0x17] * 32)))
        assert reader.original(sequence)[1].body == b'{"note":1}'
        reader.close()

    assert not (tmp_path / "key").exists()
    assert bytes([0x17] * 32) not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_a_key_of_the_environment_that_is_none_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "journal.db").touch()
    monkeypatch.setenv(KEY_VARIABLE, "my secret")

    told = CliRunner().invoke(app, ["doubts", "--state", str(tmp_path)])

    assert told.exit_code == 2
    assert "FIG_KEY: is no key; write 64 hex digits" in told.stderr
    assert "my secret" not in told.stderr


@pytest.mark.parametrize(("command", "code"), [("deliveries", 0), ("gaps", 0), ("doubts", 2)])
async def test_reading_a_copy_of_a_state_folder_makes_no_key(tmp_path: Path, command: str, code: int) -> None:
    await owe_a_copy(tmp_path)
    (tmp_path / "key").unlink()

    told = CliRunner().invoke(app, [command, "--state", str(tmp_path)])

    assert told.exit_code == code, told.output
    assert not (tmp_path / "key").exists()
