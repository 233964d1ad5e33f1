"""A certificate's document in words: for a terminal, as Markdown, and as one offline HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rules.quantities import parse_fraction
from shadow.certifying.statement import Document

_TEMPLATES = Path(__file__).parent / "templates"
_OPEN = (
    ("gaps", "not recorded (gaps)"),
    ("doubts", "in doubt"),
    ("dead", "given up"),
    ("undelivered", "not delivered yet"),
    ("declared", "settled by a person"),
)


def claim(document: Mapping[str, Any]) -> str:
    """What n pairs show, as one sentence."""
    found, target = document["evidence"], document["target"]
    counted = min(found["pairs"], target["pairs"])
    if not counted:
        return "Nothing was compared under these rules yet."
    return (
        f"{_percent(float(document['bound']))} of the answers differ at most, with {target['confidence']} confidence, "
        f"as far as the first {counted:,} pairs show."
    )


def writes_line(document: Mapping[str, Any]) -> str:
    """What of the writes is open."""
    found = document["evidence"]
    return "writes: " + ", ".join(f"{found[name]:,} {words}" for name, words in _OPEN)


def masked_line(document: Mapping[str, Any]) -> str:
    found = document["evidence"]
    return (
        f"masked: {found['masked']:,} of {found['pairs']:,} pairs agree only because masks excused something "
        f"({_percent(float(document['masked_share']))})"
    )


def window_line(document: Mapping[str, Any]) -> str:
    window = document["window"]
    if window is None:
        return "window: none yet"
    return f"window: number {window['number']}, since {window['since']} ({window['reason']})"


def asked_line(document: Mapping[str, Any]) -> str:
    """What was asked, and who asked it."""
    target = document["target"]
    by = {"rules": "by the rules", "default": "by nobody, so the default"}.get(document["asked"], "on the command line")
    may = "none may differ" if target["differences"] == "none" else f"{document['allowed']:,} may differ"
    return f"asked {by}: {target['accuracy']} at {target['confidence']} confidence, on {target['pairs']:,} pairs, {may}"


def chain_line(document: Mapping[str, Any]) -> str:
    """How far the pairs can be counted again from what is kept."""
    chain = document["chain"]
    gone = chain["pairs"] - chain["links"]
    if not chain["pairs"]:
        return "chain: none"
    if not gone:
        return f"chain: {chain['pairs']:,} links, which is every pair"
    return (
        f"chain: every pair, {chain['pairs']:,}; the links of {chain['links']:,} are kept and can be counted again, of "
        f"{gone:,} between the first and the latest only sealed sums"
    )


def unproven_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """What shows too little on its own, each as a sentence."""
    for one in document["unproven"]:
        if "keys" in one:
            yield f"{one['stratum']}: {_keys(one['keys'])} (fig shadow backfill)"
        elif not one["pairs"]:
            yield f"{one['stratum']}: never compared"
        else:
            counted = f"{one['pairs']:,} {'pair' if one['pairs'] == 1 else 'pairs'}"
            yield (
                f"{one['stratum']}: {counted}, so up to {_percent(float(one['bound']))} of them may differ; "
                f"{one['accuracy']} takes {one['needed']:,}"
            )


def _keys(count: int | None) -> str:
    if count is None:
        return "nobody said which keys those are, so none is known to have been given to the candidate"
    return f"{count:,} {'key' if count == 1 else 'keys'} not given to the candidate"


def settled_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Who decided what became of what was uncertain, each decision as a sentence; then what read-back showed."""
    told = 0
    for one in document["settled"]:
        told += one["count"]
        when = one["last"] if one["first"] == one["last"] else f"{one['first']} to {one['last']}"
        things = _THINGS[one["what"]][one["count"] != 1]
        yield f"{when}  {one['who'] or 'somebody'}: {one['count']:,} {things} {_came_to(one)}, because: {one['why']}"
    if left := document["evidence"]["declared"] - told:
        yield f"and {left:,} more, which are not told one by one"
    if resolved := document["evidence"]["resolved"]:
        writes = "write" if resolved == 1 else "writes"
        yield f"by read-back, not by a person: {resolved:,} {writes} whose effect was uncertain"


_THINGS = {
    "copy": ("copy", "copies"),
    "doubt": ("write in doubt", "writes in doubt"),
    "gap": ("write that was not recorded", "writes that were not recorded"),
}


def _came_to(one: Mapping[str, Any]) -> str:
    said = {"doubt": f"said to be {one['decision']}", "gap": "looked after"}
    return said.get(one["what"], str(one["decision"]))


def mask_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """What each mask excused, and who says that it may."""
    for one in document["masks"]:
        until = f", until {one['expires']}" if one["expires"] else ""
        why = f"{one['reason'] or 'no reason given'}; {one['owner'] or 'no owner'}{until}"
        counted = f"{one['pairs']:,} {'pair' if one['pairs'] == 1 else 'pairs'}"
        yield f"{one['mask']}: {one['excused']:,} differences in {counted} ({why})"


def to_text(document: Document) -> str:
    """For a terminal."""
    lines = [
        f"{document['route']}  {document['verdict']}",
        f"  {document['reason']}",
        f"  {claim(document)}",
        f"  {masked_line(document)}",
        f"  {writes_line(document)}",
        f"  {window_line(document)}",
        f"  {chain_line(document)}",
    ]
    lines += [
        f"    {one['since']}  counted anew: {one['reason']} ({one['pairs']:,} pairs since)"
        for one in document["restarts"]
    ]
    if forgotten := document["restarts_forgotten"]:
        lines.append(f"    and {forgotten:,} times before that, which are not kept one by one")
    lines.append(f"  {asked_line(document)}")
    if document["strata"]:
        lines.append(f"  {document['evidence']['captured']:,} requests were captured:")
        lines += [f"    {line}" for line in _strata_lines(document)]
    for title, told in (
        ("masks that excused something", mask_lines(document)),
        ("settled", settled_lines(document)),
        ("unproven on their own", unproven_lines(document)),
    ):
        found = [f"    {line}" for line in told]
        lines += [f"  {title}:", *found] if found else []
    return "\n".join(lines)


def _strata_lines(document: Mapping[str, Any]) -> Iterator[str]:
    for one in document["strata"]:
        name = f"{one['method']:7} {one['status']:4} {one['kind']:9}"
        if one["bound"] is None:
            yield f"{name} {one['requests']:>9,}"
        else:
            attempts = f", after {one['attempts']:,} failed attempts" if one["attempts"] else ""
            differing, bound = one["differing"], _percent(float(one["bound"]))
            yield f"{name} {one['requests']:>9,}  {differing:,} differ, at most {bound}{attempts}"


def to_markdown(document: Document) -> str:
    """For a comment on a change, or a page of a wiki."""
    lines = [
        f"## {document['route']}: {document['verdict']}",
        "",
        f"{document['reason']}.",
        "",
        claim(document),
        "",
        "| method | status | kind | requests | differ | masked | at most |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for one in document["strata"]:
        bound = "" if one["bound"] is None else _percent(float(one["bound"]))
        counts = f"{one['requests']:,} | {one['differing']:,} | {one['masked']:,}"
        lines.append(f"| {one['method']} | {one['status']} | {one['kind']} | {counts} | {bound} |")
    lines += ["", f"* {masked_line(document)}", f"* {writes_line(document)}", f"* {window_line(document)}"]
    lines += [f"* mask: {line}" for line in mask_lines(document)]
    lines += [f"* settled: {line}" for line in settled_lines(document)]
    lines += [f"* unproven on its own: {line}" for line in unproven_lines(document)]
    lines += [f"* counted anew {one['since']}: {one['reason']}" for one in document["restarts"]]
    if forgotten := document["restarts_forgotten"]:
        lines.append(f"* counted anew {forgotten:,} times before that")
    lines.append(f"* {asked_line(document)}")
    lines.append(f"* {chain_line(document)}; head `{document['chain']['head'] or 'none'}`")
    return "\n".join(lines) + "\n"


def to_html(document: Document, key: str) -> str:
    """One file that loads nothing. `key` is the fingerprint of the key that signs."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=lambda text: _percent(float(text)), number=lambda value: f"{value:,}")
    return environment.get_template("certificate.html").render(
        one=document,
        key=key,
        claim=claim(document),
        masked=masked_line(document),
        writes=writes_line(document),
        window=window_line(document),
        chain=chain_line(document),
        asked=asked_line(document),
        settled=list(settled_lines(document)),
        unproven=list(unproven_lines(document)),
    )


def needed_for(document: Mapping[str, Any], accuracy: str) -> str:
    """What another accuracy would take, as a sentence: ``99.99% takes 29,956 pairs without a difference``."""
    from shadow.spec import least_pairs

    confidence = parse_fraction(document["target"]["confidence"])
    least = least_pairs(parse_fraction(accuracy), confidence)
    return f"{accuracy} takes {least:,} pairs without a difference"


def _percent(part: float) -> str:
    """Two significant digits, and never a rate above nothing shown as nothing."""
    return f"{100 * part:.3g} %"
