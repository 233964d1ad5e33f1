from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a state folder in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".fig").mkdir()
    return tmp_path
