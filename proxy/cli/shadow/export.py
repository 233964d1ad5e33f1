"""`fig shadow export`: a pair as a test of its own, to be kept beside the candidate's code."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from proxy.cli.shadow.reading import StateOption, comparisons_of, kept_pair, key_of, refuse, running, visible
from proxy.cli.shadow.show import PairArgument
from proxy.settings import DEFAULT_STATE
from shadow.delivery.asked import asked_of
from shadow.exporting.pytest_file import ExportError, export
from shadow.journal.journal import JournalError
from shadow.journal.reader import JournalReader
from shadow.pair import Asked, Kind
from shadow.pairs.kept import KeptPair
from shadow.pairs.reader import PairReader
from shadow.pairs.tables import StoreError
from shadow.redaction.redact import Redactor
from shadow.sealing import Sealer, SealError
from shadow.spec import Comparison


def export_pair(
    pair: PairArgument,
    state: StateOption = Path(DEFAULT_STATE),
    pytest: Annotated[bool, typer.Option("--pytest", help="As a file for pytest; there is no other form yet.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write it into this file.", show_default=False)
    ] = None,
) -> None:
    """Print a pair as a test: its request, and legacy's answer as what is expected, under the route's masks.

    The file needs pytest and httpx and nothing of fig. It asks the service that SERVICE_URL names, and holds no secret:
    those of the request come from variables that its first lines name.
    """
    if not pytest:
        refuse("say --pytest: it is the only form that pairs are exported in")
    kept = kept_pair(state, pair)
    key = key_of(state)
    comparison = comparisons_of(running(state)).get(kept.pair.route, Comparison())
    today = datetime.fromtimestamp(time.time(), UTC).date()
    try:
        text = export(kept, _asked(state, kept, Sealer(key)), comparison, Redactor(key), today)
    except ExportError as exc:
        refuse(f"pair {visible(pair)} cannot be exported: {exc}")
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as exc:
        refuse(f"{output}: cannot be written: {exc.strerror}")
    typer.echo(f"{output}: run it with SERVICE_URL=http://... pytest {output}")


def _asked(state: Path, kept: KeptPair, sealer: Sealer) -> Asked | None:
    """The request as the candidate was asked it; None where it is not kept."""
    try:
        if kept.pair.kind is Kind.READ:
            with PairReader(state / "pairs.db") as reader:
                request = reader.request(kept.pair.id, sealer)
            return request.asked if request is not None else None
        journal = JournalReader(state / "journal.db", sealer)
        try:
            return asked_of(journal.original(kept.pair.sequence)[1], kept.pair.side)
        finally:
            journal.close()
    except (StoreError, JournalError, SealError, msgspec.MsgspecError):
        return None
