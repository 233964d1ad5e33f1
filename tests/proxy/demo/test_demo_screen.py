"""What the demo shows, where there is a terminal and where there is none."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from proxy.demo.screen import Screen, clock, milliseconds, standing, summary, table_of, told
from proxy.demo.story import Ending, Finding, Move
from proxy.demo.watch import RouteView, SideView, View
from rules.stages import Stage

QUIET = SideView(0, 0, None, None)
CART = RouteView(
    "cart", Stage.CANARY, 0.25, False, SideView(30, 0, 0.0124, 0.031), QUIET, "keep watching", "", False, None
)
VIEW = View(7, True, 0.0, (), (CART,), 12)


def printed(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def lines(terminal: bool) -> Console:
    return Console(file=io.StringIO(), width=130, force_terminal=terminal)


def test_without_a_terminal_a_table_comes_now_and_then_only() -> None:
    console = lines(terminal=False)
    screen = Screen(console, began=100.0, shown_every=15)
    screen.open()

    for now in (101.0, 114.0, 115.0, 116.0, 131.0):
        screen.show(VIEW, "shoppers: 30 requests", now)
    screen.close()

    assert printed(console).count("generation 7") == 2
    assert "\x1b" not in printed(console)


def test_every_figure_can_be_read_on_a_terminal_of_80_characters() -> None:
    busy = SideView(123_456, 12, 0.0124, 0.131)
    console = Console(file=io.StringIO(), width=80)

    console.print(table_of(replace(VIEW, routes=(replace(CART, legacy=busy, candidate=busy, share=1.0),)), "title"))

    [row] = [line for line in printed(console).splitlines() if "cart" in line]
    assert row.split()[:8] == ["cart", "canary", "100%", "123456", "123456", "12/12", "12.4/131", "12.4/131"]


def test_with_a_terminal_the_table_lives_until_the_end() -> None:
    console = lines(terminal=True)
    screen = Screen(console, began=100.0, shown_every=15)
    screen.open()

    screen.show(VIEW, "shoppers: 30 requests", 101.0)
    screen.event(101.5, "something happened")
    screen.close()

    assert "keep watching" in printed(console)
    assert "something happened" in printed(console)
    assert "\x1b[?25h" in printed(console)


def test_a_line_of_history_says_route_action_place_and_why_in_one_line() -> None:
    move = Move(0.0, "cart", "pilot", "promote", Stage.CANARY, 0.25, "a reason that is " + "long " * 60)
    console = lines(terminal=False)

    Screen(console, began=0.0, shown_every=1).event(3.21, told(move))

    assert printed(console).startswith(" 0:03.2  cart      promote  canary 25%  a reason")
    assert printed(console).endswith("(pilot)\n")
    assert printed(console).count("\n") == 1


def test_what_stands_in_the_last_column_depends_on_the_stage() -> None:
    def route(stage: Stage, gate: str = "", certificate: str = "", frozen: bool = False) -> RouteView:
        return RouteView("cart", stage, 0.0, frozen, QUIET, QUIET, gate, certificate, False, None)

    assert standing(route(Stage.SHADOW, certificate="GO: 60 of 60 pairs")) == "GO: 60 of 60 pairs"
    assert standing(route(Stage.CANARY)) == "gathering evidence"
    assert standing(route(Stage.CANARY, gate="promote")) == "promote"
    assert standing(route(Stage.LIVE, certificate="GO")) == ""
    assert standing(route(Stage.CANARY, gate="promote", frozen=True)) == "frozen"


def test_times_read_as_people_write_them() -> None:
    assert clock(7.34) == "0:07.3"
    assert clock(83.0) == "1:23.0"
    assert clock(-1.0) == "0:00.0"
    assert milliseconds(SideView(3, 0, 0.0124, 0.031)) == "12.4/31"
    assert milliseconds(QUIET) == "-"


def test_the_summary_ends_with_the_exit_code_and_names_the_report_that_is_there(tmp_path: Path) -> None:
    report, certificate = tmp_path / "report.html", tmp_path / "certificate.json"
    files = [("shadow report", report), ("certificate", certificate)]
    ending = Ending((Finding("cart", False, "cart went live"),), None)

    without = [line.plain for line in summary(ending, 33.0, files)]
    report.write_text("")
    certificate.write_text("")
    with_report = [line.plain for line in summary(Ending((), 2.5), 33.0, files)]

    assert "  NOT cart      cart went live" in without
    assert without[-1] == "not all of it happened, in 33 s; exit code 1"
    assert not any("report" in line for line in without)
    assert any(str(report) in line for line in with_report)
    assert any(str(certificate) in line for line in with_report)
    assert any("2.5 s" in line for line in with_report)
    assert with_report[-1].endswith("exit code 0")
