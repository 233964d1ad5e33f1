"""`fig rules test` as people and CI call it."""

from __future__ import annotations

import json
import os
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from proxy.cli import app

ROOT = Path(__file__).parents[3]
RULES = """
version: 1
services: {legacy: {url: http://127.0.0.1:9000}, shop: {url: http://127.0.0.1:9001}}
legacy: legacy
routes:
  - {name: cart, match: {path: /cart}, candidate: shop, stage: live}
  - {name: shop, match: {path: /shop/**}, candidate: shop}
"""
TESTS = """
tests:
  - {name: the cart is the shop's, request: {url: /cart}, expect: {route: cart, side: candidate}}
  - name: the shop is not
    request: {url: /shop/7}
    expect: {side: candidate}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fig.yaml").write_text(RULES)
    (tmp_path / "fig.test.yaml").write_text(TESTS)
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["rules", "test", *map(str, arguments)])


def test_a_failing_test_is_told_with_its_place_what_was_expected_and_what_came(folder: Path) -> None:
    result = run(folder / "fig.test.yaml")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{folder}/fig.test.yaml:6:20: the shop is not: side: expected candidate, got legacy "
        "(in stage legacy legacy always answers)",
        "2 tests: 1 fine, 1 failed",
    ]


def test_a_folder_means_its_tests_and_a_name_means_those_that_have_it(folder: Path) -> None:
    result = run(folder, "-k", "CART")
    assert (result.exit_code, result.stdout) == (0, "1 test: 1 fine, 0 failed\n")


def test_routes_that_no_test_reaches_are_told_and_may_fail_the_run(folder: Path) -> None:
    result = run(folder, "-k", "cart", "--fail-under", "90%")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{folder}/fig.yaml: tests reach 1 of 2 routes (50%)",
        "  shop: no test reaches it",
        "  cart: no test sees legacy answer",
        "1 test: 1 fine, 0 failed",
        f"{folder}/fig.yaml: tests reach 50% of the routes, and --fail-under wants 90%; not reached: shop",
    ]
    assert run(folder, "-k", "cart", "--cover", "--fail-under", "50%").exit_code == 0


def test_the_rules_that_are_named_go_before_those_that_the_tests_name(folder: Path) -> None:
    other = folder / "next.yaml"
    other.write_text(RULES.replace("candidate: shop}\n", "candidate: shop, stage: live}\n"))
    assert run(folder / "fig.test.yaml", "-c", other).exit_code == 0
    (folder / "fig.test.yaml").write_text("rules: next.yaml\n" + TESTS)
    assert run(folder / "fig.test.yaml").exit_code == 0


def test_json_and_junit_say_the_same(folder: Path) -> None:
    junit = folder / "out.xml"
    result = run(folder, "--json", "--junit", junit, "--fail-under", "100%")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["ok"], report["tests"], report["failed"]) == (1, False, 2, 1)
    [failure] = report["results"][1]["failures"]
    assert (failure["key"], failure["expected"], failure["got"], failure["line"]) == ("side", "candidate", "legacy", 6)
    assert report["coverage"][0]["reached"] == "100%"
    suite = ET.parse(junit).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    [case] = [case for case in suite if case.get("name") == "the shop is not"]
    assert "expected candidate, got legacy" in (case[0].get("message") or "")
    assert case.get("line") == "4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tests: [{name: t, request: {url: /}, expect: {sid: x}}]", "fig.test.yaml:1:47: unknown key 'sid'"),
        ("at: {crt: live}\n" + TESTS, "fig.test.yaml:1:6: 'at': no route is named 'crt'; did you mean 'cart'?"),
        ("rules: other.yaml\n" + TESTS, "other.yaml:1:1: cannot be read: No such file or directory"),
        ("", "fig.test.yaml:1:1: the file is empty; begin with 'tests:'"),
    ],
)
def test_a_file_that_cannot_be_used_exits_2_and_says_where(folder: Path, text: str, message: str) -> None:
    (folder / "fig.test.yaml").write_text(text)
    result = run(folder / "fig.test.yaml")
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-k", "nothing"], "no test's name contains 'nothing'"),
        (["--fail-under", "much"], "--fail-under: 'much' is not a share; write it like 1%"),
        (["--junit", "/nowhere/out.xml"], "/nowhere/out.xml: cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_asked_exits_2(folder: Path, arguments: list[str], message: str) -> None:
    result = run(folder / "fig.test.yaml", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_folder_without_tests_is_no_success(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert (result.exit_code, result.stderr) == (2, f"{tmp_path} holds no *.test.yaml\n")


def test_tests_in_a_folder_of_rules_are_no_rules(folder: Path) -> None:
    checked = CliRunner().invoke(app, ["rules", "check", str(folder)])
    assert checked.exit_code == 0, checked.output
    assert run(folder, "-c", folder, "-k", "cart").exit_code == 0


def test_the_example_keeps_its_promises_and_every_route_and_side_is_tested(tmp_path: Path) -> None:
    result = run(ROOT / "examples/pinnacle", "--cover", "--fail-under", "100%", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 0, result.stdout
    assert report["tests"] > 20
    assert report["coverage"][0]["one_sided"] == []
    # And they are tests: another file fails them.
    for name in ("fig.yaml", "fig.test.yaml"):
        shutil.copy(ROOT / "examples/pinnacle" / name, tmp_path)
    text = (tmp_path / "fig.yaml").read_text()
    (tmp_path / "fig.yaml").write_text(text.replace("/api/products/**", "/api/products/*"))
    assert run(tmp_path).exit_code == 1


def test_a_pipe_is_refused_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.test.yaml")
    result = run(folder / "pipe.test.yaml")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{folder}/pipe.test.yaml:1:1: cannot be read: it is no regular file")
