"""What messages of sources do not show, whatever a server or driver repeats of what it was sent."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary.evidence import Evidence
from canary.source_spec import Source
from canary.sources import collecting
from canary.sources.hiding import LONGEST, Hiding
from canary.sources.sql import Sql
from tests.canary.sources.asking import NOW, SINCE, gate, judged
from tests.canary.sources.test_prometheus_source import QUERY, answer
from tests.fakes.probed import Behaviour, Got, Probed, says

TOKEN = "liveTok4242"
HEADERS = {"authorization": f"Bearer {TOKEN}"}


def prometheus(url: str = "http://prom:9090", **changes: Any) -> Source:
    return Source.model_validate({"kind": "prometheus", "url": url} | changes)


def database(url: str) -> Source:
    return Source.model_validate({"kind": "sql", "url": url})


async def told(behave: Behaviour, user: str = "", **changes: Any) -> str:
    """What a gate says of a server that behaves so."""
    with Probed(behave).up() as service:
        url = service.url.replace("//", f"//{user}@") if user else service.url
        return (await judged(prometheus(url, **changes), gate(query=QUERY))).reason


def echo(got: Got) -> Any:
    return says(401, json.dumps({"error": f"bad token {got.headers['authorization']}"}).encode())(got)


BAD = 'bad {"k": "%s"}!'
ANSWERS: dict[str, Callable[[str], Behaviour]] = {
    "a refusal": lambda text: says(401, json.dumps({"error": text}).encode()),
    "an error": lambda text: says(200, json.dumps({"status": "error", "error": text}).encode()),
    "a status": lambda text: says(200, json.dumps({"status": text}).encode()),
    "a warning": lambda text: answer([(330, "1")], warnings=[text]),
    "a kind of result": lambda text: says(
        200, json.dumps({"status": "success", "data": {"resultType": text}}).encode()
    ),
    "a label": lambda text: says(
        200,
        json.dumps(
            {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {"a": text}}] * 2}}
        ).encode(),
    ),
    "a number": lambda text: answer([(1_699_992_900, text)]),
    "a content coding": lambda text: says(200, b"", content_encoding=text),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_token_is_hidden_wherever_the_server_says_it(kind: str) -> None:
    reason = await told(ANSWERS[kind](f"bad token {TOKEN}"), headers=HEADERS)

    assert TOKEN not in reason
    assert "bad token (not shown)" in reason


async def test_a_header_that_is_repeated_as_it_came_is_hidden() -> None:
    assert "answered 401: bad token (not shown) (source" in await told(echo, headers=HEADERS)


async def test_so_are_user_and_password_as_the_server_gets_them() -> None:
    reason = await told(echo, user=f"reader:{quote('hid/den wörd', safe='')}")

    assert "answered 401: bad token Basic (not shown) (source" in reason


async def test_a_header_that_cannot_be_sent_is_in_no_message() -> None:
    reason = await told(says(), headers={"x-key": f" {TOKEN} "})

    assert "cannot be asked" in reason
    assert TOKEN not in reason


PASSWORD = "hid/den&wörd"
BASIC = b64encode(f"reader:{PASSWORD}".encode()).decode()
SECRETS: dict[str, tuple[Source, tuple[str, ...]]] = {
    "a header": (
        prometheus(headers={"x-key": "s3/cr+et", "x-two": "first-half  second-half"}),
        ("s3/cr+et", "s3%2Fcr%2Bet", "s3%2fcr%2bet", b64encode(b"s3/cr+et").decode(), "S3/CR+ET", "second-half"),
    ),
    "a cookie": (prometheus(headers={"cookie": "a=1; session=abc123def"}), ("abc123def",)),
    "a coded header": (prometheus(headers={"authorization": f"Basic {BASIC}"}), (BASIC, PASSWORD, "reader")),
    "a URL's user": (prometheus("http://tenant-7@prom"), ("tenant-7", b64encode(b"tenant-7").decode())),
    "a URL's password": (
        database(f"postgresql://reader:{quote(PASSWORD, safe='')}@db/shop"),
        (
            PASSWORD,
            quote(PASSWORD, safe=""),
            "reader",
            BASIC,
            b64encode(PASSWORD.encode()).decode(),
            json.dumps(PASSWORD)[1:-1],
            PASSWORD.replace("&", "&amp;"),
        ),
    ),
    "a short password": (database("postgresql://fig:abcd@db/shop"), ("abcd",)),
    "a parameter": (database("mysql://db/shop?pwd=hid%2Fden&x=also+this"), ("hid/den", "hid%2Fden", "also this")),
    "parameters in one": (database("mssql://?odbc_connect=UID%3Dreader%3BPWD%3Dhidden-word"), ("hidden-word",)),
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_hidden_in_every_form(kind: str) -> None:
    spec, forms = SECRETS[kind]
    for form in forms:
        shown = Hiding(spec).text(BAD % form)
        assert shown == BAD % "(not shown)"


@given(cut=st.integers(6, 30), before=st.text(max_size=20), after=st.sampled_from(["", "'", "...", "***", " "]))
def test_what_was_cut_off_in_a_secret_is_hidden_too(cut: int, before: str, after: str) -> None:
    hiding = Hiding(database("postgresql://reader:Zq9Xw8Vr7Ut6Ys5Pn4Mk3Lj2Hg1@db/shop"))

    assert "Zq9Xw8" not in hiding.text(before + "Zq9Xw8Vr7Ut6Ys5Pn4Mk3Lj2Hg1"[:cut] + after)


def test_a_message_is_cut_after_it_was_cleared() -> None:
    hiding = Hiding(prometheus(headers=HEADERS))
    for length in range(LONGEST - 30, LONGEST + 3):
        shown = hiding.text("x" * length + " " + TOKEN)
        assert "l" not in shown
        assert len(shown) <= LONGEST + 3


def test_of_a_very_long_message_no_beginning_of_a_secret_is_left() -> None:
    hiding = Hiding(prometheus(headers={"x-key": "L" * 8000, "x-more": TOKEN}))
    for length in range(170, 200):
        shown = hiding.text("l" * 8000 + " " * length + TOKEN)
        assert shown.startswith("(not shown)")
        assert "li" not in shown


def test_a_message_is_one_line_without_what_terminals_obey() -> None:
    assert Hiding(prometheus()).text("a\n::error::b\x1b[31m\u2028c\n") == "a ::error::b [31m c"


def test_a_place_is_shown_though_the_password_is_a_word_of_it() -> None:
    spec = database("postgresql://postgres:postgres@db/shop")
    message = f"{spec.place}: password 'postgres' is wrong"

    assert Hiding(spec).text(message) == "postgresql://db/shop: password '(not shown)' is wrong"


def test_a_source_without_secrets_says_what_it_says() -> None:
    for spec in (prometheus(), database("sqlite:///shop.db"), Source.model_validate({"kind": "csv", "path": "a.csv"})):
        assert Hiding(spec).text("a.csv:3: column 'value' is 'many'") == "a.csv:3: column 'value' is 'many'"


async def test_what_a_driver_says_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("invalid dsn: user=reader password=hid/den word host=db")

    monkeypatch.setattr(Sql, "_reading", refuse)
    spec = database("sqlite:///file:x?uri=true&password=hid%2Fden+word&user=reader")
    query = "SELECT at AS time, side, v AS value FROM t WHERE at >= :from AND at < :to"
    judgement = await judged(spec, gate(query=query))

    assert "invalid dsn: user=(not shown) password=(not shown) host=db" in judgement.reason


async def test_the_trace_of_what_nobody_thought_of_is_cleared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError(TOKEN) from KeyError(TOKEN)

    monkeypatch.setattr(collecting, "opened", lambda spec: type("Broken", (), {"ask": broken, "close": broken})())
    traces: list[str] = []
    evidence = Evidence("shop", "g", gate(query=QUERY), subject="", share=0, since=SINCE)
    line = collecting._line(prometheus(headers=HEADERS))
    await collecting._asked(line, evidence.sourced[0], "shop", NOW, lambda: NOW, traces.append)

    assert "ZeroDivisionError: (not shown)" in traces[0]
    assert "KeyError" in traces[0]
    assert TOKEN not in traces[0]
