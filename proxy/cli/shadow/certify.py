"""`fig shadow certify`, `verify` and `key`: may a route leave shadow, said so that an auditor can check it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.cli.admin import Admin, AdminError, AdminOption, TokenOption
from proxy.cli.junit import Case, render
from proxy.cli.rules.screen import refuse_one_file
from proxy.cli.shadow.reading import comparisons_of, problem_of, refuse, running, state_folder, targets_of, visible
from proxy.settings import DEFAULT_ADMIN, DEFAULT_STATE
from rules.effective import Effective
from rules.problems import suggestion
from shadow.backfill.store import SeedError, read_seeding
from shadow.certifying.certificate import CertificateVerdict, Evidence, judge_certificate
from shadow.certifying.chain import BrokenChainError
from shadow.certifying.signing import SigningError, fingerprint, load_signer, parse_public, public_bytes, public_pem
from shadow.certifying.statement import Document, Origin, sign, state
from shadow.certifying.terms import day_of, digest_of
from shadow.certifying.text import to_html, to_markdown, to_text
from shadow.certifying.verification import Verification, contradictions, verify
from shadow.journal.decided import Decided, read_decided
from shadow.journal.journal import JournalError
from shadow.journal.reader import read_standing
from shadow.pairs.chain_tables import Chained
from shadow.pairs.kept import Window
from shadow.pairs.reader import PairReader
from shadow.pairs.tables import DamagedStoreError, StoreError
from shadow.sealing import SealError
from shadow.spec import CertificateTarget, Comparison, Differences, Mask

StateOption = Annotated[Path, typer.Option("--state", help="State folder of fig.", envvar="FIG_STATE")]


def certify(
    route: Annotated[str, typer.Argument(help="The route that is to leave shadow.", show_default=False)],
    folder: StateOption = Path(DEFAULT_STATE),
    accuracy: Annotated[
        str | None, typer.Option(help="Ask for this accuracy: 99.99%.", show_default="as the rules say")
    ] = None,
    pairs: Annotated[
        int | None, typer.Option(help="Judge the first so many pairs.", show_default="as the rules say")
    ] = None,
    confidence: Annotated[str | None, typer.Option(help="Of the bound: 95%.", show_default="as the rules say")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the signed certificate into this file.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the signed certificate.")] = False,
    markdown: Annotated[Path | None, typer.Option(help="Also write Markdown there.", show_default=False)] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write a JUnit report there.", show_default=False)] = None,
    html: Annotated[Path | None, typer.Option(help="Also write a page there.", show_default=False)] = None,
    admin: AdminOption = DEFAULT_ADMIN,
    token: TokenOption = "",
) -> None:
    """Judge a route's pairs, and certify the answer: GO, NO-GO, TOO FEW or FAULT.

    With -o the certificate is signed once every link of its chain was counted again, and the pairs that it rests on are
    kept until `fig shadow unpin` lets them go.

    Exit code 0: GO, 1: NO-GO, 2: cannot be asked so, 3: too few pairs yet, 4: gaps, doubts or copies given up, or
    pairs that were altered.
    """
    asked = {"accuracy": accuracy, "pairs": pairs, "confidence": confidence}
    refuse_one_file(junit, markdown)
    document = _judged(folder, route, {name: value for name, value in asked.items() if value is not None}, output)
    try:
        signer = load_signer(folder)
        signed = sign(document, signer)
        for path, content in (
            (output, signed),
            (markdown, to_markdown(document).encode()),
            (junit, _junit(document).encode()),
            (html, to_html(document, fingerprint(public_bytes(signer))).encode()),
        ):
            if path is not None:
                _write(path, content)
    except (SigningError, OSError) as exc:
        refuse(problem_of(exc))
    typer.echo(signed.decode() if as_json else visible_lines(to_text(document)), nl=not as_json)
    if output is not None:
        _pin(Admin(admin, token), document, signed)
    raise typer.Exit(CertificateVerdict(document["verdict"]).exit_code)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as exc:
        refuse(f"{path}: cannot be written: {exc.strerror}")


def verify_certificate(
    certificate: Annotated[Path, typer.Argument(help="The file that `fig shadow certify -o` wrote.")],
    folder: Annotated[
        Path | None,
        typer.Option("--state", help="Also follow the chain through this folder's pairs.", show_default=False),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="It must be signed by this public key, as `fig shadow key` prints it.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Also write a JUnit report there.", show_default=False)] = None,
) -> None:
    """Check a certificate: its signature, its arithmetic, and with --state every link of its chain.

    Exit code 0: everything holds, 1: something does not, 2: cannot be checked.
    """
    try:
        data = certificate.read_bytes()
        trusted = parse_public(key.read_text(encoding="utf-8")) if key is not None else None
        if folder is None:
            found = verify(data, trusted)
        else:
            state_folder(folder)
            trusted = trusted or public_bytes(load_signer(folder, make=False))
            with PairReader(folder / "pairs.db") as reader:
                found = verify(data, trusted, reader)
    except DamagedStoreError as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(1) from exc
    except FileNotFoundError as exc:
        refuse(f"{exc.filename}: there is no such file")
    except UnicodeDecodeError:
        refuse(f"{key}: no public key: neither PEM nor 64 hex digits, as `fig shadow key` prints it")
    except (OSError, SigningError, StoreError) as exc:
        refuse(problem_of(exc))
    if junit is not None:
        _write(junit, _checks(found, certificate).encode())
    if as_json:
        typer.echo(json.dumps({"holds": found.holds, "key_given": trusted is not None, **asdict(found)}, indent=2))
    else:
        _tell(found, trusted is not None)
    raise typer.Exit(found.exit_code)


def show_key(folder: StateOption = Path(DEFAULT_STATE)) -> None:
    """Print the public key of this state folder's certificates, for whoever is to trust them."""
    state_folder(folder)
    try:
        public = public_bytes(load_signer(folder))
    except (SigningError, OSError) as exc:
        refuse(problem_of(exc))
    typer.echo(public_pem(public), nl=False)
    typer.echo(f"fingerprint: {fingerprint(public)}", err=True)


def visible_lines(text: str) -> str:
    """`visible`, line by line."""
    return "\n".join(map(visible, text.split("\n")))


@dataclass(frozen=True, slots=True)
class _Terms:
    """What runs, as far as the route's certificate depends on it."""

    target: CertificateTarget
    origin: Origin
    digest: str | None
    """Of the window that pairs count in now; None where nothing is known to run."""
    masks: Mapping[str, Mask] = field(default_factory=dict)
    """Those of the rules that are in force, by name; of two that excuse the same, the one that is asked first."""


def _judged(folder: Path, route: str, asked: Mapping[str, Any], output: Path | None) -> Document:
    """What is handed out (`output`) is held against every link of the chain before."""
    state_folder(folder)
    effective = running(folder)
    terms = _terms(effective, route, asked)
    try:
        owed = read_standing(folder / "journal.db").get(route)
        with PairReader(folder / "pairs.db") as reader:
            known = {*reader.routes(), *(effective.routes if effective is not None else ())}
            if route not in known:
                refuse(f"there is no route '{route}'{suggestion(route, sorted(known))}")
            windows = reader.windows(route)
            if windows and terms.digest is not None and windows[0].digest != terms.digest:
                # What was compared was compared under other rules: it proves nothing of those that run.
                windows = ()
            evidence = reader.evidence(route, terms.target) if windows else Evidence(0, 0, 0)
            decided = read_decided(folder / "journal.db", route)
            declared = max(evidence.declared, decided.declared)
            evidence = replace(evidence, declared=declared, resolved=decided.resolved)
            if owed is not None:  # the journal is ahead of what the shadower last noted beside the pairs
                evidence = replace(
                    evidence,
                    gaps=max(evidence.gaps, owed.gaps),
                    doubts=max(evidence.doubts, owed.in_doubt),
                    dead=max(evidence.dead, owed.dead),
                    undelivered=owed.undelivered,
                    overdue=owed.overdue,
                )
            if (seeding := read_seeding(folder / "backfill.db").get(route)) is not None:
                evidence = replace(evidence, unseeded=seeding.unseeded)
            document = _stated(reader, route, evidence, terms, windows, decided)
            if output is not None:
                _hold_against(document, reader)
            return document
    except (StoreError, JournalError, SealError, SeedError, sqlite3.Error) as exc:
        refuse(str(exc))
    except BrokenChainError as exc:
        typer.echo(
            f"fig: {folder / 'pairs.db'}: what was counted does not follow from the pairs that are kept, so nothing is "
            f"certified: {visible(str(exc))}. Restore the file from a copy, or stop fig and move it away to count anew",
            err=True,
        )
        raise typer.Exit(CertificateVerdict.FAULT.exit_code) from exc


def _hold_against(document: Document, reader: PairReader) -> None:
    if problems := contradictions(document, reader):
        raise BrokenChainError("; ".join(problems))


def _stated(
    reader: PairReader,
    route: str,
    evidence: Evidence,
    terms: _Terms,
    windows: tuple[Window, ...],
    decided: Decided,
) -> Document:
    masks = reader.masks(windows[0]) if windows else ()
    chain = reader.chain(windows[0]) if windows else Chained(0, None, 0)
    if windows and chain.pairs != windows[0].pairs:
        raise BrokenChainError(f"of {windows[0].pairs:,} pairs that were counted {chain.pairs:,} are chained")
    certificate = judge_certificate(evidence, terms.target)
    stated = state(certificate, terms.origin, windows, masks, chain, time.time(), decided, terms.masks)
    return {**stated, "route": route}


def _terms(effective: Effective | None, route: str, asked: Mapping[str, Any]) -> _Terms:
    named = targets_of(effective).get(route)
    plain = (named or CertificateTarget()).model_dump(mode="json") | dict(asked)
    try:
        target = CertificateTarget.model_validate(plain)
    except ValidationError as exc:
        refuse("; ".join(_said_of(one) for one in exc.errors()))
    if asked and named is not None and named.differences is Differences.ALLOWED and target != named:
        refuse(
            f"the rules allow differences on route '{route}', so what is asked must be fixed before pairs are counted; "
            "change it in the rules, which counts them anew, or ask without --accuracy, --pairs and --confidence"
        )
    by = "command line" if asked else "rules" if named is not None else "default"
    origin = Origin("", "", "", by, _version())
    found = effective.routes.get(route) if effective is not None else None
    if effective is None or found is None:
        return _Terms(target, origin, None)
    services = effective.rules.services
    candidate, legacy = services.get(found.candidate or ""), services.get(found.legacy or effective.rules.legacy)
    origin = replace(
        origin,
        rules=effective.digest,
        candidate=candidate.what if candidate is not None else "",
        legacy=legacy.what if legacy is not None else "",
    )
    comparison = comparisons_of(effective).get(route, Comparison())
    today = day_of(time.time())
    masks = {mask.name: mask for mask in reversed(comparison.masks) if not mask.is_expired(today)}
    return _Terms(target, origin, digest_of(effective.rules, found, comparison, today, named), masks)


def _said_of(problem: ErrorDetails) -> str:
    """With the option that it is about, which pydantic says apart."""
    where = f"--{problem['loc'][0]}: " if problem["loc"] else ""
    return where + problem["msg"].removeprefix("Value error, ")


def _version() -> str:
    try:
        return version("strangler-fig")
    except PackageNotFoundError:
        return "unknown"


def _pin(admin: Admin, document: Document, signed: bytes) -> None:
    """Have the shadower keep what the certificate rests on. Without it the certificate stands, its chain may go."""
    window, chain = document["window"], document["chain"]
    if window is None or not chain["pairs"]:
        return
    try:
        admin.command(
            "pin",
            f"certificate {document['verdict']}",
            route=document["route"],
            window=window["number"],
            links=chain["pairs"],
            head=chain["head"],
            certificate=sha256(signed).hexdigest(),
        )
    except AdminError as exc:
        typer.echo(
            f"fig: what the certificate rests on is not pinned, so in time it is shed and no longer verifies: {exc}; "
            "repeat the command while fig runs to pin it",
            err=True,
        )


def _junit(document: Document) -> str:
    verdict, reason = document["verdict"], str(document["reason"])
    case = Case(f"{document['route']} may leave shadow", document["route"])
    if verdict in (CertificateVerdict.NO_GO, CertificateVerdict.FAULT):
        case = replace(case, failure=f"{verdict}: {reason}")
    elif verdict == CertificateVerdict.TOO_FEW:
        case = replace(case, skipped=f"{verdict}: {reason}")
    strata = []
    for one in document["strata"]:
        if one["bound"] is not None:
            name = f"{one['method']} {one['status']} ({one['kind']}): {one['requests']} pairs"
            failure = f"{one['differing']} differ" if one["differing"] else None
            strata.append(Case(name, document["route"], failure=failure))
    return render("fig shadow certify", (case, *strata))


def _checks(found: Verification, certificate: Path) -> str:
    return render(
        "fig shadow verify",
        tuple(Case(one.name, certificate.name, failure=None if one.holds else one.said) for one in found.checks),
    )


def _tell(found: Verification, trusted: bool) -> None:
    for check in found.checks:
        typer.echo(f"{'ok' if check.holds else 'FAILED':6}  {check.name}: {visible(check.said)}")
    if found.document is None or not found.holds:
        typer.echo("this certificate does not hold")
        return
    document = found.document
    typer.echo(visible(f"{document['route']}: {document['verdict']}, made {document['made']}: {document['reason']}"))
    if not trusted:
        typer.echo("whose key that is, only --key can tell: compare it with what `fig shadow key` says there")
