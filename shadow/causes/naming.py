"""Causes in sentences for people who own a product: what the candidate does, how often, with an example. Pure."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from shadow.causes.grouping import Cause
from shadow.causes.places import item_name, list_name, named, path_shown, place_name
from shadow.causes.tally import Example
from shadow.causes.transforms import OF_LISTS, list_of, name_of, parameters_of

MOST_PATHS = 3
MOST_MAPPED = 5
LONGEST_MAPPED = 40
"""Characters of a value, where several are listed."""

_PLAIN = {
    "float_noise": "{what} has tiny rounding errors of computers in it; the numbers are the same to 13 digits",
    "sign": "{what} has the opposite sign in the candidate",
    "boolean_as_number": "{what} is 1 or 0 in the candidate, where legacy says true or false",
    "boolean_from_number": "{what} is true or false in the candidate, where legacy says 1 or 0",
    "number_as_text": "{what} is a text in the candidate, where legacy sends the same as a number",
    "number_from_text": "{what} is a number in the candidate, where legacy sends the same as a text",
    "number_as_formatted_text": "{what} is a text formatted for people in the candidate, where legacy sends a number",
    "number_from_formatted_text": "{what} is a bare number in the candidate, where legacy sends formatted text",
    "number_as_text_with_zeros": "{what} is a text with leading zeros in the candidate, where legacy sends a number",
    "number_from_text_with_zeros": "{what} is a number and has lost its leading zeros in the candidate",
    "number_form": "{what} is the same number, written another way in the candidate",
    "zeros_dropped": "{what} has lost its leading zeros in the candidate",
    "zeros_added": "{what} has leading zeros in the candidate, where legacy has none",
    "null_as_text": "{what} is a text such as 'null' in the candidate, where legacy sends null itself",
    "null_from_text": "{what} is null itself in the candidate, where legacy sends a text such as 'null'",
    "json_as_text": "{what} is a text that holds JSON in the candidate, where legacy sends the value itself",
    "json_from_text": "{what} is the value itself in the candidate, where legacy sends it as a text that holds JSON",
    "zone": "{what} is the same moment in another time zone in the candidate",
    "zone_relabelled": "{what} has the same clock time in the candidate, in another time zone: it is another moment",
    "zone_dropped": "{what} has lost its time zone in the candidate",
    "zone_added": "{what} names a time zone in the candidate, where legacy names none",
    "zone_dropped_in_utc": "{what} was converted to UTC and has lost its time zone in the candidate",
    "zone_added_to_utc": "{what} names a time zone in the candidate, where legacy has the same in UTC without one",
    "fraction_dropped": "{what} differs only in fractions of a second, which one of the two leaves out",
    "time_dropped": "{what} is only a date in the candidate, without the time of day",
    "time_added": "{what} has a time of day in the candidate, where legacy gives only the date",
    "midnight": "{what} has a time of day in the candidate, always midnight, where legacy gives only the date",
    "trimmed": "{what} has lost blanks at its beginning or end in the candidate",
    "padded": "{what} has extra blanks at its beginning or end in the candidate",
    "blanks_around": "{what} differs in blanks at its beginning or end",
    "collapsed": "{what} has runs of blanks collapsed to one in the candidate",
    "blanks": "{what} differs only in its blanks",
    "line_ends": "{what} has other line ends in the candidate",
    "case": "{what} differs only in upper and lower case",
    "unicode": "{what} looks the same, but its letters are encoded in another way (Unicode form)",
    "accents_dropped": "{what} has lost its accents in the candidate",
    "letters_lost": "{what} has question marks or boxes for letters beyond ASCII in the candidate",
    "tags_removed": "{what} has lost its HTML tags in the candidate",
    "base64": "{what} is encoded as base64 in the candidate",
    "host": "{what} is an address on another host in the candidate",
    "made_relative": "{what} has lost scheme and host of its address in the candidate",
    "made_absolute": "{what} is a full address in the candidate, where legacy gives only its path",
    "truncated": "{what} is cut off in the candidate",
    "truncated_with_dots": "{what} is cut off in the candidate, and ends in dots",
    "wrapped": "{what} is a list of one in the candidate, where legacy sends the value alone",
    "unwrapped": "{what} is a single value in the candidate, where legacy sends a list of one",
    "null_for_value": "{what} is null in the candidate, where legacy has a value",
    "value_for_null": "{what} has a value in the candidate, where legacy says null",
    "missing": "{what} is missing in the candidate",
    "added": "{what} is extra in the candidate, where legacy has no such field",
    "item_missing": "{what} lacks items in the candidate",
    "item_added": "{what} has extra items in the candidate",
    "bytes": "the body has other bytes",
    "not_located": "the answers differ in more places than are listed",
    "not_compared": "the bodies could not be compared in full",
    "changed": "{what} has another value, and fig knows no rule that would make it of legacy's",
    "constant": "{what} is always the same in the candidate",
    "drift": "{what} is a time a little apart from legacy's, as when two answers are not made at one moment",
    "mapping": "{what} has other names for the same values in the candidate",
    "not_readable": "the candidate's body cannot be read as what its content type says it is",
    "not_readable_of_legacy": "legacy's body cannot be read as what its content type says it is",
    "reordered": "the items of {what} come in another order in the candidate",
    "reversed": "the items of {what} come in the reverse order in the candidate",
    "first_missing": "{what} lacks its first item in the candidate",
    "last_missing": "{what} lacks its last item in the candidate",
    "items_missing": "{what} lacks items in the candidate; the others are the same",
    "items_added": "{what} has extra items in the candidate; the others are the same",
    "twice": "{what} has items twice in the candidate",
    "other_page": "{what} has no item in common with legacy's, as if the candidate sent another page",
    "list_empty": "{what} is empty in the candidate, where legacy lists items",
}
"""Sentences of transforms without parameters."""

_NOTHING = {
    "absent": "missing",
    "null": "null",
    "empty_text": "an empty text",
    "empty_list": "an empty list",
    "empty_object": "an empty object",
    "zero": "0",
    "false": "false",
}
_KINDS = {
    "null": "null",
    "boolean": "true or false",
    "number": "a number",
    "string": "a text",
    "list": "a list",
    "object": "an object",
    "absent": "nothing",
}
"""As shadow.comparing.values.kind_of calls them."""
_TIMES = {"10": "10 times", "100": "100 times", "1000": "1,000 times"}
_ROUNDINGS = {
    "half_up": "rounded to {places}",
    "half_even": "rounded to {places}, halves to the even digit",
    "down": "cut off after {places}",
    "up": "rounded up to {places}",
}
_ESCAPES = {"html": "HTML", "url": "URLs (%-escapes)", "json": "JSON"}


def subject(cause: Cause) -> str:
    """What the cause is about, short: the last name in its paths (``price``), or the paths."""
    names = {place_name(path) for path in cause.paths}
    return names.pop() if len(names) == 1 else "/".join(sorted(names)) if len(names) <= MOST_PATHS else "many fields"


def claim(cause: Cause) -> str:
    """What the candidate does, without numbers: ``price is 100 times as large in the candidate``."""
    transform = cause.transform
    name, parameters = name_of(transform), parameters_of(transform)
    what = list_name(list_of(transform)) if name in OF_LISTS else subject(cause)
    if name == "mapping" and not _one_to_one(cause):
        return f"{what} becomes another value in the candidate, always in the same way"
    if name in ("item_missing", "item_added") and len(cause.paths) == 1:
        return _of_items(name, cause.paths[0])
    if parameters and name in _WITH_PARAMETERS:
        with suppress(ValueError, KeyError):  # what a transform names may be cut off where keys are very long
            return _WITH_PARAMETERS[name](what, parameters)
        return f"{what} differs, in a way that is too long to be told"
    if name in _PLAIN:
        return _PLAIN[name].format(what=what)
    one, middle, other = name.partition("_for_")
    if middle and one in _NOTHING and other in _NOTHING:
        return f"{what} is {_NOTHING[one]} in the candidate, where legacy {_has(other)}"
    return f"{what} differs ({named(transform.replace('_', ' '))})"


def _of_items(name: str, path: str) -> str:
    whose, what = item_name(path)
    if what in ("items", "lines"):
        return f"{whose} {'lacks' if name == 'item_missing' else 'has extra'} {what} in the candidate"
    return f"{what} of {whose} is {'missing in the candidate' if name == 'item_missing' else 'extra in the candidate'}"


def _one_to_one(cause: Cause) -> bool:
    """Whether several values each became one of their own: other names for the same."""
    return 1 < len(cause.mapping) == len({each.candidate for each in cause.mapping})


def _has(nothing: str) -> str:
    return "has no such field" if nothing == "absent" else f"says {_NOTHING[nothing]}"


def _scale(what: str, parameters: str) -> str:
    factor, _, typed = parameters.partition(":")
    divided = factor.startswith("1/")
    number = factor.removeprefix("1/")
    times = _TIMES.get(number, f"{int(number):,} times" if number.isdecimal() else f"{number} times")
    also = ", and of another type," if typed else ""
    return f"{what} is {times} {'smaller' if divided else 'as large'}{also} in the candidate"


def _places(digits: str) -> str:
    count = int(digits)
    if count > 0:
        return f"{count} decimal{'s' if count > 1 else ''}"
    return "a whole number" if count == 0 else f"multiples of {10**-count:,}"


def _round(what: str, parameters: str) -> str:
    places, rounding, *_ = parameters.split(":")
    how = "cut off to" if rounding == "down" and int(places) <= 0 else _ROUNDINGS[rounding].partition("{")[0].strip()
    after = _ROUNDINGS[rounding].partition("}")[2]
    return f"{what} is {how} {_places(places)}{after} in the candidate"


def _unrounded(what: str, parameters: str) -> str:
    places, rounding, *_ = parameters.split(":")
    how = _ROUNDINGS[rounding].format(places=_places(places))
    return f"{what} is not rounded in the candidate, where legacy's is {how}"


def _last_digit(what: str, parameters: str) -> str:
    way, places, *_ = parameters.split(":")
    by = f"0.{'0' * (int(places) - 1)}1"
    if way == "down":
        how = f"as if it were cut off after {_places(places)} where legacy rounds"
        return f"{what} is smaller by {by} in the candidate, {how}"
    return f"{what} is larger by {by} in the candidate, as if it were rounded to {_places(places)} in another way"


def _signed(what: str, amount: str, unit: str = "") -> str:
    word = "lower" if amount.startswith("-") else "higher"
    return f"{what} is {word} by {amount.lstrip('+-')}{unit} in the candidate"


def _clock(what: str, parameters: str) -> str:
    minutes = int(parameters)
    hours, rest = divmod(abs(minutes), 60)
    told = f"{hours} hour{'s' if hours != 1 else ''}" if not rest else f"{abs(minutes)} minutes"
    return f"{what} is {told} {'earlier' if minutes < 0 else 'later'} in the candidate, as if a time zone was mistaken"


def _day(what: str, parameters: str) -> str:
    return f"{what} is one day {'earlier' if parameters.startswith('-') else 'later'} in the candidate"


def _starts(what: str, parameters: str, later: bool) -> str:
    items = "one item" if parameters == "1" else f"{parameters} items"
    return f"{what} starts {items} {'later' if later else 'earlier'} in the candidate"


def _two(text: str) -> tuple[str, str]:
    """What stands before the first ``>`` and after it. Raises ValueError where one of them is not there."""
    one, found, other = text.partition(">")
    if not found:
        raise ValueError(f"'{text}' names one thing, not two")
    return one, other


def _names(text: str) -> tuple[str, str]:
    """Two keys, as they may stand in a sentence."""
    one, other = _two(text)
    return named(one), named(other)


def _place(path: str) -> str:
    return path_shown(path) if path else "the top"


def _quoted(words: str) -> str:
    """``'yes' or 'no'`` of ``yes/no``."""
    return " or ".join(f"'{word}'" for word in words.split("/"))


def _status(what: str, parameters: str) -> str:
    legacy, candidate = _two(parameters)
    if candidate.startswith("5"):
        return f"requests fail in the candidate with status {candidate}, where legacy answers {legacy}"
    return f"the candidate answers {candidate} where legacy answers {legacy}"


_WITH_PARAMETERS: dict[str, Callable[[str, str], str]] = {
    "scale": _scale,
    "round": _round,
    "unrounded": _unrounded,
    "last_digit": _last_digit,
    "plus": lambda what, by: _signed(what, by.partition(":")[0]),
    "offset": _signed,
    "factor": lambda what, by: f"{what} is {by} times as large in the candidate, but for its last digit",
    "boolean_as_text": lambda what, words: (
        f"{what} is the text {_quoted(words)} in the candidate, where legacy says true or false itself"
    ),
    "boolean_from_text": lambda what, words: (
        f"{what} is true or false itself in the candidate, where legacy sends the text {_quoted(words)}"
    ),
    "epoch": lambda what, unit: (
        f"{what} is the number of {'milli' * (unit == 'ms')}seconds since 1970 in the candidate, a date in legacy"
    ),
    "from_epoch": lambda what, unit: (
        f"{what} is a date in the candidate, the number of {'milli' * (unit == 'ms')}seconds since 1970 in legacy"
    ),
    "clock": _clock,
    "day": _day,
    "date_form": lambda what, forms: (
        f"{what} is the same time in another form: {_two(forms)[1]} in the candidate, {_two(forms)[0]} in legacy"
    ),
    "case": lambda what, way: (
        f"{what} is in {'capitalised words' if way == 'title' else way + ' case'} in the candidate"
    ),
    "unicode": lambda what, form: f"{what} looks the same, but the candidate's is in Unicode form {form}",
    "encoding": lambda what, way: (
        f"{what} has damaged letters (Ã© for é) in {'the candidate' if way.startswith('utf') else 'legacy only'}"
    ),
    "escaped": lambda what, by: f"{what} is escaped once more for {_ESCAPES.get(by, by)} in the candidate",
    "unescaped": lambda what, by: f"{what} is escaped for {_ESCAPES.get(by, by)} in legacy, and not in the candidate",
    "scheme": lambda what, ways: (
        f"{what} is an address with {_two(ways)[1]} in the candidate, {_two(ways)[0]} in legacy"
    ),
    "wrapped_in_object": lambda what, key: f"{what} is inside an object in the candidate, under the key {named(key)}",
    "taken_out_of_object": lambda what, key: (
        f"{what} stands alone in the candidate, where legacy has it inside an object, under the key {named(key)}"
    ),
    "empty": lambda what, kinds: (
        f"{what} is {_NOTHING[_two(kinds)[1]]} in the candidate, where legacy says {_NOTHING[_two(kinds)[0]]}"
    ),
    "type": lambda what, kinds: (
        f"{what} is {_KINDS[_two(kinds)[1]]} in the candidate, where legacy sends {_KINDS[_two(kinds)[0]]}"
    ),
    "status": _status,
    "no_answer": lambda what, why: f"the candidate gives no answer ({why})",
    "no_answer_of_legacy": lambda what, why: f"legacy gives no answer ({why})",
    "renamed": lambda what, names: f"the field {_names(names)[0]} is called {_names(names)[1]} in the candidate",
    "swapped": lambda what, names: f"{' and '.join(_names(names))} have each other's value in the candidate",
    "moved": lambda what, places: (
        f"what legacy has at {_place(_two(places)[0])} is at {_place(_two(places)[1])} in the candidate"
    ),
    "starts_later": lambda what, by: _starts(what, by, later=True),
    "starts_earlier": lambda what, by: _starts(what, by, later=False),
    "cut_to": lambda what, count: f"{what} ends after {count} items in the candidate",
}


def sentence(cause: Cause, pairs: int) -> str:
    """The whole of it: claim, example, how often, where. `pairs` are all that were compared in the window."""
    told = [text for text in (detail(cause), _example(cause)) if text]
    return f"{claim(cause)}{': ' if told else ''}{', '.join(told)} ({extent(cause, pairs)})"


def extent(cause: Cause, pairs: int) -> str:
    """``in 252 of 702 answers, at /average and /items/*/price``."""
    where = [path_shown(path) if path else "the whole body" for path in cause.paths]
    shown = " and ".join(where) if len(where) <= 2 else ", ".join(where[:MOST_PATHS])
    left = len(where) - MOST_PATHS
    more = f" and {left} more {'place' if left == 1 else 'places'}" if left > 0 else ""
    at_least = "" if cause.exact or cause.pairs >= pairs else "at least "
    return f"in {at_least}{cause.pairs:,} of {pairs:,} answers, at {shown}{more}"


def detail(cause: Cause) -> str:
    """What its members have in common beyond the claim; ``""`` where the claim says it all."""
    name = name_of(cause.transform)
    if name == "mapping":
        told = [
            f"{_brief(each.legacy_shown)} becomes {_brief(each.candidate_shown)}"
            for each in cause.mapping[:MOST_MAPPED]
        ]
        more = len(cause.mapping) - MOST_MAPPED
        return "; ".join(told) + (f"; and {more} more" if more > 0 else "")
    if name == "drift" and cause.common.earliest is not None and cause.common.latest is not None:
        return _apart(cause.common.earliest, cause.common.latest)
    if name == "constant":
        return f"{value_shown(cause.common.constant_shown)}, whatever legacy says"
    shortest, longest = cause.common.shortest, cause.common.longest
    if name == "truncated" and longest is not None:
        return f"after {longest} characters" if shortest == longest else f"after {shortest} to {longest} characters"
    return ""


def _apart(earliest: float, latest: float) -> str:
    """How far apart, in seconds by which the candidate's time is later."""
    if earliest >= 0:
        return f"the candidate's is {earliest:.3g} to {latest:.3g} seconds later"
    if latest <= 0:
        return f"the candidate's is {-latest:.3g} to {-earliest:.3g} seconds earlier"
    return f"the candidate's is up to {-earliest:.3g} seconds earlier or up to {latest:.3g} seconds later"


def example(cause: Cause) -> Example | None:
    """A member that shows what the claim means; None where the claim, or the mapping beside it, shows it already."""
    if not cause.examples or name_of(cause.transform) in ("mapping", *OF_LISTS):  # of a list one item tells nothing
        return None
    return cause.examples[0]


def value_shown(text: str | None) -> str:
    """JSON text of a value as it stands in a sentence; of what is not there, that."""
    return text or "nothing"


def _brief(text: str) -> str:
    return value_shown(text if len(text) <= LONGEST_MAPPED else text[: LONGEST_MAPPED - 1] + "…")


def _example(cause: Cause) -> str:
    first = example(cause)
    if first is None:
        return ""
    return f"for example legacy {_said(first.legacy)}, the candidate {_said(first.candidate)}"


def _said(value: str | None) -> str:
    return f"says {value}" if value else "has nothing there"
