"""docs/changing-rules.md: what its commands print is what they print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from rules.expecting.expectations import cases_of

PAGE = (Path(__file__).parents[3] / "docs" / "changing-rules.md").read_text(encoding="utf-8")
RULES = """\
version: 1
services:
  shop: {url: http://127.0.0.1:9000}
  catalog: {url: http://127.0.0.1:9001}
  checkout: {url: http://127.0.0.1:9002}
legacy: shop
routes:
  - name: catalog
    match: {path: /api/products/**, methods: [GET, HEAD]}
    candidate: catalog
    stage: canary
    share: %s
    unit: {cookie: fig_unit}
  - name: special
    match: {path: /api/products/special, methods: [GET]}
    candidate: catalog
  - {name: cart, match: {path: /api/cart/**}, candidate: checkout}
  - {name: checkout, match: {path: '/api/checkout/{order}', methods: [POST]}, candidate: checkout}
"""
SHOWN = re.findall(r"```console\n\$ (fig [^\n]*)\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("command", "printed"), SHOWN, ids=[command.split()[2] for command, _ in SHOWN])
def test_what_the_page_shows_is_printed(
    command: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = ("5%", "10%") if "diff" in command else ("10%", "5%")
    (tmp_path / "before.yaml").write_text(RULES % before)
    (tmp_path / "fig.yaml").write_text(RULES % after)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIG_CONFIG", raising=False)
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    assert result.stdout == printed


def test_the_page_shows_check_explain_and_diff() -> None:
    assert [command.split()[2] for command, _ in SHOWN] == ["check", "explain", "diff"]


def test_the_page_has_a_test_file_that_can_be_read() -> None:
    [text] = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "tests:" in block]
    assert [case.name for case in cases_of(text, "fig.test.yaml").cases] == [
        "at 25 % this shopper is the candidate's",
        "one line for each request, row 1",
        "one line for each request, row 2",
    ]
