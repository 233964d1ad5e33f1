"""A pair as a file for pytest: the request, what legacy answered, and the masks under which the two must agree. Pure.

The file stands alone: pytest, httpx and the standard library. It holds no secret: where one stood in the request there
is a placeholder that a variable of the environment fills, and where one stood in legacy's answer any text will do.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pprint import pformat
from types import ModuleType
from typing import Any

from shadow.comparing import html_body, xml_body
from shadow.comparing.aligned import pretty
from shadow.comparing.bodies import Form, form_of
from shadow.comparing.html_body import parse_html
from shadow.comparing.paths import compile_pattern
from shadow.comparing.trees import DEEPEST, MOST_NODES, Keys
from shadow.comparing.values import UnreadableError, parse
from shadow.comparing.xml_body import parse_xml
from shadow.exporting import standalone, standalone_markup
from shadow.exporting.standalone import SECRET
from shadow.pair import Answer, Asked, Kind
from shadow.pairs.kept import KeptPair
from shadow.redaction.redact import Redactor
from shadow.spec import Comparison, Mask, MaskKind

URL_VARIABLE = "SERVICE_URL"
"""Where the exported test finds the service that it asks."""
_NOT_SENT = frozenset(
    (
        *("host", "content-length", "connection", "keep-alive", "te", "transfer-encoding", "upgrade", "expect"),
        # set anew by whoever sends, or of one exchange only
        *("accept-encoding", "idempotency-key", "x-fig-copy", "x-request-id", "traceparent", "tracestate", "via"),
    )
)
_EMBEDDED = "# --- embedded from here on"
_NOT_KEPT = re.compile(rb"\(\d+ bytes, fig:[0-9a-f]{16}: .*, so it is not kept\)")


class ExportError(ValueError):
    """A pair of which no test can be made; the message says why."""


@dataclass(frozen=True, slots=True)
class _Request:
    """Without secrets: placeholders ``$NAME`` in their place, and a ``$`` of its own written twice."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: str | None
    variables: tuple[str, ...]


def export(
    kept: KeptPair, asked: Asked | None, comparison: Comparison, redactor: Redactor, on: date | None = None
) -> str:
    """The file. `asked` is the sealed request, opened; without it there must be no body to send.

    Masks that have expired on the day `on` (UTC) are left out. Raises ExportError.
    """
    pair = kept.pair
    if pair.legacy.failure:
        raise ExportError(f"legacy gave no answer ({pair.legacy.failure}), so there is nothing to expect")
    if asked is None and (pair.kind is Kind.WRITE or pair.method not in ("GET", "HEAD", "OPTIONS")):
        raise ExportError("its request is not kept any more: bodies are kept sealed, for the route's shadow.keep")
    request = _request(kept, asked, comparison, redactor)
    masks = [_mask(mask) for mask in comparison.masks if on is None or mask.expires is None or on < mask.expires]
    headers = {name: ", ".join(pair.legacy.values(name)) or None for name in comparison.headers}
    document = _document(pair.legacy)
    parts = [
        *_head(kept, request),
        f"REQUEST = {_literal({'method': request.method, 'target': request.target, 'headers': list(request.headers)})}",
        f"BODY = {_literal(request.body)}",
        f"STATUS = {pair.legacy.status if comparison.status else None}",
        f"HEADERS = {_literal(headers)}",
        f"MASKS: list[dict[str, Any]] = {_literal(masks)}",
        *_expected(pair.legacy),
        f"DOCUMENT = {document!r}",
        "",
        "",
        *_TEST.splitlines(),
        "",
        "",
        "# How an answer is compared: a part of fig's own comparison, which needs nothing but the standard library.",
        "",
        _embedded(standalone),
        *(_reading(document) if document else ()),
    ]
    return "\n".join(parts)


def _request(kept: KeptPair, asked: Asked | None, comparison: Comparison, redactor: Redactor) -> _Request:
    pair = kept.pair
    clean, body = pair, b""
    if asked is not None:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in asked.headers)
        coded = tuple(line for line in headers if line[0].lower() in ("content-type", "content-encoding"))
        # The request's body is redacted as an answer's is: what it takes is a body and how it is written.
        shown = replace(
            pair,
            target=asked.target,
            request_headers=headers,
            legacy=Answer(200, coded, asked.body),
            candidate=Answer(200),
        )
        clean, _ = redactor.pair(shown, (), comparison.redact)
        body = clean.legacy.body
        if _NOT_KEPT.fullmatch(body):
            raise ExportError("its request has a body that fig cannot read, and so cannot clear of secrets")
    names = _Names()
    lines = tuple(
        (name, names.hide(value, name))
        for name, value in clean.request_headers
        if name.lower() not in _NOT_SENT and name.lower() != "content-encoding"
    )
    return _Request(
        clean.method,
        names.hide(clean.target, "target"),
        lines,
        names.hide(body.decode(), "body") if body else None,
        tuple(names.given.values()),
    )


class _Names:
    """Variables for what was secret: one for each mark, named after where it stands first."""

    def __init__(self) -> None:
        self.given: dict[str, str] = {}
        self._taken: set[str] = set()

    def hide(self, text: str, place: str) -> str:
        """Placeholders for the marks in a text, as string.Template fills them."""
        parts: list[str] = []
        end = 0
        for found in SECRET.finditer(text):
            parts.append(text[end : found.start()].replace("$", "$$"))
            cookie = re.search(r"([\w-]+)=$", text[: found.start()])
            parts.append(f"${{{self._name(found[0], place, cookie[1] if cookie else '')}}}")
            end = found.end()
        return "".join([*parts, text[end:].replace("$", "$$")])

    def _name(self, mark: str, place: str, field: str) -> str:
        if mark not in self.given:
            words = re.sub(r"[^A-Z0-9]+", "_", f"SECRET {place} {field}".upper()).strip("_")
            name, number = words, 1
            while name in self._taken:
                number += 1
                name = f"{words}_{number}"
            self._taken.add(name)
            self.given[mark] = name
        return self.given[mark]


def _mask(mask: Mask) -> Mapping[str, Any]:
    """As shadow.exporting.standalone asks for it. Raises ExportError."""
    if mask.pattern is not None:
        try:
            re.compile(mask.pattern)
        except re.error as exc:
            raise ExportError(
                f"the mask '{mask.name}' has a pattern that RE2 reads and Python does not ({exc}); write it without "
                "what only RE2 has, such as \\pN"
            ) from exc
    number = mask.kind is MaskKind.NUMBER
    return {
        "kind": str(mask.kind),
        "places": compile_pattern(mask.path, below=mask.kind is MaskKind.IGNORE).pattern,
        "pattern": mask.pattern,
        "seconds": mask.seconds if mask.kind is MaskKind.TIMESTAMP else None,
        "tolerance": str(mask.tolerance.value) if number else None,
        "relative": mask.tolerance.relative if number else None,
        "version": mask.version,
        "by": mask.by,
    }


def _expected(legacy: Answer) -> Iterator[str]:
    if legacy.truncated or _NOT_KEPT.fullmatch(legacy.body):
        yield "# Legacy's body is not kept whole, so status and headers are all that is compared."
        yield from ("EXPECTED: Any = None", "BODY_IS_KEPT = AS_TEXT = False")
        return
    text = legacy.body.decode(errors="replace")
    if form_of(legacy.header("content-type"), legacy.body) is Form.JSON:
        try:
            lines = list(pretty(parse(legacy.body)))
        except UnreadableError:
            pass
        else:
            yield f'EXPECTED: Any = json.loads(r"""\n{_visible(lines)}\n""", parse_float=Decimal)'
            yield from ("BODY_IS_KEPT = True", "AS_TEXT = False")
            return
    yield f"EXPECTED: Any = {_literal(text)}"
    yield "BODY_IS_KEPT = AS_TEXT = True"


def _document(legacy: Answer) -> str:
    """``xml`` or ``html`` where the body is kept and can be read as that; else ``""``."""
    form = form_of(legacy.header("content-type"), legacy.body)
    if legacy.truncated or not legacy.body or _NOT_KEPT.fullmatch(legacy.body) or form not in _READERS:
        return ""
    text = legacy.body.decode(errors="replace")
    try:
        if form is Form.XML:
            parse_xml(text.encode(), "utf-8", Keys())
        else:
            parse_html(text, Keys())
    except UnreadableError:
        return ""
    return form.value


def _reading(document: str) -> Iterator[str]:
    """The code that reads XML or HTML, as fig does, and compares it."""
    yield "# How an answer is read: fig's own module, with a stand-in for what it needs of others."
    yield ""
    yield _STAND_IN
    source = inspect.getsource(_READERS[Form(document)])
    lines = source.partition("from __future__ import annotations\n")[2].splitlines()
    yield "\n".join(line for line in lines if not line.startswith("from shadow.")).strip()
    yield ""
    yield ""
    yield _embedded(standalone_markup)


def _visible(lines: Iterable[str]) -> str:
    """JSON text without characters that an editor would not show: outside ASCII they stand in strings only."""
    return "\n".join("".join(c if c.isprintable() else _escaped(c) for c in line) for line in lines)


def _escaped(character: str) -> str:
    """RFC 8259 section 7: beyond the basic plane as a pair of surrogates."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _literal(value: Any) -> str:
    return pformat(value, width=100, sort_dicts=False)


def _head(kept: KeptPair, request: _Request) -> Iterator[str]:
    pair = kept.pair
    day = datetime.fromtimestamp(pair.started, UTC).date()
    yield f'"""Exported by fig: what legacy answered on {day}, asked of the service that {URL_VARIABLE} names.'
    yield ""
    yield "    SERVICE_URL=http://127.0.0.1:9001 pytest THIS_FILE"
    if request.variables:
        yield ""
        yield "Secrets of the request are not in this file; set them too: " + ", ".join(request.variables) + "."
    yield '"""'
    yield from ("", "from __future__ import annotations", "")
    yield from ("import json", "import os", "import re", "import string", "import uuid")
    yield "from collections.abc import Iterator, Sequence"
    yield from ("from datetime import datetime", "from decimal import Decimal, InvalidOperation")
    yield from ("from email.utils import parsedate_to_datetime", "from typing import Any", "")
    yield from ("import httpx", "import pytest", "")
    yield f"PAIR = {_literal(pair.id)}"
    yield f"ROUTE = {_literal(pair.route)}"


def _embedded(module: ModuleType) -> str:
    return inspect.getsource(module).partition(_EMBEDDED)[2].strip() + "\n"


_READERS = {Form.XML: xml_body, Form.HTML: html_body}
_STAND_IN = f'''import html
from bisect import bisect
from collections import Counter
from xml.parsers import expat

DEEPEST, MOST_NODES = {DEEPEST}, {MOST_NODES}
NOTHING: dict[str, str] = {{}}


class UnreadableError(ValueError):
    """A body that cannot be read."""


class Element:
    """An element with what it holds."""

    def __init__(self, name: str, attributes: dict[str, str] | None = None, children: Any = ()) -> None:
        self.name, self.attributes, self.children, self.key = name, attributes or {{}}, children, -1


class Keys:
    """What fig tells equal elements by; a test compares them one by one."""

    def give(self, element: Element) -> None:
        pass


def document_of(body: bytes, text: str, charset: str | None) -> Any:
    try:
        return parse_xml(body, charset, Keys()) if DOCUMENT == "xml" else parse_html(text, Keys())
    except UnreadableError as exc:
        pytest.fail(f"the service's answer cannot be read: {{exc}}")

'''


_TEST = '''def test_the_service_answers_as_legacy_did() -> None:
    answer = ask()
    if STATUS is not None:
        assert answer.status_code == STATUS
    found = []
    for name, value in HEADERS.items():
        actual = ", ".join(part.strip() for part in answer.headers.get_list(name)) or None
        if name == "content-type" and value and actual:
            value, actual = value.partition(";")[0].lower(), actual.partition(";")[0].lower()
        found += list(differences(value, actual, MASKS, f"header:{name}"))
    if AS_TEXT and not DOCUMENT:
        found += list(text_differences(EXPECTED, answer.text, MASKS))
    elif DOCUMENT:
        declared = answer.charset_encoding if "charset" in answer.headers.get("content-type", "").lower() else None
        expected = document_of(EXPECTED.encode(), EXPECTED, "utf-8")
        found += list(document_differences(expected, document_of(answer.content, answer.text, declared), MASKS))
    elif BODY_IS_KEPT:
        found += list(differences(EXPECTED, json_of(answer), MASKS))
    assert not found, "\\n".join(found)


def ask() -> httpx.Response:
    """The request as the service got it, secrets filled in. Marked, so that the service sends no mail because of it."""
    url = os.environ.get("SERVICE_URL", "").rstrip("/")
    if not url:
        pytest.fail("set SERVICE_URL, for example to http://127.0.0.1:9001")
    headers = [(name, filled(value)) for name, value in REQUEST["headers"]]
    # A key of its own: with that of the pair, a service that deduplicates would answer what it answered then.
    headers += [("X-Fig-Copy", "shadow"), ("Idempotency-Key", str(uuid.uuid4()))]
    content = None if BODY is None else filled(BODY).encode()
    with httpx.Client(trust_env=False, timeout=30) as client:
        return client.request(REQUEST["method"], url + filled(REQUEST["target"]), headers=headers, content=content)


def filled(text: str) -> str:
    """A text with its secrets, which the environment has."""
    try:
        return string.Template(text).substitute(os.environ)
    except KeyError as missing:
        pytest.fail(f"set {missing.args[0]}: a secret that stood in the request")


def json_of(answer: httpx.Response) -> Any:
    try:
        return json.loads(answer.text, parse_float=Decimal)
    except ValueError:
        pytest.fail(f"the service answered no JSON: {answer.text[:200]!r}")'''
