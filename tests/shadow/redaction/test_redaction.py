"""No secret reaches what is stored, and what was equal stays equal."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest

from shadow.comparing.compare import compare
from shadow.comparing.differences import Difference
from shadow.pair import Answer, Pair
from shadow.redaction.redact import Redactor
from shadow.spec import Comparison, Redact
from tests.fakes.pairs import JSON_TYPE, answer, pair, text

REDACTOR = Redactor(b"k" * 32)
MARK = r"fig:[0-9a-f]{16}"


def cleaned(made: Pair, **redact: Any) -> tuple[Pair, tuple[Difference, ...]]:
    rules = Redact.model_validate(redact)
    outcome = compare(made.legacy, made.candidate, Comparison(redact=rules, headers=("location", "set-cookie")))
    return REDACTOR.pair(made, outcome.differences, rules)


def test_equal_secrets_give_equal_marks_under_one_key_and_other_marks_under_another() -> None:
    assert REDACTOR.mark("secret") == REDACTOR.mark("secret") != REDACTOR.mark("Secret")
    assert re.fullmatch(MARK, REDACTOR.mark("secret"))
    assert Redactor(b"x" * 32).mark("secret") != REDACTOR.mark("secret")


def test_credentials_are_replaced_in_requests_and_answers() -> None:
    request = (
        ("Authorization", "Bearer top-secret-token"),
        ("cookie", "sid=session-secret; theme=dark"),
        ("X-Tenant", "tenant-secret"),
        ("Accept", "text/html"),
    )
    reply = answer({}, headers=(*JSON_TYPE, ("Set-Cookie", "sid=session-secret; Path=/; HttpOnly")))
    made, _ = cleaned(pair(reply, reply, request_headers=request), headers=["x-tenant"])
    assert made.request_headers == (
        ("Authorization", f"Bearer {REDACTOR.mark('top-secret-token')}"),
        ("cookie", f"sid={REDACTOR.mark('session-secret')}; theme={REDACTOR.mark('dark')}"),
        ("X-Tenant", REDACTOR.mark("tenant-secret")),
        ("Accept", "text/html"),
    )
    assert made.legacy.headers[1] == ("Set-Cookie", f"sid={REDACTOR.mark('session-secret')}; Path=/; HttpOnly")


def test_fields_and_query_parameters_are_replaced_where_the_comparison_names_them() -> None:
    body = {"card": {"number": 4111111111111111, "name": "Ada"}, "users": [{"pin": "1234"}], "total": 1.10}
    made, _ = cleaned(
        pair(
            answer(body), answer(body), target="/pay?token=abc&page=2", request_headers=(("Referer", "/x?token=abc"),)
        ),
        fields=["/card/number", "/**/pin"],
        query=["token"],
    )
    token = REDACTOR.mark("abc")
    assert made.target == f"/pay?token={token}&page=2"
    assert made.request_headers == (("Referer", f"/x?token={token}"),)
    number, pin = REDACTOR.mark("4111111111111111"), REDACTOR.mark("1234")
    assert made.legacy.body.decode() == (
        f'{{"card": {{"number": "{number}", "name": "Ada"}}, "users": [{{"pin": "{pin}"}}], "total": 1.1}}'
    )


@pytest.mark.parametrize(
    ("legacy", "candidate"),
    [
        ({"card": {"number": "4111-a"}}, {"card": {"number": "4111-b"}}),  # the field itself
        ({"card": {"number": "4111-a"}}, {}),  # something that holds it
        ({"card": {"number": {"digits": "4111-a"}}}, {"card": {"number": {"digits": "4111-b"}}}),  # something in it
        ([{"card": {"number": "4111-a"}}], []),
    ],
)
def test_values_of_differences_are_redacted_wherever_the_field_lies(legacy: Any, candidate: Any) -> None:
    _, differences = cleaned(pair(answer(legacy), answer(candidate)), fields=["/**/number"])
    assert differences
    assert "4111" not in repr(differences)
    assert re.search(MARK, repr(differences))


@pytest.mark.parametrize(
    ("legacy", "candidate", "path"),
    [
        ({"Ada Lovelace": {"orders": 1}}, {"Ada Lovelace": {"orders": 2}}, "/customers/*/*"),
        ({"Ada Lovelace": 1}, {}, "/customers/*"),
        ({"4917012345": [1]}, {"4917012345": [2]}, "/customers/*/*"),
    ],
)
def test_keys_of_an_object_that_stands_where_a_field_is_are_what_it_holds(
    legacy: Any, candidate: Any, path: str
) -> None:
    made = pair(answer({"customers": legacy, "open": {"x": 1}}), answer({"customers": candidate, "open": {"x": 2}}))
    _, differences = cleaned(made, fields=["/customers"])

    assert [(one.path, "fig:" in one.pointer) for one in differences] == [(path, True), ("/open/x", False)]
    assert not re.search("Ada|4917012345|orders", repr(differences))


def test_a_secret_is_found_wherever_else_the_pair_shows_it() -> None:
    request = (("Cookie", "sid=session-secret/1"),)
    legacy = Answer(
        200, (("Content-Type", "text/html"), ("Location", "/?s=session-secret%2F1")), b"<p>session-secret/1"
    )
    candidate = Answer(200, (("Content-Type", "text/html"), ("Location", "/")), b"<p>none")
    made, differences = cleaned(pair(legacy, candidate, request_headers=request, target="/a?s=session-secret/1"))
    assert "session-secret" not in repr((made, differences))
    assert REDACTOR.mark("session-secret/1") in made.target


@pytest.mark.parametrize(
    ("cookie", "shown"),
    [
        ("sid=s%3Asession-secret.b%2Fc", "s:session-secret.b/c"),
        ('sid="session-secret"', "session-secret"),
        ("sid= session-secret ", "session-secret"),
    ],
)
def test_a_cookie_is_found_however_a_page_writes_it(cookie: str, shown: str) -> None:
    made, differences = cleaned(pair(answer({"a": shown}), answer({}), request_headers=(("Cookie", cookie),)))
    assert "session-secret" not in repr((made, differences))


@pytest.mark.parametrize("value", ["half-a-secret and-the-other-half", "MAC half-a-secret and-the-other-half"])
def test_of_credentials_only_a_well_known_scheme_is_shown(value: str) -> None:
    made, _ = cleaned(pair(answer({}), answer({}), request_headers=(("Authorization", value),)))
    assert "half" not in repr(made)


def test_what_one_side_shows_may_be_the_other_sides_secret() -> None:
    legacy = answer({}, headers=(*JSON_TYPE, ("Set-Cookie", "sid=only-legacy-knows")))
    made, differences = cleaned(pair(legacy, answer({"leak": "only-legacy-knows"})))
    assert "only-legacy-knows" not in repr((made, differences))


@pytest.mark.parametrize(
    ("hostile", "fields"),
    [
        (answer(b"\x00\x01 secret", headers=(("Content-Type", "image/png"),)), []),
        (answer(b"secret", headers=(*JSON_TYPE, ("Content-Encoding", "br"))), []),
        (answer('{"pin": "secret", "pin": 1}'), ["/pin"]),
    ],
)
def test_a_body_that_cannot_be_read_is_not_kept(hostile: Answer, fields: list[str]) -> None:
    made, _ = cleaned(pair(hostile, hostile), fields=fields)
    assert b"secret" not in made.legacy.body
    assert b"not kept" in made.legacy.body
    assert made.legacy.body == made.candidate.body  # equality survives


def test_compressed_bodies_are_redacted_too() -> None:
    packed = answer(gzip.compress(b'{"pin": "secret"}'), headers=(*JSON_TYPE, ("Content-Encoding", "gzip")))
    made, _ = cleaned(pair(packed, packed), fields=["/pin"])
    assert made.legacy.body.decode() == f'{{"pin": "{REDACTOR.mark("secret")}"}}'


def test_forms_name_their_fields_by_the_last_step() -> None:
    form = text("user=ada&pin=1234", "application/x-www-form-urlencoded")
    made, _ = cleaned(pair(form, form), fields=["/**/pin"])
    assert made.legacy.body.decode() == f"user=ada&pin={REDACTOR.mark('1234')}"


@pytest.mark.parametrize("shown", ["user[pin]", "user%5Bpin%5D", "user%5bpin%5d"])
@pytest.mark.parametrize("rules", [{"fields": ["/user[pin]"]}, {"query": ["user[pin]"]}])
def test_names_with_brackets_are_found_as_browsers_write_them(shown: str, rules: dict[str, Any]) -> None:
    form = text(f"a=1&{shown}=hunter2&b=2", "application/x-www-form-urlencoded")
    made, _ = cleaned(pair(form, form, target=f"/login?{shown}=hunter2"), **rules)
    mark = REDACTOR.mark("hunter2")
    assert made.legacy.body.decode() == f"a=1&{shown}={mark}&b=2"
    assert made.target == f"/login?{shown}={mark}"


def test_lines_of_a_body_whose_fields_cannot_be_found_are_not_shown() -> None:
    legacy, candidate = (answer(f'{{"pin": "secret-{side}", }}') for side in ("a", "b"))
    made, differences = cleaned(pair(legacy, candidate), fields=["/pin"])
    assert [each.pointer for each in differences] == ["line:1"]
    assert "secret" not in repr((made, differences))


def test_configured_fields_are_replaced_where_an_answer_shows_the_body_that_was_asked() -> None:
    shown = {"pin": "stays", "form": "a=1&pin=secret", "json": '{"pin": "secret", "n": 1}', "short": "pin=secret"}
    made, differences = cleaned(pair(answer({"shown": shown}), answer({"shown": None})), fields=["/card/pin"])
    assert "secret" not in repr((made, differences))
    assert '"pin": "stays"' in made.legacy.body.decode()
