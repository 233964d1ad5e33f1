"""An nginx configuration as directives, files included, each with its place and whether the import made use of it."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rules.imports.draft import ImportFailed, NotCarried, Origin

LARGEST = 16 * 1024 * 1024
"""Bytes of one file."""
MOST_DIRECTIVES = 200_000
DEEPEST = 64
"""Blocks and includes within one another."""


class Directive:
    """One directive; compared by identity. `used` is set by whoever carries what it says."""

    __slots__ = ("args", "block", "name", "origin", "used")

    def __init__(self, name: str, args: tuple[str, ...], origin: Origin, block: tuple[Directive, ...]) -> None:
        self.name = name
        self.args = args
        self.origin = origin
        self.block = block
        self.used = False

    @property
    def text(self) -> str:
        """As it may be shown: what credentials may stand in is left out."""
        shown = self.args
        if self.name in _SECRET or (self.name == "if" and re.match(r"\$(http|cookie|arg)_", shown[0] if shown else "")):
            shown = (*shown[: 2 if self.name == "if" else 1], *(["..."] if len(shown) > 1 else []))
        return " ".join((self.name, *shown)).strip()[:120]

    def use(self) -> Directive:
        self.used = True
        return self

    def all(self, name: str) -> list[Directive]:
        return [each for each in self.block if each.name == name]

    def everything(self) -> Iterator[Directive]:
        """It, and all that stands in it."""
        yield self
        for each in self.block:
            yield from each.everything()


_SECRET = frozenset(
    ("proxy_set_header", "add_header", "set", "fastcgi_param", "uwsgi_param", "scgi_param", "grpc_set_header")
)
"""Of these the first word is shown, the name, and not what may be a credential. Of a condition likewise."""
_ESCAPE = re.compile(r"""\\(["'\\tnr])""")
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r"}


def read_conf(path: Path) -> tuple[Directive, list[NotCarried]]:
    """The whole configuration as one block, and the files that it includes and that are not there.

    Raises ImportFailed.
    """
    try:
        import crossplane  # here, so that no other command waits for it
    except ModuleNotFoundError as exc:
        raise ImportFailed(
            "the package crossplane, which reads nginx's configuration, is missing; install fig anew"
        ) from exc
    try:
        if path.stat().st_size > LARGEST:
            raise ImportFailed(f"{path}: larger than {LARGEST // 1024**2} MB")
        with path.open("rb") as file:
            file.read(1)
        payload = crossplane.parse(str(path), check_ctx=False)
    except OSError as exc:
        raise ImportFailed(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except RecursionError as exc:
        raise ImportFailed(f"{path}: its blocks stand too deep within one another") from exc
    missing = []
    for error in payload["errors"]:
        origin, what = Origin(_shown(error["file"], path), error["line"] or 1), _without_place(error["error"])
        if "Errno" in what:
            named = Path(what.rpartition(": ")[2].strip("'")).name
            why = "the file cannot be read, so nothing of it is here; give fig the whole configuration"
            missing.append(NotCarried(origin, f"include {named}", why))
        elif _OF_ONE_DIRECTIVE.search(what):
            missing.append(NotCarried(origin, what, "nginx would refuse it; correct it there first"))
        else:  # the parser leaves out the whole file then
            raise ImportFailed(f"{origin}: not an nginx configuration: {what or 'it ends too early'}")
    reader = _Reader(payload, path)
    block = tuple(reader.directives(0, 0))
    return Directive("", (), Origin(str(path), 1), block), [*missing, *reader.empty]


_OF_ONE_DIRECTIVE = re.compile(r"number of arguments|not allowed here|invalid value|unknown directive")
"""What the parser says of one directive, before it goes on with the next."""


def _without_place(error: str) -> str:
    return error.rpartition(" in ")[0] or error


def _shown(file: str, main: Path) -> str:
    """An included file relative to the main one's folder, as the configuration names it."""
    return str(main) if file == str(main) else os.path.relpath(file, main.parent)


class _Reader:
    def __init__(self, payload: dict[str, Any], main: Path) -> None:
        self._config = payload["config"]
        self._main = main
        self._count = 0
        self.empty: list[NotCarried] = []
        """Includes that name no file."""

    def directives(self, number: int, depth: int) -> Iterator[Directive]:
        file = self._config[number]
        yield from self._block(file["parsed"], _shown(file["file"], self._main), depth)

    def _block(self, statements: list[dict[str, Any]], file: str, depth: int) -> Iterator[Directive]:
        if depth > DEEPEST:
            raise ImportFailed(f"{file}: blocks and includes stand more than {DEEPEST} deep within one another")
        for statement in statements:
            self._count += 1
            if self._count > MOST_DIRECTIVES:
                raise ImportFailed(f"{file}: more than {MOST_DIRECTIVES} directives")
            if statement["directive"] == "include" and "includes" in statement:
                if not statement["includes"] and glob.has_magic(statement["args"][0]):
                    what = f"include {statement['args'][0]}"
                    why = "no file here has such a name; where nginx runs there may be some, so give fig them, too"
                    self.empty.append(NotCarried(Origin(file, statement["line"]), what, why))
                for number in sorted(statement["includes"], key=lambda number: str(self._config[number]["file"])):
                    yield from self.directives(number, depth + 1)
                continue
            inner = tuple(self._block(statement.get("block") or [], file, depth + 1))
            origin = Origin(file, statement["line"])
            yield Directive(statement["directive"], tuple(map(_unescaped, statement["args"])), origin, inner)


def _unescaped(text: str) -> str:
    r"""As nginx reads a word (ngx_conf_read_token): ``\n`` is a line end, ``\.`` stays for the regex that it is in."""
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text) if "\\" in text else text
