"""What is learnt of the candidate's order of keys makes comparisons quicker, and never says equal wrongly."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from shadow.comparing import layouts
from shadow.comparing.compare import Comparer
from shadow.comparing.exact import MAX_DEPTH
from shadow.comparing.layouts import MOST_IDLE, MOST_KEYS, MOST_LAYOUTS, MOST_LEARNT, Layouts
from shadow.comparing.values import written
from shadow.spec import Comparison
from tests.fakes.pairs import answer
from tests.shadow.comparing.drawn_json import changed, drawn_value, plain, spelled

ORDER = {
    "id": 17,
    "lines": [{"sku": "a", "price": 9.50, "note": None}, {"sku": "b", "price": 1, "gift": True}],
    "customer": {"name": "Zoë", "address": {"city": "Köln"}},
    "paid": None,
    "tags": [],
}


def text(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


def learnt(value: Any) -> Layouts:
    found = Layouts()
    found.learn(text(value), text(turned(value)))
    assert found.agree(text(value), text(turned(value)))
    return found


def test_another_answer_of_the_kind_agrees_at_once() -> None:
    another = {**ORDER, "id": 10**30, "lines": [{"sku": "c", "price": 0.5}], "paid": {"at": 1.50}, "tags": ["x", 1]}
    assert learnt(ORDER).agree(text(another), text(turned(another)))


def test_an_object_that_was_null_and_keys_that_came_and_went_are_learnt_from_the_items_of_a_list() -> None:
    found = learnt({"items": [{"a": None, "b": 1}, {"a": {"x": 1, "y": 2}, "c": 1}, {"b": 1, "c": 1}]})
    for item in ({"a": {"x": 3, "y": 4}, "b": 2}, {"a": None, "c": 2}, {}):
        another = {"items": [item, item]}
        assert found.agree(text(another), text(turned(another)))


@pytest.mark.parametrize(
    "candidate",
    [
        text({**turned(ORDER), "id": 18}),
        text({**turned(ORDER), "id": "17"}),
        text({**turned(ORDER), "paid": False}),
        text({**turned(ORDER), "more": 1}),
        text({key: value for key, value in turned(ORDER).items() if key != "tags"}),
        text(turned(ORDER)).replace(b'"id":17', b'"id":17.0'),
        text(turned(ORDER)).replace(b'"id":17', b'"id":17,"id":17'),
        text(turned(ORDER)).replace(b'"id":17', b'"id":true'),
        text(turned(ORDER))[:-1],
        b"",
    ],
)
def test_no_other_text_agrees(candidate: bytes) -> None:
    assert not learnt(ORDER).agree(text(ORDER), candidate)


@pytest.mark.parametrize("twice", [b'"id":17,"id":17', b'"id":17,"\\u0069d":1', b'"id":1e-5,"id":17'])
def test_a_repeated_key_of_legacy_agrees_with_nothing(twice: bytes) -> None:
    assert not learnt(ORDER).agree(text(ORDER).replace(b'"id":17', twice), text(turned(ORDER)))


def test_a_repeated_key_is_seen_where_nothing_was_learnt_either() -> None:
    """Below a place that held null, whatever comes is read."""
    legacy, candidate = (text(each).replace(b'"paid":null', b'"paid":{"x":1,"x":1}') for each in (ORDER, turned(ORDER)))
    assert not learnt(ORDER).agree(legacy, candidate)


def test_what_is_too_deep_agrees_with_nothing() -> None:
    for levels, equal in ((MAX_DEPTH - 1, True), (MAX_DEPTH, False)):
        deep: Any = 1
        for _ in range(levels):
            deep = [deep]
        another = {**ORDER, "paid": deep}
        assert learnt(ORDER).agree(text(another), text(turned(another))) is equal


def test_digits_are_kept() -> None:
    legacy = text(ORDER).replace(b"9.5", b"1e400").replace(b'"id":17', b'"id":0.10000000000000000001')
    candidate = text(turned(ORDER)).replace(b"9.5", b"1e400").replace(b'"id":17', b'"id":0.1')
    assert not learnt(ORDER).agree(legacy, candidate)
    assert learnt(ORDER).agree(legacy, candidate.replace(b'"id":0.1', b'"id":0.10000000000000000001'))


def test_a_layout_without_use_is_forgotten_and_learning_ends() -> None:
    found = learnt(ORDER)
    for _ in range(MOST_IDLE):
        assert not found.agree(b'{"other":1}', b'{"another":1}')
    assert not found.agree(text(ORDER), text(turned(ORDER)))
    for _ in range(MOST_LEARNT):
        found.learn(text(ORDER), text(turned(ORDER)))
    for _ in range(MOST_IDLE * MOST_LAYOUTS):
        found.agree(b"{}", b"[]")
    found.learn(text(ORDER), text(turned(ORDER)))
    assert not found.agree(text(ORDER), text(turned(ORDER)))


@pytest.mark.parametrize("key", ['"', "\\", "\n"])
def test_names_that_cannot_be_learnt_are_left(key: str) -> None:
    found = Layouts()
    found.learn(text({key: 1, "a": 2}), text({"a": 2, key: 1}))
    assert not found.agree(text({key: 1, "a": 2}), text({"a": 2, key: 1}))


def test_more_keys_than_are_learnt_are_left() -> None:
    for count, known in ((MOST_KEYS, True), (MOST_KEYS + 1, False)):
        many = {str(key): key for key in range(count)}
        found = Layouts()
        found.learn(text(many), text(turned(many)))
        assert found.agree(text(many), text(turned(many))) is known


def test_verdicts_are_those_of_the_plainest_reading_whatever_was_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many answers of few kinds, judged by a comparison that never stops learning."""
    chance = Random(3)
    monkeypatch.setattr(layouts, "MOST_LEARNT", 10_000)
    comparer, verdicts = Comparer(Comparison()), []
    agreed: list[bool] = []
    agree = Layouts.agree
    monkeypatch.setattr(Layouts, "agree", lambda *given: agreed.append(agree(*given)) or agreed[-1])
    kinds = [{"kind": number, "of": drawn_value(chance, 4)} for number in range(4)]
    for _ in range(1_500):
        value = chance.choice(kinds)
        other = turned(value) if chance.random() < 0.7 else changed(value, chance)
        twice = chance.random() < 0.1
        spelling = spelled if chance.random() < 0.3 else lambda each, *_: written(each)
        legacy, candidate = spelled(value, chance, True) if twice else written(value), spelling(other, chance)
        readings = plain(legacy), plain(candidate)
        equal = readings[0] == readings[1] if None not in readings else legacy == candidate
        verdicts.append(comparer.compare(answer(legacy), answer(candidate)).equal)
        assert verdicts[-1] is equal, (legacy, candidate)
    assert min(verdicts.count(True), verdicts.count(False)) > 300
    assert agreed.count(True) > 300
