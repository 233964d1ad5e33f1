"""Random mutations of valid rules files: each loads, or every problem has its place; none raises, none takes a second.

    python -m benchmarks.fuzz_rules --cases 1000000 --seed 1 --jobs 2

A case is its number: ``--only 4711`` runs case 4711 of a seed again and prints its text. A run that was broken off goes
on where ``--from`` says. The text of each case that fell is kept in the folder of ``--keep``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import re
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from proxy.rulebook import FILE, load
from rules.layout.canonical import canonical
from rules.problems import RulesError

REPOSITORY = Path(__file__).parents[1]
LONGEST = 1.0
"""Seconds of processor time that one case may take."""
HANGS = 30.0
"""Seconds after which a case hangs, whoever has the processor."""
BATCH = 500
SECRET = "Zq9-secret/tok*en {here}"
ENVIRONMENT = {"SECRET": SECRET, "NAME": "shop", "N": "7", "EMPTY": "", "YAML": "{a: [b", "LONG": "x" * 5000}

_WORDS = (
    *(
        "&a ",
        "*a",
        "<<: *a",
        "!!str ",
        "!!binary ",
        "!x ",
        "{",
        "}",
        "[",
        "]",
        "|",
        ">",
        "|+",
        "? ",
        ": ",
        "- ",
        "#",
        "\t",
    ),
    *(
        "'",
        '"',
        "\\",
        "%",
        "@",
        "`",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "null",
        "~",
        "true",
        "no",
        "0x1F",
        "1e99",
        "-0",
        ".inf",
    ),
    *(
        "9" * 40,
        "1_000",
        "5%",
        "100.00001%",
        "0%",
        "2s",
        "-1s",
        "99999d",
        "10MB",
        "999GB",
        "\x00",
        "\x07",
        "\ufeff",
        "\u2028",
    ),
    *("\u00e9", "\U0001f600", "\u202e", "\x85", "${", "${NAME}", "${N}", "${EMPTY}", "${YAML}", "${LONG}", "${UNSET}"),
    *(
        "${UNSET:-x}",
        "${SECRET}",
        "x${SECRET}",
        "$${",
        "${N:-",
        "/**",
        "/*",
        "{id}",
        "/a/../b",
        "(?P<a>",
        "a{1000}",
        "[",
        "**",
        "//",
        "%2F",
        ";x",
    ),
    *(
        "name",
        "match",
        "path",
        "candidate",
        "stage",
        "canary",
        "not",
        "any",
        "all",
        "from",
        "rollout",
        "gate",
        "legacy",
    ),
)

_PIECES = tuple(SECRET.lower().replace("/", " ").split())


class Fell(NamedTuple):
    case: int
    why: str
    text: bytes


def originals() -> list[bytes]:
    """Every valid rules file of the repository, and the examples of its pages."""
    found: list[bytes] = []
    for folder in ("examples", "deploy", "docs", "tests"):
        for file in sorted((REPOSITORY / folder).rglob("*.yaml")):
            if re.search(rb"^version: 1", file.read_bytes(), re.MULTILINE):
                found.append(file.read_bytes())
    for page in sorted((REPOSITORY / "docs").rglob("*.md")):
        blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        found += [text.encode() for text in blocks if text.startswith("version:")]
    return found


def mutated(case: int, seed: int, texts: list[bytes]) -> bytes:
    """The text of one case: a function of its number and the seed."""
    chance = random.Random(f"{seed}/{case}")
    text = chance.choice(texts)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        text = chance.choice(_MUTATIONS)(text, chance, texts)
    return text


def _bytes(text: bytes, chance: random.Random, _texts: list[bytes]) -> bytes:
    at = chance.randrange(len(text) + 1)
    new = bytes(chance.randrange(256) for _ in range(chance.randrange(4)))
    return text[:at] + new + text[at + chance.randrange(4) :]


def _word(text: bytes, chance: random.Random, _texts: list[bytes]) -> bytes:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(_WORDS).encode() + text[at + chance.choice((0, 0, 1, 5)) :]


def _token(text: bytes, chance: random.Random, texts: list[bytes]) -> bytes:
    """One word of the file becomes another one, of a file or of ours."""
    tokens = list(re.finditer(rb"[^\s,:{}\[\]]+", text))
    if not tokens:
        return text
    old = chance.choice(tokens)
    others = re.findall(rb"[^\s,:{}\[\]]+", chance.choice(texts))
    new = chance.choice(others) if chance.random() < 0.5 else chance.choice(_WORDS).encode()
    return text[: old.start()] + new + text[old.end() :]


def _lines(text: bytes, chance: random.Random, texts: list[bytes]) -> bytes:
    """Lines are repeated, taken away, exchanged, or brought in from another file."""
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    first = chance.randrange(len(lines))
    some = lines[first : first + chance.randrange(1, 6)]
    match chance.randrange(5):
        case 0:
            lines[first:first] = some
        case 1:
            del lines[first : first + len(some)]
        case 2:
            other = chance.randrange(len(lines))
            lines[first], lines[other] = lines[other], lines[first]
        case 3:
            others = chance.choice(texts).splitlines(keepends=True)
            at = chance.randrange(len(others))
            lines[first:first] = others[at : at + len(some)]
        case _:
            lines[first:first] = some * chance.choice((2, 50))
    return b"".join(lines)


def _indentation(text: bytes, chance: random.Random, _texts: list[bytes]) -> bytes:
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    at = chance.randrange(len(lines))
    by = chance.choice((b" ", b"  ", b"\t", b"    "))
    for number in range(at, min(len(lines), at + chance.randrange(1, 4))):
        line = lines[number]
        lines[number] = by + line if chance.random() < 0.6 else line.removeprefix(by)
    return b"".join(lines)


def _anchors(text: bytes, chance: random.Random, _texts: list[bytes]) -> bytes:
    """A value gets an anchor, others become its alias."""
    values = list(re.finditer(rb"(?<=: )[^\n]+", text))
    if len(values) < 2:
        return text
    named, aliased = sorted(chance.sample(values, 2), key=lambda found: found.start())
    alias = chance.choice((b"*a", b"[*a, *a, *a]", b"{<<: *a}", b"{<<: [*a, *a]}"))
    return text[: named.start()] + b"&a " + text[named.start() : aliased.start()] + alias + text[aliased.end() :]


def _nesting(text: bytes, chance: random.Random, _texts: list[bytes]) -> bytes:
    at = chance.randrange(len(text) + 1)
    opened = chance.choice((b"[", b"{a: ", b"- ", b"? ", b"&a [*a, ", b"{<<: "))
    return text[:at] + opened * chance.choice((3, 99, 101, 2000)) + text[at:]


_MUTATIONS: tuple[Callable[[bytes, random.Random, list[bytes]], bytes], ...] = (
    *(_bytes, _word, _word, _token, _token, _token),
    *(_lines, _lines, _indentation, _anchors, _nesting),
)


class _TooLong(BaseException):
    """Not an Exception, so that nothing on the way takes it for one of its own."""


def _ring(_signal: int, _frame: FrameType | None) -> None:
    raise _TooLong


def why_it_fell(text: bytes, file: Path) -> tuple[str | None, str]:
    """What is wrong with how fig took this text, or None; and how it ended."""
    file.write_bytes(text)
    try:
        load(file, ENVIRONMENT)
    except RulesError as exc:
        lines = len(re.split("\r\n|[\r\n\x85\u2028\u2029]", text.decode("utf-8", "replace"))) + 1
        for problem in exc.problems:
            place, told = problem.place, str(problem)
            if not told.isprintable():
                return f"a problem that is not one printable line: {problem!r}", "problems"
            if any(piece in told.lower() for piece in _PIECES):
                return f"a problem tells what a variable holds: {problem!r}", "problems"
            if place.file != str(file) or not 1 <= place.line <= lines or place.column < 1 or not problem.message:
                return f"a problem without its place: {problem!r}", "problems"
        return (None if exc.problems else "refused without a problem"), "problems"
    except Exception:
        return traceback.format_exc(limit=-6), "raised"
    return _why_not_laid_out(text, str(file)), "loads"


def _in_time(text: bytes, file: Path) -> tuple[str | None, str]:
    """As `why_it_fell`, under a watchdog of processor time, since others use the processor too, and of real time."""
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    signal.setitimer(signal.ITIMER_REAL, HANGS)
    try:
        return why_it_fell(text, file)
    except _TooLong:
        return f"took more than {LONGEST:g} s", "too long"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _why_not_laid_out(text: bytes, file: str) -> str | None:
    """What is wrong with the canonical layout of a text that loads; that it says the same `canonical` checks itself."""
    try:
        once = canonical(text.decode("utf-8-sig"), file, FILE)
        return None if canonical(once, file, FILE) == once else "the canonical layout is not stable"
    except RulesError as exc:
        return None if all(problem.code == "layout" for problem in exc.problems) else f"loads, but no layout: {exc}"
    except Exception:
        return traceback.format_exc(limit=-6)


def _batch(given: tuple[int, int, int]) -> tuple[Counter[str], list[Fell]]:
    seed, first, last = given
    signal.signal(signal.SIGALRM, _ring)
    signal.signal(signal.SIGPROF, _ring)
    texts = _batch.texts = getattr(_batch, "texts", None) or originals()  # type: ignore[attr-defined]
    folder = Path("/dev/shm")  # memory, where there is some
    file = Path(
        folder if folder.is_dir() else tempfile.gettempdir(), f"fuzz_rules.{multiprocessing.current_process().pid}.yaml"
    )
    ends: Counter[str] = Counter()
    fell: list[Fell] = []
    try:
        for case in range(first, last):
            text = mutated(case, seed, texts)
            why, end = _in_time(text, file)
            ends[end] += 1
            if why is not None:
                fell.append(Fell(case, why, text))
    finally:
        file.unlink(missing_ok=True)
    return ends, fell


def runs(cases: int, seed: int, jobs: int, first: int = 0) -> Iterator[tuple[int, Counter[str], list[Fell]]]:
    """(cases done, how they ended, those that fell) after each batch."""
    batches = [(seed, at, min(at + BATCH, cases)) for at in range(first, cases, BATCH)]
    done = first
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for (_, begin, end), (ends, fell) in zip(batches, pool.imap(_batch, batches), strict=True):
            done += end - begin
            yield done, ends, fell


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--from", type=int, default=0, dest="first", help="the case to begin with")
    parser.add_argument("--only", type=int, help="run this one case and print its text")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-rules"), help="folder for the texts that fell")
    given = parser.parse_args()
    if given.only is not None:
        sys.stdout.buffer.write(mutated(given.only, given.seed, originals()))
        print(_batch((given.seed, given.only, given.only + 1))[1] or "fine", file=sys.stderr)
        return
    began, told = time.monotonic(), 0.0
    ends: Counter[str] = Counter()
    count = 0
    for done, found, fell in runs(given.cases, given.seed, given.jobs, given.first):
        ends += found
        for each in fell:
            count += 1
            given.keep.mkdir(exist_ok=True)
            (given.keep / f"{given.seed}-{each.case}.yaml").write_bytes(each.text)
            print(f"case {each.case} fell: {each.why}", flush=True)
        spent = time.monotonic() - began
        if spent - told > 10 or done == given.cases:
            told = spent
            rate = (done - given.first) / spent
            print(f"{done:,} of {given.cases:,} cases, {rate:.0f}/s, {dict(ends)}, {count} fell", flush=True)
    sys.exit(1 if count else 0)


if __name__ == "__main__":
    main()
