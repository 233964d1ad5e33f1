"""JUnit reports: read back by an XML parser, whatever the names hold."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from proxy.cli import junit
from proxy.cli.junit import Case

CASES = [
    Case("fine", "orders", "fig.yaml", 7),
    Case("broken", "orders", "fig.yaml", 9, failure="goes to legacy\nexpected the candidate"),
    Case("left out", "products", skipped="no such route\nthere are orders and cart"),
    Case("unanswered", "products", error="the source is down\nno answer within 5 s"),
]


def test_a_report_counts_what_failed_and_what_was_not_judged() -> None:
    root = ET.fromstring(junit.render("fig rules test", CASES))
    suite = root.find("testsuite")
    assert suite is not None
    for element in (root, suite):
        assert [element.get(key) for key in ("tests", "failures", "errors")] == ["4", "1", "1"]
    assert suite.get("skipped") == "1"
    assert suite.get("name") == "fig rules test"


def test_a_case_says_where_it_stands_and_what_is_wrong() -> None:
    fine, broken, left_out, unanswered = ET.fromstring(junit.render("suite", CASES)).iter("testcase")
    assert (fine.get("file"), fine.get("line"), list(fine)) == ("fig.yaml", "7", [])
    failure = broken.find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.text) == ("goes to legacy", "goes to legacy\nexpected the candidate")
    assert (left_out.get("file"), left_out.get("line")) == (None, None)
    assert [(each.get("message"), each.text) for each in left_out.iter("skipped")] == [
        ("no such route", "there are orders and cart")
    ]
    error = unanswered.find("error")
    assert error is not None
    assert (error.get("message"), error.text) == ("the source is down", "the source is down\nno answer within 5 s")


ALLOWED = {
    "testsuites": {"name", "tests", "failures", "errors", "time", "disabled"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package"},
    "testcase": {"name", "classname", "time", "status", "file", "line"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "system-out": set(),
    "skipped": {"message", "type"},
}
"""What the schemas have in common that CI servers check against (junit-10.xsd of Jenkins' xUnit plugin, Ant's)."""
REQUIRED = {
    "testsuite": {"name", "tests", "failures", "errors", "time"},
    "testcase": {"name", "classname", "time"},
    "failure": {"type"},
    "error": {"type"},
}


def test_the_report_has_what_schemas_of_junit_ask_for_and_nothing_that_they_forbid() -> None:
    for element in ET.fromstring(junit.render("suite", CASES, "all that was said")).iter():
        assert set(element.attrib) <= ALLOWED[element.tag]
        assert REQUIRED.get(element.tag, set()) <= set(element.attrib)


@pytest.mark.parametrize("odd", ['a<b>&"c"', "nul\x00 and escape\x1b", "lone \ud800 surrogate", "\uffff", "caf\u00e9"])
def test_whatever_a_name_holds_the_report_is_xml(odd: str) -> None:
    report = junit.render(odd, [Case(odd, odd, odd, 1, failure=odd), Case(odd, odd, skipped=odd)])
    cases = list(ET.fromstring(report.encode()).iter("testcase"))
    assert len(cases) == 2
    readable = "".join("\ufffd" if c in "\x00\x1b\ud800\uffff" else c for c in odd)
    assert {case.get("name") for case in cases} == {readable}
