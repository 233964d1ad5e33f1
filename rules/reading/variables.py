"""Variables in the values of a rules file: ``${NAME}``, and ``${NAME:-default}`` where it may be unset or empty.

``$${`` stands for the two characters ``${``. What a variable holds is a value and never YAML; and because it may be a
secret, no problem shows it: `Variables.hide` puts the name in its place. The environment is an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from rules.problems import Place, Problem

LONGEST_VALUE = 65_536
"""Characters of one value with its variables filled in."""
MOST_FILLED = 16 * 1024 * 1024
"""Characters of all such values together: a long variable in each of a million values is more than memory holds."""
_TELLING = 4
"""A shorter text than this is no secret, and it would be found in half of all sentences."""

_PLACE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]{0,127})(?::-([^{}]*))?\}|\$\{")
_KEY = re.compile(r"'[^']+':")
"""With which a problem begins: the key that it is about."""
_PART = re.compile(r"(?<!\w)'.*?'(?!\w)|(?:[^']|(?<=\w)')+|'", re.DOTALL)
"""A text in quotes, or what stands between two of them."""
_SHORT = 6
"""Characters; shorter texts are found within words."""
_WORD = 12
"""Letters; so long is no word of a message, but maybe a password."""
_QUOTED = re.compile(r"(key |did you mean |^)?'([^']+)'(:)?")


class VariableError(ValueError):
    """A value whose variables cannot be filled in; the message says which and what to do."""


class Variables:
    """An environment, and what was taken from it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.names: set[str] = set()
        """Every variable that was asked for, set or not."""
        self._environment = environment
        self._filled = 0
        self.given: dict[str, str] = {}
        """By ``${NAME}`` what the environment gave for it; defaults stand in the file, and are no secret."""
        self._whole: dict[Place, tuple[str, str]] = {}
        """By place of a value: as it is written, and as it is filled in."""

    def fill(self, text: str, place: Place, is_plain: bool = False) -> str:
        """The value with its variables filled in; one without quotes must not be empty then. Raises VariableError."""
        taken: list[str] = []

        def value(found: re.Match[str]) -> str:
            if found[0] == "$${":
                return "${"
            if found[1] is None:
                raise VariableError("'${' begins a variable: write ${NAME} or ${NAME:-default}, or $${ for the text ${")
            given, is_default = self._value(found[1], found[2])
            if not is_default and given:
                taken.append(given)
                self.given[f"${{{found[1]}}}"] = given
            return given

        filled = _PLACE.sub(value, text)
        if len(filled) > LONGEST_VALUE:
            raise VariableError(f"with its variables filled in, the value is longer than {LONGEST_VALUE:,} characters")
        if is_plain and not filled:
            raise VariableError(f"{text} is empty here; set the variable, or give a default")
        self._filled += len(filled)
        if self._filled > MOST_FILLED:
            raise VariableError(f"all values with variables together are longer than {MOST_FILLED:,} characters")
        if taken:
            self._whole[place] = (text, filled)
        return filled

    def _value(self, name: str, default: str | None) -> tuple[str, bool]:
        self.names.add(name)
        given = self._environment.get(name)
        if given is None or (not given and default is not None):
            if default is None:
                raise VariableError(f"the variable {name} is not set; set it, or write ${{{name}:-default}}")
            return default, True
        if any("\ud800" <= character <= "\udfff" for character in given):
            raise VariableError(f"the variable {name} does not hold UTF-8 text")
        return given, False

    def hide(self, problems: Iterable[Problem]) -> list[Problem]:
        """The problems without what variables hold."""
        texts = sorted({*self._whole.values(), *self.given.items()}, key=lambda each: -len(each[1]))
        return [self._hidden(problem, texts) for problem in problems] if texts else list(problems)

    def _hidden(self, problem: Problem, texts: list[tuple[str, str]]) -> Problem:
        message, route, witness = problem.message, problem.route, problem.witness
        if problem.place in self._whole:
            message = _without(message, *self._whole[problem.place], least=1)
        for written, filled in texts:
            message = _without(message, written, filled, least=_TELLING)
            route = written if route == filled else route
            witness = _without_anywhere(witness, written, filled) if witness is not None else None
        return replace(problem, message=message, route=route, witness=witness)


def _without(message: str, written: str, filled: str, least: int) -> str:
    """The message with what was written in place of `filled`, and of every quoted piece of it of `least` characters.

    Not where it is a word of the sentence itself, or a part of one: put in its place, the name would tell what it
    stands for. Problems quote text; what they show without quotes is numbers, durations and the like, and holds more
    than letters.
    """
    if len(filled) < least:
        return message
    message = _without_pieces(message, written, filled, least)
    if filled in written:
        return message
    anywhere = re.compile(re.escape(filled), re.IGNORECASE)
    whole = re.compile(rf"(?<![\w.]){re.escape(filled)}(?![\w.])", re.IGNORECASE)

    def hidden(part: str) -> str:
        is_quoted = len(part) > 1 and part[0] == part[-1] == "'"
        if not is_quoted and filled.isalpha() and len(filled) < _WORD:
            return part
        least = _TELLING if is_quoted else _SHORT
        return (anywhere if len(filled) >= least else whole).sub(lambda _found: written, part)

    if "'" in filled:  # which would be taken for the end of a text in quotes
        return (anywhere if len(filled) >= _TELLING else whole).sub(lambda _found: written, message)
    key = found[0] if (found := _KEY.match(message)) else ""
    return key + "".join(hidden(part) for part in _PART.findall(message[len(key) :]))


def _without_anywhere(command: str, written: str, filled: str) -> str:
    """The same of a command, which is no sentence."""
    if len(filled) < _TELLING:
        return command
    command = _without_pieces(command, written, filled, _TELLING)
    if filled in written:
        return command
    return re.sub(re.escape(filled), lambda _found: written, command, flags=re.IGNORECASE)


def _without_pieces(text: str, written: str, filled: str, least: int) -> str:
    """Problems quote what they speak of, sometimes cut short, in lower case, or one segment of it. Names of keys and
    suggestions come from the file and the grammar, not from a value."""

    def piece(found: re.Match[str]) -> str:
        before, text, after = found.groups()
        is_key = (before is not None and before != "") or (before == "" and after is not None)
        if is_key or len(text) < least or text in written or text.lower() not in filled.lower():
            return found[0]
        return f"'{written}'{after or ''}"

    return _QUOTED.sub(piece, text)
