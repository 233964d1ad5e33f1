"""Published diff cases of other projects, judged by fig's comparison. Data: diffs.json in the folder FIG_CASES names.

Every verdict must be the case's, under fig's masks where the case's options have one. Where fig says something else on
purpose, the case stands in DIVERGENT with the reason, and so do option names that fig has nothing for. The paths of
`portable` cases are checked, but for those in OTHER_LIST_RULE, whose oracle aligns lists otherwise than fig does
(shadow/comparing/walk.py); there the differences must still turn one side into the other.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from shadow.comparing.compare import compare
from shadow.comparing.differences import Outcome
from shadow.comparing.values import UnreadableError, parse, same
from shadow.spec import Comparison
from tests.fakes.pairs import answer
from tests.shadow.comparing.applying import apply

FOLDER = Path(os.environ.get("FIG_CASES", Path(__file__).parents[2].parent / "shared" / "cases"))
FILE = FOLDER / "diffs.json"
CASES: list[dict[str, Any]] = json.loads(FILE.read_text())["cases"] if FILE.exists() else []

NOT_IN_FIG = {
    "include_paths": "fig compares whole answers; what is left out is named by a mask, so that it is counted",
    "ignore_string_case": "the case of letters is a difference that clients see; `matches` is the mask nearest to it",
    "number_format_notation": "a tolerance is absolute or relative, not a number of digits in some notation",
    "use_log_scale": "a tolerance is absolute or relative, not logarithmic",
    "ignore_private_variables": "JSON has no private fields; `ignore` names those that are meant",
    "max_diffs": "a spent budget is a difference in fig, never equal",
}
"""Options with no counterpart -> why. A case that is equal only by one of them is different in fig, and must be."""

DIVERGENT = {
    "test_skip_dictionary_path#64": "root[1][2] names integer keys, which JSON has not; fig's /1/2 names what is there",
    "test_nested_list_ignore_order_report_repetition#94": "a multiset in fig: how often an item comes counts",
    "test_tolerance#34": "a tolerance is absolute or relative, not both at once",
}
"""Parts of case ids -> why fig's verdict is the other one."""

OTHER_PATHS = {
    "test_ignore_with_ignorecase#18": "the oracle leaves a place out only where its letters are of the same case",
}
"""Parts of case ids -> why their oracle's paths are none of an answer's."""

OTHER_LIST_RULE = {
    "test_list_difference2#20": "deepdiff finds four differences by position; fig aligns the lists with three",
    "test_diff_include_paths_root[7-data6]": "deepdiff replaces a whole object of which little is left",
    "test_diff_include_paths_root[8-data7]": "deepdiff replaces a whole object of which little is left",
    "test_only_primitive": "jycm replaces an item of which nothing is left by removing and adding it",
    "test_matching_with_list": "jycm replaces an item of which nothing is left by removing and adding it",
    "test_set_in_set_2": "jycm names an added item by the candidate's place at every level; fig by legacy's above it",
    "jycm.py::test_report": "jycm names an added item by the candidate's place at every level",
    "diffy:ordering": "Diffy reports a list as a whole",
    "diffy:seq_size": "Diffy reports a list as a whole",
    "test_ignore_order_depth4#81": "deepdiff pairs lists that have little in common, and counts an item once",
    "test_nested_list_ignore_order_report_repetition#95": "deepdiff names the repeated item; fig the one too many",
    "test_list_of_unhashable_difference_ignore_order3#98": "deepdiff pairs items that have nothing in common",
    "test_ignore_order_with_compare_func_to_guide_comparison#125": "deepdiff lets items exchange their ids",
    "test_raise_error#163": "deepdiff pairs an item that went with one that came; in fig's multiset both stand apart",
    "test_ignore_order_delta_cases[delta_ignore_order_case5]#183": "deepdiff names repeated items; fig those too many",
}
"""Parts of case ids -> why their oracle locates differences elsewhere."""


def masks_for(options: dict[str, Any]) -> list[dict[str, Any]]:
    """fig's masks for the options of a case, as far as there are any."""
    masks: list[dict[str, Any]] = []
    if options.get("ignore_order"):
        masks.append({"path": "/**", "kind": "any_order"})
    masks += [{"path": path, "kind": "ignore"} for path in _ignored(options)]
    if "jycm_ignore_order_path_regexes" in options:
        for pattern in options["jycm_ignore_order_path_regexes"]:
            masks.append({"path": "/" + re.sub(r"->\\\[\\d\+\\\]->", "/*/", pattern.strip("^$")), "kind": "any_order"})
    if (epsilon := _tolerance(options)) is not None:
        masks.append({"path": "/**", "kind": "number", "within": epsilon})
    return masks


def _ignored(options: dict[str, Any]) -> list[str]:
    paths = [_pointer(path) for path in options.get("exclude_paths", [])]
    ignored = [path if isinstance(path, list) else [path] for path in options.get("ignore", [])]
    return paths + ["/" + "/".join(each) for each in ignored]


def _pointer(path: str) -> str:
    """deepdiff's `root['a'][3]` or `a` as a JSON Pointer."""
    pointer = re.sub(r"\['?(.*?)'?\]", r"/\1", path.removeprefix("root"))
    return pointer if pointer.startswith("/") else f"/{pointer}"


def _tolerance(options: dict[str, Any]) -> str | None:
    if "math_epsilon" in options:
        return str(options["math_epsilon"])
    if "tolerance" in options:
        return f"{options['tolerance'] * 100}%"
    if "significant_digits" in options:  # digits behind the point, in deepdiff
        return str(0.999 * 10.0 ** -options["significant_digits"])
    return None


def verdict(case: dict[str, Any]) -> bool | None:
    """What fig must say: the case's verdict, but for the options that fig has not and the divergences listed above."""
    expected: bool | None = case["verdict_equal"]
    if any(part in case["id"] for part in DIVERGENT):
        return not expected
    equal_by_option = expected is True and case.get("strict_equal") is False
    return False if equal_by_option and NOT_IN_FIG.keys() & case["options"].keys() else expected


def body(case: dict[str, Any], side: str) -> str:
    return case[f"{side}_text"] if f"{side}_text" in case else json.dumps(case[side])


def judged(case: dict[str, Any]) -> Outcome:
    comparison = Comparison.model_validate({"masks": masks_for(case["options"])})
    return compare(answer(body(case, "left")), answer(body(case, "right")), comparison)


def named(cases: list[dict[str, Any]]) -> Any:
    if not FILE.exists():
        return [
            pytest.param({}, marks=pytest.mark.skip(reason=f"{FILE.name} is not there; FIG_CASES names its folder"))
        ]
    return [pytest.param(case, id=case["id"].rsplit("::", 1)[-1]) for case in cases]


@pytest.mark.parametrize("case", named([case for case in CASES if case["verdict_equal"] is not None]))
def test_the_verdict_is_the_cases(case: dict[str, Any]) -> None:
    assert judged(case).equal is verdict(case)


@pytest.mark.parametrize("case", named([case for case in CASES if case["group"] in ("trap", "raw-trap")]))
def test_no_trap_is_judged_equal(case: dict[str, Any]) -> None:
    if case["verdict_equal"] is False:
        assert not judged(case).equal


@pytest.mark.parametrize("case", named([case for case in CASES if case["verdict_equal"] is None]))
def test_numbers_that_denote_the_same_number_are_equal(case: dict[str, Any]) -> None:
    """The policy cases: 1 and 1.0, -0.0 and 0.0, 1.10 and 1.1, 1e2 and 100 (shadow/comparing/values.py says why)."""
    assert judged(case).equal


def located(case: dict[str, Any]) -> bool:
    """Whether the case's paths can be held against fig's."""
    return bool(
        case["portable"]
        and case["expected"]
        and all("path" in each for each in case["expected"])
        and not NOT_IN_FIG.keys() & case["options"].keys() - {"include_paths"}
        and not any(part in case["id"] for part in (*OTHER_LIST_RULE, *DIVERGENT, *OTHER_PATHS))
    )


def included(case: dict[str, Any], pointer: str) -> bool:
    """Whether the case asks for this place; fig has no such option, so the others are set aside here."""
    path = case["options"].get("include_paths")
    return path is None or f"{pointer}/".startswith(f"{_pointer(path)}/")


@pytest.mark.parametrize("case", named([case for case in CASES if located(case)]))
def test_differences_lie_where_the_case_says(case: dict[str, Any]) -> None:
    found = sorted(each.pointer for each in judged(case).differences if included(case, each.pointer))
    assert found == sorted(each["path"] for each in case["expected"])


APPLIED = [case for case in CASES if case["verdict_equal"] is False and not case["options"]]


@pytest.mark.parametrize("case", named(APPLIED))
def test_the_differences_turn_one_side_into_the_other_whatever_the_oracle_names(case: dict[str, Any]) -> None:
    left, right = body(case, "left").encode(), body(case, "right").encode()
    try:
        values = parse(left), parse(right)
    except UnreadableError:
        assert not judged(case).equal
        return
    assert same(apply(judged(case).differences, values[0]), values[1])


def test_the_divergences_are_those_of_cases_that_exist() -> None:
    if not CASES:
        pytest.skip(f"{FILE.name} is not there; FIG_CASES names its folder")
    ids = [case["id"] for case in CASES]
    options = {option for case in CASES for option in case["options"]}
    assert all(any(part in each for each in ids) for part in (*DIVERGENT, *OTHER_LIST_RULE, *OTHER_PATHS))
    assert options >= NOT_IN_FIG.keys()
