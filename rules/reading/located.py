"""Validation of a located node by a pydantic model: every error of the model becomes a Problem at its key or value."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, TypeAlias, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rules.problems import Place, Problem, suggestion
from rules.reading.nodes import Mapping, Node, Plain, Scalar, Sequence

Model = TypeVar("Model", bound=BaseModel)
Path: TypeAlias = "tuple[int | str, ...]"
"""From the validated node down: keys and indices."""

EMPTY = "nothing follows '{key}'; write a value (a mapping with all defaults is {{}}), or remove the key"

_EXPECTED = {
    **dict.fromkeys(("string_type", "string_sub_type"), "text"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type", "dataclass_type"), "a mapping (key: value)"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
}


def validate(
    model: type[Model], node: Node, route: str | None = None, also: Iterable[str] = ()
) -> tuple[Model | None, list[Problem]]:
    """The node as a value of `model`, or None and every problem, each with the place of its key or value.

    Types are strict, as JSON has them: ``"5"`` is no number and ``1`` is no truth value. `route` is the route that the
    problems speak of. `also` are keys that the node's mapping may hold although the model does not know them (another
    parser reads them); they only serve as suggestions here, the caller has taken them out.
    """
    empty: dict[Path, Scalar] = {}
    content = msgspec.json.encode(_bare(node, (), empty))
    problems = [Problem(key.place, EMPTY.format(key=key.value), "empty-value", route) for key in empty.values()]
    try:
        value = model.model_validate_json(content, strict=True)
    except ValidationError as exc:
        errors = _without_echoes(_of_one_branch(exc.errors(), node), model, also, set(empty))
        problems += [_problem(error, model, node, route, also) for error in errors]
        return None, list(dict.fromkeys(problems))
    return (None, problems) if problems else (value, [])


def _bare(node: Node, path: Path, empty: dict[Path, Scalar]) -> Plain:
    """The node as plain data, without the keys that nothing follows; those are put into `empty`, by their path.

    ``writes:`` alone could mean its defaults or nothing at all; pydantic would take it for nothing, without a word.
    """
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [_bare(item, (*path, index), empty) for index, item in enumerate(node.items)]
    found: dict[str, Plain] = {}
    for key, value in node.entries:
        name = str(key.value)
        if isinstance(value, Scalar):
            if value.value is None:
                empty[(*path, name)] = key
            else:
                found[name] = value.value
        else:
            found[name] = _bare(value, (*path, name), empty)
    return found


def _without_echoes(
    errors: list[ErrorDetails], model: type[BaseModel], also: Iterable[str], empty: set[Path]
) -> list[ErrorDetails]:
    """Without what only follows from another problem: one slip is one problem.

    Where 'candidat' stands, or 'candidate' without a value, it is not missing; a list is not too short because its
    items are wrong; and what a whole block must hold is not asked while one of its keys has no value.
    """
    meant = set(empty)
    unfinished = {path[:-1] for path in empty}
    for error in errors:
        if error["type"] == "extra_forbidden":
            mapping, key = error["loc"][:-1], error["loc"][-1]
            near = get_close_matches(str(key), _keys(model, mapping, also), n=1, cutoff=0.6)
            meant |= {(*mapping, each) for each in near}
    above = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    return [
        error
        for error in errors
        if not (error["type"] == "missing" and error["loc"] in meant)
        and not (error["type"] == "too_short" and error["loc"] in above)
        and not (error["type"] == "value_error" and error["loc"] in unfinished)
    ]


def _of_one_branch(errors: list[ErrorDetails], node: Node) -> list[ErrorDetails]:
    """Without the complaints of the other branches where a value may have one of several forms.

    Pydantic reports every branch of a union; a reader wants the form that the value nearly has: the one with the fewest
    errors, the later one on a tie (models are declared after the shorthand).
    """
    branches: dict[tuple[Any, ...], dict[Any, list[ErrorDetails]]] = {}
    kept: list[ErrorDetails] = []
    for error in errors:
        found = _branch(error, node)
        if found is None:
            kept.append(error)
        else:
            branches.setdefault(found, {}).setdefault(error["loc"][len(found)], []).append(error)
    for above, alternatives in branches.items():

        def distance(errors: list[ErrorDetails], depth: int = len(above) + 1) -> tuple[bool, int]:
            # A branch that complains of the kind of value itself (text, not a mapping) is farther than any other.
            return any(_is_of_another_kind(error) and len(error["loc"]) <= depth for error in errors), len(errors)

        nearest: list[ErrorDetails] = min(reversed(list(alternatives.values())), key=distance)
        kept.extend(_of_one_branch([_without_step(error, len(above)) for error in nearest], node))
    return kept


def _without_step(error: ErrorDetails, depth: int) -> ErrorDetails:
    """With a path that no longer names the branch, so that one within the branch can be told."""
    found = error.copy()
    found["loc"] = error["loc"][:depth] + error["loc"][depth + 1 :]
    return found


def _is_of_another_kind(error: ErrorDetails) -> bool:
    """Whether it says that a value is a mapping, say, where text should stand. A word among given ones is text."""
    return error["type"] in _EXPECTED or (error["type"] == "literal_error" and not isinstance(error["input"], str))


def _branch(error: ErrorDetails, node: Node) -> tuple[Any, ...] | None:
    """The error's path up to the first element that names a branch of a union instead of a key; None without one."""
    at: Node | None = node
    loc = error["loc"]
    for depth, step in enumerate(loc):
        inside = _child(at, step)
        if inside is None:
            is_key = depth == len(loc) - 1 and error["type"] in ("missing", "extra_forbidden")
            return None if is_key or step == "[key]" else loc[:depth]
        at = inside
    return None


def _child(node: Node | None, step: int | str) -> Node | None:
    if isinstance(node, Mapping) and isinstance(step, str):
        return node.get(step)
    if isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
        return node.items[step]
    if isinstance(node, (Scalar, Mapping)) and step == 0:
        return node  # one value where a list may stand
    return None


def _problem(
    error: ErrorDetails, model: type[BaseModel], root: Node, route: str | None, also: Iterable[str]
) -> Problem:
    node, key = root, None
    for step in error["loc"]:
        inside = _child(node, step)
        if inside is not None:
            key = node.key(step) if isinstance(node, Mapping) and isinstance(step, str) else key
            node = inside
    last = error["loc"][-1] if error["loc"] else ""
    name = str(key.value) if key is not None else ""
    kind = error["type"]
    if kind == "extra_forbidden":
        known = _keys(model, error["loc"][:-1], also)
        return Problem(_at(key, node), f"unknown key '{last}'{suggestion(str(last), known)}", "unknown-key", route)
    if kind in ("missing", "union_tag_not_found"):
        missing = last if kind == "missing" else str(error["ctx"]["discriminator"]).strip("'")
        inside_of = f" in '{name}'" if name and kind == "missing" and len(error["loc"]) > 1 else ""
        return Problem(node.place, f"the key '{missing}' is missing{inside_of}", "missing-key", route)
    if kind == "union_tag_invalid":
        tag = str(error["ctx"]["discriminator"]).strip("'")
        node = _child(node, tag) or node
        name = tag
    if error["loc"] and last == "[key]":
        return Problem(_at(key, node), f"'{name}': {_message(error)}", "wrong-value", route)
    code = "wrong-type" if kind in _EXPECTED else "wrong-value"
    prefix = f"'{name}': " if name else ""
    return Problem(node.place, prefix + _message(error, node), code, route)


def _at(key: Scalar | None, node: Node) -> Place:
    return key.place if key is not None else node.place


def _message(error: ErrorDetails, node: Node | None = None) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _EXPECTED:
        return f"must be {_EXPECTED[kind]}{_instead(node)}"
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        expected = str(context.get("expected", context.get("expected_tags", "")))
        words = [word.strip("' ") for word in expected.replace(" or ", ", ").split(",")]
        given = str(node.value) if isinstance(node, Scalar) else ""
        return f"must be {expected}{_instead(node)}{suggestion(given, words)}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "too_short":
        return f"needs at least {context['min_length']} of them"
    if "greater_than" in kind or "less_than" in kind or "too_" in kind or "pattern" in kind:
        return f"{error['msg'].replace('Input should', 'must').replace('String should', 'must')}{_instead(node)}"
    return error["msg"]


def _instead(node: Node | None) -> str:
    """``, not 'x'``: what stands there, said so that a misread type shows."""
    if node is None:
        return ""
    if isinstance(node, Mapping):
        return ", not a mapping"
    if isinstance(node, Sequence):
        return ", not a list"
    if node.value is None:
        return "; nothing stands here"
    if isinstance(node.value, str):
        return f", not '{node.value:.60}'"
    return f", not {str(node.value).lower()}"


def _keys(model: type[BaseModel], path: Path, also: Iterable[str]) -> list[str]:
    """Every key that may stand at `path`, sorted, so that the same slip gets the same suggestion always."""
    return sorted({*_known(model, path), *(() if path else also)})


def _known(model: type[BaseModel], path: Iterable[int | str]) -> set[str]:
    """The keys that are known at `path` of the model; those of every form where a value may have several."""
    models = {model}
    for step in path:
        if not isinstance(step, str):
            continue
        inside: set[type[BaseModel]] = set()
        for each in models:
            for name, info in each.model_fields.items():
                if step in (info.alias, name):
                    inside |= _models(info.annotation)
        models = inside or models  # a key of a dict, or the name of a union's branch
    return {info.alias or name for each in models for name, info in each.model_fields.items()}


def _models(annotation: Any) -> set[type[BaseModel]]:
    """Every model class inside an annotation such as ``dict[str, Annotated[A | B, ...]] | None``."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        return {found for argument in typing.get_args(annotation) for found in _models(argument)}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return set()
