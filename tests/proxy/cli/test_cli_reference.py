"""docs/cli.md is what the program would write."""

from __future__ import annotations

from pathlib import Path

from proxy.cli.reference import page


def test_the_page_on_commands_is_fresh() -> None:
    found = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()

    assert found == page(), "docs/cli.md is stale; run `python -m proxy.cli.reference > docs/cli.md`"
