"""The report as data, and as one HTML file that nothing a service answers can take over."""

from __future__ import annotations

import json
import re

import pytest

from shadow.certifying.certificate import CertificateVerdict
from shadow.comparing.differences import DifferenceKind as Kind
from shadow.pair import Answer
from shadow.pairs.kept import Unproven
from shadow.pairs.reader import PairReader
from shadow.report.building import build_report
from shadow.report.document import to_document
from shadow.report.html import render_html
from shadow.report.wording import sentence
from shadow.spec import CertificateTarget
from tests.fakes.elements import Elements
from tests.fakes.pair_folder import Folder
from tests.fakes.pairs import NOON, answer, text

HOSTILE = "</script></style><script>alert('xss')</script><img src=x onerror=alert(1)>\" onmouseover=\"alert(2)"


def test_a_report_says_how_many_pairs_differ_where_and_how_often(folder: Folder) -> None:
    folder.add(answer({"n": 1}), answer({"n": 1}), 6)
    folder.add(answer({"items": [{"price": 1.5}]}), answer({"items": [{"price": 1.51}]}), 3)
    folder.add(answer([1, 2]), answer([1]), 1)
    (route,) = folder.report().routes
    assert (route.route, route.stage, route.pairs, route.matches, route.differing) == ("items", "shadow", 10, 6, 4)
    assert [(each.place.path, each.rate, each.sentence) for each in route.places] == [
        ("/items/*/price", 0.3, "/items/*/price has another value"),
        ("/*", 0.1, "an item of the list is missing"),
    ]
    assert route.headline == (
        "4 of 10 compared answers differ; most often, "
        "price is not rounded in the candidate, where legacy's is rounded to 1 decimal."
    )
    assert route.certificate.verdict is CertificateVerdict.NO_GO


def test_routes_come_in_the_order_of_the_rules_and_one_can_be_asked_for(folder: Folder) -> None:
    for route in ("zoo", "items", "shop"):
        folder.add(answer(1), answer(1), route=route)
    assert [each.route for each in folder.report().routes] == ["shop", "items", "zoo"]
    assert [each.route for each in folder.report(only="zoo").routes] == ["zoo"]


def test_the_exit_code_is_the_worst_of_what_was_found(folder: Folder) -> None:
    assert folder.report().exit_code == 3
    folder.store.start_window("items", "digest", "load", NOON)
    assert folder.report().exit_code == 3
    folder.add(answer(1), answer(1))
    assert folder.report().exit_code == 0
    folder.store.set_unproven("items", Unproven(doubts=1))
    assert folder.report().exit_code == 4
    folder.add(answer(1), answer(2))
    assert folder.report().exit_code == 1


def test_the_target_of_the_route_is_what_its_certificate_is_held_against(folder: Folder) -> None:
    folder.add(answer(1), answer(1), 20)
    target = CertificateTarget.model_validate({"accuracy": "80%", "pairs": 20})
    with PairReader(folder.file) as reader:
        report = build_report(reader, {"items": target}, {}, NOON)
    assert report.routes[0].certificate.verdict is CertificateVerdict.GO


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_words_for_people(kind: Kind) -> None:
    for path in ("", "/items/*", "/a/b", "header:etag", "status", "body", "line:*"):
        words = sentence(kind, path)
        assert words
        assert "{" not in words


def test_the_document_is_plain_and_keeps_every_digit(folder: Folder) -> None:
    folder.add(answer('{"n": 0.1000000000000000000001}'), answer('{"n": 0.1}'))
    document = json.loads(json.dumps(to_document(folder.report())))
    (route,) = document["routes"]
    assert (route["route"], route["pairs"], route["matches"], route["differing"]) == ("items", 1, 0, 1)
    (place,) = route["differences"]
    assert (place["path"], place["kind"], place["count"], place["rate"]) == ("/n", "value_changed", 1, 1.0)
    (sample,) = place["samples"]
    assert (sample["legacy"], sample["candidate"]) == ("0.1000000000000000000001", "0.1")
    assert route["certificate"]["verdict"] == "NO-GO"


def test_what_a_service_answers_stays_text_in_the_html(folder: Folder) -> None:
    legacy = answer({HOSTILE: HOSTILE, "list": [HOSTILE]})
    folder.add(legacy, answer({HOSTILE: "other", "list": []}), target=f"/?q={HOSTILE}")
    folder.add(text(HOSTILE, "text/html"), text("<b>other</b>", "text/html"), route=f"route {HOSTILE}")
    folder.add(legacy, Answer(0, failure=HOSTILE))
    page = Elements(render_html(folder.report()))
    assert len(page.named("script")) == 1  # our own
    assert not page.named("img")
    handlers = [name for _, attributes in page.found for name in attributes if name.startswith("on")]
    assert not handlers
    assert "alert('xss')" in "".join(page.text)  # shown, not run


def test_the_html_loads_nothing_and_runs_nothing_but_its_own_script(folder: Folder) -> None:
    folder.add(answer({"a": 1}), answer({"a": 2}))
    html = render_html(folder.report())
    page = Elements(html)
    assert not [tag for tag, _ in page.found if tag in ("link", "iframe", "object", "embed", "base", "form")]
    assert not [attributes for _, attributes in page.found if {"src", "srcset", "style"} & attributes.keys()]
    assert all((each["href"] or "").startswith("#") for each in page.named("a"))
    assert "url(" not in html
    assert "@import" not in html
    (policy,) = [each["content"] for each in page.named("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-\S{44}'; style-src 'sha256-\S{44}'; base-uri 'none'", policy
    )


def test_the_html_shows_verdicts_places_and_both_bodies(folder: Folder) -> None:
    folder.add(answer({"price": 1.5}), answer({"price": 1.51}), 4)
    folder.add(answer(1), answer(1), 300, route="shop")
    shown = " ".join("".join(Elements(render_html(folder.report())).text).split())
    for words in (
        "NO-GO",
        "GO",
        "4 of 4 compared answers differ; most often, price is not rounded in the candidate",
        "All 300 compared answers agree.",
        '"price": 1.51',
    ):
        assert words in shown


def test_an_empty_folder_has_a_page_that_says_so(folder: Folder) -> None:
    assert "Nothing was compared yet" in render_html(folder.report())
