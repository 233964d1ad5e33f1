"""An exported test of XML or HTML passes and fails where fig would call the answers equal or different."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.comparing.compare import compare, judge
from shadow.comparing.trees import Keys
from shadow.comparing.xml_body import parse_xml
from shadow.exporting.pytest_file import _mask, export
from shadow.exporting.standalone_markup import document_differences
from shadow.pairs.kept import keep_pair
from shadow.redaction.redact import Redactor
from shadow.spec import Comparison
from tests.fakes.pairs import pair, text

XML, HTML = "application/xml", "text/html; charset=utf-8"
ELEMENTS = st.recursive(
    st.sampled_from(["x", "y", " ", "a b", "<c/>", "<c k='1'/>"]),
    lambda inner: st.builds(
        lambda name, attributes, children: f"<{name}{attributes}>{''.join(children)}</{name}>",
        st.sampled_from("ab"),
        st.sampled_from(["", " k='1'", " k='2'", " l='2026-01-01T00:00:01Z' k='1'"]),
        st.lists(inner, max_size=4),
    ),
    max_leaves=10,
).map(lambda inner: f"<r>{inner}</r>")
MASKS = [
    {"path": "/r[*]/a[*]/text()[*]", "kind": "ignore"},
    {"path": "/**/@k", "kind": "number", "within": "1"},
    {"path": "/r[*]/b[1]", "kind": "ignore"},
]


def exported(legacy: str, kind: str, comparison: Comparison) -> Callable[[str], None]:
    """The exported test, to be held against an answer."""
    made = judge(pair(text(legacy, kind), text("", kind)), comparison)
    kept = keep_pair(made.pair, made.outcome)
    names: dict[str, Any] = {}
    exec(compile(export(kept, None, comparison, Redactor(b"k" * 32)), "test_exported.py", "exec"), names)

    def hold(body: str) -> None:
        names["ask"] = lambda: httpx.Response(200, headers={"content-type": kind}, content=body.encode())
        names["test_the_service_answers_as_legacy_did"]()

    return hold


@given(ELEMENTS, ELEMENTS)
def test_without_masks_it_finds_a_difference_wherever_fig_does(legacy: str, candidate: str) -> None:
    expected, actual = (parse_xml(body.encode(), None, Keys()) for body in (legacy, candidate))
    fig = compare(text(legacy, XML), text(candidate, XML), Comparison())
    assert bool(list(document_differences(expected, actual, []))) is bool(fig.differences)


@pytest.mark.parametrize(
    ("legacy", "candidate", "differs"),
    [
        ("<r><a>1</a></r>", "<r><a>2</a></r>", False),
        ("<r><a>1</a></r>", "<r><b/><a>2</a></r>", False),
        ("<r><c k='1'/></r>", "<r><c k='2'/></r>", False),
        ("<r><c k='1'/></r>", "<r><c k='3'/></r>", True),
        ("<r><c k='1'/></r>", "<r><c/></r>", True),
        ("<r>x</r>", "<r>y</r>", True),
    ],
)
def test_what_masks_excuse_there_they_excuse_here(legacy: str, candidate: str, differs: bool) -> None:
    comparison = Comparison.model_validate({"masks": MASKS})
    expected, actual = (parse_xml(body.encode(), None, Keys()) for body in (legacy, candidate))
    masks = [dict(_mask(mask)) for mask in comparison.masks]
    assert bool(list(document_differences(expected, actual, masks))) is differs
    assert bool(compare(text(legacy, XML), text(candidate, XML), comparison).differences) is differs


@pytest.mark.parametrize(
    ("kind", "legacy", "same", "other", "told"),
    [
        (
            XML,
            "<?xml version='1.0'?>\n<o a='1' b='2'><n>x</n></o>",
            "<o b='2'  a='1'>\n  <n><![CDATA[x]]></n>\n</o>",
            "<o a='1' b='3'><n>x</n></o>",
            "/o[1]/@b: expected '2', got '3'",
        ),
        (
            HTML,
            "<!doctype html><ul><li>a<li>b</ul><p class=x id=y>c &amp; d",
            "<!DOCTYPE HTML><UL> <LI>a</LI> <LI>b</LI></UL><P id='y' class='x'>c\n &#38; d</P>",
            "<!doctype html><ul><li>a<li>B</ul><p class=x id=y>c &amp; d",
            "/ul[1]/li[2]/text()[1]: expected 'b', got 'B'",
        ),
    ],
)
def test_the_file_reads_markup_as_fig_does(kind: str, legacy: str, same: str, other: str, told: str) -> None:
    hold = exported(legacy, kind, Comparison())
    hold(legacy)
    hold(same)
    with pytest.raises(AssertionError) as failed:
        hold(other)
    assert told in str(failed.value)


def test_an_answer_that_cannot_be_read_fails_and_says_so() -> None:
    hold = exported("<o/>", XML, Comparison())
    with pytest.raises(pytest.fail.Exception, match="the service's answer cannot be read: not XML at line 1"):
        hold("<o>")


def test_markup_of_legacys_that_nobody_can_read_is_compared_as_text() -> None:
    hold = exported("<o><a>\n</o>", XML, Comparison())
    hold("<o><a>\n</o>")
    with pytest.raises(AssertionError, match="line:1: expected"):
        hold("<o><b>\n</o>")
