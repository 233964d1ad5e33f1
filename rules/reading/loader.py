"""Loads a rules file or a folder of them: all that is wrong is told at once, and a file with an error counts as none.

The blocks of shadow and canary pass through here as located nodes; the models that read them come in as `BlockModels`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Environment
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import BaseModel

from rules.document import Route, Rules
from rules.memory import without_collector
from rules.problems import Place, Problem, RulesError, Severity
from rules.reading import checks
from rules.reading.located import EMPTY, validate
from rules.reading.nodes import Mapping, Node, Scalar, Sequence
from rules.reading.source import read
from rules.reading.variables import Variables


def _nothing(_root: Mapping) -> list[Problem]:
    return []


@dataclass(frozen=True, slots=True)
class BlockModels:
    """What shadow and canary supply: the classes of their blocks, and what only the three together can check."""

    comparison: type[BaseModel]
    """``comparisons.*``"""
    gate: type[BaseModel]
    """``gates.*``"""
    rollout: type[BaseModel]
    """``routes[].rollout``"""
    certificate: type[BaseModel]
    """``routes[].shadow.certificate``"""
    named: Environment[str, type[BaseModel]] = field(default_factory=dict)
    """Further keys of the file that hold blocks by name, and what reads each such block."""
    check: Callable[[Mapping], list[Problem]] = _nothing
    """Problems and warnings between blocks, found on the root of the tree."""
    single: Environment[str, type[BaseModel]] = field(default_factory=dict)
    """Further keys of the file that hold one block each, and what reads it."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A rules file that holds."""

    rules: Rules
    comparisons: dict[str, BaseModel]
    gates: dict[str, BaseModel]
    rollouts: dict[str, BaseModel]
    """By route."""
    certificates: dict[str, BaseModel]
    """By route."""
    warnings: tuple[Problem, ...]
    root: Mapping
    variables: frozenset[str]
    """The names of the environment's variables that the files ask for."""
    named: dict[str, dict[str, BaseModel]]
    """What stands under the further keys that BlockModels names, by key, then by name."""
    single: dict[str, BaseModel]
    """The single blocks that BlockModels names and the file has, by key."""
    given: Environment[str, str] = field(repr=False)
    """What variables of the environment hold, by how they are written (``${NAME}``): perhaps secrets."""
    hide: Callable[[Iterable[Problem]], list[Problem]]
    """Further problems, found on what was loaded, without what variables hold."""

    def place(self, *path: str | int) -> Place:
        """Where the value at `path` stands, or the nearest thing above it: ``place("gates", "storefront")``."""
        node: Node = self.root
        for step in path:
            inside: Node | None = None
            if isinstance(node, Mapping) and isinstance(step, str):
                inside = node.get(step)
            elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
                inside = node.items[step]
            if inside is None:
                break
            node = inside
        return node.place


def load(path: Path, blocks: BlockModels, environment: Environment[str, str]) -> Loaded:
    """Raises RulesError with every error of every file; warnings are told once there is no error.

    Variables in values (``${NAME}``) are filled in from `environment`; no problem shows what one holds.
    """
    variables = Variables(environment)
    with without_collector():
        return _load(path, blocks, variables)


def _load(path: Path, blocks: BlockModels, variables: Variables) -> Loaded:
    root, problems, whole = read(path, variables)
    if root is None:
        raise RulesError(_in_order(problems))
    reading = _Reading(root, blocks, _with_routes(problems, root))
    rules = reading.rules()
    comparisons = reading.named("comparisons", blocks.comparison)
    gates = reading.named("gates", blocks.gate)
    named = {key: reading.named(key, model) for key, model in blocks.named.items()}
    single = {key: one for key, model in blocks.single.items() if (one := reading.single(key, model)) is not None}
    reading.problems += [*checks.check(root), *blocks.check(root)]
    if not whole:
        reading.problems = [problem for problem in reading.problems if not _is_only_missed(problem, root)]
    found = variables.hide(_in_order(_without_echoes(reading.problems)))
    errors = [problem for problem in found if problem.severity is Severity.ERROR]
    if errors or rules is None:
        raise RulesError(errors)
    return Loaded(
        rules,
        comparisons,
        gates,
        reading.rollouts,
        reading.certificates,
        tuple(found),
        root,
        frozenset(variables.names),
        named,
        single,
        variables.given,
        variables.hide,
    )


def _without_echoes(problems: list[Problem]) -> list[Problem]:
    """Without what is said of a value whose variable could not be filled in: it is not the value that was meant."""
    unfilled = {problem.place for problem in problems if problem.code == "variable"}
    return [problem for problem in problems if problem.code == "variable" or problem.place not in unfilled]


def _with_routes(problems: list[Problem], root: Mapping) -> list[Problem]:
    """What was found while reading, each problem with the route in which it stands; a text does not know its routes."""
    if not problems:
        return problems
    names: dict[tuple[str, int, int], str | None] = {}
    for key, value in root.entries:  # another key of the file ends the last route before it
        names[key.place.file, key.place.line, key.place.column] = None
        for inner, _ in value.entries if isinstance(value, Mapping) else ():
            names[inner.place.file, inner.place.line, inner.place.column] = None
        for route in value.items if key.value == "routes" and isinstance(value, Sequence) else ():
            name = checks.name_of(route) if isinstance(route, Mapping) else None
            names[route.place.file, route.place.line, route.place.column] = name
    starts = sorted(names)

    def routed(problem: Problem) -> Problem:
        place = problem.place.file, problem.place.line, problem.place.column
        above = bisect_right(starts, place) - 1
        same_file = above >= 0 and starts[above][0] == problem.place.file
        return replace(problem, route=names[starts[above]]) if same_file and problem.route is None else problem

    return [routed(problem) for problem in problems]


_MISSED = ("unknown-service", "unknown-gate", "unknown-event", "unknown-route", "unknown-source")


def _is_only_missed(problem: Problem, root: Mapping) -> bool:
    """Whether the part of the files that could not be read may hold what this problem misses."""
    at_the_top = problem.code == "missing-key" and problem.route is None and problem.place == root.place
    return at_the_top or problem.code in _MISSED


def _in_order(problems: list[Problem]) -> list[Problem]:
    """As they stand in the files, each once; files by name."""

    def position(problem: Problem) -> tuple[str, int, int]:
        return problem.place.file, problem.place.line, problem.place.column

    return sorted(dict.fromkeys(problems), key=position)


@dataclass
class _Reading:
    """One tree on its way to values; collects problems as it goes."""

    root: Mapping
    blocks: BlockModels
    problems: list[Problem]
    rollouts: dict[str, BaseModel] = field(default_factory=dict)
    certificates: dict[str, BaseModel] = field(default_factory=dict)

    def rules(self) -> Rules | None:
        routes = [route for node in self._list("routes") if (route := self._route(node)) is not None]
        others = ("comparisons", "gates", *self.blocks.named, *self.blocks.single)
        rules, problems = validate(Rules, self.root.without("routes", *others), also=others)
        self.problems += problems
        return rules.model_copy(update={"routes": tuple(routes)}) if rules is not None else None

    def named(self, key: str, model: type[BaseModel]) -> dict[str, BaseModel]:
        """The mapping under `key`, each value by `model`."""
        node = self._given(key)
        if node is None:
            return {}
        if not isinstance(node, Mapping):
            self.problems.append(Problem(node.place, f"'{key}': must be a mapping (name: {{...}})", "wrong-type"))
            return {}
        return {
            str(name.value): value for name, each in node.entries if (value := self._block(model, each)) is not None
        }

    def single(self, key: str, model: type[BaseModel]) -> BaseModel | None:
        """The block under `key`, by `model`."""
        node = self._given(key)
        return self._block(model, node) if node is not None else None

    def _given(self, key: str) -> Node | None:
        """What stands under `key`; a key that nothing follows is a problem, here as everywhere."""
        node = self.root.get(key)
        if isinstance(node, Scalar) and node.value is None:
            at = self.root.key(key) or node
            self.problems.append(Problem(at.place, EMPTY.format(key=key), "empty-value"))
            return None
        return node

    def _list(self, key: str) -> tuple[Node, ...]:
        node = self._given(key)
        if node is None:
            return ()
        if not isinstance(node, Sequence):
            self.problems.append(Problem(node.place, f"'{key}': must be a list (- name: ...)", "wrong-type"))
            return ()
        return node.items

    def _route(self, node: Node) -> Route | None:
        if not isinstance(node, Mapping):
            self.problems.append(Problem(node.place, "a route is a mapping (- name: ...)", "wrong-type"))
            return None
        name = checks.name_of(node)
        rollout, shadow = node.get("rollout"), node.get("shadow")
        bare = node.without("rollout")
        if rollout is not None:
            self._keep(self.rollouts, name, self._block(self.blocks.rollout, rollout, name))
        if isinstance(shadow, Mapping) and (certificate := shadow.get("certificate")) is not None:
            self._keep(self.certificates, name, self._block(self.blocks.certificate, certificate, name))
            without = shadow.without("certificate")
            entries = tuple((key, without if value is shadow else value) for key, value in bare.entries)
            bare = bare._replace(entries=entries)
        route, problems = validate(Route, bare, route=name, also=("rollout",))
        self.problems += problems
        return route

    def _block(self, model: type[BaseModel], node: Node, route: str | None = None) -> BaseModel | None:
        value, problems = validate(model, node, route=route)
        self.problems += problems
        return value

    @staticmethod
    def _keep(into: dict[str, BaseModel], route: str | None, value: BaseModel | None) -> None:
        if route is not None and value is not None:
            into[route] = value
