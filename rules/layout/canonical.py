"""The canonical layout of a rules file (`fig rules fmt`): keys in the order of the models, two spaces a level.

Text is moved, never written anew: a value keeps its quotes and its anchor, a comment stays with the key below it (or at
the end of its block), and the order of routes, of list items and of names is not touched. Reading a file into objects
and writing those cannot do this: there a comment belongs to the key above it. What comes out is read again and compared
before anybody uses it.
"""

from __future__ import annotations

import re
from collections import Counter

from pydantic import BaseModel

from rules.layout.indentation import indented
from rules.layout.key_order import forms_of, order_keys, sort_keys
from rules.layout.spans import Spans, ends_in_block_text, spans_of
from rules.memory import without_collector
from rules.problems import Place, Problem, RulesError
from rules.reading.nodes import Mapping, parse, plain

_OTHER_BREAKS = re.compile("[\r\x85\u2028\u2029]")


def canonical(text: str, file: str, model: type[BaseModel]) -> str:
    """The text in canonical layout, for a file that `model` reads. Raises RulesError where it cannot be read.

    Applied to what it returns, it changes nothing.
    """
    root, problems = parse(text, file)
    if root is None or problems:
        raise RulesError(problems)
    if not isinstance(root, Mapping):
        raise RulesError([Problem(root.place, "a rules file is a mapping; it begins with 'version: 1'", "wrong-type")])
    given = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if _OTHER_BREAKS.search(given):
        message = "line ends other than those of Linux and Windows (CR, NEL, U+2028); replace them first"
        raise RulesError([Problem(Place(file, 1, 1), message, "layout")])
    with without_collector():
        spans = spans_of(given)
        whole = given if given.endswith("\n") or ends_in_block_text(spans) else given + "\n"
        ordered = order_keys(whole, spans, model)
        found = indented(ordered, spans if ordered == given else spans_of(ordered))
        if found != given and not _says_the_same(found, file, root, spans, model):
            message = "its layout cannot be made canonical without changing what it says, so it is left as it is"
            raise RulesError([Problem(Place(file, 1, 1), message, "layout")])
    return found


def _says_the_same(found: str, file: str, before: Mapping, spans: Spans, model: type[BaseModel]) -> bool:
    """Whether every value, the order of names and lists, and every comment of a text are in another one too."""
    after, problems = parse(found, file)
    if after is None or problems:
        return False
    forms = forms_of([model])
    same_values = repr(sort_keys(plain(before), forms)) == repr(sort_keys(plain(after), forms))
    return same_values and _comments(spans) == _comments(spans_of(found))


def _comments(spans: Spans) -> Counter[str]:
    return Counter(comment for _, comment in spans.comments)
