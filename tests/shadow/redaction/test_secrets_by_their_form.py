"""Card numbers, e-mail addresses, JWTs and IBANs are found by their form alone, wherever a pair shows them."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shadow.comparing.compare import compare
from shadow.pair import Answer
from shadow.redaction.forms import Detector
from shadow.redaction.redact import Redactor
from shadow.spec import Comparison, Redact
from tests.fakes.pairs import JSON_TYPE, answer, pair, text

REDACTOR = Redactor(b"k" * 32)
CARD, EMAIL = "4111111111111111", "ada.lovelace+shop@example.co.uk"
JWT, IBAN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl-_x", "DE89370400440532013000"
EXAMPLES = {Detector.CARD: CARD, Detector.EMAIL: EMAIL, Detector.JWT: JWT, Detector.IBAN: IBAN}
MARK = re.compile("(?:fig|card|email|jwt|iban):[0-9a-f]{7}[a-f][0-9a-f]{7}[a-f]")


def luhn(digits: str) -> str:
    """The digits with the check digit that makes them a card's."""
    doubled = [int(d) * 2 - 9 * (int(d) > 4) if place % 2 == 0 else int(d) for place, d in enumerate(digits[::-1])]
    return digits + str(-sum(doubled) % 10)


def iban(country: str, account: str) -> str:
    number = int("".join(str(int(sign, 36)) for sign in account + country + "00"))
    return f"{country}{98 - number % 97:02}{account}"


CARDS = st.builds(
    lambda first, rest: luhn(first + rest), st.sampled_from("23456789"), st.from_regex("[0-9]{11,17}", fullmatch=True)
)
EMAILS = st.from_regex(r"[a-z0-9]([a-z0-9._+'-]{0,20}[a-z0-9_+])?@([a-z0-9]{1,10}\.){1,3}[a-z]{2,8}", fullmatch=True)
JWTS = st.from_regex(r"eyJ[A-Za-z0-9_-]{5,40}\.[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{1,43}", fullmatch=True)
LENGTHS = {"DE": 18, "AT": 16, "NO": 11, "CH": 17}
IBANS = st.sampled_from(sorted(LENGTHS)).flatmap(
    lambda country: st.from_regex(f"[0-9]{{{LENGTHS[country]}}}", fullmatch=True).map(lambda rest: iban(country, rest))
)
SECRETS = st.one_of(CARDS, EMAILS, JWTS, IBANS)


@pytest.mark.parametrize("detector", list(Detector))
def test_each_form_is_replaced_by_a_word_that_says_what_it_was(detector: Detector) -> None:
    secret = EXAMPLES[detector]
    mark = REDACTOR.found(detector, secret)
    assert mark.startswith(f"{detector.value}:") and MARK.fullmatch(mark)
    assert REDACTOR.text(f"Paid by <{secret}>, thanks.") == f"Paid by <{mark}>, thanks."


@pytest.mark.parametrize(
    "shown",
    [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111 1111 1111 1111 12/27",
        "2 x 4111\u00a01111\u00a01111\u00a01111",
        "number=4111+1111+1111+1111&cvc=1",
        "PAN4111111111111111",
        "4111%201111%201111%201111",
        "%34%3111111111111111",
        "4111&nbsp;1111&nbsp;1111&nbsp;1111",
        "\\u0034111111111111111",
        "card:4111111111111111",
    ],
)
def test_a_card_is_the_same_however_it_is_written(shown: str) -> None:
    assert REDACTOR.found(Detector.CARD, CARD) in REDACTOR.text(shown)
    assert "1111" not in REDACTOR.text(shown)


@pytest.mark.parametrize(
    "shown",
    [quote(EMAIL), quote(quote(EMAIL)), html.escape(EMAIL).replace("@", "&#64;"), EMAIL.replace("@", "\\u0040")],
)
def test_an_address_is_the_same_however_it_is_encoded(shown: str) -> None:
    assert REDACTOR.text(f"/find?by={shown}&page=2").replace("%3A", ":") == (
        f"/find?by={REDACTOR.found(Detector.EMAIL, EMAIL)}&page=2"
    )


@pytest.mark.parametrize("secret", EXAMPLES.values())
def test_text_in_base64_is_replaced_as_a_whole(secret: str) -> None:
    encoded = base64.b64encode(f"{secret}:password".encode()).decode()
    clean = REDACTOR.text(f"Basic {encoded} x")
    assert re.fullmatch(f"Basic {MARK.pattern} x", clean), clean


@pytest.mark.parametrize(
    "shown", ["DE89 3704 0044 0532 0130 00 PAID", "de89370400440532013000", "DE89-3704-0044-0532-0130-00"]
)
def test_an_account_is_the_same_however_it_is_written(shown: str) -> None:
    assert REDACTOR.text(shown).startswith(REDACTOR.found(Detector.IBAN, IBAN))


@pytest.mark.parametrize(
    "harmless",
    [
        "4111111111111112",  # the check digit is wrong
        "550e8400-e29b-41d4-a716-446655440003",
        "0.4111111111111111",
        "1763845200003",  # milliseconds
        "d4111111111111111",  # hexadecimal
        "41111111111111111111111111111111",
        "DE88370400440532013000",
        "@mention, ada@localhost, a@b",
        "eyJhbGciOiJIUzI1NiJ9",
        "2026-11-22T21:03:20.123456Z",
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_secret_stays(harmless: str) -> None:
    assert REDACTOR.text(harmless) is harmless


@given(st.lists(SECRETS, min_size=1, max_size=4), st.sampled_from([" ", ", ", '", "', "\n", "&x=", "/", "<br>"]))
def test_no_secret_survives_and_what_was_redacted_once_does_not_change(secrets: list[str], between: str) -> None:
    shown = between.join(secrets)
    clean = REDACTOR.text(shown)
    assert not [secret for secret in secrets if secret in clean]
    assert REDACTOR.text(clean) == clean


@given(SECRETS, SECRETS, st.sampled_from(["{}", "x {} y", '{{"a": "{}"}}', "/u/{}/v", "?e={}&f=1", "<b>{}</b>"]))
def test_marks_are_equal_exactly_when_secrets_are(one: str, other: str, around: str) -> None:
    marks = [MARK.findall(REDACTOR.text(around.format(secret))) for secret in (one, other)]
    assert len(marks[0]) == len(marks[1]) == 1
    assert (marks[0] == marks[1]) == (one == other)
    assert MARK.findall(REDACTOR.text(one)) == marks[0]


@given(st.text(max_size=200))
def test_any_text_can_be_redacted_and_again_without_change(shown: str) -> None:
    once = REDACTOR.text(shown)
    assert REDACTOR.text(once) == once


def everything(secret: str, kind: str, body: bytes, **headers: str) -> str:
    """What is kept of a pair that shows the secret everywhere."""
    fields = (("Content-Type", kind), ("X-Note", f"for {secret}"), ("Set-Cookie", f"a=b; Comment={secret}"))
    legacy = Answer(200, (*fields, *headers.items()), body)
    candidate = Answer(200, (*fields, *headers.items()), body + b" ")
    made = pair(
        legacy,
        candidate,
        target=f"/find/{secret}?q={quote(secret)}",
        request_headers=(("Referer", f"https://shop.example/?of={secret}"),),
        request_id=f"retry-{secret}",
    )
    rules = Redact()
    outcome = compare(made.legacy, made.candidate, Comparison(redact=rules, headers=("x-note", "set-cookie")))
    return repr(REDACTOR.pair(made, outcome.differences, rules))


@pytest.mark.parametrize("secret", EXAMPLES.values())
def test_no_part_of_a_pair_shows_it(secret: str) -> None:
    bodies: list[tuple[str, bytes, dict[str, str]]] = [
        ("application/json", json.dumps({"a": [secret], secret: 1}).encode(), {}),
        ("application/json", f'{{"broken": "{secret}", }}'.encode(), {}),
        ("application/json", gzip.compress(json.dumps({"a": secret}).encode(), mtime=0), {"Content-Encoding": "gzip"}),
        ("application/x-www-form-urlencoded", f"a={quote(secret)}&b=2".encode(), {}),
        ("text/html", f"<a href='mailto:{secret}'>{secret}</a>".encode(), {}),
        ("application/xml", f"<a b='{secret}'>{secret}</a>".encode(), {}),
        ("text/plain; charset=utf-16", f"Dear {secret},".encode("utf-16"), {}),
        ("application/octet-stream", secret.encode(), {}),
    ]
    for kind, body, headers in bodies:
        assert secret not in everything(secret, kind, body, **headers), kind


def kept(body: Any) -> str:
    made = pair(answer(body), answer(body))
    return REDACTOR.pair(made, (), Redact())[0].legacy.body.decode()


def test_a_number_becomes_a_string_and_the_body_stays_json() -> None:
    mark = REDACTOR.found(Detector.CARD, CARD)
    assert kept(f'{{"number":{CARD},"total":1.10}}') == f'{{"number": "{mark}", "total": 1.10}}'


def test_keys_are_looked_at_too_and_escapes_hide_nothing() -> None:
    mark = REDACTOR.found(Detector.EMAIL, "ada@example.com")
    assert kept(r'{"\u0061da\u0040example.com": 1}') == f'{{"{mark}": 1}}'


def test_a_body_without_a_secret_is_kept_as_it_came() -> None:
    body = '{"text":"caf\\u00e9",  "n":1.50}'
    assert kept(body) == body


def test_values_of_differences_show_none() -> None:
    legacy, candidate = answer({"n": int(CARD), "by": EMAIL}), answer({"n": 1, "by": None}, headers=JSON_TYPE)
    outcome = compare(legacy, candidate, Comparison())
    _, differences = REDACTOR.pair(pair(legacy, candidate), outcome.differences, Redact())
    assert {each.legacy for each in differences} == {
        REDACTOR.found(Detector.CARD, CARD),
        REDACTOR.found(Detector.EMAIL, EMAIL),
    }


def test_a_detector_is_switched_off_with_a_reason_only() -> None:
    with pytest.raises(ValidationError, match="leaves out email"):
        Redact.model_validate({"detect": ["card", "jwt", "iban"]})
    with pytest.raises(ValidationError, match="leaves out nothing"):
        Redact.model_validate({"because": "why not"})
    rules = Redact.model_validate({"detect": ["card"], "because": "this API is about public addresses"})
    made = pair(text(f"{EMAIL} {CARD}"), text(""))
    assert REDACTOR.pair(made, (), rules)[0].legacy.body.decode() == f"{EMAIL} {REDACTOR.found(Detector.CARD, CARD)}"


@pytest.mark.parametrize(
    "hostile", ["@", "a@a.", "1 ", "4111111111111111 ", "DE89 ", "%41", "&#65;", "\\u0041", "QUFB", "eyJ."]
)
def test_a_megabyte_made_to_be_slow_is_read_to_its_end(hostile: str) -> None:
    shown = hostile * (200_000 // len(hostile))
    assert len(REDACTOR.text(shown)) > 0
