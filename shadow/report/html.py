"""The report as one offline HTML file: nothing is loaded from anywhere, and nothing that a service answered can run.

Jinja2 escapes every value; a content security policy that allows this file's own script and style by their hashes, and
nothing else, stands behind it.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rules.quantities import fraction_text
from shadow.aligned import Fold, side_by_side
from shadow.certificate import CertificateVerdict
from shadow.report.building import Report

_TEMPLATES = Path(__file__).parent / "templates"
_VERDICTS = {
    CertificateVerdict.GO: "Good enough",
    CertificateVerdict.NO_GO: "Not good enough",
    CertificateVerdict.TOO_FEW: "Not enough seen yet",
    CertificateVerdict.FAULT: "A person has to look",
}


def render_html(report: Report) -> str:
    """The whole file."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(when=_when, number=_number, rate=_rate, fraction=fraction_text, bar=_bar)
    script, style = _own("report.js"), _own("report.css")
    return environment.get_template("report.html").render(
        report=report,
        script=Markup(script),  # noqa: S704 (our own file)
        style=Markup(style),  # noqa: S704 (our own file)
        policy=f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'",
        verdicts=_VERDICTS,
        side_by_side=side_by_side,
        is_fold=lambda row: isinstance(row, Fold),
    )


def _own(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _when(seconds: float | None) -> str:
    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _number(value: Any) -> str:
    return f"{value:,}"


def _rate(part: float) -> str:
    """A part as per cent, with as many digits as a small one needs."""
    if part in (0, 1):
        return f"{part:.0%}"
    return f"{part * 100:.1f} %" if part >= 0.01 else f"{part * 100:.2g} %"


def _bar(part: float) -> str:
    """Width of a bar: visible however small the part is."""
    return f"{max(part * 100, 0.5):.2f}%"
