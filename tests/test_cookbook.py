"""Every file of the cookbook is checked, and does what the tests beside it say, for every route of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app

COOKBOOK = Path(__file__).parents[1] / "docs" / "cookbook"
TESTS = sorted(COOKBOOK.glob("*.test.yaml"))
RECIPES = sorted(set(COOKBOOK.glob("*.yaml")) - set(TESTS))


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.output


def test_each_recipe_has_tests_and_is_told_of() -> None:
    page = (COOKBOOK / "README.md").read_text()
    assert RECIPES
    for recipe in RECIPES:
        assert recipe.with_suffix(".test.yaml") in TESTS
        assert f"[{recipe.name}]({recipe.name})" in page


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_checked_without_a_warning(recipe: Path) -> None:
    code, output = run("rules", "check", recipe, "--strict")
    assert code == 0, output


@pytest.mark.parametrize("tests", TESTS, ids=lambda path: path.stem)
def test_a_recipe_does_what_its_tests_say(tests: Path) -> None:
    code, output = run("rules", "test", tests, "--cover", "--fail-under", "100%")
    assert code == 0, output
