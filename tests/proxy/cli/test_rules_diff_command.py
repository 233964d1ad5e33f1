"""`fig rules diff` as a platform team runs it: in a terminal, in a pull request, in CI."""

from __future__ import annotations

import gzip
import json
import re
import xml.etree.ElementTree as ET
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from proxy.cli import app
from proxy.cli.rules.diff.markdown import code, plain
from proxy.rulebook import load
from rules.effective import Effective, Position
from rules.stages import Stage
from tests.rules.changes.test_traffic_log import ALB, FIG

PAIRS = Path(__file__).parents[2] / "rules" / "changes"
SHOP, PILOT, QUIET = (
    [str(PAIRS / name / "before.yaml"), str(PAIRS / name / "after.yaml")] for name in ("shop", "pilot", "quiet")
)


def diff(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["rules", "diff", *map(str, arguments)], input=stdin)


def combined(*requests: str) -> str:
    """A log of these requests, each from a client of its own."""
    lines = (
        f'203.0.113.{n} - - [22/Nov/2026:13:00:00 +0000] "{each} HTTP/1.1" 200 1\n' for n, each in enumerate(requests)
    )
    return "".join(lines)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "access.log"
    file.write_text(combined(*["GET /orders/7"] * 10, *["GET /reports/q3"] * 2, *["GET /carts/1"] * 8))
    return file


def test_it_says_what_changed_what_goes_elsewhere_and_shows_a_request() -> None:
    result = diff(*SHOP)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].endswith("1 route added, 1 removed, 1 renamed, 2 changed; 3 other keys changed")
    at = lines.index("~ route 'orders'  sends requests elsewhere")
    assert lines[at + 1 : at + 6] == [
        "    share: 5% -> 10%",
        "    ! the file's share changed, so it applies as soon as the file is loaded, wherever the route stands now",
        "    GET or HEAD /orders/**, but for what 'order-export' takes first",
        "      units [5%, 10%) go from legacy monolith to candidate orders",
        "      for example: GET /orders/x",
    ]


def test_a_rename_is_told_loudly_and_with_the_way_out() -> None:
    assert "! THE SALT CHANGES WITH THE NAME" in diff(*SHOP).stdout
    assert "'group: products' on the route keeps each unit where it is" in diff(*SHOP).stdout


def test_a_change_that_moves_nobody_is_said_to_move_nobody() -> None:
    result = diff(*QUIET, "--fail-on", "moved>0")
    assert result.exit_code == 0
    assert "No request goes elsewhere" in result.stdout
    assert "fine  --fail-on moved>0: no request goes elsewhere" in result.stdout


def test_a_file_and_itself_have_no_difference() -> None:
    result = diff(SHOP[0], SHOP[0])
    assert result.exit_code == 0
    assert "no difference" in result.stdout


def test_folders_are_compared_as_files_are(tmp_path: Path) -> None:
    (tmp_path / "routes").mkdir()
    (tmp_path / "fig.yaml").write_text(Path(QUIET[0]).read_text().partition("routes:")[0])
    (tmp_path / "routes" / "10.yaml").write_text("routes:" + Path(QUIET[0]).read_text().partition("routes:")[2])
    assert "no difference" in diff(tmp_path, QUIET[0]).stdout


def test_the_rules_as_they_were_may_come_from_git_by_a_pipe() -> None:
    result = diff("-", SHOP[1], stdin=Path(SHOP[0]).read_text())
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == diff(*SHOP).stdout.splitlines()[1:]
    broken = diff("-", SHOP[1], stdin="version: 2\n")
    assert broken.exit_code == 2
    assert "(stdin):1:10: 'version': must be 1, not 2" in broken.stderr
    assert diff("-", SHOP[1], "--log", "-", stdin="").exit_code == 2


def test_values_of_headers_and_cookies_are_not_shown(tmp_path: Path) -> None:
    for arguments in ([], ["--json"], ["--markdown", "-"]):
        told = diff(*PILOT, *arguments).stdout
        assert "not-for-every-eye" not in told
        assert "Bearer" not in told
        assert "yes-" not in told
        assert "Authorization" in told or "--markdown" in arguments


def test_a_file_that_does_not_load_is_refused_with_its_problems(tmp_path: Path) -> None:
    broken = tmp_path / "fig.yaml"
    broken.write_text("version: 2\n")
    result = diff(SHOP[0], broken)
    assert result.exit_code == 2
    assert f"{broken}:1:10" in result.stderr


def test_routes_stand_where_the_running_fig_has_them(tmp_path: Path) -> None:
    write_state(tmp_path, {"orders": Position(Stage.CANARY, 500_000)})
    result = diff(*SHOP, "--state", tmp_path)
    assert "units [10%, 50%) go from candidate orders to legacy monolith" in result.stdout
    assert "Routes stand where the files say" not in result.stdout
    renamed = diff(QUIET[0], QUIET[1], "--state", tmp_path)
    assert renamed.exit_code == 0


def test_a_route_whose_stage_in_the_file_is_the_same_stays_where_it_runs(tmp_path: Path) -> None:
    write_state(tmp_path, {"orders": Position(Stage.LIVE, 0)})
    after = tmp_path / "after.yaml"
    after.write_text(Path(SHOP[0]).read_text().replace("hold: 30m", "hold: 40m"))
    result = diff(SHOP[0], after, "--state", tmp_path)
    assert "No request goes elsewhere" in result.stdout
    assert "the route stays where it stands" in result.stdout


def write_state(folder: Path, positions: dict[str, Position]) -> None:
    from proxy.publication import publish

    publish(folder, Effective(generation=3, rules=load(Path(SHOP[0])).rules, positions=positions))


def test_a_folder_without_state_is_refused(tmp_path: Path) -> None:
    result = diff(*SHOP, "--state", tmp_path)
    assert result.exit_code == 2
    assert "holds no effective table" in result.stderr


def test_with_a_log_the_headline_is_how_much_of_it_goes_elsewhere(log: Path) -> None:
    result = diff(*SHOP, "--log", log)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == "12.5% of 20 requests would go elsewhere"
    assert "    in the logs: 2 requests (10%) of 2 clients" in result.stdout
    assert "    in the logs: <1 request (2.5%) of <1 client" in result.stdout
    assert "10  /orders/7" in result.stdout


@pytest.mark.parametrize(("text", "format_"), [(FIG, "fig"), (ALB, "alb"), (combined("GET /orders/7"), "combined")])
def test_every_format_is_told_and_counted(tmp_path: Path, text: str, format_: str) -> None:
    file = tmp_path / "some.log"
    file.write_text(text.rstrip("\n") + "\n")
    traffic = json.loads(diff(*SHOP, "--log", file, "--json").stdout)["traffic"]
    assert traffic["logs"][0]["format"] == format_
    assert (traffic["requests"], traffic["moved"]["touched"]) == (1, 1)


def test_a_packed_log_several_logs_and_stdin_count_together(tmp_path: Path, log: Path) -> None:
    packed = tmp_path / "older.log.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    result = diff(*SHOP, "--log", log, "--log", packed, "--log", "-", "--json", stdin=log.read_text())
    traffic = json.loads(result.stdout)["traffic"]
    assert traffic["requests"] == 60
    assert traffic["clients"] == 20


def test_malformed_lines_are_counted_and_shown_by_number(log: Path) -> None:
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join([*lines[:3], "what\n", "\n", *lines[3:], "x" * 100_000 + "\n", "a\n", "b\n"]))
    result = diff(*SHOP, "--log", log)
    assert "4 lines left out as malformed (line 4: it is no line of the Common" in result.stdout
    assert "line 23: " in result.stdout
    reading = json.loads(diff(*SHOP, "--log", log, "--json").stdout)["traffic"]["logs"][0]
    assert (reading["malformed"], reading["lines"], len(reading["examples"])) == (4, 25, 3)


def test_what_a_log_cannot_tell_is_said_and_not_guessed() -> None:
    result = diff(*PILOT, "--log", "-", "--host", "shop.example", stdin=combined("GET /accounts/7"))
    assert "100% cannot be told" not in result.stdout
    inside = combined("GET /accounts/7").replace("203.0.113", "10.0.0")
    told = diff(*PILOT, "--log", "-", "--host", "shop.example", stdin=inside).stdout
    assert "None of 1 request would go elsewhere, 100% cannot be told" in told


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.log", None, "missing.log: cannot be read: No such file or directory"),
        ("odd.log", b"one\ntwo\n", "its first lines are of no known format (fig, combined, alb); name it with"),
        ("cut.log.gz", gzip.compress(b"x" * 1000, mtime=0)[:20], "cut.log.gz: cannot be read"),
    ],
)
def test_a_log_that_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = diff(*SHOP, "--log", tmp_path / name)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("limit", "code_"),
    [
        ("moved>1%", 1),
        ("moved>12.5%", 0),
        ("moved>=12.5%", 1),
        ("moved > 2", 1),
        ("moved>3", 0),
        ("clients>10%", 1),
        ("clients>90%", 0),
        ("undecidable>0", 0),
        ("added>0", 1),
        ("added>1", 0),
        ("renamed>0", 1),
        ("reordered>0", 0),
        ("unreachable>0", 0),
    ],
)
def test_a_limit_decides_the_exit_code(log: Path, limit: str, code_: int) -> None:
    result = diff(*SHOP, "--log", log, "--fail-on", limit)
    assert result.exit_code == code_, result.stdout
    assert ("FAILED" if code_ else "fine") in result.stdout


def test_one_limit_of_several_is_enough(log: Path) -> None:
    assert diff(*SHOP, "--log", log, "--fail-on", "moved>90%", "--fail-on", "removed>0").exit_code == 1


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("moved", "says nothing; write it like moved>1%"),
        ("moved<1%", "says nothing"),
        ("moved>1 %%", "says nothing"),
        ("requests>1%", "known are moved, undecidable, clients, added"),
        ("moved>200%", "more than 100% never holds"),
        ("added>5%", "routes are counted, not part of anything; write added>5"),
        ("moved>=0", "always holds; write moved>0"),
    ],
)
def test_a_limit_that_says_nothing_is_refused_with_right_ones(limit: str, message: str) -> None:
    result = diff(*SHOP, "--fail-on", limit)
    assert result.exit_code == 2
    assert message in result.stderr


def test_how_much_moves_cannot_be_judged_without_a_log_but_that_something_does_can() -> None:
    result = diff(*SHOP, "--fail-on", "moved>1%")
    assert result.exit_code == 2
    assert "needs --log" in result.stderr
    assert diff(*SHOP, "--fail-on", "moved>0").exit_code == 1


def test_a_log_that_cannot_tell_is_a_fault_and_no_pass(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_text(combined("GET /accounts/7").replace("203.0.113", "10.0.0"))
    result = diff(*PILOT, "--log", file, "--host", "shop.example", "--fail-on", "moved>50%")
    assert result.exit_code == 4
    assert "OPEN  --fail-on moved>50%" in result.stdout
    file.write_text("")
    result = diff(*PILOT, "--log", file, "--fail-on", "moved>50%")
    assert result.exit_code == 4
    assert "the logs hold no request" in result.stdout


def test_json_has_every_change_with_its_witness(log: Path) -> None:
    report = json.loads(diff(*SHOP, "--log", log, "--fail-on", "moved>1%", "--json").stdout)
    assert report["effect"] == "moves"
    orders = next(each for each in report["changes"] if each["name"] == "orders" and each["subject"] == "route")
    assert orders["keys"] == [{"key": "share", "before": "5%", "after": "10%"}]
    (elsewhere,) = orders["elsewhere"]
    assert elsewhere["movements"][0]["units"] == [0.05, 0.1]
    assert elsewhere["movements"][0]["after"]["service"] == "orders"
    assert orders["traffic"]["requests"] == 0.5
    assert report["limits"] == [
        {"limit": "moved>1%", "judged": "holds", "why": "~2 of 20 (12.5%)"},
    ]


def test_junit_names_the_limit_that_failed(tmp_path: Path, log: Path) -> None:
    file = tmp_path / "diff.xml"
    diff(*SHOP, "--log", log, "--fail-on", "moved>1%", "--fail-on", "moved>90%", "--junit", file)
    suite = ET.parse(file).getroot()[0]
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["--fail-on moved>1%"]
    assert "--fail-on moved>90%" in [case.get("name") for case in suite]


def test_a_report_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    result = diff(*SHOP, "--markdown", tmp_path / "no" / "comment.md")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def rendered(text: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


def test_the_comment_has_a_headline_a_table_and_its_details_folded(tmp_path: Path, log: Path) -> None:
    file = tmp_path / "comment.md"
    result = diff(*SHOP, "--log", log, "--markdown", file)
    text = file.read_text()
    assert result.exit_code == 0
    assert text.startswith("### 12.5% of 20 requests would go elsewhere\n")
    html = rendered(text)
    assert html.count("<tr>") == 1 + 8 + 1 + 2
    assert text.count("<details>") == text.count("</details>") == 3
    assert "<code>share: 5% -&gt; 10%</code>" in html


NASTY = [
    "a|b",
    "`",
    "``x",
    "<script>alert(1)</script>",
    "</details>",
    "@team",
    "[x](http://evil)",
    "**b**",
    "\\|",
    "#1",
]


@pytest.mark.parametrize("text", NASTY)
def test_nothing_of_rules_or_logs_takes_effect_in_the_comment(text: str) -> None:
    cell = rendered(f"| a | b |\n| --- | --- |\n| {code(text)} | {plain(text)} |\n")
    assert cell.count("<td>") == 2
    assert "<script" not in cell and "<a " not in cell and "<strong>" not in cell and "</details>" not in cell
    shown = [unescape(each).replace("\N{ZERO WIDTH SPACE}", "") for each in re.findall("<td>(.*?)</td>", cell)]
    assert shown == [f"<code>{text}</code>", text]


def test_a_logs_paths_cannot_break_out_of_the_comment(tmp_path: Path) -> None:
    nasty = ["/orders/<img/src=x>", "/orders/a|b", "/orders/`x`", "/orders/@team"]
    result = diff(*SHOP, "--log", "-", "--markdown", "-", stdin=combined(*(f"GET {path}" for path in nasty)))
    html = rendered(result.stdout)
    assert "<img" not in html
    assert html.count("<details>") == html.count("</details>") == 3


def test_a_comment_never_grows_past_what_can_be_posted(tmp_path: Path) -> None:
    routes: list[dict[str, Any]] = [
        {"name": f"r{n}", "match": {"path": f"/{'long' * 100}/{n}"}, "candidate": "one", "stage": "live"}
        for n in range(300)
    ]
    head = {"version": 1, "legacy": "one", "services": {"one": {"url": "http://a:1"}, "two": {"url": "http://b:1"}}}
    before, after = tmp_path / "a.yaml", tmp_path / "b.yaml"
    before.write_text(json.dumps(head | {"routes": routes}))
    after.write_text(json.dumps(head | {"routes": [each | {"candidate": "two"} for each in routes]}))
    text = diff(before, after, "--markdown", "-").stdout
    assert len(text) <= 60_000
    assert "270 more changes" in text


def test_no_secret_parameter_of_a_witness_is_shown(tmp_path: Path) -> None:
    text = Path(SHOP[0]).read_text()
    route = """
  - name: keyed
    match: {path: /keyed, query: {api_key: hunter2, page: "7"}}
    respond: {status: 404}
"""
    (tmp_path / "after.yaml").write_text(text.replace("routes:\n", "routes:" + route, 1))
    result = diff(SHOP[0], tmp_path / "after.yaml")
    assert "GET /keyed?api_key=...&page=7" in result.stdout
    assert "hunter2" not in result.stdout


def test_a_witness_says_that_it_came_by_https(tmp_path: Path) -> None:
    text = Path(SHOP[0]).read_text()
    route = """
  - name: secured
    match: {path: /secured, scheme: https}
    respond: {status: 404}
"""
    (tmp_path / "after.yaml").write_text(text.replace("routes:\n", "routes:" + route, 1))
    found = json.loads(diff(SHOP[0], tmp_path / "after.yaml", "--json").stdout)
    [change] = [each for each in found["changes"] if each["name"] == "secured"]
    assert re.fullmatch(r"[A-Z]+ https://[a-z.]+(:[0-9]+)?/secured", change["elsewhere"][0]["witness"])
