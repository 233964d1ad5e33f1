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
            witness = _without(witness, written, filled, least=_TELLING) if witness is not None else None
        return replace(problem, message=message, route=route, witness=witness)


def _without(message: str, written: str, filled: str, least: int) -> str:
    """The message with what was written in place of `filled`, and of every quoted piece of it of `least` characters.

    Problems quote what they speak of, sometimes cut short, in lower case, or one segment of it. Names of keys and
    suggestions come from the file and the grammar, not from a value.
    """
    if len(filled) < least:
        return message

    def piece(found: re.Match[str]) -> str:
        before, text, after = found.groups()
        is_key = (before is not None and before != "") or (before == "" and after is not None)
        if is_key or len(text) < least or text in written or text.lower() not in filled.lower():
            return found[0]
        return f"'{written}'{after or ''}"

    message = _QUOTED.sub(piece, message)
    if filled in written:
        return message
    pattern = re.escape(filled) if len(filled) >= _TELLING else rf"(?<![\w.]){re.escape(filled)}(?![\w.])"
    return re.sub(pattern, lambda _found: written, message, flags=re.IGNORECASE)
