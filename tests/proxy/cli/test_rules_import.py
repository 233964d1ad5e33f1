"""`fig rules import` as it is typed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app

ROUTES = Path(__file__).parents[2] / "rules" / "imports" / "shop-routes.yaml"
ONE = """
kind: HTTPRoute
metadata: {name: one}
spec: {rules: [{backendRefs: [{name: shop, port: 80}]}]}
"""


def run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["rules", "import", *args])
    return result.exit_code, result.stdout, result.stderr


def test_a_draft_is_written_that_fig_rules_check_takes(tmp_path: Path) -> None:
    draft = tmp_path / "fig.yaml"
    code, out, err = run(str(ROUTES), "-o", str(draft))
    assert (code, out) == (1, "")
    assert "7 routes, 3 services, 3 not carried; legacy is 'monolith': it answers the path /" in err
    assert err.count("not carried: ") == 3
    assert CliRunner().invoke(app, ["rules", "check", str(draft)]).exit_code == 0


def test_what_was_not_carried_stands_at_the_top_of_the_draft_too() -> None:
    code, out, _ = run(str(ROUTES))
    assert code == 1
    head = out.partition("\nversion:")[0]
    assert "# Not carried (3):" in head
    assert "spec.rules[1].retry.backoff" in head


def test_a_configuration_that_is_carried_whole_exits_0(tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(ONE)
    code, out, err = run(str(file), "--json")
    report = json.loads(out)
    assert (code, err, report["not_carried"]) == (0, "", [])
    assert report["rules"]["routes"] == [{"name": "root", "match": {"path": "/**"}, "legacy": "shop"}]
    assert report["origins"]["root"]["origin"] == f"{file}:4"


def test_a_draft_never_overwrites_a_file(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").write_text("mine")
    code, _, err = run(str(ROUTES), "-o", str(tmp_path / "fig.yaml"))
    assert (code, (tmp_path / "fig.yaml").read_text()) == (2, "mine")
    assert "is there already" in err


@pytest.mark.parametrize(("name", "text"), [("a.yaml", "a: ["), ("a.yaml", "kind: Service"), ("none.yaml", None)])
def test_what_cannot_be_read_exits_2_with_its_place(tmp_path: Path, name: str, text: str | None) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    code, out, err = run(str(file))
    assert (code, out) == (2, "")
    assert err.startswith(f"{file}:")
    assert "Traceback" not in err


def test_a_legacy_that_is_no_service_exits_2_and_names_those_there_are() -> None:
    code, _, err = run(str(ROUTES), "--legacy", "shop")
    assert code == 2
    assert "'monolith', 'search-next', 'catalog'" in err


def test_without_the_parser_of_nginx_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "crossplane", None)
    (tmp_path / "nginx.conf").write_text("http { }")
    code, out, err = run(str(tmp_path / "nginx.conf"))
    assert (code, out) == (2, "")
    assert "run `pip install crossplane`" in err


def test_a_configuration_of_nginx_is_drafted_checked_and_listed(tmp_path: Path) -> None:
    shop, draft = ROUTES.with_name("shop.conf"), tmp_path / "fig.yaml"
    code, _, err = run(str(shop), "-o", str(draft))
    assert code == 1
    listed = [line.removeprefix("not carried: ") for line in err.splitlines() if line.startswith("not carried: ")]
    assert listed
    assert all(f"#   {each}\n" in draft.read_text() for each in listed)
    assert CliRunner().invoke(app, ["rules", "check", str(draft)]).exit_code == 0


def test_a_draft_that_cannot_be_written_exits_2(tmp_path: Path) -> None:
    code, _, err = run(str(ROUTES), "-o", str(tmp_path / "none" / "fig.yaml"))
    assert (code, "cannot be written: No such file or directory" in err) == (2, True)
