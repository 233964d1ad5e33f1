"""What a step of a GitHub workflow says to its runner: annotations beside lines, outputs, and its summary.

The forms are those of docs.github.com, "Workflow commands for GitHub Actions"; what a message or a property may not
hold is escaped as the runner's toolkit does it.
"""

from __future__ import annotations

import re

from rules.problems import Place

SUMMARY_MOST = 1024 * 1024
"""Bytes that a step's summary may have; of a larger one GitHub shows nothing but an error."""
SHOWN_MOST = 10
"""Annotations of each level that GitHub shows of one step; further ones are dropped without a word."""
_CUT = "\n\nThis summary was cut here: GitHub shows no more than 1 MiB of a step. The whole is in the log.\n"


_COMMAND = re.compile(r"^(\s*:)(?=:)|(#)(?=#\[|#vso\[)")


def harmless(line: str) -> str:
    """A line of what is printed, in which a runner finds no command that somebody else (a service, a database, a rules
    file of a pull request) has put there: GitHub's looks for ``::`` behind blanks at the beginning, and for ``##[``
    anywhere (actions/runner, ActionCommand.cs), Azure's for ``##vso[``."""
    return _COMMAND.sub(lambda found: f"{found[0]} ", line)


def harmless_json(text: str) -> str:
    """The same of JSON, which stays what it is."""
    return text.replace("##", "#\\u0023")


def annotation(level: str, message: str, title: str, place: Place | None = None) -> str:
    """``::warning file=fig.yaml,line=12,col=5,title=overlap::route 'orders': ...``; `level` is error, warning or
    notice."""
    where = {"file": place.file, "line": str(place.line), "col": str(place.column)} if place is not None else {}
    listed = ",".join(f"{name}={_property(value)}" for name, value in {**where, "title": title}.items())
    return f"::{level} {listed}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(page: str, taken: int = 0) -> str:
    """As much of `page` as a summary that already has `taken` bytes can hold, cut between lines and with a word on it;
    empty where not even that fits."""
    page = page.encode(errors="backslashreplace").decode()
    room = SUMMARY_MOST - taken
    if len(page.encode()) <= room:
        return page
    kept = page.encode()[: max(0, room - len(_CUT.encode()))].decode("utf-8", "ignore")
    kept = kept[: kept.rfind("\n") + 1]
    return kept.rstrip("\n") + _CUT if kept else ""


def output(name: str, value: str, delimiter: str) -> str:
    """An output of the step, as GITHUB_OUTPUT takes it. Raises ValueError where `value` holds `delimiter`, which must
    be unguessable: what follows it would be taken for further outputs."""
    if delimiter in value:
        raise ValueError("a value that holds its own end")
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"
