"""The documents and the program say the same: commands, options, keys, metrics, links, words."""

from __future__ import annotations

import ast
import functools
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from proxy.cli import app
from proxy.rulebook import load, schema

ROOT = Path(__file__).parent.parent
PACKAGES = ("rules", "shadow", "canary", "proxy")
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@functools.cache
def tracked() -> tuple[Path, ...]:
    """Every file of the project; without git, what lies here and is not made by a tool."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True
    )
    if listed.returncode == 0 and listed.stdout:
        found = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        made = {"__pycache__", "node_modules", "build", "dist"}
        found = [
            path
            for path in ROOT.rglob("*")
            if not any(part in made or part.startswith(".") for part in path.relative_to(ROOT).parts[:-1])
        ]
    return tuple(sorted(path for path in found if path.is_file()))


def documents() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".md"]


def text_of(name: str) -> str:
    path = DOCS / name
    assert path.exists(), f"docs/{name} is missing"
    return path.read_text()


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- commands --------------------------------------------------------------------------------------------------------


@functools.cache
def commands() -> dict[str, TyperCommand]:
    """Every command by what is typed for it: ``fig rules check``."""

    def below(command: TyperGroup | TyperCommand, words: str) -> Iterator[tuple[str, TyperCommand]]:
        if isinstance(command, TyperGroup):
            for name, inner in command.commands.items():
                yield from below(inner, f"{words} {name}")
        else:
            yield words, command

    return dict(below(typer.main.get_command(app), "fig"))


def flags(command: TyperCommand) -> set[str]:
    """The long forms of a command's options."""
    return {
        name
        for parameter in command.params
        if isinstance(parameter, TyperOption)
        for name in parameter.opts + parameter.secondary_opts
        if name.startswith("--")
    }


def section(page: str, heading: str) -> str:
    """What stands under the heading that names `heading`, up to the next heading of its level or above."""
    found = re.search(rf"^(#+) .*{re.escape(heading)}(?![\w-]).*$", page, re.MULTILINE)
    if found is None:
        return ""
    end = re.search(rf"^#{{1,{len(found[1])}}} ", page[found.end() :], re.MULTILINE)
    return page[found.end() : found.end() + end.start()] if end else page[found.end() :]


def test_every_command_and_each_of_its_options_is_documented() -> None:
    page = text_of("cli.md")
    missing = [
        f"{words} {flag}".strip()
        for words, command in commands().items()
        for flag in ("", *sorted(flags(command)))
        if not re.search(rf"{flag}\b(?!-)", section(page, words))
    ]
    assert not missing, f"docs/cli.md does not tell of {', '.join(missing)}"


def typed(path: Path) -> Iterator[list[str]]:
    """The words of every `fig ...` line in a document's fenced blocks of shell."""
    for language, block in FENCE.findall(path.read_text()):
        if language not in ("sh", "shell", "bash", "console"):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            line = line.removeprefix("$ ")
            if line.startswith(("fig ", ".venv/bin/fig ")):
                yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("path", documents(), ids=named)
def test_documents_type_only_commands_and_options_that_exist(path: Path) -> None:
    known = commands()
    for words in typed(path):
        line = " ".join(["fig", *words])
        name = max((each for each in known if f"{line} ".startswith(f"{each} ")), key=len, default=None)
        if name is None:
            assert words == ["--help"], f"{named(path)}: there is no command `{line}`"
            continue
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        extra = sorted(given - flags(known[name]) - {"--help"})
        assert not extra, f"{named(path)}: `{name}` has no {', '.join(extra)}"


# --- keys ------------------------------------------------------------------------------------------------------------


def keys() -> list[str]:
    """``Route.fallback``: every key of the rules file, by the model that has it."""
    whole = schema()
    blocks = {"Rules": whole, **whole.get("$defs", {})}
    return sorted(f"{name}.{key}" for name, block in blocks.items() for key in block.get("properties", {}))


def test_every_key_of_the_rules_file_is_documented() -> None:
    """That it is told in the right place, with its default, is asked by tests/rules/test_rules_reference.py."""
    page = text_of("rules-reference.md")
    missing = [key for key in keys() if f"| `{key.rpartition('.')[2]}` |" not in page]
    assert not missing, f"docs/rules-reference.md does not tell of {', '.join(missing)}"


@pytest.mark.parametrize("path", documents(), ids=named)
def test_every_whole_rules_file_in_the_documents_is_one(path: Path, tmp_path: Path) -> None:
    for language, block in FENCE.findall(path.read_text()):
        if language == "yaml" and re.search(r"^version: 1$", block, re.MULTILINE):
            file = tmp_path / "fig.yaml"
            file.write_text(block)
            assert [each for each in load(file).warnings if each.code != "absent-file"] == []


# --- metrics ---------------------------------------------------------------------------------------------------------


def metrics() -> set[str]:
    """Every metric that /metrics can show, as it is shown: those of control, and those that the others send it."""
    found: set[str] = set()
    for path in (ROOT / "proxy").rglob("*.py"):
        if path.relative_to(ROOT).parts[1] in ("control", "dataplane", "worker", "shadower"):
            for node in ast.walk(ast.parse(path.read_text())):
                found.update(_metrics_of(node))
    return found


def _metrics_of(node: ast.AST) -> Iterator[str]:
    """The names in one call of a metric family or counter, or in one gauge ``("name", labels, float(...))``."""
    match node:
        case ast.Call(func=ast.Name(id=family), args=[ast.Constant(value=str(name)), *_]) if family.endswith("Family"):
            yield f"{name}_total" if family.startswith("Counter") else name
        case ast.Call(func=ast.Attribute(attr="count" | "_count"), args=[ast.Constant(value=str(name)), _, *_]):
            yield f"fig_{name}_total"
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr="add"),
            args=[ast.Constant(value=str(name)), *_],
        ) if "counts" in owner:
            yield f"fig_{name}_total"
        case ast.Tuple(elts=[ast.Constant(value=str(name)), _, ast.Call(func=ast.Name(id="float"))]):
            yield f"fig_{name}"


def test_every_metric_is_documented() -> None:
    page = text_of("metrics.md")
    missing = sorted(name for name in metrics() if f"`{name}`" not in page)
    assert not missing, f"docs/metrics.md does not tell of {', '.join(missing)}"


def test_every_documented_metric_exists() -> None:
    told = set(re.findall(r"`(fig_\w+)`", text_of("metrics.md")))
    assert not told - metrics()


# --- links, words, places --------------------------------------------------------------------------------------------


def anchors(page: str) -> set[str]:
    """What the headings of a page are linked by, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", documents(), ids=named)
def test_relative_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", path.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        where, _, anchor = link.partition("#")
        aim = (path.parent / where).resolve() if where else path
        assert aim.exists(), f"{named(path)}: {link} leads nowhere"
        if anchor:
            assert anchor in anchors(aim.read_text()), f"{named(path)}: {named(aim)} has no heading #{anchor}"


@functools.cache
def places() -> tuple[str, ...]:
    return tuple(f"/{named(each)}" for each in tracked())


@pytest.mark.parametrize("path", documents(), ids=named)
def test_files_that_documents_name_exist(path: Path) -> None:
    """`rules/table.py` from the root; `heads.py` or `worker/copies.py` from a package that the text speaks of."""
    page = path.read_text()
    own = set(re.findall(r"Save it as\s`([\w.]+)`", page))
    told = set(re.findall(r"`([\w/]+\.(?:py|toml|lock))`", page)) - own
    assert [name for name in sorted(told) if not any(each.endswith(f"/{name}") for each in places())] == []


@functools.cache
def banned() -> set[str]:
    """The words that the glossary asks to be looked for."""
    found = re.search(r"^Never: (.*)\.$", text_of("glossary.md"), re.MULTILINE)
    assert found is not None
    return set(found[1].split(", "))


def names(path: Path) -> Iterator[str]:
    """A module's name, and those of its classes and functions."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


@functools.cache
def words(name: str) -> set[str]:
    """``PrimaryRoute`` and ``primary_route``: primary, route; the plural's s left out too."""
    split = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
    return {*split, *(word.removesuffix("s") for word in split)}


def test_names_in_the_code_are_words_of_the_glossary() -> None:
    wrong = [
        f"{named(path)}: {name}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in names(path)
        if words(name) & banned()
    ]
    assert not wrong


def test_documents_use_the_words_of_the_glossary() -> None:
    wrong = [
        f"{named(path)}: {word}"
        for path in documents()
        if path != DOCS / "glossary.md"
        for word in re.findall(r"[A-Za-z]+", FENCE.sub("", path.read_text()))
        if words(word) & banned()
    ]
    assert not wrong


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    place = re.compile(rb"(?<![\w.:~/-])/(?:root|work|Users)/|/home/(?!fig\b)\w+/")
    wrong = [named(path) for path in tracked() if place.search(path.read_bytes())]
    assert not wrong


def test_the_list_of_decisions_names_each_of_them() -> None:
    decisions = {path.name for path in (DOCS / "decisions").glob("[0-9]*.md")}
    listed = set(re.findall(r"\((\d{4}-[\w-]+\.md)\)", text_of("decisions/README.md")))
    assert decisions == listed


@pytest.mark.parametrize("path", sorted((DOCS / "decisions").glob("[0-9]*.md")), ids=named)
def test_a_decision_has_a_number_a_context_and_consequences(path: Path) -> None:
    page = path.read_text()
    assert page.startswith(f"# {path.name[:4]}: ")
    for part in ("**Context.**", "**Decision.**", "**Consequences.**"):
        assert part in page
    assert len(page.splitlines()) <= 40, "half a page, please"


def test_contributing_tells_of_every_make_target() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert [target for target in targets if f"make {target}" not in page] == []


def test_readme_and_ci_name_the_programs_that_tests_can_use() -> None:
    asked = {
        package
        for path in (ROOT / "tests").rglob("*.py")
        for package in re.findall(r'\bneed\("[\w.-]+", "([\w.-]+)"\)', path.read_text())
    }
    for name in ("README.md", ".ci/run"):
        page = (ROOT / name).read_text()
        assert [package for package in sorted(asked) if not re.search(rf"\b{package}\b", page)] == [], name
