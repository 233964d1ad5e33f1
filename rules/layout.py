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

from rules.indentation import indented
from rules.key_order import forms_of, order_keys, sort_keys
from rules.nodes import Mapping, parse, plain
from rules.problems import Place, Problem, RulesError
from rules.spans import ends_in_block_text, spans_of

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
    whole = given if given.endswith("\n") or ends_in_block_text(given) else given + "\n"
    found = indented(order_keys(whole, model))
    _compare(given, found, file, model)
    return found


def _compare(given: str, found: str, file: str, model: type[BaseModel]) -> None:
    """Raises RulesError where the layout would change what the file says, or lose a comment."""
    forms = forms_of([model])
    before, _ = parse(given, file)
    after, problems = parse(found, file)
    if after is not None and before is not None and not problems:
        same_values = repr(sort_keys(plain(before), forms)) == repr(sort_keys(plain(after), forms))
        same_comments = _comments(given) == _comments(found)
        if same_values and same_comments:
            return
    message = "its layout cannot be made canonical without changing what it says, so it is left as it is"
    raise RulesError([Problem(Place(file, 1, 1), message, "layout")])


def _comments(text: str) -> Counter[str]:
    return Counter(comment for _, comment in spans_of(text).comments)
