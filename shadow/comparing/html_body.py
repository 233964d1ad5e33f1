"""HTML bodies as trees in which only what a browser would show or run otherwise differs. Pure, linear in the body.

Not the whole algorithm of the standard (HTML, section 13.2): elements nest as they are written, with the end tags that
may be left out put in for the common elements. Both sides are read alike, so what this gets wrong it gets wrong twice.
Of no account are comments, the letters' case in names, the order of attributes, quotes around values, how a character
is written (`&eacute;` or itself), and white space that is not shown: runs of it count as one blank, and at the edges of
what starts on a line of its own (`<p>`, `<div>`, `<li>`...) it counts for nothing.
"""

from __future__ import annotations

import html
import re
from bisect import bisect
from collections.abc import Sequence

from shadow.comparing.trees import DEEPEST, MOST_NODES, NOTHING, Element, Keys
from shadow.comparing.values import UnreadableError

VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
"""Elements that hold nothing and have no end tag (section 13.1.2)."""
VERBATIM = frozenset(("script", "style", "textarea", "title"))
"""Elements whose content is text up to their end tag."""
KEPT = frozenset(("pre", "textarea", "script", "style"))
"""Elements in which white space counts."""
_BLOCKS = """
address article aside blockquote body br center dd details dialog dir div dl doctype dt fieldset figcaption figure
footer form frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li link main menu meta nav noscript ol optgroup
option p pre script section select style summary table tbody td template tfoot th thead title tr ul
"""
BLOCKS = frozenset(_BLOCKS.split())
"""Elements next to whose edges white space is not shown."""
_LISTS = frozenset(("ul", "ol", "menu", "dl", "table", "select"))
CLOSES = {
    "li": ({"li"}, _LISTS),
    "dt": ({"dt", "dd"}, _LISTS),
    "dd": ({"dt", "dd"}, _LISTS),
    "option": ({"option"}, _LISTS),
    "optgroup": ({"option", "optgroup"}, _LISTS),
    "td": ({"td", "th"}, _LISTS),
    "th": ({"td", "th"}, _LISTS),
    "tr": ({"td", "th", "tr"}, _LISTS),
    "tbody": ({"td", "th", "tr", "tbody", "thead"}, _LISTS),
    "tfoot": ({"td", "th", "tr", "tbody", "thead"}, _LISTS),
    "body": ({"head"}, frozenset()),
}
"""Start tag -> the open elements that it ends, and those that it does not look beyond (section 13.1.2.4)."""
_NO_PARAGRAPH = BLOCKS - frozenset(("br", "link", "meta", "script", "style", "option", "optgroup", "template"))

_TOKEN = re.compile(r"([^<]+)|</([A-Za-z][^\s/>]*)[^>]*>|<([A-Za-z][^\s/>]*)(\s*/?>)?")
"""A text, an end tag, the beginning of a start tag, or a whole start tag without attributes: by its last group."""
_TEXT, _END_TAG, _BEGINNING, _BARE = range(1, 5)
_NAME = re.compile(r"[A-Za-z]")
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>=][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"'][^\s>]*)))?""")
_VERBATIM_ENDS = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in VERBATIM}
_STRAY = re.compile("<+(?=<)|<")
_BLANKS = re.compile(r"[ \t\n\f\r]+")


def parse_html(text: str, keys: Keys) -> Sequence[Element | str]:
    """What stands at the top of a document; `keys` number its elements.

    Raises UnreadableError when it is deeper or longer than is read.
    """
    return _Reading(text, keys).read()


class _Reading:
    """One document, from its beginning to its end."""

    def __init__(self, text: str, keys: Keys) -> None:
        self._text = text
        self._give_key = keys.give
        self._at = 0
        self._open: list[Element] = []
        self._within: list[list[Element | str]] = [[]]
        """What stands at the top, and what each open element holds so far."""
        self._places: dict[str, list[int]] = {}
        """Name -> where in `_open` elements of that name are: no start or end tag looks through all that is open."""
        self._nodes = 0
        self._texts: list[str] = []

    def read(self) -> Sequence[Element | str]:
        text, size, token = self._text, len(self._text), _TOKEN.match
        while self._at < size:
            found = token(text, self._at)
            if found is None:
                self._markup()
                continue
            kind = found.lastindex
            self._at = found.end()
            if kind == _TEXT:
                self._texts.append(html.unescape(found[_TEXT]))
            elif kind == _END_TAG:
                self._end_tag(found[_END_TAG].lower())
            else:
                name = found[_BEGINNING].lower()
                self._start_tag(name, self._attributes() if kind == _BEGINNING else NOTHING)
        if self._texts:
            self._flush()
        self._close_to(0)
        return _tidied(self._within[0], True)

    def _markup(self) -> None:
        """What is neither a text nor a whole tag."""
        text, at = self._text, self._at
        if text.startswith("<!--", at):
            self._skip(text.find("-->", at + 2), 3)
        elif text.startswith("<!", at):
            end = text.find(">", at)
            words = text[at + 2 : end if end >= 0 else len(text)].split()
            if words and words[0].lower() == "doctype":
                self._add(Element("doctype", NOTHING, [" ".join(words[1:]).lower()]))
            self._skip(end, 1)
        elif text.startswith("<?", at) or (text.startswith("</", at) and _NAME.match(text, at + 2)):
            self._skip(text.find(">", at), 1)
        elif stray := _STRAY.match(text, at):
            self._texts.append(stray[0])
            self._at = stray.end()

    def _skip(self, end: int, length: int) -> None:
        self._at = end + length if end >= 0 else len(self._text)

    def _attributes(self) -> dict[str, str]:
        """Those of the start tag at hand, to its end; of two of one name the first."""
        attributes: dict[str, str] = {}
        at = self._at
        while found := _ATTRIBUTE.match(self._text, at):
            group = found.lastindex or 1
            attributes.setdefault(found[1].lower(), html.unescape(found[group]) if group > 1 else "")
            at = found.end()
        self._skip(self._text.find(">", at), 1)
        return attributes

    def _start_tag(self, name: str, attributes: dict[str, str]) -> None:
        if self._texts:
            self._flush()
        self._close_for(name)
        element = Element(name, attributes)
        if name in VOID:
            self._add(element)
        elif name in VERBATIM:
            element.children = self._verbatim(name)
            self._add(element)
        else:
            self._count()
            if len(self._open) >= DEEPEST:
                raise UnreadableError(f"nested deeper than {DEEPEST} levels")
            self._within[-1].append(element)
            self._places.setdefault(name, []).append(len(self._open))
            self._open.append(element)
            self._within.append([])

    def _verbatim(self, name: str) -> Sequence[str]:
        end = _VERBATIM_ENDS[name].search(self._text, self._at)
        stop = end.start() if end else len(self._text)
        content = self._text[self._at : stop]
        self._at = stop
        if end:
            self._skip(self._text.find(">", stop), 1)
        if name in ("textarea", "title"):
            content = html.unescape(content)
        if name not in KEPT and not self._places.get("pre"):
            content = _BLANKS.sub(" ", content).strip(" ")
        return [content] if content else ()

    def _close_for(self, name: str) -> None:
        """End the elements whose end tag may be left out before this start tag."""
        if name not in CLOSES:
            while name in _NO_PARAGRAPH and self._open and self._open[-1].name == "p":
                self._close()
            return
        ends, stops = CLOSES[name]
        if ends == {name} and self._open and self._open[-1].name == name:
            self._close()  # an item of a list, mostly: no second one is open within the same list
            return
        ended = [places for each in ends if (places := self._places.get(each))]
        if not ended:
            return
        stop = -1
        for each in stops:
            if (places := self._places.get(each)) and places[-1] > stop:
                stop = places[-1]
        depth = len(self._open)
        for places in ended:
            if places[-1] > stop:
                depth = min(depth, places[bisect(places, stop)])
        self._close_to(depth)

    def _end_tag(self, name: str) -> None:
        """End the nearest open element of that name; an end tag of none means nothing."""
        if places := self._places.get(name):
            if self._texts:
                self._flush()
            self._close_to(places[-1])

    def _close_to(self, depth: int) -> None:
        while len(self._open) > depth:
            self._close()

    def _close(self) -> None:
        element, children = self._open.pop(), self._within.pop()
        if children:
            # In <pre> all white space counts; the other elements in which it does are never open.
            block = element.name in BLOCKS
            element.children = children if self._places.get("pre") else _tidied(children, block)
        self._places[element.name].pop()
        self._give_key(element)

    def _flush(self) -> None:
        """End the text at hand, which comments did not."""
        self._count()
        self._within[-1].append("".join(self._texts))
        self._texts.clear()

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise UnreadableError(f"it has more than {MOST_NODES} elements and texts")

    def _add(self, element: Element) -> None:
        """Add an element that is complete."""
        if self._texts:
            self._flush()
        self._count()
        self._give_key(element)
        self._within[-1].append(element)


def _tidied(children: list[Element | str], block: bool) -> list[Element | str]:
    """Without the white space that is not shown; `block`: at the edges of what holds them none is."""
    kept: list[Element | str] = []
    last = len(children) - 1
    for index, child in enumerate(children):
        if isinstance(child, str) and not child.isalnum():
            child = _BLANKS.sub(" ", child)
            if child[0] == " " and _edge(children[index - 1] if index else None, block):
                child = child[1:]
            if child[-1:] == " " and _edge(children[index + 1] if index < last else None, block):
                child = child[:-1]
            if not child:
                continue
        kept.append(child)
    return kept


def _edge(neighbour: Element | str | None, block: bool) -> bool:
    return block if neighbour is None else isinstance(neighbour, Element) and neighbour.name in BLOCKS
