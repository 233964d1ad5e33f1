"""Headers side by side: what makes no difference is taken off first. Pure.

Content-Type without case, blanks, and a charset that JSON has anyway; Location as the place that it leads to;
Set-Cookie by cookie and attribute; every other header as its values joined, in order (RFC 9110 section 5.3).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import urljoin, urlsplit, urlunsplit

from shadow.comparing.bodies import Form, form_of, media_type
from shadow.comparing.differences import DifferenceKind
from shadow.comparing.findings import Findings
from shadow.comparing.paths import escape
from shadow.comparing.values import ABSENT, Absent
from shadow.pair import Headers, Pair

_PORTS = {"http": "80", "https": "443"}


def url_of(pair: Pair) -> str:
    """The URL that the client asked for, as fig told the services by X-Forwarded-Proto and -Host.

    Those are fig's own: what it saw itself, or what a trusted proxy said; a pair holds no Host. Where TLS ends at a
    proxy that fig was not told to trust, it is http, and a relative redirect is not taken for one to https: a service
    that sends its clients to https and one that does not are different.
    """
    host = _value(pair.request_headers, "x-forwarded-host") or _value(pair.request_headers, "host")
    scheme = _value(pair.request_headers, "x-forwarded-proto").lower()
    return f"{scheme if scheme in _PORTS else 'http'}://{host}{pair.target}" if host else pair.target


def _value(headers: Headers, name: str) -> str:
    return next((value.strip() for key, value in headers if key.lower() == name), "")


def compare_header(
    name: str, legacy: tuple[str, ...], candidate: tuple[str, ...], url: Callable[[], str], findings: Findings
) -> None:
    """Find the differences between the values of one header (lower case). `url` gives what the client asked for."""
    if legacy == candidate:
        return
    if name == "set-cookie":
        _compare_cookies(legacy, candidate, findings)
        return
    left, right = _plain(name, legacy, url), _plain(name, candidate, url)
    if left != right:
        place = f"header:{name}"
        findings.add(DifferenceKind.HEADER, place, place, _joined(legacy), _joined(candidate))


def _joined(values: tuple[str, ...]) -> str | Absent:
    return ", ".join(value.strip() for value in values) if values else ABSENT


def _plain(name: str, values: tuple[str, ...], url: Callable[[], str]) -> str | Absent:
    if len(values) == 1 and name == "content-type":
        return _content_type(values[0])
    if len(values) == 1 and name in ("location", "content-location"):
        return place_of(values[0], url())
    return _joined(values)


_PARAMETER = re.compile(r";[ \t]*([^\s;=\"]+)[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;\"]*))")


def _content_type(value: str) -> str:
    """Without what makes no difference: case, blanks, quotes, the order of parameters, and a charset on JSON, which is
    UTF-8 (RFC 9110 section 8.3.1, RFC 8259 section 11)."""
    if ";" not in value:
        return media_type(value)
    kind, _, rest = value.partition(";")
    kind, rest = media_type(kind), f";{rest}"
    found = {name.lower(): quoted or plain for name, quoted, plain in reversed(_PARAMETER.findall(rest))}
    if "charset" in found:
        found["charset"] = found["charset"].lower()
        if form_of(kind, b"") is Form.JSON:
            del found["charset"]
    unread = _PARAMETER.sub("", rest).strip("; \t")
    return "; ".join((kind, *(f"{name}={found[name]}" for name in sorted(found)), *filter(None, (unread,))))


def place_of(location: str, url: str) -> str:
    """Where a Location leads from `url`: absolute, without the port that its scheme has anyway (RFC 3986 section 5)."""
    location = location.strip()
    try:
        parts = urlsplit(urljoin(url, location))
        port = parts.port
    except ValueError:
        return location
    host = parts.netloc.rpartition("@")[2].lower()
    if port is not None and str(port) == _PORTS.get(parts.scheme):
        host = host.rpartition(":")[0]
    user = parts.netloc.rpartition("@")[0]
    netloc = f"{user}@{host}" if user else host
    return urlunsplit(parts._replace(netloc=netloc, path=parts.path or ("/" if netloc else "")))


def _compare_cookies(legacy: tuple[str, ...], candidate: tuple[str, ...], findings: Findings) -> None:
    """Cookie by cookie, in any order: they are told apart by name, domain and path (RFC 6265 section 5.3)."""
    left, right = _cookies(legacy), _cookies(candidate)
    for identity in left | right:
        place = f"header:set-cookie/{escape(identity[0])}"
        one, other = left.get(identity), right.get(identity)
        if one is None or other is None:
            kind = DifferenceKind.ADDED if one is None else DifferenceKind.MISSING
            findings.add(kind, place, place, _line(one), _line(other))
            continue
        for attribute in one | other:
            mine, its = one.get(attribute, ABSENT), other.get(attribute, ABSENT)
            if mine != its:
                below = f"{place}/{escape(attribute)}"
                findings.add(DifferenceKind.HEADER, below, below, mine, its)


Cookie = dict[str, str]
"""``value`` and the attributes of a cookie, names in lower case; those without a value have ``""``."""


def _cookies(lines: tuple[str, ...]) -> dict[tuple[str, int], Cookie]:
    """Cookies by name, and by how many of that name came before: two of one name differ in domain or path."""
    found: dict[tuple[str, int], Cookie] = {}
    seen: Counter[str] = Counter()
    for name, cookie in sorted((_cookie(line) for line in lines), key=_identity):
        found[name, seen[name]] = cookie
        seen[name] += 1
    return found


def _identity(named: tuple[str, Cookie]) -> tuple[str, str, str]:
    name, cookie = named
    return name, cookie.get("domain", ""), cookie.get("path", "")


def _cookie(line: str) -> tuple[str, Cookie]:
    """As browsers read it (RFC 6265 section 5.2): the first pair, then attributes, of which the last one counts."""
    first, *rest = line.split(";")
    name, equals, value = first.partition("=")
    if not equals:
        name, value = "", first
    return name.strip(), {"value": value.strip(), **dict(_attributes(rest))}


def _attributes(parts: list[str]) -> Iterator[tuple[str, str]]:
    for part in parts:
        name, _, value = part.partition("=")
        name, value = name.strip().lower(), value.strip()
        if name == "expires":
            value = _date(value)
        elif name == "domain":
            value = value.removeprefix(".").lower()
        elif name in ("samesite", "secure", "httponly"):
            value = value.lower() if name == "samesite" else ""
        if name and name != "value":
            yield name, value


def _date(text: str) -> str:
    """A date in the one form of HTTP, whichever of the known ones it came in."""
    try:
        return format_datetime(parsedate_to_datetime(text).astimezone(UTC), usegmt=True)
    except (ValueError, TypeError, OverflowError):
        return text


def _line(cookie: Cookie | None) -> str | Absent:
    """A cookie as text; its name is in the place."""
    if cookie is None:
        return ABSENT
    rest = (f"; {name}={value}" if value else f"; {name}" for name, value in cookie.items() if name != "value")
    return cookie["value"] + "".join(rest)
