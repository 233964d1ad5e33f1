"""Files that a service's `tls` names and that are not there: said with their place, no error, not where they are."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from proxy.cli import app
from proxy.rulebook import load

RULES = """version: 1
services:
  legacy:
    url: https://shop.example
    tls:
      ca: {folder}/ca.pem
      certificate: {folder}/fig.crt
      key: {folder}/fig.key
legacy: legacy
routes: []
"""


def test_each_is_a_warning_at_its_place(tmp_path: Path) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text(RULES.format(folder=tmp_path))
    (tmp_path / "fig.key").touch()

    warnings = load(file).warnings

    assert [(each.code, each.place.line) for each in warnings] == [("absent-file", 6), ("absent-file", 7)]
    assert warnings[0].message == (
        f"'ca': {tmp_path}/ca.pem is not on this machine; where fig runs it has to be, or every request to the service "
        "'legacy' fails"
    )


def test_check_says_so_and_may_be_told_not_to(tmp_path: Path) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text(RULES.format(folder=tmp_path))

    told = CliRunner().invoke(app, ["rules", "check", str(file)])
    allowed = CliRunner().invoke(app, ["rules", "check", "--strict", "--allow", "absent-file", str(file)])

    assert (told.exit_code, told.output.count("is not on this machine")) == (0, 3)
    assert allowed.exit_code == 0, allowed.output
