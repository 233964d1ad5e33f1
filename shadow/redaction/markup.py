"""Replaces what stands in named elements and attributes of XML and HTML; everything else stays byte for byte. Pure.

A field names an element by the names above it (`/order/customer/name`, `/**/password`), an attribute in the same way
(`/order/@id`; in XML also without `@`). Namespaces' prefixes may be left out, and so may the root element, which JSON
has no name for; positions are of no account. Where that is more than was meant, more is replaced. In HTML the last step
of a field also names controls of forms: the value of `<input name=password>`, what a `<textarea>` or `<select>` holds,
the content of a `<meta>`, and attributes `data-password`.

Where a quote or a bracket is missing nobody knows what belongs to which attribute. Such a tag is passed over only when
it mentions no field; else the whole document counts as one in which the fields cannot be found.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from xml.parsers import expat
from xml.sax.saxutils import escape

from shadow.comparing.html_body import BLOCKS, CLOSES, VERBATIM, VOID
from shadow.comparing.paths import compile_pattern
from shadow.comparing.trees import DEEPEST
from shadow.comparing.values import UnreadableError

Hide = Callable[[str], str]
"""What stands in place of a secret text; it may remember the text."""

_POSITION = re.compile(r"\[[^\]/]*\]")
_NAME = re.compile(r"[^\s/>=<!?][^\s/>]*")
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>=][^\s/>=]*)(?:(\s*=\s*)(?:"([^"]*)"|'([^']*)'|([^\s>"'][^\s>]*)))?""")
_UNCLOSED = re.compile(r"""\s*=\s*["']""")
"""After the attributes that could be read: a quotation without its end."""
_ODD = re.compile("[\"'<]")
"""What stands in no attribute's name, and in no value without quotes (HTML, section 13.1.2.3)."""
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_CONTROLS = {"input": "value", "meta": "content", "button": "value", "param": "value", "data": "value"}
"""Elements of HTML whose name says what the value of another attribute is."""
_NAMING = ("name", "id", "property", "itemprop")
_HOLDERS = frozenset(("textarea", "select", "output"))
"""Those whose name says what they hold."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The places that are to be replaced."""

    patterns: tuple[re.Pattern[str], ...]
    names: frozenset[str]
    """Last steps, in lower case, of those that have one."""
    mention: re.Pattern[str]
    """Found in every text that may speak of one of them."""

    def cover(self, steps: Sequence[str], *, bare: bool = True) -> bool:
        """Whether an element or attribute (`@name`) at these names is one of them, or stands inside of one.

        `bare`: a field may name the attribute without its `@`.
        """
        plain = [step.rpartition(":")[2] if step[:1] != "@" else step[1:] if bare else step for step in steps]
        ways = {tuple(steps), tuple(plain), tuple(steps[1:]), tuple(plain[1:])}
        return any(pattern.fullmatch("/" + "/".join(way)) for way in ways if way for pattern in self.patterns)


def markup_fields(fields: Collection[str]) -> Fields:
    """Fields as the rules have them, for documents of elements."""
    plain = [_POSITION.sub("", field) for field in fields]
    # Controls of forms may be called `user[pin]`, which is no position.
    last = [field.rpartition("/")[2].removeprefix("@").lower() for field in (*fields, *plain)]
    names = frozenset(name for name in last if name and "*" not in name)
    spelt = "" if len(names) < len(set(last)) else "|".join(map(re.escape, sorted(names)))
    return Fields(
        tuple(re.compile(compile_pattern(field, below=True).pattern, re.DOTALL) for field in plain),
        names,
        re.compile(rf"(?<!\w)(?:{spelt})(?!\w)" if spelt else ""),  # a `*` may be any name
    )


def steps_of(pointer: str) -> tuple[str, ...]:
    """The names of a difference's place in a document: ``/a[1]/@b`` and ``/a[1]/text()[2]``; none for JSON's places."""
    steps = pointer.split("/")[1:]
    if not steps or not all(_POSITION.search(step) or step.startswith("@") for step in steps):
        return ()
    names = [_POSITION.sub("", step).replace("~1", "/").replace("~0", "~") for step in steps]
    return tuple(name for name in names if name != "text()")


def without_fields(text: str, fields: Fields, hide: Hide, *, is_html: bool, above: Sequence[str] = ()) -> str:
    """A document, or a part of one that stands below the names `above`, without what the fields name.

    Raises UnreadableError when it is nested deeper than is read, for a whole document of XML that is none, and for one
    of HTML with a tag that lacks a quote or its end and mentions a field: what is in it cannot be known then.
    """
    if not is_html and not above:
        _check_xml(text)
    return _Scan(text, fields, hide, is_html=is_html, above=above).read()


def _check_xml(text: str) -> None:
    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(text.encode("utf-8", "surrogatepass"), True)
    except expat.ExpatError as exc:
        raise UnreadableError(f"not XML: {exc}") from exc


def _refuse(*_: object) -> None:
    raise UnreadableError("it has a document type declaration, which may say that a name stands for anything")


@dataclass(slots=True)
class _Open:
    """An element whose end has not come."""

    name: str
    content: int
    """Where what it holds begins."""
    secret: bool


class _Scan:
    """One document, from its beginning to its end. What is inside a secret element is replaced with it."""

    def __init__(self, text: str, fields: Fields, hide: Hide, *, is_html: bool, above: Sequence[str]) -> None:
        self._text = text
        self._fields = fields
        self._hide = hide
        self._is_html = is_html
        self._may_be_broken = is_html or bool(above)
        """Whether nobody has said that it is well-formed."""
        self._above = tuple(above)
        self._open: list[_Open] = []
        self._parts: list[str] = []
        self._done = 0
        """Up to where `_parts` has the text."""
        self._known: dict[tuple[str, ...], bool] = {}

    def read(self) -> str:
        text, at = self._text, 0
        while (at := text.find("<", at)) >= 0:
            if text.startswith("<!--", at):
                at = self._after("-->", at + 2)
            elif text.startswith("<![CDATA[", at) and not self._is_html:
                at = self._after("]]>", at)
            elif text.startswith(("<!", "<?"), at):
                at = self._after(">", at)
            elif text.startswith("</", at) and (name := _NAME.match(text, at + 2)):
                self._end(self._name(name[0]), at)
                end = self._after(">", at)
                if self._text[name.end() : end - 1].strip():
                    self._doubt(at, end)
                at = end
            elif name := _NAME.match(text, at + 1):
                at = self._start(self._name(name[0]), at, name.end())
            else:
                at += 1
        self._close(0, len(text))
        return "".join([*self._parts, text[self._done :]])

    def _after(self, end: str, at: int, start: int | None = None) -> int:
        """Behind the next `end`; `start` is where what it ends began, if not there."""
        found = self._text.find(end, at)
        if found < 0:
            self._doubt(at if start is None else start, len(self._text))
            return len(self._text)
        return found + len(end)

    def _doubt(self, start: int, end: int) -> None:
        """Take note of a stretch that cannot be read for certain."""
        if self._may_be_broken and self._fields.mention.search(html.unescape(self._text[start:end]).lower()):
            raise UnreadableError("a tag without its closing quote or bracket mentions a field")

    def _name(self, name: str) -> str:
        return name.lower() if self._is_html else name

    def _start(self, name: str, start: int, at: int) -> int:
        """Take in the start tag at `start`, whose attributes begin at `at`. Returns where to go on."""
        attributes = []
        while found := _ATTRIBUTE.match(self._text, at):
            attributes.append(found)
            at = found.end()
        if _UNCLOSED.match(self._text, at):
            self._doubt(start, len(self._text))
        end = self._after(">", at, start)
        if self._text[at : end - 1].strip(" \t\r\n\f/=") or any(map(self._is_odd, attributes)):
            self._doubt(start, end)
        if self._is_html:
            self._close_for(name, start)
        steps = (*self._above, *(each.name for each in self._open), name)
        secret = self._covers(steps)
        if not self._hidden:
            secret = self._attributes(attributes, steps) or secret
        if name in VOID if self._is_html else self._text.startswith("/>", end - 2):
            return end
        if len(self._open) >= DEEPEST:
            raise UnreadableError(f"nested deeper than {DEEPEST} levels")
        self._open.append(_Open(name, end, secret))
        if not self._is_html or name not in VERBATIM:
            return end
        stop = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(self._text, end)
        if stop is None:
            self._doubt(end, len(self._text))
            return len(self._text)
        return stop.start()

    def _is_odd(self, attribute: re.Match[str]) -> bool:
        """Whether it begins or ends elsewhere than whoever wrote it meant, by the look of it."""
        if _ODD.search(attribute[1]) or _ODD.search(attribute[5] or ""):
            return True
        quoted = attribute[3] or attribute[4] or ""
        # Brackets may stand in quotes; together with a field's name they may as well be another tag.
        return (">" in quoted or "<" in quoted) and bool(self._fields.mention.search(html.unescape(quoted).lower()))

    @property
    def _hidden(self) -> bool:
        """Whether the place at hand is inside of what is replaced as a whole."""
        return any(each.secret for each in self._open)

    def _covers(self, steps: tuple[str, ...]) -> bool:
        if steps not in self._known:
            # HTML has attributes of its own that are called name, id and value.
            self._known[steps] = self._fields.cover(steps, bare=not self._is_html)
        return self._known[steps]

    def _attributes(self, attributes: Sequence[re.Match[str]], steps: tuple[str, ...]) -> bool:
        """Replace secret attributes. Returns whether they say that what the element holds is secret."""
        said = (html.unescape(_value(each)).lower() for each in attributes if self._name(each[1]) in _NAMING)
        named = self._is_html and not self._fields.names.isdisjoint(said)
        valued = _CONTROLS.get(steps[-1], "") if named else ""
        for each in attributes:
            name, value = self._name(each[1]), html.unescape(_value(each)).strip()
            is_data = self._is_html and name.startswith("data-") and name.removeprefix("data-") in self._fields.names
            if value and (is_data or name == valued or self._covers((*steps, f"@{name}"))):
                self._replace(each.start(2), each.end(), f'="{self._hide(value)}"')
        return named and steps[-1] in _HOLDERS

    def _end(self, name: str, at: int) -> None:
        for depth in range(len(self._open) - 1, -1, -1):
            if self._open[depth].name == name:
                self._close(depth, at)
                return

    def _close_for(self, name: str, at: int) -> None:
        """End the elements whose end tag may be left out before this start tag (as shadow.comparing.html_body does)."""
        ends, stops = CLOSES.get(name, ({"p"} if name in BLOCKS else set(), frozenset()))
        for depth in range(len(self._open) - 1, -1, -1):
            if depth >= len(self._open):
                continue
            found = self._open[depth].name
            if found in stops or (found not in ends and ends == {"p"}):
                break
            if found in ends:
                self._close(depth, at)

    def _close(self, depth: int, at: int) -> None:
        """End every element from that depth on; what the outermost secret one holds is replaced."""
        ended = self._open[depth:]
        secret = next((each for each in ended if each.secret), None)
        del self._open[depth:]
        if secret is None or self._hidden:
            return
        plain = html.unescape(_CDATA.sub(r"\1", self._text[secret.content : at])).strip()
        if plain:
            self._replace(secret.content, at, escape(self._hide(plain)))

    def _replace(self, start: int, end: int, text: str) -> None:
        if start < self._done:
            return
        self._parts += (self._text[self._done : start], text)
        self._done = end


def _value(attribute: re.Match[str]) -> str:
    return next((group for group in attribute.groups()[2:] if group is not None), "")
