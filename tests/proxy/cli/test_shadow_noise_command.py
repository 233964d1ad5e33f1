"""`fig shadow noise` and `fig shadow suggest` as people and CI call them: what they print and how they exit."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from proxy.cli import app
from shadow.comparing.compare import judge
from shadow.noise.sampling import Sample
from shadow.pairs.noise_store import Asked, NoiseStore
from shadow.pairs.store import PairStore
from shadow.spec import Comparison
from tests.fakes.pairs import NOON, answer, pair

KEY = b"k" * 32


def fill(folder: Path, samples: int, bug: str = "") -> None:
    """Samples of a legacy whose trace is drawn anew each time; with a bug, the candidate's name is another one."""
    chance = random.Random(4)
    path = folder / ".fig" / "pairs.db"
    pairs, noise = opened(path), NoiseStore(path, KEY, chance.random)
    pairs.start_window("shop", "digest", "begun", NOON)
    made = []
    for number in range(samples):
        legacy, before, candidate, after = (
            answer({"trace": f"{chance.getrandbits(128):032x}", "name": bug if turn == 2 and bug else "fig"})
            for turn in range(4)
        )
        made.append(Sample(pair(legacy, candidate, number, route="shop"), before, after))
    pairs.add_many([judge(sample.pair, Comparison()) for sample in made])
    noise.add_many([Asked(sample, Comparison()) for sample in made])
    noise.close()
    pairs.close()


def opened(path: Path) -> PairStore:
    return PairStore(path, KEY)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["shadow", *arguments])


def test_noise_that_explains_everything_exits_0(folder: Path) -> None:
    fill(folder, 40)
    result = run("noise")
    assert result.exit_code == 0
    assert "40 samples beside 40 pairs" in result.output
    assert "noise explains it" in result.output
    assert "Clopper-Pearson, 95%" in result.output


def test_a_difference_beyond_noise_exits_1_and_stands_first(folder: Path) -> None:
    fill(folder, 40, bug="\x1b[31mred")
    result = run("noise", "shop", "--json")
    assert result.exit_code == 1
    (route,) = json.loads(result.output)["routes"]
    assert [(each["path"], each["verdict"]) for each in route["paths"]] == [
        ("/name", "difference beyond noise"),
        ("/trace", "noise explains it"),
    ]
    assert route["paths"][0]["noise"]["high"] == pytest.approx(1 - 0.025 ** (1 / 40))
    assert "\x1b[31m" not in run("suggest").output


def test_too_few_samples_exit_3(folder: Path) -> None:
    fill(folder, 5)
    assert run("noise").exit_code == 3


def test_without_samples_noise_says_how_to_have_them(folder: Path) -> None:
    opened(folder / ".fig" / "pairs.db").start_window("shop", "digest", "begun", NOON)
    result = run("noise")
    assert result.exit_code == 3
    assert "set shadow.noise on the route" in result.output
    assert run("suggest").exit_code == 3


def test_suggestions_come_with_their_support_and_as_yaml(folder: Path) -> None:
    fill(folder, 40)
    told = run("suggest")
    assert told.exit_code == 0
    assert "1 mask suggested; none is applied by itself" in told.output
    assert "support: 40 of 40 examples" in told.output
    assert "would excuse 40 of 40 kept pairs" in told.output
    plain = yaml.safe_load(run("suggest", "--yaml").output)
    (mask,) = Comparison.model_validate(json.loads(json.dumps(plain, default=str))).masks
    assert (mask.path, mask.kind, mask.pattern, mask.routes) == ("/trace", "matches", "[0-9a-f]{32}", ("shop",))
    (route,) = json.loads(run("suggest", "--json").output)["routes"]
    assert route["suggestions"][0]["would_excuse"]["wholly"] == 40


def test_a_difference_without_noise_gets_no_mask(folder: Path) -> None:
    fill(folder, 40, bug="gif")
    (route,) = json.loads(run("suggest", "--json").output)["routes"]
    assert [each["mask"]["path"] for each in route["suggestions"]] == ["/trace"]


def test_an_unknown_route_is_refused_with_the_nearest_name(folder: Path) -> None:
    fill(folder, 1)
    result = run("noise", "shpo")
    assert result.exit_code == 2
    assert "did you mean 'shop'" in result.output
    assert run("suggest", "--json", "--yaml").exit_code == 2
