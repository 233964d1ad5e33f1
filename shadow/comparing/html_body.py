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

from shadow.comparing.trees import DEEPEST, MOST_NODES, Element
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

_NAME = re.compile(r"[A-Za-z][^\s/>]*")
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>=][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"'][^\s>]*)))?""")
_TAG_END = re.compile(r"[^>]*>")
_BLANKS = re.compile(r"[ \t\n\f\r]+")


def parse_html(text: str) -> list[Element | str]:
    """What stands at the top of a document. Raises UnreadableError when it is deeper or longer than is read."""
    return _Reading(text).read()


class _Reading:
    """One document, from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._top = Element("")
        self._open = [self._top]
        self._nodes = 0
        self._texts: list[str] = []

    def read(self) -> list[Element | str]:
        text = self._text
        while self._at < len(text):
            start = text.find("<", self._at)
            if start < 0:
                start = len(text)
            if start > self._at:
                self._texts.append(html.unescape(text[self._at : start]))
            self._at = start
            if start < len(text):
                self._markup()
        self._flush()
        _tidy(self._top)
        for child in self._top.children:
            if isinstance(child, Element):
                child.seal()
        return self._top.children

    def _markup(self) -> None:
        text, at = self._text, self._at
        if text.startswith("<!--", at):
            self._skip(text.find("-->", at + 2), 3)
        elif text.startswith("<!", at):
            end = text.find(">", at)
            words = text[at + 2 : end if end >= 0 else len(text)].split()
            if words and words[0].lower() == "doctype":
                self._flush()
                self._add(Element("doctype", {}, [" ".join(words[1:]).lower()]))
            self._skip(end, 1)
        elif text.startswith("<?", at):
            self._skip(text.find(">", at), 1)
        elif text.startswith("</", at) and (name := _NAME.match(text, at + 2)):
            self._end_tag(name[0].lower())
            self._skip(text.find(">", at), 1)
        elif name := _NAME.match(text, at + 1):
            self._start_tag(name[0].lower(), name.end())
        else:
            self._texts.append("<")
            self._at += 1

    def _skip(self, end: int, length: int) -> None:
        self._at = end + length if end >= 0 else len(self._text)

    def _start_tag(self, name: str, at: int) -> None:
        attributes: dict[str, str] = {}
        while found := _ATTRIBUTE.match(self._text, at):
            value = next((group for group in found.groups()[1:] if group is not None), "")
            attributes.setdefault(found[1].lower(), html.unescape(value))
            at = found.end()
        end = _TAG_END.match(self._text, at)
        self._at = end.end() if end else len(self._text)
        self._flush()
        self._close_for(name)
        element = Element(name, attributes)
        self._add(element)
        if name in VERBATIM:
            self._verbatim(element)
        elif name not in VOID:
            if len(self._open) > DEEPEST:
                raise UnreadableError(f"nested deeper than {DEEPEST} levels")
            self._open.append(element)

    def _verbatim(self, element: Element) -> None:
        end = re.compile(rf"</{element.name}(?=[\s/>])", re.IGNORECASE).search(self._text, self._at)
        stop = end.start() if end else len(self._text)
        content = self._text[self._at : stop]
        if element.name in ("textarea", "title"):
            content = html.unescape(content)
        if content:
            element.children.append(content)
        self._at = stop
        if end:
            self._skip(self._text.find(">", stop), 1)

    def _close_for(self, name: str) -> None:
        """End the elements whose end tag may be left out before this start tag."""
        ends, stops = CLOSES.get(name, ({"p"} if name in _NO_PARAGRAPH else set(), frozenset()))
        for depth in range(len(self._open) - 1, 0, -1):
            found = self._open[depth].name
            if found in stops or (found not in ends and ends == {"p"}):
                break
            if found in ends:
                del self._open[depth:]

    def _end_tag(self, name: str) -> None:
        self._flush()
        for depth in range(len(self._open) - 1, 0, -1):
            if self._open[depth].name == name:
                del self._open[depth:]
                return

    def _flush(self) -> None:
        """End the text at hand, which comments did not."""
        if self._texts:
            self._count()
            self._open[-1].children.append("".join(self._texts))
            self._texts.clear()

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise UnreadableError(f"it has more than {MOST_NODES} elements and texts")

    def _add(self, child: Element) -> None:
        self._count()
        self._open[-1].children.append(child)


def _tidy(element: Element) -> None:
    """Drop the white space that is not shown."""
    if element.name in KEPT:
        return
    children = element.children
    for child in children:
        if isinstance(child, Element):
            _tidy(child)
    block = element.name in BLOCKS or not element.name
    kept: list[Element | str] = []
    for index, child in enumerate(children):
        if isinstance(child, str):
            before = children[index - 1] if index else None
            after = children[index + 1] if index + 1 < len(children) else None
            child = _BLANKS.sub(" ", child)
            if _edge(before, block):
                child = child.lstrip(" ")
            if _edge(after, block):
                child = child.rstrip(" ")
            if not child:
                continue
        kept.append(child)
    element.children = kept


def _edge(neighbour: Element | str | None, block: bool) -> bool:
    return block if neighbour is None else isinstance(neighbour, Element) and neighbour.name in BLOCKS
