"""Configured fields are found in XML and HTML too, and nowhere else is a character changed."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.comparing.compare import compare
from shadow.comparing.values import UnreadableError
from shadow.pair import Answer
from shadow.redaction.markup import markup_fields, without_fields
from shadow.redaction.redact import Redactor
from shadow.spec import Comparison, Redact
from tests.fakes.pairs import answer, pair, text

REDACTOR = Redactor(b"k" * 32)
XML, HTML = "application/xml", "text/html; charset=utf-8"


def hidden(body: str, *fields: str, is_html: bool = False) -> str:
    return without_fields(body, markup_fields(fields), lambda secret: f"[{secret}]", is_html=is_html)


def kept(legacy: Answer, candidate: Answer, **redact: Any) -> str:
    """Everything of a pair that would be kept, as text."""
    rules = Redact.model_validate(redact)
    made = pair(legacy, candidate)
    outcome = compare(legacy, candidate, Comparison(redact=rules))
    clean, differences = REDACTOR.pair(made, outcome.differences, rules)
    return f"{clean!r} {differences!r}"


@pytest.mark.parametrize(
    ("field", "body", "clean"),
    [
        ("/order/name", "<order><name>Ada</name><n>1</n></order>", "<order><name>[Ada]</name><n>1</n></order>"),
        ("/name", "<order><name>Ada</name></order>", "<order><name>[Ada]</name></order>"),
        ("/**/pin", "<a><b><pin x='1'> 12\n34 </pin></b></a>", '<a><b><pin x="[1]">[12\n34]</pin></b></a>'),
        ("/**/Pin", "<s:a xmlns:s='u'><s:Pin>1</s:Pin></s:a>", "<s:a xmlns:s='u'><s:Pin>[1]</s:Pin></s:a>"),
        ("/a/b[2]", "<a><b>1</b><b>2</b></a>", "<a><b>[1]</b><b>[2]</b></a>"),
        ("/a/card", "<a><card><no>4</no><cv/></card>x</a>", "<a><card>[&lt;no&gt;4&lt;/no&gt;&lt;cv/&gt;]</card>x</a>"),
        ("/a/@id", "<a id = '7' x=\"id\"/>", '<a id="[7]" x="id"/>'),
        ("/**/token", "<a><b token='x&amp;y'/><token/></a>", '<a><b token="[x&y]"/><token/></a>'),
        ("/a/b", "<a><b><![CDATA[<x>]]></b></a>", "<a><b>[&lt;x&gt;]</b></a>"),
        ("/a/*", "<a><b>1</b><c>2</c></a>", "<a><b>[1]</b><c>[2]</c></a>"),
        ("/a/b", "<a><!-- <b>1</b> --><b>2</b></a>", "<a><!-- <b>1</b> --><b>[2]</b></a>"),
    ],
)
def test_fields_name_elements_and_attributes_of_xml(field: str, body: str, clean: str) -> None:
    assert hidden(body, field) == clean


@pytest.mark.parametrize(
    ("field", "body", "clean"),
    [
        ("/**/pin", "<form><input name=pin value=12></form>", '<form><input name=pin value="[12]"></form>'),
        ("/**/pin", "<input value='1' NAME='PIN'>", "<input value=\"[1]\" NAME='PIN'>"),
        ("/**/pin", "<input name=pin name=x value=12>", '<input name=pin name=x value="[12]">'),
        ("/user[pin]", "<input name='user[pin]' value=12>", "<input name='user[pin]' value=\"[12]\">"),
        ("/**/note", "<textarea id=note>a <b></textarea>", "<textarea id=note>[a &lt;b&gt;]</textarea>"),
        ("/**/name", "<p name=x><name>Ada</name>", "<p name=x><name>[Ada]</name>"),
        ("/**/pin", "<div data-pin=12 data-x=1>", '<div data-pin="[12]" data-x=1>'),
        ("/**/li", "<ul><li>a<li>b</ul>c", "<ul><li>[a]<li>[b]</ul>c"),
        ("/html/body/p", "<html><body><p>a<p>b<div>c</div>", "<html><body><p>[a]<p>[b]<div>c</div>"),
        ("/**/pin", "<p title=it's><pin>1</pin> it's", "<p title=it's><pin>[1]</pin> it's"),
        ("/**/pin", "<script>'<pin>1</pin>'</script><pin>2", "<script>'<pin>1</pin>'</script><pin>[2]"),
        ("/**/@title", "<a title=x>", '<a title="[x]">'),
    ],
)
def test_fields_name_elements_attributes_and_controls_of_html(field: str, body: str, clean: str) -> None:
    assert hidden(body, field, is_html=True) == clean


@pytest.mark.parametrize("secret", ["hunter2", "a long secret text", "12"])
@pytest.mark.parametrize("kind", [XML, HTML])
@pytest.mark.parametrize(
    "shape",
    [
        "<a><user><pin>{}</pin></user></a>",
        "<a><user pin='{}'/></a>",
        "<a><input name='pin' value='{}'/></a>",
        "<a><note>&lt;pin&gt;{}&lt;/pin&gt;</note></a>",
        "<a><!-- <pin>{}</pin> --></a>",
        "<a>pin={} and more</a>",
    ],
)
def test_no_part_of_a_pair_shows_what_a_field_names(kind: str, shape: str, secret: str) -> None:
    fields = ["/**/pin", "/**/@pin", "/**/input/@value"]
    other = shape.format("another").replace("<a>", "<a><more/>")
    shown = kept(text(shape.format(secret), kind), text(other, kind), fields=fields)
    assert f">{secret}<" not in shown
    assert f"'{secret}'" not in shown
    assert f"={secret} " not in shown
    assert "another" not in shown
    gone = kept(text("<a></a>", kind), text(shape.format(secret), kind), fields=fields)
    assert f">{secret}<" not in gone
    assert f"'{secret}'" not in gone


@pytest.mark.parametrize(
    "wrote",
    [
        "<pin>{}</pin>",
        r"\u003cpin\u003e{}\u003c/pin\u003e",
        r"<ns:pin a=\"1\">{}<\/ns:pin>",
        "&lt;pin&gt;{}&lt;/pin&gt;",
    ],
)
def test_xml_in_a_text_of_json_is_looked_into(wrote: str) -> None:
    body = '{"soap": "' + wrote.format("hunter2") + '"}'
    shown = kept(answer(body), answer("{}"), fields=["/**/pin"])
    assert "hunter2" not in shown
    assert "fig:" in shown


def test_equal_secrets_have_equal_marks_in_json_xml_and_html() -> None:
    mark = REDACTOR.mark("hunter2")
    for one in (
        answer({"pin": "hunter2"}),
        text("<a><pin> hunter2\n</pin></a>", XML),
        text("<input name=pin value='hunter2'>", HTML),
    ):
        assert mark in kept(one, one, fields=["/**/pin"])


def test_xml_that_cannot_be_read_is_not_kept_where_fields_are_to_be_found_in_it() -> None:
    shown = kept(text("<a><b>hunter2</a>", XML), text("<a><b>hunter2", XML), fields=["/**/pin"])
    assert "hunter2" not in shown
    assert "cannot be found" in shown
    assert "hunter2" in kept(text("<a><b>hunter2</a>", XML), text("<a/>", XML)), "without fields nothing is hidden"


@pytest.mark.parametrize(
    "broken",
    [
        '<input name=pin value="hunter2>',
        "<input name=pin value='hunter2><p>rest",
        '<input name=pin value="hunter2><p class="x">rest',
        '<input name="pin value="hunter2">',
        '<input value="hunter2> name=pin><p class="x">',
        '<input value="hunter2 name=pin> says "5" wide>',
        '<input name=pin" value=hunter2>',
        "<input name=pin value=hunter2",
        "<input value=hunter2 name=pin",
        "<p <input name=pin value=hunter2>",
        "</p <input name=pin value=hunter2>",
        "<textarea name=pin hunter2",
        "<!-- <input name=pin value=hunter2>",
        "<script><input name=pin value=hunter2>",
        '<p title="x><pin>hunter2</pin>',
    ],
)
def test_html_with_a_tag_that_lacks_its_quote_or_end_is_never_shown_where_it_mentions_a_field(broken: str) -> None:
    legacy = f"<html><body><p>a</p>{broken}"
    shown = kept(text(legacy, HTML), text(legacy.replace("hunter2", "hunter3"), HTML), fields=["/**/pin"])
    assert "hunter" not in shown
    assert "hunter" not in kept(text(legacy, HTML), text("<p>b</p>", HTML), fields=["/*/pin"], query=["q"])


def test_html_with_a_broken_tag_is_kept_where_it_mentions_no_field() -> None:
    for body in (
        '<p>spinning</p><input name=x value="7>',
        "<pin>1</pin><a href='a>b' x=\"a<b\" onclick=f('x')>",
        "<p title=",
    ):
        assert hidden(body, "/**/other", is_html=True) == body
    assert hidden('<i x="a>b"><pin y="a>b">7</pin>', "/**/pin", is_html=True) == '<i x="a>b"><pin y="[a>b]">[7]</pin>'
    for field in ("/**/token/*", "/*"):
        with pytest.raises(UnreadableError):
            hidden('<input name=x value="7>', field, is_html=True)


def test_a_document_without_the_field_is_kept_byte_for_byte() -> None:
    body = "<!DOCTYPE html><P CLASS=a>x &amp; y<br><img src='a>b'><!-- c --></p >\n"
    assert hidden(body, "/**/pin", is_html=True) == body


PIECES = ["<", ">", "</", "/>", "pin", "a", " ", "=", "'", '"', "<!--", "-->", "<pin>", "</pin>", "x", "<script>"]


@given(st.lists(st.sampled_from(PIECES)))
def test_any_text_is_read_to_its_end_and_only_what_is_named_is_changed(parts: list[str]) -> None:
    body = "".join(parts)
    assert hidden(body, "/**/other", is_html=True) == body
    try:
        clean = without_fields(body, markup_fields(["/**/pin"]), lambda secret: "", is_html=True)
    except UnreadableError:
        return  # it is in pieces, and none of it is kept
    assert len(clean) <= len(body) + 2 * body.count("="), "what it hides here is replaced by nothing"


@pytest.mark.parametrize(
    "hostile", [one * (900_000 // len(one)) for one in ("<pin>", "<a x='", "<pin ", "</pin>", "<script>", "<", "<a =")]
)
def test_a_megabyte_made_to_be_slow_is_read_in_time(hostile: str) -> None:
    began = time.process_time()
    try:
        hidden(hostile, "/**/pin", "/a/*/b/**", is_html=True)
    except UnreadableError as exc:
        assert "nested deeper" in str(exc) or "mentions a field" in str(exc)
    assert time.process_time() - began < 20, "a guard against squares, not a figure"
