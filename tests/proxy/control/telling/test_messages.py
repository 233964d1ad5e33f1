"""Messages to people: what they say, what goes together, and Slack's limits, whatever the history holds."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.control.records import Entry
from proxy.control.telling.happenings import happening_of
from proxy.control.telling.messages import HEADER, SECTION, SHOWN, TEXT, plain, slack
from proxy.control.telling.pace import Pace
from proxy.control.telling.spec import Happening
from rules.effective import Position
from rules.stages import Stage

SHADOW, CANARY = Position(Stage.SHADOW, 0), Position(Stage.CANARY, 50_000)
POSITIONS = st.builds(Position, st.sampled_from(list(Stage)), st.integers(0, 10**6), st.booleans()) | st.none()
ENTRIES = st.lists(
    st.builds(
        Entry,
        at=st.just(0.0),
        route=st.text(min_size=1, max_size=64),
        actor=st.text(max_size=100),
        action=st.sampled_from(["promote", "rollback", "freeze", "veto", "slo", "enter", "shadow certify"]),
        before=POSITIONS,
        after=POSITIONS,
        why=st.text(max_size=5000),
        generation=st.just(1),
    ),
    min_size=1,
    max_size=40,
)


def line(
    before: Position | None, after: Position | None, action: str = "promote", why: str = "", **others: Any
) -> Entry:
    return Entry(0.0, others.pop("route", "products"), "pilot", action, before, after, why, 3, **others)


def test_a_move_is_what_it_did_whatever_it_is_called() -> None:
    for before, after, action, kind in (
        (SHADOW, CANARY, "stage", Happening.PROMOTE),
        (CANARY, Position(Stage.CANARY, 60_000), "promote", Happening.STEP),
        (CANARY, SHADOW, "stage", Happening.ROLLBACK),
        (Position(Stage.CANARY, 60_000), CANARY, "stage", Happening.ROLLBACK),
        (CANARY, CANARY, "freeze", Happening.FREEZE),
        (CANARY, CANARY, "veto", Happening.VETO),
        (None, None, "slo", Happening.SLO),
        (None, CANARY, "enter", Happening.RULES),
        (CANARY, CANARY, "attempt", Happening.RULES),
        (CANARY, CANARY, "shadow certify", Happening.OTHER),
    ):
        assert happening_of(line(before, after, action)) is kind


def test_one_event_is_its_own_message() -> None:
    message = slack([line(CANARY, SHADOW, "rollback", "errors: 20% <b> & more")])
    assert message["text"] == ("products: canary 5% -&gt; shadow (rollback by pilot): errors: 20% &lt;b&gt; &amp; more")
    [block] = message["blocks"]
    assert block["text"]["text"].startswith(":rewind: products: canary 5% -&gt; shadow")


def test_what_went_wrong_comes_first_and_the_rest_is_counted() -> None:
    steps = [line(SHADOW, CANARY, route=f"r{number}") for number in range(14)]
    message = plain([*steps, line(CANARY, SHADOW, "rollback", "harm", route="cart", number=9)], "n-1")
    assert message["text"] == "15 things happened on 15 routes, 1 of them rollbacks"
    assert [event["route"] for event in message["events"]] == ["cart", *(f"r{number}" for number in range(SHOWN - 1))]
    assert (message["more"], message["id"]) == (5, "n-1")


def test_nobody_is_called_by_what_a_reason_says() -> None:
    message = slack([line(CANARY, CANARY, "veto", "<!channel> <https://evil.example|look>")])
    assert "<" not in json.dumps(message)


@given(ENTRIES)
def test_slack_takes_every_message(entries: list[Entry]) -> None:
    message = slack(entries)
    assert len(message["text"]) <= TEXT
    assert 1 <= len(message["blocks"]) <= 50
    for block in message["blocks"]:
        if block["type"] == "header":
            assert 1 <= len(block["text"]["text"]) <= HEADER
        if block["type"] == "section":
            assert 1 <= len(block["text"]["text"]) <= SECTION
        if block["type"] == "context":
            assert len(block["elements"]) <= 10
    json.dumps(plain(entries, "n"))


@given(st.integers(1, 60), st.lists(st.floats(0, 20), max_size=200))
def test_no_minute_has_more_messages_than_there_may_be(per_minute: int, between: list[float]) -> None:
    pace, now, sent = Pace(per_minute), 0.0, []
    for seconds in between:
        now += seconds
        now += pace.wait(now)
        pace.sent(now)
        sent.append(now)
    for first, last in zip(sent, sent[per_minute:], strict=False):
        assert last - first >= 60 - 1e-6
