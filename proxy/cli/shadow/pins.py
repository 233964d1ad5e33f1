"""`fig shadow pins` and `unpin`: what is kept for certificates whatever `keep` says, and how it is let go."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from proxy.cli.admin import Admin, AdminOption, TokenOption
from proxy.cli.shadow.deliveries import age
from proxy.cli.shadow.reading import StateOption, asking, know_route, problem_of, refuse, state_folder, visible
from proxy.settings import DEFAULT_ADMIN, DEFAULT_STATE
from shadow.pairs.reader import PairReader
from shadow.pairs.tables import StoreError

_DIGITS = re.compile(r"[0-9a-f]{8,64}")
_SHOWN = 16
"""Digits of a certificate that a person reads."""


def list_pins(
    route: Annotated[str | None, typer.Option(help="Only this route's.", show_default=False)] = None,
    state: StateOption = Path(DEFAULT_STATE),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what `fig shadow certify -o` had kept: for which certificate, and how many pairs of which window.

    Exit 0: listed, even if there are none; 2: nothing to read.
    """
    try:
        with PairReader(state_folder(state) / "pairs.db") as reader:
            found = [pin for pin in reader.pins() if route in (None, pin.route)]
    except StoreError as exc:
        refuse(str(exc))
    if not found:
        know_route(state, route)
    if as_json:
        typer.echo(json.dumps([asdict(pin) for pin in found], indent=2))
        return
    console = Console(soft_wrap=False, highlight=False)
    if not found:
        console.print("nothing is pinned")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("CERTIFICATE", "ROUTE", "WINDOW", "PAIRS", "AGE"):
        table.add_column(title, overflow="fold")
    now = time.time()
    for pin in found:
        table.add_row(
            visible(pin.certificate[:_SHOWN]),
            visible(pin.route),
            str(pin.window),
            f"{pin.links:,}",
            age(now - pin.made),
        )
    console.print(table)


def unpin_certificate(
    certificate: Annotated[
        str, typer.Argument(metavar="CERT", help="Its file, or its digits as `fig shadow pins` lists them.")
    ],
    why: Annotated[
        str, typer.Option("--why", help="Why nobody needs it any more: for the history.", show_default=False)
    ] = "",
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Let go what was kept for one certificate: it is superseded, or withdrawn. Others keep what they rest on.

    What no other certificate rests on goes when its time is over, as the route's `keep` says. The certificate's
    signature and arithmetic still verify then, its chain no longer.
    """
    if not why.strip():
        refuse("say why (--why): it stands in the history")
    digits = _digits(certificate)
    done = asking(lambda: Admin(admin, token).command("unpin", why, certificate=digits))
    held = f"{done['unpinned']:,} pairs of window {done['window']} of route {visible(str(done['route']))}"
    typer.echo(
        f"unpinned: {visible(str(done['certificate']))[:_SHOWN]}, {held}; what no other certificate rests on goes when "
        "its time is over"
    )


def _digits(certificate: str) -> str:
    file = Path(certificate)
    try:
        if file.is_file():
            return sha256(file.read_bytes()).hexdigest()
    except OSError as exc:
        refuse(problem_of(exc))
    if not _DIGITS.fullmatch(certificate):
        refuse(
            f"{visible(certificate)}: there is no such file, and these are not the digits of a certificate; "
            "`fig shadow pins` lists them"
        )
    return certificate
