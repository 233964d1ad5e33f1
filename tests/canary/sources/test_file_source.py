"""CSV and JSON lines as sources: read whole, read on as they grow, and every line that cannot be read is told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from canary.source_spec import Source
from canary.sources.files import File
from canary.sources.source import Question, SourceError
from canary.steps import Stretch
from canary.verdict import Verdict
from tests.canary.sources.asking import NOW, gate, judged, numbers

STRETCH = Stretch(11, 14, 30)
"""From 300 to 420 s."""


def written(folder: Path, *lines: str, name: str = "export.csv") -> Source:
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return Source.model_validate({"kind": name.rpartition(".")[2], "path": str(folder / name)})


async def asked(source: Source, stretch: Stretch = STRETCH, **metric: Any) -> list[list[float]]:
    """What either side's steps sum up to."""
    question = Question(gate(**metric).metrics[0], "products", stretch)
    return (await File(source).ask(question, NOW)).total.tolist()


async def test_a_candidate_that_is_not_worse_is_promoted_by_a_file_alone(tmp_path: Path) -> None:
    source = written(tmp_path, "time,side,value", *(f"{time},{side},{value}" for time, side, value in numbers()))

    judgement = await judged(source, gate())

    assert judgement.verdict is Verdict.PROMOTE
    assert judgement.metrics[0].legacy_count == 239
    assert "239 steps" in judgement.reason


async def test_a_file_that_begins_an_hour_late_is_judged_by_what_it_has(tmp_path: Path) -> None:
    rows = (f"{time},{side},{value}" for time, side, value in numbers() if time > NOW - 3600)

    judgement = await judged(written(tmp_path, "time,side,value", *rows), gate())

    assert judgement.verdict is Verdict.PROMOTE
    assert judgement.metrics[0].legacy_count == 119


async def test_a_candidate_that_is_worse_is_rolled_back_by_a_file_alone(tmp_path: Path) -> None:
    rows = ({"time": time, "side": side, "value": value} for time, side, value in numbers(candidate=46))
    source = written(tmp_path, *map(json.dumps, rows), name="export.jsonl")

    judgement = await judged(source, gate())

    assert judgement.verdict is Verdict.ROLLBACK
    assert "'depth' is worse by" in judgement.reason


async def test_where_lower_is_worse_a_drop_is_harm(tmp_path: Path) -> None:
    source = written(tmp_path, "time,side,value", *(f"{t},{side},{value}" for t, side, value in numbers(candidate=34)))

    judgement = await judged(source, gate(direction="lower_is_worse"))

    assert judgement.verdict is Verdict.ROLLBACK
    assert judgement.metrics[0].estimate == pytest.approx(0.15, abs=0.02)


async def test_rows_are_summed_up_by_step_and_side(tmp_path: Path) -> None:
    source = written(
        tmp_path,
        "time,side,value",
        "299.9,legacy,1000",
        "300,legacy,1",
        "1970-01-01T00:05:29Z,legacy,2",
        "330,legacy,4",
        "1970-01-01 00:06:59,candidate,8",
        "305,somebody-else,1000",
        "306,candidate,",
        "420,candidate,1000",
    )

    assert await asked(source) == [[3, 4, 0, 0], [0, 0, 0, 8]]


async def test_columns_may_be_called_otherwise_and_lines_chosen(tmp_path: Path) -> None:
    lines = [
        '{"ts": 300, "app": "shop", "took": 2, "what": "total"}',
        '{"ts": 301, "app": "products", "took": 3, "what": "total"}',
        '{"ts": 302, "app": "products", "took": 99, "what": "other"}',
        "",
    ]
    metric = {
        "columns": {"time": "ts", "side": "app", "value": "took"},
        "sides": {"legacy": "shop", "candidate": "products"},
        "where": {"what": "total"},
    }

    assert await asked(written(tmp_path, *lines, name="e.jsonl"), **metric) == [[2, 0, 0, 0], [3, 0, 0, 0]]


async def test_a_file_that_grows_is_read_on_and_an_unfinished_line_waits(tmp_path: Path) -> None:
    source, path = written(tmp_path, "time,side,value", "300,legacy,1"), tmp_path / "export.csv"
    file, metric = File(source), gate().metrics[0]
    with path.open("a") as more:
        more.write("331,lega")
        more.flush()
        first = await file.ask(Question(metric, "products", Stretch(11, 11, 30)), NOW)
        more.write("cy,5\n")
    second = await file.ask(Question(metric, "products", Stretch(12, 12, 30)), NOW)

    assert first.total[0].tolist() == [1]
    assert second.total[0].tolist() == [5]


async def test_a_line_for_a_step_that_was_taken_is_too_late_and_stays_so(tmp_path: Path) -> None:
    """What is late is what went badly, more often than not: evidence without it must not come to a verdict a second
    later."""
    file, metric = File(written(tmp_path, "time,side,value", "300,legacy,1")), gate().metrics[0]
    await file.ask(Question(metric, "products", Stretch(11, 11, 30)), NOW)
    with (tmp_path / "export.csv").open("a") as more:
        more.write("301,candidate,9\n331,candidate,9\n")

    for _ in range(2):
        with pytest.raises(SourceError, match=r"export\.csv:3: came after its step was taken.*make 'delay' longer"):
            await file.ask(Question(metric, "products", Stretch(12, 12, 30)), NOW)


async def test_a_line_from_before_the_first_question_is_nobodys(tmp_path: Path) -> None:
    file, metric = File(written(tmp_path, "time,side,value", "300,legacy,1")), gate().metrics[0]
    await file.ask(Question(metric, "products", Stretch(11, 11, 30)), NOW)
    with (tmp_path / "export.csv").open("a") as more:
        more.write("299,candidate,9\n331,candidate,5\n")

    assert (await file.ask(Question(metric, "products", Stretch(12, 12, 30)), NOW)).total[1].tolist() == [5]


async def test_another_file_in_its_place_is_read_anew(tmp_path: Path) -> None:
    file, metric = File(written(tmp_path, "time,side,value", "300,legacy,1")), gate().metrics[0]
    await file.ask(Question(metric, "products", Stretch(11, 11, 30)), NOW)
    written(tmp_path, "side,time,value", "legacy,331,5", name="next.csv")
    (tmp_path / "next.csv").replace(tmp_path / "export.csv")

    assert (await file.ask(Question(metric, "products", Stretch(12, 12, 30)), NOW)).total[0].tolist() == [5]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("300,legacy,many", ":2: column 'value' is 'many', which is not a finite number"),
        ("300,legacy,NaN", ":2: column 'value' is 'NaN', which is not a finite number"),
        ("300,legacy,1e999", ":2: column 'value' is '1e999', which is not a finite number"),
        ("300,legacy,true", ":2: column 'value' is 'true', which is not a finite number"),
        ("300,legacy,1e308", ":2: column 'value' is 1e308, which is beyond 1e+100 and no measurement"),
        ("300,legacy", ":2: has 2 cells where the first line names 3 columns"),
        ("noon,legacy,1", ":2: column 'time' is 'noon', which is no time"),
        ("1700000000000,legacy,1", ":2: column 'time' is 1700000000000; that looks like milliseconds"),
        (f"{NOW + 3600},legacy,1", ":2: is dated 3570 s ahead of the clock here"),
    ],
)
async def test_a_line_that_cannot_be_read_is_told_with_its_place(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(SourceError) as raised:
        await asked(written(tmp_path, "time,side,value", line))

    assert says in str(raised.value)


async def test_two_columns_of_one_name_are_told_and_two_without_are_not(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"export\.csv:1: two columns are called 'value'"):
        await asked(written(tmp_path, "time,side,value,value", "300,legacy,1,2"))

    assert (await asked(written(tmp_path, "time,side,value,,", "300,legacy,1,,")))[0] == [1, 0, 0, 0]


@pytest.mark.parametrize(
    "extra",
    ['"note": "\\"quoted\\" value"', '"of": {"value": 2, "list": [{"value": 3}, {"value": 4}]}', '"big": ' + "9" * 400],
)
async def test_what_else_an_object_holds_is_of_no_matter(extra: str, tmp_path: Path) -> None:
    line = '{"time": 300, "side": "legacy", "value": 1, ' + extra + "}"

    assert (await asked(written(tmp_path, line, name="e.jsonl")))[0] == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", ":1: Input data was truncated"),
        ("[1]", ":1: is no object"),
        ('{"time": 300, "side": "legacy"}', ":1: has no column 'n' ('time', 'side'); needed is 'value', or 'n' and"),
        ('{"time": 300, "value": 1}', ":1: has no column 'side'"),
        ('{"time": 300, "side": "legacy", "n": -1, "sum": 1}', ":1: column 'n' is -1"),
        (
            '{"time": 300, "side": "legacy", "value": true}',
            ":1: column 'value' is 'True', which is not a finite number",
        ),
        (
            '{"time": 300, "side": "legacy", "n": 2, "sum": -1e308}',
            ":1: column 'sum' is -1e+308, which is beyond 1e+100",
        ),
        ('{"time": 300, "side": "legacy", "value": 1, "value": 9}', ":1: two keys are called 'value'"),
        ('{"time": 300, "side": "legacy", "value": 1, "val\\u0075e": 9}', ":1: two keys are called 'value'"),
        ('{"time": ' + "9" * 400 + ', "side": "legacy", "value": 1}', ":1: column 'time' is '9999999999"),
        ('{"time": 300, "side": "legacy", "value": ' + "9" * 400 + "}", ":1: column 'value' is '9999999999"),
        ('{"time": 300, "side": "legacy", "value": ' + "[" * 100_000 + "]" * 100_000 + "}", ":1: is nested too deeply"),
        ('{"time": true, "side": "legacy", "value": 1}', ":1: column 'time' is 'True', which is no time"),
    ],
)
async def test_so_is_an_object_that_cannot_be_read(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(SourceError) as raised:
        await asked(written(tmp_path, line, name="e.jsonl"))

    assert says in str(raised.value)


async def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(SourceError, match=r"pipe\.csv: is no file"):
        await asked(Source.model_validate({"kind": "csv", "path": str(tmp_path / "pipe.csv")}))


async def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.csv: No such file"):
        await asked(Source.model_validate({"kind": "csv", "path": str(tmp_path / "gone.csv")}))
