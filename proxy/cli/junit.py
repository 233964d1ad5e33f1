"""JUnit reports of every check and gate: the XML that CI servers show as test results.

One suite a file, as Jenkins, GitLab and GitHub's actions read it: a ``failure`` for what failed, an ``error`` for what
could not be judged though it must be, ``skipped`` for what was not judged, and ``file`` and ``line`` where a reader can
jump to. No more than what the common schemas of it allow (Ant's, and the one of Jenkins' xUnit plugin): ``skipped`` is
counted at the suite only, a failure has a type, and times are there though nothing is timed.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry in any form (its section 2.2)."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that was asked, and how it came out; with none of `failure`, `error` and `skipped` it is fine."""

    name: str
    classname: str
    """What CI servers group by: a route, a file, a table of tests."""
    file: str | None = None
    line: int | None = None
    failure: str | None = None
    """What is wrong; its first line is the headline."""
    skipped: str | None = None
    """Why it was not judged; its first line is the headline."""
    error: str | None = None
    """Why it could not be judged, which is as bad as a failure; its first line is the headline."""


def render(suite_name: str, cases: Iterable[Case], output: str = "") -> str:
    """The report as text, with a line end; `output` is shown as what the whole suite printed."""
    told = tuple(cases)
    counts = {
        "tests": len(told),
        "failures": sum(case.failure is not None for case in told),
        "errors": sum(case.failure is None and case.error is not None for case in told),
        "skipped": sum(case.failure is case.error is None and case.skipped is not None for case in told),
    }
    numbers = {key: str(count) for key, count in counts.items()}
    suite_numbers = {**numbers, "time": "0"}
    del numbers["skipped"]
    suites = ET.Element("testsuites", {"name": _clean(suite_name), **numbers, "time": "0"})
    suite = ET.SubElement(suites, "testsuite", {"name": _clean(suite_name), **suite_numbers})
    for case in told:
        _append(suite, case)
    if output:
        ET.SubElement(suite, "system-out").text = _clean(output)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _append(suite: ET.Element, case: Case) -> None:
    attributes = {"name": _clean(case.name), "classname": _clean(case.classname), "time": "0"}
    if case.file is not None:
        attributes["file"] = _clean(case.file)
    if case.line is not None:
        attributes["line"] = str(case.line)
    element = ET.SubElement(suite, "testcase", attributes)
    for kind, told in (("failure", case.failure), ("error", case.error)):
        if told is not None:
            headline = told.partition("\n")[0]
            ET.SubElement(element, kind, {"message": _clean(headline), "type": kind}).text = _clean(told)
            return
    if case.skipped is not None:
        headline, _, more = case.skipped.partition("\n")
        ET.SubElement(element, "skipped", {"message": _clean(headline)}).text = _clean(more) or None


def _clean(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
