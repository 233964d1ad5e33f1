"""The forms: where in UTF-8 text a card number, an e-mail address, a JWT or an IBAN stands. Pure, linear in the text.

Candidates are found by RE2, so that a text without any costs one pass of an automaton; what must then be counted (check
digits, lengths) is counted in candidates only. Each finder gives the span of the secret alone, in order, and its one
canonical form: `4111 1111 1111 1111` and `4111111111111111` are the same secret.

What is passed over on purpose, because nearly every text has it and no issuer does: digits within a UUID or another
hexadecimal name, the fraction of a number, and numbers of 13, 16 or 19 digits that begin with 1, which are clocks in
milli-, micro- and nanoseconds (cards that begin with 1 are UATP's, of 15 digits).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import cache
from itertools import accumulate

import re2


class Detector(StrEnum):
    """What is found by its form; the word also begins what stands in its place."""

    CARD = "card"
    EMAIL = "email"
    JWT = "jwt"
    IBAN = "iban"


Span = tuple[int, int, str]
"""Begin and end in bytes, and the secret in its canonical form."""
Finder = Callable[[bytes], Iterator[Span]]

_SEPARATORS = r" +\-\x{a0}\x{2009}-\x{2014}\x{202f}"
"""Between groups: blanks and dashes, as typesetters have them too; + is a form's blank."""

# --- cards ------------------------------------------------------------------------------------------------------------

# UUIDs come first, so that their digits are passed over.
_DIGITS = re2.compile(
    r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
    r"|[0-9](?:[" + _SEPARATORS + r"]{0,3}[0-9]){12,}"
)
_UUID = re.compile(rb"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_GROUP = re.compile(rb"[0-9]+")
_HEX_NAME = re.compile(rb"[0-9a-f]*[a-f][0-9a-f]*")
_SHORTEST_CARD, _LONGEST_CARD = 13, 19
"""Digits. ISO/IEC 7812-1 allows 19 at most; the shortest that were issued have 13."""
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
"""Twice a digit, its own digits added up."""


def find_cards(data: bytes) -> Iterator[Span]:
    """Numbers of 13 to 19 digits whose check digit is right (Luhn; ISO/IEC 7812-1, annex B), in groups or not."""
    for found in _DIGITS.finditer(data):
        run = found[0]
        if len(run) != 36 or _UUID.fullmatch(run) is None:
            yield from _cards_in(data, found.start(), run)


def _cards_in(data: bytes, offset: int, run: bytes) -> Iterator[Span]:
    """Cards in a run of groups of digits, which may hold more: an expiry after it, a quantity before it."""
    digits = [byte - 48 for byte in run if 48 <= byte <= 57]
    groups = [found.span() for found in _GROUP.finditer(run)]
    begins = [0, *accumulate(end - start for start, end in groups)]
    # Sums up to each place, doubled at odd places and at even ones: any part's check sum is one subtraction.
    sums = [
        [0, *accumulate(_DOUBLED[digit] if place & 1 != parity else digit for place, digit in enumerate(digits))]
        for parity in (0, 1)
    ]
    first = 0
    while first < len(groups):
        begin, found = begins[first], -1
        for last in range(first, len(groups)):
            stop = begins[last + 1]
            if stop - begin > _LONGEST_CARD:
                break
            if stop - begin >= _SHORTEST_CARD and _is_issued(digits[begin], stop - begin):
                undoubled = sums[(stop - 1) & 1]
                if (undoubled[stop] - undoubled[begin]) % 10 == 0:
                    found = last  # the longest one is taken
        if found >= 0:
            left, right = offset + groups[first][0], offset + groups[found][1]
            if _stands_alone(data, left, right):
                yield left, right, "".join(map(str, digits[begin : begins[found + 1]]))
        first = max(first, found) + 1


def _is_issued(first: int, length: int) -> bool:
    """Whether there are cards of that many digits that begin so."""
    return first > 1 or (first == 1 and length not in (13, 16, 19))


def _stands_alone(data: bytes, left: int, right: int) -> bool:
    """Whether the digits are neither a fraction's nor a part of a hexadecimal name."""
    if data[left - 1 : left] == b"." and data[left - 2 : left - 1].isdigit():
        return False
    start, stop = left, right
    while start > 0 and left - start < 64 and data[start - 1 : start].isalnum():
        start -= 1
    while stop - right < 64 and data[stop : stop + 1].isalnum():
        stop += 1
    return _HEX_NAME.fullmatch(data[start:stop]) is None


# --- addresses --------------------------------------------------------------------------------------------------------

_LOCAL = b"!#$*+-.^_'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + bytes(range(0x80, 0x100))
"""Of a local part (RFC 5321 section 4.1.2), without what delimits it in a query, a path or a template; beyond ASCII
RFC 6531 allows everything."""
_LONGEST_LOCAL = 64
"""RFC 5321 section 4.5.3.1.1; of a longer one the end is replaced."""
_LONGEST_DOMAIN = 255
_DOMAIN = re.compile(
    rb"(?:[0-9A-Za-z\x80-\xff][0-9A-Za-z\x80-\xff-]{0,62}\.){1,8}[A-Za-z\x80-\xff][0-9A-Za-z\x80-\xff-]{1,62}"
)


def find_emails(data: bytes) -> Iterator[Span]:
    """Addresses: from each @ outwards, a bounded way."""
    over = 0
    at = data.find(b"@")
    while at >= 0:
        before = data[max(over, at - _LONGEST_LOCAL) : at]
        local = before[len(before.rstrip(_LOCAL)) :].lstrip(b"!#$*-.^'")
        domain = _DOMAIN.match(data, at + 1, at + 1 + _LONGEST_DOMAIN) if local else None
        if domain is not None:
            over = at + 1 + len(domain[0].rstrip(b"-"))
            start = at - len(local)
            yield start, over, data[start:over].decode("utf-8", "surrogateescape")
        at = data.find(b"@", at + 1)


# --- tokens -----------------------------------------------------------------------------------------------------------

# RFC 7515 section 3.1 and RFC 7516 section 3.1: three parts or five, of which the first is {" and more in Base64.
_TOKEN = re2.compile(r"eyJ[0-9A-Za-z_-]{5,}\.[0-9A-Za-z_-]*\.[0-9A-Za-z_-]*(?:\.[0-9A-Za-z_-]+\.[0-9A-Za-z_-]+)?")


def find_tokens(data: bytes) -> Iterator[Span]:
    """JWTs, signed or encrypted."""
    for found in _TOKEN.finditer(data):
        yield found.start(), found.end(), found[0].decode("ascii")


# --- accounts ---------------------------------------------------------------------------------------------------------

_ACCOUNT = re2.compile(r"(?:[A-Z]{2}|[a-z]{2})[0-9]{2}[" + _SEPARATORS + r"]?[0-9A-Za-z]")
_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
"""Characters of an account number by country (ISO 13616, SWIFT's registry)."""
_SEPARATOR = rb"(?:[ +-]|\xc2\xa0|\xe2\x80[\x89-\x94\xaf])"
"""The same for `re` and bytes."""
_SEPARATED = re.compile(_SEPARATOR)
_SHORTEST_ACCOUNT, _LONGEST_ACCOUNT = 15, 34
_COMPACT = re.compile(rb"[0-9A-Z]+")


def find_accounts(data: bytes) -> Iterator[Span]:
    """IBANs whose check digits are right (ISO 7064, mod 97-10), in groups or not; of a country of unknown length only
    without blanks and in capitals."""
    over = 0
    for found in _ACCOUNT.finditer(data):
        start = found.start()
        if start < over or (data[start - 1 : start].isalnum() and data[start - 2 : start - 1] != b"\\"):
            continue
        country = data[start : start + 2].upper().decode("ascii")
        length = _LENGTHS.get(country)
        end, account = _compact(data, start) if length is None else _counted(data, start, length)
        if account and not data[end : end + 1].isalnum() and _checks(account):
            over = end
            yield start, end, account


def _counted(data: bytes, start: int, length: int) -> tuple[int, str]:
    """End and text of the next `length` letters and digits, separators between them left out; ``""`` for none."""
    found = _counting(length).match(data, start)
    return (found.end(), _SEPARATED.sub(b"", found[0]).decode("ascii").upper()) if found is not None else (start, "")


@cache
def _counting(length: int) -> re.Pattern[bytes]:
    return re.compile(rb"[A-Za-z]{2}[0-9]{2}(?:%b?[0-9A-Za-z]){%d}" % (_SEPARATOR, length - 4))


def _compact(data: bytes, start: int) -> tuple[int, str]:
    found = _COMPACT.match(data, start, start + _LONGEST_ACCOUNT + 1)
    if found is None or not _SHORTEST_ACCOUNT <= len(found[0]) <= _LONGEST_ACCOUNT:
        return start, ""
    return found.end(), found[0].decode("ascii")


def _checks(account: str) -> bool:
    """The check digits; and a Belgian number has no letters, so that no hash that begins with ``be`` is one."""
    if account.startswith("BE") and not account[2:].isdigit():
        return False
    return int("".join(str(int(sign, 36)) for sign in account[4:] + account[:4])) % 97 == 1


FINDERS: dict[Detector, Finder] = {
    Detector.JWT: find_tokens,
    Detector.EMAIL: find_emails,
    Detector.IBAN: find_accounts,
    Detector.CARD: find_cards,
}
"""In the order in which they are asked: what one has found, the next does not see."""
