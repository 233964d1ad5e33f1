"""What reports of probes do not show. Pure.

Credentials, cookies, configured fields, what the environment holds, and values that were taken under a name that sounds
like a secret: a word stands in their place, wherever else they occur too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from urllib.parse import quote

from proxy.worker.hiding import hidden
from rules.hidden import NOT_SHOWN, cookies_shown, header_may_be_secret, may_be_secret, query_shown
from shadow.comparing.paths import compile_pattern, pointer
from shadow.comparing.values import Absent, Json, written
from shadow.redaction.redact import SECRET_HEADERS
from shadow.spec import Redact

LONGEST = 200
"""Characters of one value that a report shows."""
_LOOKED_AT = 64 * 1024
"""Characters of one value in which secrets are looked for: a service may answer megabytes, and to look through them
takes a second, in which control does nothing else."""
_UNSURE = 16 * 1024
"""Of the last ones of so many nothing is shown: what was cut off behind them may be the end of a secret."""
_MOST_VALUES = 2000
"""Of one JSON value; what comes behind them is nowhere near the beginning that is shown."""
SHORTEST = 4
"""A shorter text is no secret, and would be found in half of all sentences (as rules.reading.variables has it)."""


class Hiding:
    """Of one run of one probe; what it takes on the way is added by `learn`."""

    def __init__(self, given: Mapping[str, str], redacts: Iterable[Redact] = (), pointers: Iterable[str] = ()) -> None:
        """`given`: what the environment holds, by how the rules file writes it (``${NAME}``)."""
        blocks = tuple(redacts)
        self._headers = SECRET_HEADERS | {name.lower() for block in blocks for name in block.headers}
        self._query = {name for block in blocks for name in block.query}
        fields = [field for block in blocks for field in block.fields]
        self._fields = [compile_pattern(field, below=True) for field in (*fields, *pointers)]
        self._secrets: dict[str, str] = {}
        for name, value in given.items():
            self.learn(value, name)

    def learn(self, secret: str, instead: str = NOT_SHOWN) -> None:
        """From now on `instead` is shown wherever the secret stands, also as URLs and JSON write it."""
        if len(secret) >= SHORTEST:
            urls = (quote(secret, safe="", errors="replace"), quote(secret, errors="replace"))
            texts = (json.dumps(secret)[1:-1], written(secret)[1:-1])
            for form in (secret, *urls, *texts):
                self._secrets.setdefault(form, instead)

    def is_secret(self, selector: str) -> bool:
        """Whether what is taken by it is not to be shown."""
        kind, _, name = selector.partition(":")
        if kind == "header":
            return name.lower() in self._headers or header_may_be_secret(name)
        return kind == "cookie" or self._covers(name)

    def text(self, text: str) -> str:
        """Any text, without what is known to be secret or looks like it; cut at LONGEST."""
        is_cut = len(text) > _LOOKED_AT
        text = text[:_LOOKED_AT]
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, self._secrets[secret])
        clean = hidden(text)
        clean = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", clean)  # of a terminal, of a line of Markdown
        if is_cut:
            unsure = max(_UNSURE, *map(len, self._secrets), 0)
            return clean[:-unsure][:LONGEST] + "..."
        return clean if len(clean) <= LONGEST else clean[:LONGEST] + "..."

    def header(self, name: str, value: str) -> str:
        lower = name.lower()
        if lower == "cookie":
            return self.text(
                cookies_shown("; ".join(f"{each.partition('=')[0]}={NOT_SHOWN}" for each in _parts(value)))
            )
        if lower in self._headers or header_may_be_secret(lower):
            return NOT_SHOWN
        return self.text(value)

    def target(self, target: str) -> str:
        """Path and query."""
        path, mark, query = target.partition("?")
        pairs = (
            f"{name}={NOT_SHOWN}" if equals and name in self._query else pair
            for pair in query.split("&")
            for name, equals, _ in (pair.partition("="),)
        )
        return self.text(path + mark + query_shown("&".join(pairs)))

    def json(self, value: Json | Absent, at: str = "") -> str:
        """A value that stands at the pointer `at`, as JSON; ``none`` where there is none."""
        if isinstance(value, Absent):
            return "none"
        return self.text(written(self._cleared(value, at, count())))

    def body(self, body: bytes, value: Json | Absent) -> str:
        """What is sent: `value` is its JSON, where it is that."""
        if isinstance(value, Absent):
            return self.text(body.decode("utf-8", "replace"))
        return self.json(value)

    def _cleared(self, value: Json, at: str, seen: Iterator[int]) -> Json:
        """The beginning of a value, which stands at `at`."""
        if at and self._covers(at):
            return NOT_SHOWN
        if isinstance(value, dict):
            shown: dict[str, Json] = {}
            for key, item in value.items():
                if next(seen) >= _MOST_VALUES:
                    break
                shown[key] = self._cleared(item, at + pointer([key]), seen)
            return shown
        if isinstance(value, list):
            items: list[Json] = []
            for index, item in enumerate(value):
                if next(seen) >= _MOST_VALUES:
                    break
                items.append(self._cleared(item, f"{at}/{index}", seen))
            return items
        return value

    def _covers(self, at: str) -> bool:
        return may_be_secret(at.rpartition("/")[2]) or any(field.fullmatch(at) for field in self._fields)


def _parts(cookies: str) -> list[str]:
    return [part.strip() for part in cookies.split(";") if part.strip()]
