"""`fig shadow report` as people and CI call it: what it prints, what it writes, how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from proxy.cli import app
from proxy.publication import publish
from proxy.rulebook import load
from rules.document import Rules
from rules.effective import Effective
from shadow.comparing.compare import judge
from shadow.pairs.store import PairStore
from shadow.spec import Comparison
from tests.fakes.pairs import answer, pair

RULES = """
version: 1
services: {legacy: {url: "http://127.0.0.1:9000"}, shop: {url: "http://127.0.0.1:9001"}}
legacy: legacy
routes:
  - {name: shop, match: {path: /shop/**}, candidate: shop, stage: shadow,
     shadow: {certificate: {accuracy: 80%, pairs: 20}}}
"""


def fill(folder: Path, equal: int, different: int, hostile: str = "other") -> None:
    store = PairStore(folder / ".fig" / "pairs.db", b"k" * 32)
    right, wrong = answer({"price": 1.5}), answer({"price": hostile})
    made = [
        pair(right, right if number < equal else wrong, number, route="shop") for number in range(equal + different)
    ]
    store.add_many([judge(each, Comparison()) for each in made])
    store.close()


def report(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["shadow", "report", *arguments])


def test_pairs_that_agree_exit_0(folder: Path) -> None:
    fill(folder, 20, 0)
    result = report()
    assert result.exit_code == 0
    assert "All 20 compared answers agree." in result.output
    assert "TOO FEW" in result.output


def test_pairs_that_differ_exit_1_and_name_the_place_and_both_values(folder: Path) -> None:
    fill(folder, 3, 2)
    result = report("shop")
    assert result.exit_code == 1
    assert "/price has another type  2 of 5 pairs (40.00%)" in result.output
    assert "legacy     1.5" in result.output
    assert 'candidate  "other"' in result.output


def test_keys_that_a_service_made_up_do_not_drive_the_terminal(folder: Path) -> None:
    store = PairStore(folder / ".fig" / "pairs.db", b"k" * 32)
    store.add_many([judge(pair(answer({}), answer({"\x1b[2J\x9b1m": 1}), 1, route="shop"), Comparison())])
    store.close()

    printed = report().output

    assert "\x1b" not in printed
    assert "\x9b" not in printed
    assert "\\x1b[2J" in printed


def test_the_rules_file_says_what_the_certificate_must_show(folder: Path) -> None:
    (folder / "fig.yaml").write_text(RULES)
    fill(folder, 20, 0)
    assert "GO  none of the first 20 pairs differs" in report("-c", "fig.yaml").output


def test_the_rules_that_run_say_what_the_certificate_must_show_where_no_file_is_named(folder: Path) -> None:
    (folder / "fig.yaml").write_text(RULES)
    book = load(folder / "fig.yaml")
    (folder / "fig.yaml").write_text("version: 1  # edited since, and broken")
    certificates = {route: target.model_dump(mode="json") for route, target in book.certificates.items()}
    table = Effective(generation=1, rules=book.rules, certificates=certificates)
    fill(folder, 20, 0)
    assert "300" in report().output, "the default, as long as nothing was published"
    publish(folder / ".fig", table)
    assert "GO  none of the first 20 pairs differs" in report().output


def test_a_rules_file_with_problems_exits_2_and_shows_the_first(folder: Path) -> None:
    (folder / "fig.yaml").write_text("version: 1\nservcies: {}\n")
    fill(folder, 1, 0)
    result = report("-c", "fig.yaml")
    assert result.exit_code == 2
    assert "fig.yaml:" in result.output


def test_the_effective_table_says_where_routes_stand(folder: Path) -> None:
    fill(folder, 1, 0)
    rules = Rules.model_validate(
        {
            "services": {"legacy": {"url": "http://127.0.0.1:9000"}, "shop": {"url": "http://127.0.0.1:9001"}},
            "legacy": "legacy",
            "routes": [{"name": "shop", "match": {"path": "/shop/**"}, "candidate": "shop", "stage": "shadow"}],
            "version": 1,
        }
    )
    publish(folder / ".fig", Effective(generation=1, rules=rules))
    assert json.loads(report("--json").output)["routes"][0]["stage"] == "shadow"


@pytest.mark.parametrize("command", ["deliveries", "doubts", "gaps"])
def test_nothing_is_owed_of_a_route_that_there_is_only(folder: Path, command: str) -> None:
    services = {"legacy": {"url": "http://127.0.0.1:9000"}, "shop": {"url": "http://127.0.0.1:9001"}}
    shop = {"name": "shop", "match": {"path": "/shop/**"}, "candidate": "shop", "stage": "shadow"}
    rules = {"services": services, "legacy": "legacy", "routes": [shop], "version": 1}
    publish(folder / ".fig", Effective(generation=1, rules=Rules.model_validate(rules)))

    known = CliRunner().invoke(app, ["shadow", command, "--route", "shop"])
    assert known.exit_code == 0, known.output
    mistyped = CliRunner().invoke(app, ["shadow", command, "--route", "shpo"])
    assert mistyped.exit_code == 2, "a check in CI must not be green for a typing error"
    assert "there is no route 'shpo'; did you mean 'shop'?" in mistyped.stderr


def test_a_route_without_sides_has_nothing_to_report(folder: Path) -> None:
    fill(folder, 1, 0)
    gone = {"name": "gone", "match": {"path": "/gone"}, "respond": {"status": 410}}
    services = {"legacy": {"url": "http://127.0.0.1:9000"}}
    rules = {"version": 1, "services": services, "legacy": "legacy", "routes": [gone]}
    publish(folder / ".fig", Effective(generation=1, rules=Rules.model_validate(rules)))

    assert "gone" not in report("--json").output
    result = report("gone")
    assert (result.exit_code, "there is no route 'gone'" in result.output) == (2, True)


def test_json_is_one_document_on_stdout(folder: Path) -> None:
    fill(folder, 1, 1)
    result = report("--json", "--html", "report.html")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["routes"][0]["differing"] == 1
    assert "<title>" in (folder / "report.html").read_text()


def test_a_state_folder_that_is_not_there_exits_2_and_says_what_to_do(folder: Path) -> None:
    result = report("--state", "elsewhere")
    assert result.exit_code == 2
    assert "elsewhere: no such state folder; name the one of a running fig with --state" in result.output
    assert report().exit_code == 2  # a state folder without pairs


def test_an_unknown_route_exits_2_with_a_suggestion(folder: Path) -> None:
    fill(folder, 1, 0)
    result = report("shp")
    assert result.exit_code == 2
    assert "did you mean 'shop'?" in result.output


def test_nothing_compared_exits_3(folder: Path) -> None:
    PairStore(folder / ".fig" / "pairs.db", b"k" * 32).close()
    result = report()
    assert result.exit_code == 3
    assert "Nothing was compared yet" in result.output


def test_a_file_that_cannot_be_written_exits_2(folder: Path) -> None:
    fill(folder, 1, 0)
    result = report("--html", "no/such/folder.html")
    assert result.exit_code == 2
    assert "cannot be written" in result.output


def test_what_a_service_answered_does_not_drive_the_terminal(folder: Path) -> None:
    fill(folder, 0, 1, hostile="\x9b31m\x1b]0;owned\x07 [bold]")
    output = report().output
    assert not [each for each in output if not each.isprintable() and each != "\n"]
    assert "[bold]" in output  # and rich's own marks are not taken for marks
