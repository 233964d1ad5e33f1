"""The report as a comment on a pull request: a headline, a table of changes, the details folded away.

Everything that comes from rules or logs is escaped: it shows as it is written, and no markup of its own takes effect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.cli.rules.diff import phrases
from proxy.cli.rules.diff.limits import Judged
from proxy.cli.rules.diff.report import Report
from rules.changes.difference import Change

MOST_CHANGES = 30
MOST_CLASSES = 6
MOST_PATHS = 10
LONGEST = 60_000
"""Characters; GitHub takes comments of 65,536."""
_NOTHING = "\N{ZERO WIDTH SPACE}"
_BREAKS = re.compile(r"[\r\n\t\x00-\x1f\x7f\u2028\u2029]+")
_WORDS = {Judged.HOLDS: "failed", Judged.FINE: "fine", Judged.OPEN: "cannot be told"}
_EFFECTS = {"moves": "yes", "may move": "not excluded", "stays": "no"}


def render(report: Report) -> str:
    """The comment, with a line end; cut where it would be too long to post."""
    text = "\n".join(_lines(report)) + "\n"
    if len(text) <= LONGEST:
        return text
    brief = "\n".join([*_head(report), "", "The details are too long for a comment; `fig rules diff` prints them."])
    return (brief if len(brief) <= LONGEST else "\n".join([*_title(report), ""])) + "\n"


def code(text: str) -> str:
    """A span of code that shows `text` as it is, also within a table."""
    text = _BREAKS.sub(" ", text)
    # GitHub splits a table's row at every | before it looks for code; only \\| within the span survives.
    text = text.replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or not text.strip() else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def plain(text: str) -> str:
    """Text without any effect of its own: no markup, no HTML, no link, nobody mentioned."""
    escaped = re.sub(r"([\\`*_\[\]()#!|~$])", r"\\\1", _BREAKS.sub(" ", text))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # GitHub looks for links and names in what it has rendered: only something between the characters stops it.
    return escaped.replace("@", f"@{_NOTHING}").replace("://", f":{_NOTHING}//").replace("www.", f"www{_NOTHING}.")


def _lines(report: Report) -> Iterator[str]:
    yield from _head(report)
    changes = [(number, change) for number, change in report.changes() if _has_details(change)]
    if changes:
        yield from ("", "<details><summary>What goes elsewhere, with a request that shows it</summary>")
        for number, change in changes[:MOST_CHANGES]:
            yield from _details(report, number, change)
        yield from ("", "</details>")
    paths = report.traffic.all.paths(MOST_PATHS) if report.traffic is not None else []
    if paths:
        yield from ("", "<details><summary>Most asked of the paths that go elsewhere</summary>", "")
        yield from ("| requests | path |", "| ---: | --- |")
        yield from (f"| {requests:,} | {code(path[:200])} |" for path, requests in paths)
        yield from ("", "</details>")
    remarks = [*report.remarks()]
    if remarks:
        yield from ("", "<details><summary>How to read the figures</summary>", "")
        yield from (f"- {plain(remark)}" for remark in remarks)
        yield from ("", "</details>")


def _title(report: Report) -> Iterator[str]:
    yield f"### {plain(report.headline())}"
    yield ""
    yield plain(f"{phrases.summary(report.difference)}.")


def _head(report: Report) -> Iterator[str]:
    yield from _title(report)
    for answer in report.answers:
        mark = {Judged.HOLDS: "❌", Judged.FINE: "✅", Judged.OPEN: "❓"}[answer.judged]
        yield from ("", f"{mark} {code(f'--fail-on {answer.limit.text}')} {_WORDS[answer.judged]}: {plain(answer.why)}")
    changes = report.changes()
    if not changes:
        return
    logged = report.traffic is not None
    yield ""
    yield "| | change | goes elsewhere |" + (" in the logs |" if logged else "")
    yield "| --- | --- | --- |" + (" --- |" if logged else "")
    for number, change in changes[:MOST_CHANGES]:
        row = f"| {plain(phrases.subject(change))} | {_what(change)} | {_goes(change)} |"
        of_log = plain(report.of_log(number)) if change.effect != "stays" else ""
        yield row + (f" {of_log} |" if logged else "")
    if len(changes) > MOST_CHANGES:
        yield from ("", f"... and {len(changes) - MOST_CHANGES:,} more changes.")
    warnings = [(change, note) for _, change in changes for note in change.notes if note.startswith("THE ")]
    for change, note in warnings[:MOST_CHANGES]:
        yield from ("", f"> ⚠️ **{plain(phrases.subject(change))}**: {plain(note)}")


def _what(change: Change) -> str:
    told = [plain(phrases.headline(change))] if phrases.headline(change) else []
    changed = [code(key) for key in phrases.keys(change)]
    more = len(changed) - 4
    told += changed if more <= 0 else [*changed[:4], f"{more} more keys"]
    return "<br>".join(told) or change.kinds[0]


def _goes(change: Change) -> str:
    if not change.elsewhere:
        return _EFFECTS[change.effect]
    first, more = change.elsewhere[0], len(change.elsewhere) - 1 + change.further
    told = [code(first.words), *(plain(movement) for movement in phrases.movements(first))]
    return "<br>".join([*told, f"and {more:,} more"] if more else told)


def _has_details(change: Change) -> bool:
    return bool(change.elsewhere or change.notes)


def _details(report: Report, number: int, change: Change) -> Iterator[str]:
    yield from ("", f"**{plain(phrases.subject(change))}** {plain(phrases.headline(change))}".rstrip(), "")
    for each in change.elsewhere[:MOST_CLASSES]:
        yield f"- {code(each.words)}"
        yield from (f"  - {plain(movement)}" for movement in phrases.movements(each))
        yield f"  - for example {code(phrases.request(each.witness))}"
    more = len(change.elsewhere) - MOST_CLASSES
    if more > 0:
        yield f"- ... and {more:,} more classes of requests"
    if change.further:
        yield f"- {phrases.further(change)}"
    yield from (f"- {plain(note)}" for note in change.notes)
    if (of_log := report.of_log(number)) and change.effect != "stays":
        yield f"- in the logs: {plain(of_log)}"
