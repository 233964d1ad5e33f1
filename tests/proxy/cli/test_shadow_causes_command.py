"""`fig shadow causes` as people and CI call it; `acknowledge` by way of a running control and shadower."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner, Result

from proxy.cli import app
from shadow.causes.states import Acknowledgement
from shadow.comparing.compare import judge
from shadow.pairs.cause_reader import read_causes
from shadow.pairs.reader import PairReader
from shadow.pairs.store import PairStore
from shadow.spec import Comparison
from tests.fakes.pairs import answer, pair


def change(folder: Path, work: Callable[[PairStore], object]) -> None:
    store = PairStore(folder / ".fig" / "pairs.db", b"k" * 32)
    work(store)
    store.close()


def fill(folder: Path, count: int = 3, name: str = "price") -> None:
    made = [
        pair(answer({name: number + 0.25}), answer({name: number * 100 + 25}), number, route="shop")
        for number in range(1, count + 1)
    ]
    change(folder, lambda store: store.add_many([judge(each, Comparison()) for each in made]))


def causes(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["shadow", "causes", *arguments])


def test_a_cause_that_nobody_acknowledged_exits_1_and_is_told_in_words(folder: Path) -> None:
    fill(folder)
    result = causes("shop")
    assert result.exit_code == 1
    told = " ".join(result.output.split())
    assert "shop 1 cause" in told
    assert (
        "new price is 100 times as large in the candidate: for example legacy says 1.25, the candidate says 125" in told
    )
    assert "(in 3 of 3 answers, at /price) first seen 2023-11-14" in told


def test_json_has_what_a_machine_wants(folder: Path) -> None:
    fill(folder)
    (route,) = json.loads(causes("--json").output)["routes"]
    (cause,) = route["causes"]
    assert (route["route"], cause["transform"], cause["state"], cause["pairs"]) == ("shop", "scale:100", "new", 3)
    assert cause["places"] == [
        {"path": "/price", "kind": "value_changed", "pairs": 3, "differences": 3, "unexplained": 0}
    ]
    assert cause["examples"][0] == {"pair": "pair-1", "pointer": "/price", "legacy": "1.25", "candidate": "125"}


def test_acknowledged_causes_exit_0_and_say_who_knows(folder: Path) -> None:
    fill(folder)
    with PairReader(folder / ".fig" / "pairs.db") as reader:
        (known,) = read_causes(reader, "shop")
    note = Acknowledgement(known.cause.id, "ada", "cents are meant", 1.0, ("/price",))
    change(folder, lambda store: store.acknowledge("shop", note))
    result = causes()
    assert result.exit_code == 0
    assert "acknowledged  (ada: cents are meant)" in result.output
    report = CliRunner().invoke(app, ["shadow", "report"])
    assert report.exit_code == 1, "its differences count as before"


def test_markdown_is_a_table_that_no_value_breaks(folder: Path) -> None:
    fill(folder, name="a|b<i>")
    causes("--markdown", "causes.md")
    lines = (folder / "causes.md").read_text().splitlines()
    assert lines[0] == "## shop"
    (row,) = [line for line in lines if "scale" in line or "100 times" in line]
    assert "a\\|b&lt;i>" in row
    assert row.replace("\\|", "").count("|") == 6


def test_without_differences_there_is_no_cause(folder: Path) -> None:
    same = pair(answer(1), answer(1), route="shop")
    change(folder, lambda store: store.add_many([judge(same, Comparison())]))
    result = causes()
    assert (result.exit_code, "no differences" in result.output) == (0, True)


def test_nothing_compared_exits_3_and_nothing_to_read_exits_2(folder: Path) -> None:
    assert causes().exit_code == 2
    change(folder, lambda store: None)
    assert causes().exit_code == 3
    fill(folder)
    unknown = causes("shp")
    assert (unknown.exit_code, "did you mean 'shop'?" in unknown.output) == (2, True)


def test_what_a_service_answered_does_not_drive_the_terminal(folder: Path) -> None:
    fill(folder, name="\x1b[2J\x9b1m")
    output = causes().output
    assert "\x1b" not in output
    assert "\x9b" not in output


def test_acknowledging_without_a_control_exits_2(folder: Path) -> None:
    result = CliRunner().invoke(app, ["shadow", "acknowledge", "abc", "--why", "x", "--admin", "127.0.0.1:1"])
    assert (result.exit_code, "control is not reachable" in result.output) == (2, True)
