"""Messages to people about what happened: fig's own form, and Slack's within its limits. Pure.

What happened together is told in one message: at most SHOWN lines of it, what went wrong first, and the rest counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from proxy.control.records import Entry
from proxy.control.telling.happenings import EVERYTHING, VERSION, happening_of, told
from proxy.control.telling.spec import Happening
from rules.effective import Position

SHOWN = 10
"""Lines of one message."""
SECTION = 3000
"""Characters that Slack takes in the text of a section block; of blocks it takes 50, and these are SHOWN + 2."""
HEADER = 150
"""And of a header block."""
TEXT = 4000
"""Characters that Slack shows of a message's own text."""
_WHY = 600
"""Characters of a reason that are told."""
_FIRST = (Happening.ROLLBACK, Happening.SLO, Happening.VETO)
_SIGNS = {
    Happening.PROMOTE: ":arrow_up:",
    Happening.STEP: ":arrow_up_small:",
    Happening.ROLLBACK: ":rewind:",
    Happening.FREEZE: ":snowflake:",
    Happening.UNFREEZE: ":sunny:",
    Happening.VETO: ":no_entry:",
    Happening.SLO: ":fire:",
}


def arranged(entries: Sequence[Entry]) -> list[Entry]:
    """Rollbacks, budgets and vetoes first, each in the order in which they happened."""
    last = len(_FIRST)
    return sorted(entries, key=lambda entry: _FIRST.index(kind) if (kind := happening_of(entry)) in _FIRST else last)


def sentence(entry: Entry) -> str:
    """``products: canary 5% -> shadow (rollback by pilot): errors...``, on one line."""
    kind = happening_of(entry)
    subject = "" if entry.route == EVERYTHING else f"{entry.route}: "
    if entry.before == entry.after or entry.before is None or entry.after is None:
        head = f"{subject}{entry.action} by {entry.actor}"
    else:
        head = f"{subject}{_where(entry.before)} -> {_where(entry.after)} ({kind.value} by {entry.actor})"
    why = " ".join(entry.why.split())
    return f"{head}: {_cut(why, _WHY)}" if why else head


def headline(entries: Sequence[Entry]) -> str:
    """What a phone shows: the one thing that happened, or how many."""
    if len(entries) == 1:
        return sentence(entries[0])
    routes = {entry.route for entry in entries} - {EVERYTHING}
    rollbacks = sum(1 for entry in entries if happening_of(entry) is Happening.ROLLBACK)
    also = f", {rollbacks} of them rollbacks" if rollbacks else ""
    return f"{len(entries)} things happened on {len(routes)} route{'s' if len(routes) != 1 else ''}{also}"


def plain(entries: Sequence[Entry], number: str) -> dict[str, Any]:
    """fig's own form. `entries` is not empty."""
    shown = arranged(entries)[:SHOWN]
    return {
        "version": VERSION,
        "id": number,
        "text": headline(entries),
        "events": [told(entry) for entry in shown],
        "more": len(entries) - len(shown),
    }


def slack(entries: Sequence[Entry]) -> dict[str, Any]:
    """What incoming webhooks of Slack take (api.slack.com: "Sending messages using incoming webhooks", "Block Kit").

    `entries` is not empty. Names and reasons are escaped: nobody is called by ``<!channel>`` in a reason.
    """
    shown = arranged(entries)[:SHOWN]
    blocks: list[dict[str, Any]] = []
    if len(entries) > 1:
        title = _cut(headline(entries), HEADER)
        blocks.append({"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}})
    for entry in shown:
        text = (
            f"{_SIGNS.get(happening_of(entry), ':small_blue_diamond:')} {_cut(_escaped(sentence(entry)), SECTION - 40)}"
        )
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}})
    if len(entries) > len(shown):
        more = {"type": "mrkdwn", "text": f"and {len(entries) - len(shown)} more: `fig history`"}
        blocks.append({"type": "context", "elements": [more]})
    return {"text": _cut(_escaped(headline(entries)), TEXT), "blocks": blocks}


def _where(position: Position) -> str:
    share = f" {position.share / 10_000:g}%" if position.stage.value == "canary" else ""
    return f"{position.stage.value}{share}{', frozen' if position.frozen else ''}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _escaped(text: str) -> str:
    """Slack's three characters, and no others."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
