"""The JSON Schema of a rules file: what editors complete, explain and underline by.

Made from the models. What they alone would not say is added here: every key's description (the text below its field),
defaults as a file writes them (``20%``, and not 200000), and that a variable may stand for any value. No key may be
empty, so null is taken out.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from functools import cache
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

Schema = dict[str, Any]

VARIABLE = "Variable"
_SCALARS = ("integer", "number", "boolean")
_RESTRICTIONS = ("enum", "const", "pattern", "maxLength", "minLength", "format")


def file_schema(model: type[BaseModel]) -> Schema:
    """The schema of the file that `model` reads."""
    found: Schema = model.model_json_schema()
    named = {each.__name__: each for each in _models(model, {})}
    definitions: Schema = found.pop("$defs", {})
    for name, definition in definitions.items():
        _describe(definition, named.get(name))
    _describe(found, model)
    found = dict(_with_variables(found))
    found["title"] = "fig rules file"
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["$defs"] = {name: _with_variables(definition) for name, definition in definitions.items()} | {
        VARIABLE: {
            "type": "string",
            "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^{}]*)?\}",
            "description": "A variable of the environment: ${NAME}, or ${NAME:-default}.",
        }
    }
    return found


def _models(model: type[BaseModel], found: dict[type[BaseModel], None]) -> dict[type[BaseModel], None]:
    """Every model of the file, the file's own first."""
    found[model] = None
    for info in model.model_fields.values():
        left: list[Any] = [info.annotation]
        while left:
            each = left.pop()
            left += getattr(each, "__args__", ())
            if isinstance(each, type) and issubclass(each, BaseModel) and each not in found:
                _models(each, found)
    return found


def _describe(definition: Schema, model: type[BaseModel] | None) -> None:
    if model is None:
        return
    texts = _texts(model)
    for name, info in model.model_fields.items():
        key = info.alias or name
        entry = _without_null(definition["properties"][key])
        entry.pop("title", None)
        entry.pop("default", None)
        default = _default(info)
        if default is not None:
            entry["default"] = default
        if name in texts:
            entry["description"] = texts[name]
        definition["properties"][key] = entry


def _without_null(entry: Schema) -> Schema:
    forms: list[Schema] = [form for form in entry.get("anyOf", []) if form != {"type": "null"}]
    if len(forms) == 1:
        return {key: value for key, value in entry.items() if key != "anyOf"} | forms[0]
    return entry | {"anyOf": forms} if forms else entry


def _default(info: FieldInfo) -> Any:
    """The default as a file would write it; None where there is none, or nothing worth showing."""
    if info.is_required():
        return None
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or isinstance(value, BaseModel) or value in ((), {}, ""):
        return None
    annotation: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    return TypeAdapter(annotation).dump_python(value, mode="json")


@cache
def _texts(model: type[BaseModel]) -> dict[str, str]:
    """The text below each field of a model, in plain words and on one line."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each is BaseModel:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        statements = body.body if isinstance(body, ast.ClassDef) else []
        for field, text in pairwise(statements):
            is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
                assert isinstance(text, ast.Expr)
                assert isinstance(text.value, ast.Constant)
                found[field.target.id] = re.sub(r"\s+", " ", str(text.value.value).replace("``", "`")).strip()
    return found


def _with_variables(schema: Any) -> Any:
    """The same schema, where a variable may stand for every value that is not any text at all."""
    if isinstance(schema, list):
        return [_with_variables(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: value if key in ("default", "examples", "enum", "const", "required") else _with_variables(value)
        for key, value in schema.items()
    }
    if not (
        found.get("type") in _SCALARS or any(isinstance(found.get(key), (str, int, list)) for key in _RESTRICTIONS)
    ):
        return found
    about = {key: found.pop(key) for key in ("description", "title", "default", "examples") if key in found}
    return about | {"anyOf": [found, {"$ref": f"#/$defs/{VARIABLE}"}]}
