"""`fig rules diff` tells of probes, and shows no secret of theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from tests.fakes.probed import probe, rules_of, write


def file_of(folder: Path, **keys: Any) -> str:
    folder.mkdir()
    step = {
        "path": "/cart/1?k=${SECRET}",
        "headers": {"authorization": "x${SECRET}"},
        "json": {"password": "tiddlywinks"},
    }
    return str(write(folder, rules_of("http://legacy", "http://shop", {"buy": probe({**step, **keys})})))


def test_a_changed_probe_is_told_without_its_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "sesame-7")
    before, after = file_of(tmp_path / "a"), file_of(tmp_path / "b", expect={"latency": "1s"})
    told = CliRunner().invoke(app, ["rules", "diff", before, after])
    whole = CliRunner().invoke(app, ["rules", "diff", before, after, "--json"])
    assert "probe 'buy'" in told.output
    for secret in ("sesame", "tiddlywinks"):
        assert secret not in told.output + whole.output
