"""What no message of a source shows: what its headers say, and the user, password and parameters of its URL. Pure.

Servers and drivers repeat what they were sent, as it is or coded, whole or cut off: a word stands in its place.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, quote_plus, unquote

from canary.source_spec import Source as SourceSpec
from rules.hidden import NOT_SHOWN

LONGEST = 600
"""Characters of one message."""
SHORTEST = 4
"""A shorter text is no secret, and would be found in half of all sentences (as rules.reading.variables has it)."""
PART = 6
"""Characters of a secret's part, or of its beginning, that tell of it."""
_LOOKED_AT = 8 * 1024
"""Characters of a message in which secrets are looked for: an answer may have megabytes."""
_BETWEEN = re.compile(r"""[\s;,="']+""")
"""What parts of a header or parameter stand between."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Of a terminal, or the end of a line."""


class Hiding:
    """Of one source."""

    def __init__(self, spec: SourceSpec) -> None:
        forms = {form for secret in _secrets(spec) if len(secret.strip()) >= SHORTEST for form in _forms(secret)}
        self._forms = {_small(form) for form in forms}
        self._place = re.compile(re.escape(spec.place))

    def text(self, text: str) -> str:
        """A message on one line, cut at LONGEST after it was cleared."""
        is_cut = len(text) > _LOOKED_AT
        clean = self.whole(text[:_LOOKED_AT])
        if is_cut:
            clean = clean[: 1 - PART]  # they may begin a secret: too few to be known as one
        clean = " ".join(_CONTROL.sub(" ", clean).split())
        return clean[:LONGEST] + "..." if is_cut or len(clean) > LONGEST else clean

    def whole(self, text: str) -> str:
        """Any text, cleared only."""
        ours = [found.span() for found in self._place.finditer(text)]  # the password may be a word of it: postgres
        shown, end = "", 0
        for begin, until in sorted(self._found(text)):
            if until <= end or any(first <= begin and until <= last for first, last in ours):
                continue
            shown += text[end:begin] + NOT_SHOWN if begin >= end else ""
            end = until
        return shown + text[end:]

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where secrets stand, or beginnings of them."""
        text = _small(text)
        for form in self._forms:
            begin = -1
            while (begin := text.find(form[:PART], begin + 1)) >= 0:
                least, most = min(len(form), PART), len(form)
                while least < most:
                    middle = (least + most + 1) // 2
                    if text.startswith(form[:middle], begin):
                        least = middle
                    else:
                        most = middle - 1
                if found := text[begin : begin + least].rstrip():
                    yield begin, begin + len(found)


def _small(text: str) -> str:
    """In small letters, each in its place: those that become two are left."""
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)


def _secrets(spec: SourceSpec) -> Iterator[str]:
    for value in spec.headers.values():
        yield value
        yield from _parts(value)
        scheme, _, rest = value.strip().partition(" ")
        if scheme.lower() == "basic":
            yield from _credentials(_decoded(rest))
    rest = (spec.url or "").partition("://")[2]
    user_info = re.split("[/?#]", rest)[0].rpartition("@")[0]
    query = rest.partition("?")[2]
    if user_info or query:
        yield spec.url or ""
    yield from _credentials(user_info)
    yield ":".join(unquote(part) for part in user_info.split(":", 1))  # so it is sent, in base64
    raw = (pair.partition("=")[2] for pair in query.split("&"))
    for value in (*raw, *(value for _, value in parse_qsl(query))):
        yield value
        yield from _parts(value)


def _credentials(pair: str) -> Iterator[str]:
    """Of ``user:password``."""
    user, _, password = pair.partition(":")
    for each in (pair, user, password):
        yield each
        yield unquote(each)


def _parts(value: str) -> Iterator[str]:
    for part in (*value.split(), *_BETWEEN.split(value)):
        if len(part) >= PART:
            yield part


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text.strip()).decode()
    except (binascii.Error, ValueError):
        return ""


def _forms(secret: str) -> set[str]:
    """As URLs, base64, JSON, Python and HTML write it."""
    data = secret.encode("utf-8", "replace")
    urls = {quote(data, safe=""), quote(data), quote_plus(data)}
    coded = {base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()}
    return {secret, *urls, *coded, json.dumps(secret)[1:-1], repr(secret)[1:-1], html.escape(secret)}
