"""Samples of noise on disk: counted by window, examples bounded and redacted, and read back as evidence."""

from __future__ import annotations

import json
import random
import sqlite3
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml

from shadow.comparing.compare import judge
from shadow.noise.rates import PathVerdict
from shadow.noise.sampling import Sample
from shadow.noise.yaml_text import as_yaml
from shadow.pairs.noise_reading import read_advice, read_noise
from shadow.pairs.noise_store import EXAMPLES, Asked, NoiseReader, NoiseStore
from shadow.pairs.store import PairStore
from shadow.spec import Comparison
from tests.fakes.pairs import NOON, answer, pair
from tests.shadow.noise.noisy_shop import Shop, planted

KEY = b"k" * 32
PLAIN = Comparison()
EXPIRES = date(2027, 2, 20)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pairs.db"


@pytest.fixture
def pairs(path: Path) -> PairStore:
    store = PairStore(path, KEY)
    store.start_window("items", "digest", "begun", NOON)
    return store


@pytest.fixture
def noise(path: Path, pairs: PairStore) -> NoiseStore:
    return NoiseStore(path, KEY, random.Random(1).random)


def keep(noise: NoiseStore, pairs: PairStore, samples: list[Sample], comparison: Comparison = PLAIN) -> None:
    noise.add_many([Asked(sample, comparison) for sample in samples])
    pairs.add_many([judge(sample.pair, comparison) for sample in samples])


def sample(legacy: object, before: object, candidate: object, after: object, number: int = 1) -> Sample:
    return Sample(pair(answer(legacy), answer(candidate), number=number), answer(before), answer(after))


def test_each_answer_counts_where_it_disagrees_with_the_first(path: Path, noise: NoiseStore) -> None:
    noise.add_many(
        [
            Asked(sample({"a": 1}, {"a": 1}, {"a": 1}, {"a": 2}), PLAIN),
            Asked(sample({"a": 1}, {"a": 2}, {"a": 3}, {"a": 1}), PLAIN),
            Asked(sample({"a": 1}, {"a": 1}, {"a": 1}, {"a": 1}), PLAIN),
        ]
    )
    with NoiseReader(path) as reader:
        assert reader.asked("items") == (3, NOON + 1, NOON + 1)
        (place,) = reader.places("items")
    found = place.counts
    assert (found.asked, found.before, found.after, found.noisy, found.differing) == (3, 1, 1, 2, 1)
    assert (found.only_after, found.only_differing) == (1, 1)
    assert [(each.legacy, each.other) for each in place.noise] == [("1", "2"), ("1", "2")]
    assert [(each.legacy, each.other) for each in place.candidate] == [("1", "3")]


def test_examples_are_bounded_and_of_all_times(path: Path, noise: NoiseStore) -> None:
    for start in range(0, 600, 100):
        noise.add_many(
            [Asked(sample({"a": n}, {"a": n}, {"a": n}, {"a": -1 - n}), PLAIN) for n in range(start, start + 100)]
        )
    with NoiseReader(path) as reader:
        (place,) = reader.places("items")
    numbers = [int(each.legacy or "") for each in place.noise]
    assert len(numbers) == EXAMPLES
    assert place.counts.noisy == 600
    assert all(any(start <= number < start + 100 for number in numbers) for start in range(0, 600, 100))


def test_noise_begins_anew_with_the_window(path: Path, pairs: PairStore, noise: NoiseStore) -> None:
    noise.add_many([Asked(sample({"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}), PLAIN)])
    pairs.start_window("items", "another", "other rules", NOON)
    with NoiseReader(path) as reader:
        assert reader.asked("items")[0] == 0
        assert reader.places("items") == ()


def test_what_belongs_to_a_window_that_is_gone_goes_too(path: Path, pairs: PairStore, noise: NoiseStore) -> None:
    noise.add_many([Asked(sample({"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}), PLAIN)])
    for number in range(25):
        pairs.start_window("items", f"digest-{number}", "other rules", NOON)
    noise.add_many([Asked(sample({"a": 1}, {"a": 1}, {"a": 1}, {"a": 1}), PLAIN)])
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM noise_places").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM noise").fetchone() == (1,)


def test_no_secret_is_stored_as_an_example(path: Path, noise: NoiseStore) -> None:
    comparison = Comparison.model_validate({"redact": {"fields": ["/token"]}})
    answers = [{"token": f"canary-{n}", "mail": f"canary-{n}@example.com"} for n in range(4)]
    noise.add_many([Asked(sample(*answers), comparison)])
    assert b"canary" not in path.read_bytes() + path.with_name("pairs.db-wal").read_bytes()
    with NoiseReader(path) as reader:
        places = {each.path: each for each in reader.places("items")}
    assert places["/token"].noise[0].is_hidden
    assert read_advice(path, "items", comparison).suggestions == ()


def test_a_route_without_a_window_keeps_no_sample(path: Path, noise: NoiseStore) -> None:
    stray = sample({"a": 1}, {"a": 2}, {"a": 1}, {"a": 2})
    assert noise.add_many([Asked(replace(stray, pair=replace(stray.pair, route="other")), PLAIN)]) == 0


def test_rates_and_verdicts_of_a_noisy_route(path: Path, pairs: PairStore, noise: NoiseStore) -> None:
    shop = Shop(3)
    samples = [planted(one, {**shop.document(n, 2), "total": 18}) for n, one in enumerate(shop.samples(60))]
    keep(noise, pairs, samples)
    found = {each.path: each for each in read_noise(path, "items").paths}
    assert found["/total"].verdict is PathVerdict.BEYOND
    assert found["/total"].noise.hits == 0
    assert found["/request"].verdict is PathVerdict.EXPLAINED
    assert found["/items"].verdict in (PathVerdict.EXPLAINED, PathVerdict.TOO_FEW)
    assert found["/items"].wide is None  # the pairs themselves tell a list in another order by its fields


def test_a_suggestion_says_what_it_would_excuse_and_what_stays(path: Path, pairs: PairStore, noise: NoiseStore) -> None:
    samples = [
        sample(*({"at": f"2026-11-22T10:00:0{n % 10}.{turn}00Z"} for turn in range(4)), number=n) for n in range(40)
    ]
    noon = {"at": "2026-11-22T10:00:00.000Z"}
    samples[7] = sample(noon, noon, {"at": None}, {"at": "2026-11-22T10:00:00.300Z"}, number=7)
    keep(noise, pairs, samples)
    (found,) = read_advice(path, "items", PLAIN).suggestions
    assert found.sentence == "they differ by at most 300ms"
    assert (found.support, found.examples, found.withheld) == (40, 40, "")
    assert (found.differing, found.beyond) == (40, 1)
    assert (found.reach.pairs, found.reach.wholly) == (40, 39)
    assert len(found.reach.examples) == 5
    assert [each.pair for each in found.reach.remaining] == ["pair-7"]


def test_ids_of_each_side_are_suggested_and_marked(path: Path, pairs: PairStore, noise: NoiseStore) -> None:
    ids = [{"id": Shop(n).document(0)["request"]} for n in range(60)]
    sides = zip(ids[:30], ids[30:], strict=True)
    samples = [sample(legacy, legacy, candidate, legacy, n) for n, (legacy, candidate) in enumerate(sides)]
    keep(noise, pairs, samples)
    (found,) = read_advice(path, "items", PLAIN).suggestions
    assert not found.from_noise
    assert any("WITHOUT evidence of noise" in line for line in as_yaml(found, "items", EXPIRES))


@pytest.mark.parametrize("bug", [lambda n: 100 + n + 0.01, lambda n: str(100 + n), lambda n: 0])
def test_differences_without_noise_never_make_a_mask_of_their_own(
    path: Path, pairs: PairStore, noise: NoiseStore, bug: object
) -> None:
    documents = [({"n": 100 + n}, {"n": bug(n)}) for n in range(40)]  # type: ignore[operator]
    keep(noise, pairs, [sample(a, a, b, a, n) for n, (a, b) in enumerate(documents)])
    assert read_advice(path, "items", PLAIN).suggestions == ()


def test_the_yaml_of_a_suggestion_is_a_mask_of_the_rules(path: Path, pairs: PairStore, noise: NoiseStore) -> None:
    keep(noise, pairs, Shop(5).samples(60))
    advice = read_advice(path, "items", PLAIN)
    assert advice.suggestions
    for each in advice.suggestions:
        (plain,) = yaml.safe_load("\n".join(as_yaml(each, "items", EXPIRES)))
        mask = Comparison.model_validate(json.loads(json.dumps({"masks": [plain]}, default=str))).masks[0]
        assert mask == each.mask.model_copy(update={"reason": each.sentence, "expires": EXPIRES, "routes": ("items",)})
