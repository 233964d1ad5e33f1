from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.pair_folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A state folder with pairs."""
    opened = Folder(tmp_path)
    yield opened
    opened.store.close()
