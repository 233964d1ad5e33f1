"""Tables and requests by chance: few words, so that routes overlap, shadow one another and nearly match.

Drawn with `random.Random` and not with hypothesis, because benchmarks/matching.py draws a million of them.
"""

from __future__ import annotations

from random import Random
from typing import Any

from rules.asked import Asked

Data = dict[str, Any]

SEGMENTS = ("a", "b", "aa", "A", "7", "*", "{x}", "{y}")
NAMES = ("x-a", "x-b", "tenant")
VALUES = ("1", "12", "2", "ab", "a", "", "-7", "\xe9")
HOSTS: tuple[Any, ...] = (
    *("s.example", "a.s.example", "b.a.s.example", "*.s.example", "*.example", "*.a.s.example"),
    *("s.example:8443", "*.s.example:8443", "[::1]", "10.0.0.1"),
    *({"regex": "[ab]\\.s\\.example"}, {"regex": ".*"}, {"regex": "s\\.exam.*"}),
)
REQUEST_HOSTS = (
    *("s.example", "a.s.example", "b.a.s.example", "x.s.example", "example", "s.example.", "a.s.example."),
    *("", "[::1]", "[0:0:0:0:0:0:0:1]", "10.0.0.1", ".s.example", "other"),
)
NETWORKS = ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "2001:db8::/32", "::/0", "192.0.2.128/25")
CLIENTS = ("10.1.2.3", "10.9.9.9", "192.0.2.1", "192.0.2.200", "2001:db8::7", "2001:db9::7", "127.0.0.1")
METHODS = ("GET", "POST", "OPTIONS")
PIECES = (
    *("a", "b", "7", "aa", "/", "/", "/a", "/b", "[ab]+", "[^/]+", "[0-9]+", ".*", ".", "a?", "b*", "(a|b)", "(/a)?"),
    *("(?:/b)+", "(?P<x>[ab7]+)", "(?P<y>a|/b|)", "[^x]", "\\d", "\\w+", "/?", "a{2}", "[ab]{0,2}", "/+", "\\W", "|"),
    *("\\.", "^", "$", "[/a]", "(a|)"),
)


def drawn_matches(chance: Random) -> list[Data]:
    """A table: of routes here and there, or of many that stand in one place and differ by what else they ask."""
    if chance.random() < 0.75:
        return [drawn_match(chance) for _ in range(chance.randint(1, 25))]
    place: Data = {"path": chance.choice(("/**", "/a/**"))} | chance.choice(({}, {"host": "*.s.example"}))
    return [_asking_more(chance, place) for _ in range(chance.randint(20, 50))]


def _asking_more(chance: Random, place: Data) -> Data:
    more = {key: value for key, value in drawn_match(chance, depth=1).items() if key not in ("path", "host")}
    if chance.random() < 0.5:
        more["headers"] = {"tenant": chance.choice(VALUES)} | more.get("headers", {})
    return place | more


def drawn_match(chance: Random, depth: int = 0) -> Data:
    """A match as a rules file holds it; at most two levels of any, all and not."""
    match: Data = {}
    if chance.random() < 0.85 - 0.25 * depth:
        match["path"] = _one_or_many(chance, _path)
    if chance.random() < 0.3:
        match["host"] = _one_or_many(chance, lambda c: c.choice(HOSTS))
    if chance.random() < 0.25:
        match["methods"] = chance.sample(METHODS, chance.randint(1, 2))
    for key, likely in (("headers", 0.3), ("query", 0.15), ("cookies", 0.15)):
        if chance.random() < likely:
            match[key] = {name: _condition(chance) for name in chance.sample(NAMES, chance.randint(1, 2))}
    if chance.random() < 0.1:
        match["client"] = _one_or_many(chance, lambda c: c.choice(NETWORKS))
    if chance.random() < 0.05:
        match["scheme"] = chance.choice(("http", "https"))
    if depth < 2:
        for key in ("any", "all"):
            if chance.random() < 0.12:
                match[key] = [drawn_match(chance, depth + 1) for _ in range(chance.randint(1, 3))]
        if chance.random() < 0.1:
            match["not"] = drawn_match(chance, depth + 1)
    return match or {"path": "/**"}


def drawn_request(chance: Random) -> Asked:
    headers = {name: chance.choices(VALUES, k=chance.randint(1, 2)) for name in NAMES if chance.random() < 0.4}
    if chance.random() < 0.4:
        pairs = [f"{chance.choice(NAMES)}={chance.choice(VALUES)}" for _ in range(chance.randint(1, 3))]
        headers["cookie"] = ["; ".join(pairs)] if chance.random() < 0.8 else pairs
    return Asked(
        chance.choice(METHODS),
        chance.choice(REQUEST_HOSTS),
        "*" if chance.random() < 0.02 else drawn_path(chance),
        "&".join(_pair(chance) for _ in range(chance.randint(0, 3))),
        chance.choice(CLIENTS),
        chance.choice((80, 8443)),
        headers,
        "https" if chance.random() < 0.3 else "http",
    )


def strange_request(chance: Random) -> Asked:
    """Anything at all: half surrogates, control characters, 10,000 of them; nothing is normalised or canonical."""
    headers = {name: [_strange(chance) for _ in range(chance.randint(0, 2))] for name in (*NAMES, "cookie")}
    path = chance.choice(("", "/", "/a/", "/b/7/", "*")) + _strange(chance)
    return Asked(_strange(chance), _strange(chance), path, _strange(chance), _strange(chance), 0, headers)


def _strange(chance: Random) -> str:
    many = 10_000 if chance.random() < 0.01 else chance.randint(0, 12)
    pool = chance.choice(
        ("ab/.", "x-a=1;, \t", "&=%+2Ddx-", "[:].0", "\x00\x7f\xff\n\r", "\ud800\udce9\u20ac\U0001f600")
    )
    return "".join(chance.choices(pool, k=many))


def drawn_path(chance: Random) -> str:
    """Normalised."""
    parts = chance.choices(("a", "b", "aa", "A", "7", "c", "x.y"), k=chance.choice((1, 1, 2, 2, 2, 3, 3, 4, 6)))
    return "/" + "/".join(parts) + chance.choice(("", "", "", "/"))


def drawn_regex(chance: Random) -> str:
    return chance.choice(("/", "/", "")) + "".join(chance.choices(PIECES, k=chance.randint(0, 5)))


def _path(chance: Random) -> Any:
    if chance.random() < 0.2:
        return {"regex": _compiling_regex(chance)}
    parts = chance.choices(SEGMENTS, k=chance.choice((0, 1, 1, 2, 2, 3)))
    for name in ("{x}", "{y}"):
        while parts.count(name) > 1:
            parts.remove(name)
    end = chance.choice(("", "", "/**", "/"))
    return "".join("/" + part for part in parts) + end or "/"


def _compiling_regex(chance: Random) -> str:
    """In both dialects alike: no name twice, no anchor inside, which Python's `re` and RE2 read differently."""
    while True:
        regex = drawn_regex(chance)
        if (
            regex.count("<x>") < 2
            and regex.count("<y>") < 2
            and "^" not in regex.replace("[^", "")
            and "$" not in regex
        ):
            return regex


def _condition(chance: Random) -> Any:
    kind = chance.random()
    if kind < 0.4:
        return chance.choice(VALUES)
    if kind < 0.5:
        return chance.choice(({"present": True}, {"present": False}, {"absent": True}))
    wanted: Data = {}
    for key in chance.sample(("exact", "prefix", "suffix", "contains"), chance.randint(0, 2)):
        wanted[key] = chance.choice(VALUES)
    if chance.random() < 0.3:
        wanted["regex"] = chance.choice(("[0-9]+", "a.*", ".*b", "(1|2)+", "\xe9"))
    if chance.random() < 0.2:
        wanted["range"] = chance.choice(({"from": 2}, {"below": 2}, {"from": -7, "below": 12}))
    if chance.random() < 0.3 or not wanted:
        wanted["not"] = _condition(chance)
    return wanted


def _pair(chance: Random) -> str:
    name = chance.choice((*NAMES, "x%2Da", "x%2da", "y"))
    return name + chance.choice(("", "=", "=1", "=12", "=2", "=a%62", "=%61", "=a+b", "=%C3%A9", "=-7"))


def _one_or_many(chance: Random, draw: Any) -> Any:
    return draw(chance) if chance.random() < 0.8 else [draw(chance) for _ in range(chance.randint(1, 3))]
