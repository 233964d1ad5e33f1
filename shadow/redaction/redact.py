"""What keeps secrets out of everything that is stored: keyed hashes in their place, so that equality survives.

A word that says what it was (`fig:`, `card:`, `email:`...) and 16 hexadecimal digits made of HMAC-SHA256 under a key of
this installation. Replaced are, in this order:

- the values of Authorization, Cookie, Set-Cookie and their kin, and of the headers that the comparison names (of
  cookies the names and attributes stay, which tell more than they give away);
- the query parameters and JSON fields that it names, in bodies and in differences;
- every text that was secret in one of those places, wherever else it occurs in the same pair: a page that shows its
  session's token, a Location that carries it;
- whatever has the form of a secret, wherever it stands: card numbers, e-mail addresses, JWTs, IBANs (shadow.redaction).
  What such a text says around them stays.

What stands in a secret's place looks like none, so that redacting again changes nothing. A body that cannot be read (an
unknown content coding, bytes of no known form, JSON that does not parse where fields are to be replaced) is not kept at
all: a line with its length and keyed hash stands in its place.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote

from shadow.comparing.bodies import CodingError, Form, read, text_of
from shadow.comparing.differences import Difference
from shadow.comparing.paths import compile_pattern, pointer
from shadow.comparing.values import Absent, Json, UnreadableError, canonical, parse, written
from shadow.pair import Answer, Headers, Pair
from shadow.redaction.disguises import replaced
from shadow.redaction.forms import Detector
from shadow.redaction.markup import Fields, markup_fields, steps_of, without_fields
from shadow.spec import Redact

SECRET_HEADERS = frozenset(
    ("authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "x-auth-token", "x-csrf-token")
)
"""Replaced always."""
SCHEMES = frozenset(
    ("apikey", "aws4-hmac-sha256", "basic", "bearer", "digest", "dpop", "hawk", "negotiate", "ntlm", "oauth", "token")
)
"""First words of Authorization that say how and not who; any other may be a part of the secret."""
SHORTEST_SECRET = 8
"""Characters below which a secret is not looked for elsewhere: a cookie `cart=1` would blacken every 1."""
MOST_SECRETS = 1_000
"""Texts of one pair that are looked for elsewhere; in their own place all are replaced."""


_HIDING = re.compile(r"\\[bfu/]")
"""Escapes of JSON after which a secret's form may only be seen in the parsed text."""


class Redactor:
    """Replaces secrets under one key."""

    def __init__(self, key: bytes) -> None:
        # Not the key itself, which also seals the journal: one purpose, one key.
        self._key = hmac.digest(key, b"fig redaction 1", "sha256")

    def mark(self, secret: str) -> str:
        """What stands where `secret` stood; equal for equal secrets."""
        return "fig:" + self._hashed(secret)

    def found(self, detector: Detector, secret: str) -> str:
        """What stands where a secret of that form stood, given its canonical form."""
        return f"{detector.value}:{self._hashed(f'{detector.value} {secret}')}"

    def text(self, text: str, detect: Collection[Detector] = tuple(Detector)) -> str:
        """A text on its own without anything that has the form of a secret."""
        return replaced(text, detect, self.found)

    def _hashed(self, secret: str) -> str:
        """16 hexadecimal digits, the eighth and the last a letter: 60 bits, and never the digits of a card."""
        digest = hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), "sha256")
        digits = digest[:8].hex()
        return digits[:7] + "abcdef"[digest[8] % 6] + digits[8:15] + "abcdef"[digest[9] % 6]

    def pair(
        self, pair: Pair, differences: Sequence[Difference], redact: Redact
    ) -> tuple[Pair, tuple[Difference, ...]]:
        """The pair and its differences without a secret in them; bodies without their content coding."""
        work = _Redaction(self, redact)
        for headers in (pair.request_headers, pair.legacy.headers, pair.candidate.headers):
            work.learn(headers)
        work.learn_query(pair.target)
        legacy, candidate = work.read(pair.legacy), work.read(pair.candidate)
        # Secrets are known only now, from both sides: what one side shows may be the other's secret.
        clean = replace(
            pair,
            target=work.query(work.clear(pair.target)),
            request_headers=work.headers(pair.request_headers),
            request_id=work.clear(pair.request_id),
            legacy=replace(pair.legacy, headers=work.headers(pair.legacy.headers), body=work.body(legacy)),
            candidate=replace(pair.candidate, headers=work.headers(pair.candidate.headers), body=work.body(candidate)),
        )
        return clean, tuple(work.difference(difference) for difference in differences)

    def body_note(self, body: bytes, why: str) -> str:
        """What is kept of a body that is not kept."""
        return f"({len(body)} bytes, {self.mark(hashlib.sha256(body).hexdigest())}: {why}, so it is not kept)"


@lru_cache(maxsize=256)
def _field_patterns(fields: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(compile_pattern(field, below=True) for field in fields)


@lru_cache(maxsize=256)
def _query_pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    if not names:
        return None
    spelt = dict.fromkeys(way for name in names for way in (name, quote(name, safe=""), quote_plus(name)))
    named = "|".join(map(re.escape, spelt))  # browsers send user[pin] as user%5Bpin%5D
    return re.compile(rf"((?:^|[?&;\"'\s>])(?:{named})=[\"']?)([^&#;\s\"'<>\\]+)", re.IGNORECASE)


@lru_cache(maxsize=256)
def _quoted_pattern(names: tuple[str, ...], quotes: str) -> re.Pattern[str] | None:
    """Fields of JSON that stands in other text, its quotes written as `quotes` say."""
    if not names:
        return None
    named = "|".join(map(re.escape, names))
    return re.compile(rf'({quotes}(?:{named}){quotes}\s*:\s*)(?:({quotes})((?:[^"\\]|\\[^"])*)|([^"\\\s,}}\]]+))')


@lru_cache(maxsize=256)
def _markup_fields(fields: tuple[str, ...]) -> Fields:
    return markup_fields(fields)


@lru_cache(maxsize=256)
def _element_pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    """Elements with those names that stand in other text, brackets as they are, or as HTML, JSON or URLs have them."""
    if not names:
        return None
    named = "|".join(map(re.escape, names))
    low, high = r"(?:<|&lt;|\\u003c|%3C)", r"(?:>|&gt;|\\u003e|%3E)"
    inside = r"(?:(?!&[lg]t;|\\u003[ce]|%3[CE])[^<>])"
    return re.compile(rf"({low}(?:[\w.-]+:)?(?:{named})(?:[\s%+]{inside}*)?{high})({inside}+)(?={low})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Text:
    """A body as text, the configured fields replaced."""

    text: str
    json: bool = False


class _Redaction:
    """One pair's secrets: first learnt, then cleared from everything."""

    def __init__(self, redactor: Redactor, redact: Redact) -> None:
        self._redactor = redactor
        self._secret_headers = SECRET_HEADERS | set(redact.headers)
        self._fields = _field_patterns(redact.fields)
        # A form's fields are flat: the last step of a path names them.
        names = tuple(name for field in redact.fields if "*" not in (name := field.rsplit("/", 1)[-1]))
        self._names = _query_pattern((*redact.query, *names))
        self._markup = _markup_fields(redact.fields) if redact.fields else None
        self._elements = _element_pattern(tuple(name.removeprefix("@") for name in names))
        self._quoted = _quoted_pattern(names, r'\\{0,9}"')
        self._quoted_in_json = _quoted_pattern(names, r'\\{1,9}"')  # a service that shows the request's body in its own
        self._detect = frozenset(redact.detect)
        self._secrets: dict[str, str] = {}
        self._exact: dict[str, str] = {}
        """Of XML and HTML also the short ones: a difference may be one of them, where its place does not tell."""
        self._unread = False
        """Whether a body is not kept because its fields cannot be found; then nothing of it is shown either."""

    def learn(self, headers: Headers) -> None:
        for name, value in headers:
            if name.lower() in self._secret_headers:
                self._header(name.lower(), value, self._remember)
            else:
                self.learn_query(value)

    def learn_query(self, text: str) -> None:
        if self._names is not None:
            for found in self._names.finditer(text):
                self._remember(found[2])

    def _remember(self, secret: str) -> str:
        mark = self._redactor.mark(secret)
        if len(self._secrets) < MOST_SECRETS:
            for shown in (secret, quote(secret, safe="", errors="replace"), unquote(secret, errors="replace")):
                if len(shown) >= SHORTEST_SECRET:
                    self._secrets[shown] = mark
        return mark

    def clear(self, text: str) -> str:
        """Without any text that is known to be secret, and without any that has a secret's form."""
        return self._redactor.text(self._without_known(text), self._detect)

    def _without_known(self, text: str) -> str:
        """The longest first, for one may contain another."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, self._secrets[secret])
        return text

    def _without_named(self, text: str, quoted: re.Pattern[str] | None) -> str:
        """Without the configured fields of a form, of JSON or of XML that stands somewhere in the text."""
        if self._elements is not None:
            text = self._elements.sub(lambda found: found[1] + self._mark_inside(found[2]), text)
        if quoted is not None:
            text = quoted.sub(
                lambda found: found[1] + (found[2] or "") + self._mark_once(found[3] or found[4] or ""), text
            )
        return self.query(text)

    def body(self, body: _Text) -> bytes:
        """What is kept of a body. JSON stays JSON: a number that is replaced becomes a string."""
        text = self._without_named(self._without_known(body.text), self._quoted_in_json if body.json else self._quoted)
        clean = self._redactor.text(text, self._detect)
        if body.json and self._detect and (clean is not text or _HIDING.search(text)):
            with suppress(UnreadableError):  # then what was found in its text is replaced there
                clean = self._clean_json(text)
        return clean.encode("utf-8", "surrogatepass")

    def _clean_json(self, text: str) -> str:
        """Raises UnreadableError."""
        value = parse(text.encode("utf-8", "surrogatepass"))
        clean = self._cleared(value)
        return text if clean == value else written(clean)

    def query(self, text: str) -> str:
        if self._names is None:
            return text
        return self._names.sub(lambda found: found[1] + self._mark_once(found[2]), text)

    def _mark_inside(self, text: str) -> str:
        """What an element holds, as it stands in a text; blanks alone are no secret."""
        return self._mark_once(html.unescape(text).strip()) if text.strip() else text

    def _mark_once(self, value: str) -> str:
        return value if value.startswith("fig:") else self._redactor.mark(value)

    def headers(self, headers: Headers) -> Headers:
        return tuple(
            (
                name,
                self.clear(self._header(name.lower(), value, self._redactor.mark))
                if name.lower() in self._secret_headers
                else self.query(self.clear(value)),
            )
            for name, value in headers
        )

    @staticmethod
    def _header(name: str, value: str, mark: Callable[[str], str]) -> str:
        """A secret header's value with its secrets passed through `mark`."""
        if name == "cookie":
            return "; ".join(_cookie(part, mark) for part in value.split(";") if part.strip())
        if name == "set-cookie":
            first, *attributes = value.split(";")
            return ";".join([_cookie(first, mark), *attributes])
        scheme, blank, credentials = value.strip().partition(" ")
        if name.endswith("authorization") and blank and scheme.lower() in SCHEMES:
            return f"{scheme} {mark(credentials.strip())}"
        return mark(value)

    def read(self, answer: Answer) -> _Text:
        """The body as text with its fields replaced, or a line that says why it is not kept."""
        if not answer.body:
            return _Text("")
        try:
            readable = read(answer)
        except CodingError as exc:
            return _Text(self._redactor.body_note(answer.body, str(exc)))
        text = text_of(readable) if readable.form is not Form.BYTES else None
        if text is None:
            return _Text(self._redactor.body_note(readable.body, "neither JSON nor text"))
        if readable.form is Form.JSON and self._fields:
            try:
                return _Text(written(self._value(parse(readable.body), "")), json=True)
            except UnreadableError:
                self._unread = True
                return _Text(self._redactor.body_note(readable.body, "its fields to be replaced cannot be found"))
        if self._markup is not None and readable.form in (Form.XML, Form.HTML):
            try:
                return _Text(self._document(text, is_html=readable.form is Form.HTML))
            except UnreadableError:
                self._unread = True
                return _Text(self._redactor.body_note(readable.body, "its fields to be replaced cannot be found"))
        text = self.query(text) if "form-urlencoded" in answer.header("content-type") else text
        return _Text(text, json=readable.form is Form.JSON)

    def _document(self, text: str, *, is_html: bool, above: Sequence[str] = ()) -> str:
        """XML or HTML with its fields replaced. Raises UnreadableError."""
        if self._markup is None:
            return text
        return without_fields(text, self._markup, self._hide, is_html=is_html, above=above)

    def _hide(self, secret: str) -> str:
        if secret.startswith("fig:"):
            return secret
        mark = self._remember(secret)
        if len(self._exact) < MOST_SECRETS:
            self._exact[secret] = mark
        return mark

    def _in_document(self, steps: Sequence[str], value: str) -> str:
        """What differs at a place in XML or HTML: a text, an attribute's value, or an element in markup."""
        assert self._markup is not None
        if value in self._exact:
            return self._exact[value]
        if self._markup.cover(steps):
            return self._mark_once(value.strip())
        if not value.startswith("<"):
            return value
        above = steps[:-1]
        try:
            # As HTML, for how markup is shown to people need not be well-formed; names keep their case in XML.
            both = (without_fields(value, self._markup, self._hide, is_html=way, above=above) for way in (False, True))
            return next((each for each in both if each != value), value)
        except UnreadableError:
            return self._mark_once(value)

    def _value(self, value: Json, place: str) -> Json:
        if place and any(pattern.fullmatch(place) for pattern in self._fields):
            return None if value is None else self._secret(value)
        if isinstance(value, dict):
            return {key: self._value(item, place + pointer([key])) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, f"{place}/{index}") for index, item in enumerate(value)]
        return value

    def _secret(self, value: Json) -> str:
        if isinstance(value, str):
            return self._remember(value)
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            self._secret(inner)
        return self._redactor.mark(canonical(value))

    def difference(self, difference: Difference) -> Difference:
        legacy, candidate = (
            self._shown(difference.pointer, value) for value in (difference.legacy, difference.candidate)
        )
        # A key may be a secret too: an object of sessions by their id.
        pointer, path = self._below(difference.pointer, difference.path)
        pointer, path = (self._place(self.clear(place)) for place in (pointer, path))
        return replace(difference, pointer=pointer, path=path, legacy=legacy, candidate=candidate)

    def _below(self, pointer: str, path: str) -> tuple[str, str]:
        """Without the keys of an object that stands where a field is: they are what it holds."""
        if not self._fields or not pointer.startswith("/") or steps_of(pointer):
            return pointer, path
        steps, pattern = pointer.split("/"), path.split("/")
        for depth in range(2, len(steps)):
            place = "/".join(steps[:depth])
            if any(field.fullmatch(place) for field in self._fields):
                hidden = map(self._redactor.mark, steps[depth:])
                return "/".join((place, *hidden)), "/".join((*pattern[:depth], *("*" for _ in pattern[depth:])))
        return pointer, path

    def _place(self, place: str) -> str:
        """In a document that is not kept, what stands as an attribute's name may be a value that lost its quotes."""
        element, at, name = place.partition("/@")
        return f"{element}/@{self._mark_once(name)}" if self._unread and at else place

    def _shown(self, place: str, value: Json | Absent) -> Json | Absent:
        if isinstance(value, Absent):
            return value
        name = place.removeprefix("header:")
        if name != place and isinstance(value, str):
            name, _, part = name.partition("/")
            if name == "set-cookie" and part:  # of a cookie's attributes none is secret
                shown = value if "/" in part and not part.endswith("/value") else self._cookie_alone(value)
                return self.clear(shown)
            if name in self._secret_headers:
                return self.clear(self._header(name, value, self._redactor.mark))
            return self.query(self.clear(value))
        if place.startswith("form:") and isinstance(value, str):
            name = place.removeprefix("form:").split("/")[0]
            field = f"{name}={quote(value, errors='surrogatepass')}"
            return self.clear(value) if self.query(field) == field else self._redactor.mark(value)
        if self._unread and isinstance(value, str) and (place.startswith("line:") or steps_of(place)):
            return self._redactor.mark(value)
        if self._markup is not None and isinstance(value, str) and (steps := steps_of(place)):
            value = self._in_document(steps, value)
        return self._cleared(self._value(value, place) if place.startswith("/") or not place else value)

    def _cookie_alone(self, value: str) -> str:
        """A cookie's value, which attributes may follow."""
        secret, semicolon, attributes = value.partition(";")
        return self._redactor.mark(secret.strip().strip('"')) + semicolon + attributes

    def _cleared(self, value: Json) -> Json:
        if isinstance(value, str):
            return self.clear(self._without_named(value, self._quoted))
        if isinstance(value, list):
            return [self._cleared(item) for item in value]
        if isinstance(value, dict):
            return {self.clear(key): self._cleared(item) for key, item in value.items()}
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            text = str(value)
            clean = self.clear(text)
            return value if clean is text else clean
        return value


def _cookie(text: str, mark: Callable[[str], str]) -> str:
    name, equals, value = text.strip().partition("=")
    value = value.strip().strip('"')  # which a server may leave out where it shows the value
    return f"{name}={mark(value)}" if equals else mark(name)
