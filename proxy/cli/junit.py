"""JUnit reports of `fig rules check`, `test` and `diff`: the XML that CI servers show as test results.

One suite a file, as Jenkins, GitLab and GitHub's actions read it: a ``failure`` for what failed, ``skipped`` for what
was not judged, and ``file`` and ``line`` where a reader can jump to. No more than what the common schemas of it allow
(Ant's, and the one of Jenkins' xUnit plugin): ``skipped`` is counted at the suite only, a failure has a type, and times
are there though nothing is timed.
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
    """One thing that was asked, and how it came out; with neither `failure` nor `skipped` it is fine."""

    name: str
    classname: str
    """What CI servers group by: a route, a file, a table of tests."""
    file: str | None = None
    line: int | None = None
    failure: str | None = None
    """What is wrong; its first line is the headline."""
    skipped: str | None = None
    """Why it was not judged."""


def render(suite_name: str, cases: Iterable[Case]) -> str:
    """The report as text, with a line end."""
    told = tuple(cases)
    counts = {
        "tests": len(told),
        "failures": sum(case.failure is not None for case in told),
        "errors": 0,
        "skipped": sum(case.failure is None and case.skipped is not None for case in told),
    }
    numbers = {key: str(count) for key, count in counts.items()}
    suite_numbers = {**numbers, "time": "0"}
    del numbers["skipped"]
    suites = ET.Element("testsuites", {"name": _clean(suite_name), **numbers, "time": "0"})
    suite = ET.SubElement(suites, "testsuite", {"name": _clean(suite_name), **suite_numbers})
    for case in told:
        _append(suite, case)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _append(suite: ET.Element, case: Case) -> None:
    attributes = {"name": _clean(case.name), "classname": _clean(case.classname), "time": "0"}
    if case.file is not None:
        attributes["file"] = _clean(case.file)
    if case.line is not None:
        attributes["line"] = str(case.line)
    element = ET.SubElement(suite, "testcase", attributes)
    if case.failure is not None:
        headline = case.failure.partition("\n")[0]
        ET.SubElement(element, "failure", {"message": _clean(headline), "type": "failure"}).text = _clean(case.failure)
    elif case.skipped is not None:
        ET.SubElement(element, "skipped", {"message": _clean(case.skipped)})


def _clean(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
