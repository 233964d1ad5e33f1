"""XML and HTML are compared by what they mean: as trees, each difference with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.comparing import html_body, xml_body
from shadow.comparing.compare import compare
from shadow.comparing.differences import DifferenceKind as Kind
from shadow.comparing.findings import MOST_DIFFERENCES
from shadow.comparing.html_body import parse_html
from shadow.comparing.trees import DEEPEST, Keys, markup
from shadow.comparing.values import UnreadableError
from shadow.comparing.xml_body import parse_xml
from shadow.spec import Comparison
from tests.fakes.pairs import text

PLAIN = Comparison()


def found(legacy: str, candidate: str, kind: str, comparison: Comparison = PLAIN) -> list[tuple[Kind, str]]:
    differences = compare(text(legacy, kind), text(candidate, kind), comparison).differences
    return [(each.kind, each.pointer) for each in differences]


@pytest.mark.parametrize(
    ("legacy", "candidate"),
    [
        ('<a x="1" y="2"/>', "<a y='2' x='1'></a>"),
        ('<a xmlns="urn:shop"><b/></a>', '<s:a xmlns:s="urn:shop"><s:b/></s:a>'),
        ("<a>x &lt; y</a>", "<a><![CDATA[x < y]]></a>"),
        ("<a>x<!-- said by nobody -->y</a>", "<a>xy</a>"),
        ("<a>\n  <b>1</b>\n  <c/>\n</a>", "<a><b>1</b><c/></a>"),
        ('<?xml version="1.0" encoding="UTF-8"?><a>&#233;</a>', "<a>é</a>"),
    ],
)
def test_xml_is_equal_when_its_canonical_form_is(legacy: str, candidate: str) -> None:
    assert found(legacy, candidate, "application/xml") == []


@pytest.mark.parametrize(
    ("legacy", "candidate", "place"),
    [
        ('<a><b x="1"/></a>', '<a><b x="2"/></a>', "/a[1]/b[1]/@x"),
        ("<a><b>1</b><b>2</b></a>", "<a><b>1</b><b>3</b></a>", "/a[1]/b[2]/text()[1]"),
        ("<a><b>1</b><b>2</b><b>3</b></a>", "<a><b>1</b><b>3</b></a>", "/a[1]/b[2]"),
        ("<a><b/></a>", "<a><b/><c/></a>", "/a[1]/c[1]"),
        ('<a xmlns="urn:1"/>', '<a xmlns="urn:2"/>', "/a[1]"),
        ("<a> </a>", "<a/>", "/a[1]/text()[1]"),
        ('<a xml:space="preserve"> <b/></a>', '<a xml:space="preserve"><b/></a>', "/a[1]/text()[1]"),
        ("<a><?show fast?></a>", "<a><?show slow?></a>", "/a[1]/?show[1]/text()[1]"),
    ],
)
def test_a_difference_in_xml_has_the_place_that_xpath_gives_it(legacy: str, candidate: str, place: str) -> None:
    assert {pointer for _, pointer in found(legacy, candidate, "application/atom+xml")} == {place}


def test_a_path_names_every_element_of_that_name_and_so_can_a_mask() -> None:
    legacy, candidate = (f'<a><b at="{n}"/><b at="{n + 1}"/></a>' for n in (1, 5))
    differences = compare(text(legacy, "text/xml"), text(candidate, "text/xml"), PLAIN).differences
    assert {each.path for each in differences} == {"/a[*]/b[*]/@at"}
    mask = {"path": "/a[*]/b[*]/@at", "kind": "ignore"}
    assert found(legacy, candidate, "text/xml", Comparison.model_validate({"masks": [mask]})) == []


LAUGHS = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    "body", ["<a>", "", "no xml", "<a>&b;</a>", LAUGHS, "<!DOCTYPE a><a/>", "<a>" * 500 + "</a>" * 500]
)
def test_xml_that_only_one_side_can_read_is_a_difference_with_the_reason(body: str) -> None:
    assert found("<a/>", body, "application/xml") == [(Kind.UNPARSABLE, "body")]
    with pytest.raises(UnreadableError):
        parse_xml(body.encode(), None, Keys())


def test_xml_with_entities_on_both_sides_is_compared_as_text_and_nothing_grows() -> None:
    assert found(LAUGHS, LAUGHS.replace("ha", "ho"), "application/xml") == [(Kind.VALUE_CHANGED, "line:1")]


def test_a_document_of_more_parts_than_are_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (html_body, xml_body):
        monkeypatch.setattr(module, "MOST_NODES", 300)
    with pytest.raises(UnreadableError, match="more than 300"):
        parse_xml(b"<a>" + b"<b/>" * 300 + b"</a>", None, Keys())
    with pytest.raises(UnreadableError, match="more than 300"):
        parse_html("<b>" * 5 + "<br>" * 300, Keys())
    with pytest.raises(UnreadableError, match="nested deeper"):
        parse_html("<b>" * (DEEPEST + 1), Keys())


@pytest.mark.parametrize(
    ("legacy", "candidate"),
    [
        ('<P CLASS="a" id=b>x</P>', "<p id='b' class='a'>x</p>"),
        ("<ul><li>a<li>b</ul>", "<ul>\n  <li>a</li>\n  <li>b</li>\n</ul>"),
        ("<table><tr><td>1<td>2<tr><td>3</table>", "<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>"),
        ("<p>one<p>two", "<p>one</p> <p>two</p>"),
        ("<br><img src=a>", '<br/><img src="a"/>'),
        ("<p>caf&eacute; &amp;  more</p>", "<p>café &#38; more</p>"),
        ("<p>a<!-- x -->b</p>", "<p>ab</p>"),
        ("<p>a</b>b</i></p>", "<p>ab</p>"),
        ("<dl><dt>a<dd>b<dt>c</dl>", "<dl><dt>a</dt><dd>b</dd><dt>c</dt></dl>"),
        ("<ul><li>a<ul><li>b</ul><li>c</ul>", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>"),
        ("<head><title>a  b</title><body>x", "<head><title> a b</title></head><body>x</body>"),
        ("<head>a<head>b<body>c", "<head>a<head>b</head></head><body>c</body>"),
        ("<input disabled>", '<input disabled="">'),
        ("<!DOCTYPE html><html></html>", "<!doctype HTML>\n<html></html>"),
    ],
)
def test_html_is_equal_when_a_browser_shows_the_same(legacy: str, candidate: str) -> None:
    assert found(legacy, candidate, "text/html") == []


@pytest.mark.parametrize(
    ("legacy", "candidate", "place"),
    [
        ('<body><h1 class="box">x</h1></body>', '<body><h1 class="round">x</h1></body>', "/body[1]/h1[1]/@class"),
        ("<b>a</b> <i>b</i>", "<b>a</b><i>b</i>", "/text()[1]"),
        ("<pre>a\n b</pre>", "<pre>a b</pre>", "/pre[1]/text()[1]"),
        ("<ul><li>a<li>b<li>c</ul>", "<ul><li>a<li>c</ul>", "/ul[1]/li[2]"),
        ("<script>a<b</script>", "<script>a<c</script>", "/script[1]/text()[1]"),
        ("<p>a</p>", "<div>a</div>", "/p[1] /div[1]"),
        ("<title>&lt;a></title>", "<title>&lt;b></title>", "/title[1]/text()[1]"),
    ],
)
def test_a_difference_in_html_has_its_place_in_the_tree(legacy: str, candidate: str, place: str) -> None:
    assert [pointer for _, pointer in found(legacy, candidate, "text/html; charset=utf-8")] == place.split()


@given(st.text("<>/!-= \"'&;abp\n", max_size=60), st.text("<>/!-= \"'&;abp\n", max_size=60))
def test_any_text_is_read_as_html_and_differs_both_ways_or_not_at_all(one: str, other: str) -> None:
    there, back = (len(found(*sides, "text/html")) for sides in ((one, other), (other, one)))
    assert there == back
    assert (there == 0) == ([*map(markup, parse_html(one, Keys()))] == [*map(markup, parse_html(other, Keys()))])


@given(st.binary(max_size=60) | st.text("<>/!-= \"'&;abx:\n", max_size=40).map(str.encode))
def test_any_bytes_are_read_as_xml_or_refused(body: bytes) -> None:
    try:
        parse_xml(body, None, Keys())
    except UnreadableError as exc:
        assert str(exc)


def test_a_spent_budget_is_by_position_among_as_many_children_and_else_not_located() -> None:
    rows = [f"<b>{number}</b>" for number in range(3_000)]
    legacy, candidate = (f"<a>{''.join(some)}</a>" for some in (rows, rows[::-1]))
    places = found(legacy, candidate, "text/xml")
    assert places[0] == (Kind.VALUE_CHANGED, "/a[1]/b[1]/text()[1]")
    assert len(places) == MOST_DIFFERENCES + 1
    candidate = f"<a>{''.join(rows[:0:-1])}</a>"
    assert found(legacy, candidate, "text/xml") == [(Kind.NOT_LOCATED, "/a[1]")]
