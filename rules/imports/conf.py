"""An nginx configuration as directives, files included, each with its place and whether the import made use of it."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Callable, Iterator
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
            "the package crossplane, which reads nginx's configuration, is missing; run `pip install crossplane`"
        ) from exc
    reader = _Reader(path, lambda name: crossplane.parse(name, single=True, check_ctx=False))
    try:
        block = tuple(reader.directives(str(path), 0))
    except OSError as exc:
        raise ImportFailed(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except RecursionError as exc:
        raise ImportFailed(f"{path}: its blocks stand too deep within one another") from exc
    return Directive("", (), Origin(str(path), 1), block), reader.missing


_OF_ONE_DIRECTIVE = re.compile(r"number of arguments|not allowed here|invalid value|unknown directive")
"""What the parser says of one directive, before it goes on with the next."""


def _without_place(error: str) -> str:
    return error.rpartition(" in ")[0] or error


def _shown(file: str, main: Path) -> str:
    """An included file relative to the main one's folder where it is in it, as the configuration names it."""
    inside = os.path.relpath(file, main.parent)
    return file if file == str(main) or inside.startswith("..") else inside


class _Reader:
    """Follows includes itself: what they name is bounded, and a file counts in every place that includes it."""

    def __init__(self, main: Path, parse: Callable[[str], dict[str, Any]]) -> None:
        self._main = main
        self._parse = parse
        self._parsed: dict[str, list[dict[str, Any]]] = {}
        self._count = self._bytes = 0
        self.missing: list[NotCarried] = []
        """Includes that name no file, and directives that the parser left out."""

    def directives(self, name: str, depth: int) -> Iterator[Directive]:
        """Of a file. Raises OSError, ImportFailed."""
        if name not in self._parsed:
            self._parsed[name] = self._statements(name)
        yield from self._block(self._parsed[name], _shown(name, self._main), depth)

    def _statements(self, name: str) -> list[dict[str, Any]]:
        shown = _shown(name, self._main)
        found = Path(name).stat()
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):  # reading a pipe could wait for ever
            raise ImportFailed(f"{shown}: not a regular file; save the configuration to one first")
        with Path(name).open("rb"):
            pass  # what cannot be opened says why
        self._bytes += found.st_size
        if self._bytes > LARGEST:
            raise ImportFailed(f"{shown}: with it the configuration is larger than {LARGEST // 1024**2} MB")
        payload = self._parse(name)
        for error in payload["errors"]:
            origin, what = Origin(shown, error["line"] or 1), _without_place(error["error"])
            if _OF_ONE_DIRECTIVE.search(what):
                self.missing.append(NotCarried(origin, what, "nginx would refuse it; correct it there first"))
            elif "recursion" in what:
                raise ImportFailed(f"{shown}: its blocks stand too deep within one another")
            else:  # the parser leaves out the whole file then
                raise ImportFailed(f"{origin}: not an nginx configuration: {what or 'it ends too early'}")
        statements: list[dict[str, Any]] = payload["config"][0]["parsed"]
        return statements

    def _included(self, pattern: str, origin: Origin, depth: int) -> Iterator[Directive]:
        whole = str(self._main.parent / pattern)
        names = sorted(glob.glob(whole)) if glob.has_magic(whole) else [whole]  # noqa: PTH207 (it may be absolute)
        if "\0" in whole:  # no file can have such a name, and the system does not even look
            names = []
        if not names:
            why = "no file here has such a name; where nginx runs there may be some, so give fig them, too"
            self.missing.append(NotCarried(origin, f"include {pattern}", why))
        for name in names:
            try:
                yield from self.directives(name, depth)
            except OSError as exc:
                why = f"{exc.strerror}, so nothing of it is here; give fig the whole configuration"
                shown = _shown(name, self._main)
                self.missing.append(NotCarried(origin, f"include {shown}", why))

    def _block(self, statements: list[dict[str, Any]], file: str, depth: int) -> Iterator[Directive]:
        if depth > DEEPEST:
            raise ImportFailed(f"{file}: blocks and includes stand more than {DEEPEST} deep within one another")
        for statement in statements:
            self._count += 1
            if self._count > MOST_DIRECTIVES:
                raise ImportFailed(f"{file}: more than {MOST_DIRECTIVES} directives")
            if statement["directive"] == "include" and statement["args"]:
                origin = Origin(file, statement["line"])
                yield from self._included(_unescaped(statement["args"][0]), origin, depth + 1)
                continue
            inner = tuple(self._block(statement.get("block") or [], file, depth + 1))
            origin = Origin(file, statement["line"])
            yield Directive(statement["directive"], tuple(map(_unescaped, statement["args"])), origin, inner)


def _unescaped(text: str) -> str:
    r"""As nginx reads a word (ngx_conf_read_token): ``\n`` is a line end, ``\.`` stays for the regex that it is in."""
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), text) if "\\" in text else text
