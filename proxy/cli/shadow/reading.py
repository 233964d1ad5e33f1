"""What the commands of `fig shadow` read beside the databases: the running rules, and how they refuse to go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from proxy.cli.admin import AdminError
from proxy.publication import published
from proxy.rulebook import load
from rules.effective import Effective
from rules.problems import RulesError, suggestion
from shadow.backfill.store import SeedError, read_seeding
from shadow.journal.journal import JournalError
from shadow.journal.key_history import KeyHistory, KeyWrite
from shadow.journal.open_lists import OpenWrites, open_writes
from shadow.journal.reader import JournalReader
from shadow.pairs.kept import KeptPair
from shadow.pairs.noise_store import NoiseReader
from shadow.pairs.reader import PairReader
from shadow.pairs.tables import StoreError
from shadow.sealing import KEY_SIZE, KEY_VARIABLE, Sealer, SealError, state_key
from shadow.spec import CertificateTarget, Comparison

T = TypeVar("T")
if TYPE_CHECKING:
    from shadow.pairs.noise_reading import RouteNoise

StateOption = Annotated[Path, typer.Option(help="State folder of fig.", envvar="FIG_STATE")]


def running(state: Path) -> Effective | None:
    """The table that control published last; None where none was.

    One that is there and cannot be read ends the command with exit code 2: without it masks would be unknown, and
    certificates would be held against the default instead of what the rules ask for.
    """
    try:
        return published(state)
    except (OSError, ValueError) as exc:
        refuse(
            f"{state}: the rules that run cannot be read ({problem_of(exc)}); start `fig serve` with this state "
            "folder, which writes them anew, or restore it from a copy"
        )


def know_route(state: Path, route: str | None) -> None:
    """For a command that found nothing of a route: that is news of one that there is only; else it ends with code 2."""
    effective = running(state) if route is not None else None
    if route is not None and effective is not None and route not in effective.routes:
        refuse(f"there is no route '{visible(route)}'{suggestion(route, sorted(effective.routes))}")


def stages_of(effective: Effective | None) -> Mapping[str, str]:
    """Where each route stands."""
    if effective is None:
        return {}
    return {
        route.name: str(effective.position(route.name).stage)
        for route in effective.rules.routes
        if route.candidate is not None  # else it has no sides, and nothing to compare
    }


def targets_of(effective: Effective | None) -> Mapping[str, CertificateTarget]:
    """What the running rules ask certificates for; the default counts for a route that is not named."""
    if effective is None:
        return {}
    return {route: CertificateTarget.model_validate(plain) for route, plain in effective.certificates.items()}


def comparisons_of(effective: Effective | None) -> Mapping[str, Comparison]:
    """How the running rules compare each route; one that names no comparison is not in it."""
    if effective is None:
        return {}
    named = {name: Comparison.model_validate(plain) for name, plain in effective.comparisons.items()}
    routes = effective.rules.routes
    return {one.name: named[one.shadow.compare].for_route(one.name) for one in routes if one.shadow.compare in named}


def targets_in(rules: Path) -> Mapping[str, CertificateTarget]:
    """The same from a rules file."""
    try:
        return load(rules).certificates
    except RulesError as exc:
        refuse(f"{rules} has problems (see `fig rules check {rules}`); the first: {exc.problems[0]}")


def state_folder(state: Path) -> Path:
    """The folder, if it is one that this user may look into; else the command ends with exit code 2."""
    try:
        is_there = state.is_dir()
    except PermissionError as exc:
        refuse(problem_of(exc))
    if not is_there:
        refuse(f"{state}: no such state folder; name the one of a running fig with --state, or start `fig serve`")
    if not os.access(state, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        refuse(f"{state}: this user may not look into it; {_OWNER}")
    return state


_OWNER = "run the command as the user who runs fig: a state folder is its owner's only"


def problem_of(exc: Exception) -> str:
    """What to say of an error; of a file that this user may not read, whose it is."""
    if isinstance(exc, PermissionError):
        return f"{exc.filename}: this user may not read or write it; {_OWNER}"
    return str(exc)


def kept_pair(state: Path, name: str) -> KeptPair:
    """The pair of that name; where there is none, the command ends with exit code 2."""
    try:
        with PairReader(state_folder(state) / "pairs.db") as reader:
            found = reader.pair(name)
    except StoreError as exc:
        refuse(str(exc))
    if found is None:
        refuse(
            f"there is no pair '{visible(name)[:100]}'; `fig shadow report` names those that are kept, and pairs older "
            "than the route's shadow.keep are forgotten"
        )
    return found


def noises(state: Path, routes: Iterable[str]) -> dict[str, RouteNoise]:
    """What legacy disagrees with itself about, of the routes where it was asked again. Raises StoreError."""
    with NoiseReader(state / "pairs.db") as reader:
        asked = [route for route in routes if reader.asked(route)[0]]
    if not asked:
        return {}
    from shadow.pairs.noise_reading import read_noise  # here, because its statistics take half a second to import

    return {route: read_noise(state / "pairs.db", route) for route in asked}


def key_history(state: Path) -> Callable[[int], tuple[KeyWrite, ...]]:
    """The writes around one, by its number in the journal; none where there is no journal to read."""

    def around(sequence: int) -> tuple[KeyWrite, ...]:
        try:
            with KeyHistory(state / "journal.db") as history:
                return history.around(sequence)
        except JournalError:
            return ()

    return around


MOST_OPEN = 10
"""Writes of each kind that a report lists of a route."""


def unseeded(state: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    """Keys that backfill has not given to the candidate, by route, and what a report has to say where that cannot be
    read."""
    try:
        return {route: one.unseeded for route, one in read_seeding(state / "backfill.db").items()}, ()
    except SeedError as exc:
        return {}, (f"{exc}: how many keys are not seeded is not known",)


def opened(state: Path) -> tuple[dict[str, OpenWrites], tuple[str, ...]]:
    """What is open in the journal, by route, and what a report has to say where that cannot be read."""
    path = state / "journal.db"
    if not path.exists():
        return {}, ()
    try:
        reader = JournalReader(path, _opens_nothing())
        try:
            return open_writes(reader, MOST_OPEN), ()
        finally:
            reader.close()
    except JournalError as exc:
        return {}, (f"{exc}: what is open of writes is told as the shadower noted it last, and not listed",)


def key_of(state: Path) -> bytes:
    """The key of a state folder; where there is none, the command ends with exit code 2."""
    try:
        return state_key(state, os.environ.get(KEY_VARIABLE, ""))
    except (SealError, OSError) as exc:
        refuse(problem_of(exc))


def _opens_nothing() -> Sealer:
    """For whoever reads lists and counts only: a copy of the state folder without its key will do."""
    return Sealer(bytes(KEY_SIZE))


@contextmanager
def journal_reader(state: Path) -> Iterator[JournalReader | None]:
    """The journal of a state folder, without what is sealed of it; None where there is none yet.

    Where it cannot be read, the command ends with exit code 2.
    """
    path = state_folder(state) / "journal.db"
    if not path.exists():
        yield None
        return
    try:
        reader = JournalReader(path, _opens_nothing())
    except JournalError as exc:
        refuse(str(exc))
    try:
        yield reader
    finally:
        reader.close()


def asking(call: Callable[[], T]) -> T:
    """What `call` gives; what the admin API says against it ends the command, with a sentence."""
    try:
        return call()
    except AdminError as exc:
        typer.echo(f"fig: {exc}", err=True)
        raise typer.Exit(exc.code) from exc


def refuse(problem: str) -> NoReturn:
    typer.echo(f"fig: {problem}", err=True)
    raise typer.Exit(2)


def visible(text: str) -> str:
    """Without control characters: what a service answered must not drive the terminal that shows it."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)
