"""What people call a place in an answer: ``price`` of ``/items/*/price``, ``the cookie SID``. Pure."""

from __future__ import annotations

import re

from shadow.comparing.values import written

LONGEST_NAME = 60
"""Characters of a name: a service may answer with keys of any length."""
LONGEST_PATH = 120
_PLAIN = re.compile(r"[\w$@.:<>()-]+(?: [\w$@.:<>()-]+)*")
_WHOLE = {"": "the whole body", "body": "the body", "status": "the status"}


def place_name(path: str) -> str:
    """The place in a few words, without the way to it; `path` as shadow.comparing.paths has it."""
    if path in _WHOLE:
        return _WHOLE[path]
    if not path.startswith("/"):
        return _beside(path)
    steps = path.split("/")[1:]
    if all(step.endswith("[*]") or step.startswith("@") for step in steps):
        return _in_markup(steps)
    names = [step for step in steps if step != "*"]
    name = named(unescaped(names[-1])) if names else "the list"
    return f"an item of {name}" if steps[-1] == "*" else name


def list_name(path: str) -> str:
    """The list at that path: ``the list items``."""
    names = [step for step in path.split("/")[1:] if step != "*"]
    return f"the list {named(unescaped(names[-1]))}" if names else "the list"


def item_name(path: str) -> tuple[str, str]:
    """Whose parts a path names, and what they are called: ``the list items`` and ``items`` of ``/items/*``."""
    if path.startswith("line:"):
        return "the text", "lines"
    steps = path.split("/")[1:]
    if path.startswith("/") and steps[-1].endswith("[*]"):
        what = "a text" if steps[-1] == "text()[*]" else f"an element {_element(steps[-1])}"
        return (_element(steps[-2]) if len(steps) > 1 else "the document"), what
    return list_name(path.removesuffix("/*")), "items"


def named(name: str) -> str:
    """A name as it may stand in a sentence: short, in quotes where it is not plain words."""
    short = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
    return short if _PLAIN.fullmatch(short.removesuffix("…")) else written(short)


def path_shown(path: str) -> str:
    """A path as it may stand in a sentence: short, in quotes where a part of it could not be seen."""
    short = path if len(path) <= LONGEST_PATH else path[: LONGEST_PATH - 1] + "…"
    return short if short.isprintable() and "  " not in short and short == short.strip() else written(short)


def unescaped(step: str) -> str:
    """A step of a path as the key that it is (RFC 6901 section 3)."""
    return step.replace("~1", "/").replace("~0", "~")


def _beside(path: str) -> str:
    """What is no place in a document."""
    kind, colon, rest = path.partition(":")
    if kind == "line":
        return "a line of the text"
    name, _, attribute = rest.partition("/")
    if path.startswith("header:set-cookie/"):
        cookie, _, part = attribute.partition("/")
        whole = f"the cookie {named(unescaped(cookie))}"
        return f"{'the value' if part == 'value' else named(unescaped(part))} of {whole}" if part else whole
    if kind == "form":
        return f"the form's field {named(unescaped(name))}"
    return f"the {kind} {named(name)}" if colon else named(path)


def _in_markup(steps: list[str]) -> str:
    """A place in XML or HTML: an element, a text, an attribute."""
    last, above = steps[-1], _element(steps[-2]) if len(steps) > 1 else "the document"
    if last == "text()[*]":
        return f"the text of {above}"
    return f"the attribute {named(unescaped(last[1:]))} of {above}" if last.startswith("@") else _element(last)


def _element(step: str) -> str:
    return f"<{named(unescaped(step.removesuffix('[*]')))}>"
