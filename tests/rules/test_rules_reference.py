"""docs/rules-reference.md against the models: every key there, every example accepted, every default the real one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from proxy.rulebook import _File, load
from rules.reading.located import _models, validate
from rules.reading.nodes import parse, plain
from rules.review.meanings import MEANINGS

PAGE = (Path(__file__).parents[2] / "docs" / "rules-reference.md").read_text()
TABLE = re.compile(r"<!-- keys: (\S+) -->\n\|.*\n\|.*\n((?:\|.*\n)+)")
ROW = re.compile(r"\| `(\w+)` \| `(.+?)` \| (required|none|`.+?`) \| (.+) \|")


def _blocks(model: type[BaseModel], path: str, found: dict[type[BaseModel], str]) -> dict[type[BaseModel], str]:
    """Every block of the file, and the path at which it comes first: that is where the page has its table."""
    found[model] = path or "file"
    for name, info in model.model_fields.items():
        for inner in sorted(_models(info.annotation) - set(found), key=lambda each: each.__name__):
            _blocks(inner, f"{path}.{info.alias or name}".removeprefix("."), found)
    return found


BLOCKS = {path: model for model, path in _blocks(_File, "", {}).items()}
DOCUMENTED = {path: ROW.findall(rows) for path, rows in TABLE.findall(PAGE)}
ROWS = [(path, *row) for path, rows in DOCUMENTED.items() for row in rows]


def _fields(path: str) -> dict[str, FieldInfo]:
    """By the name that stands in a file."""
    return {info.alias or name: info for name, info in BLOCKS[path].model_fields.items()}


def _value(text: str) -> Any:
    root, problems = parse(text, "example")
    assert root is not None
    assert not problems
    return plain(root)


def _adapter(info: FieldInfo) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation)


def test_every_block_of_the_file_has_its_table() -> None:
    assert set(DOCUMENTED) == set(BLOCKS)


@pytest.mark.parametrize("path", BLOCKS)
def test_every_key_is_documented_and_no_other(path: str) -> None:
    assert [row[0] for row in DOCUMENTED[path]] == list(dict.fromkeys(row[0] for row in DOCUMENTED[path]))
    assert {row[0] for row in DOCUMENTED[path]} == set(_fields(path))


@pytest.mark.parametrize(("path", "key", "example"), [row[:3] for row in ROWS])
def test_every_example_is_accepted(path: str, key: str, example: str) -> None:
    root, _ = parse(f"{key}: {example}", "example")
    assert root is not None
    _, problems = validate(BLOCKS[path], root)
    about_others = ("missing-key",)  # the other keys of the block, and what the block as a whole must hold
    refused = [problem for problem in problems if problem.code not in about_others and problem.place.column > 1]
    assert not refused


@pytest.mark.parametrize(("path", "key", "default"), [(row[0], row[1], row[3]) for row in ROWS])
def test_every_default_is_the_real_one(path: str, key: str, default: str) -> None:
    info = _fields(path)[key]
    assert (default == "required") == info.is_required()
    if info.is_required():
        return
    real = info.get_default(call_default_factory=True)
    if default == "none":
        assert real is None or real in ((), {})
    else:
        adapter = _adapter(info)
        assert adapter.validate_python(_value(default.strip("`"))) == real


def test_every_whole_file_on_the_page_loads_without_a_warning(tmp_path: Path) -> None:
    files = [text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if text.startswith("version:")]
    assert files
    for number, text in enumerate(files):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        assert [each for each in load(file).warnings if each.code != "absent-file"] == []


def test_every_warning_is_documented_as_check_explains_it() -> None:
    section = PAGE.split("## Errors and warnings")[1]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \| (.+) \|$", section, re.MULTILINE)
    assert {code: (means, advice) for code, means, advice in rows} == MEANINGS
