"""XML bodies as trees in which only what XML calls different differs. Pure.

As Canonical XML (W3C, 2001) has it: attributes in any order, prefixes replaced by the namespaces that they stand for,
comments out, CDATA sections and character references the text that they denote. Beyond it, white space between elements
is dropped where an element holds nothing else but elements and `xml:space` does not keep it: services indent or do not.

A document type declaration is refused, and with it every entity that could grow (XML 1.0 section 4): no service sends
data with one, and what is refused on one side is a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.parsers import expat

from shadow.comparing.trees import DEEPEST, MOST_NODES, NOTHING, Element, Keys
from shadow.comparing.values import UnreadableError

_SPACE = "{http://www.w3.org/XML/1998/namespace}space"


def parse_xml(body: bytes, charset: str | None, keys: Keys) -> Sequence[Element | str]:
    """What stands at the top of a document: its root element, and processing instructions around it.

    `charset` is that of the Content-Type, which goes before the document's own declaration (RFC 7303 section 3.2).
    `keys` number the elements. Raises UnreadableError.
    """
    reading = _Reading(keys)
    try:
        parser = expat.ParserCreate("utf-8" if charset == "utf8" else charset, namespace_separator="\n")
    except ValueError as exc:
        raise UnreadableError(f"the charset '{charset}' is not known") from exc
    parser.buffer_text = True
    parser.ordered_attributes = True
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.ProcessingInstructionHandler = reading.instruction
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(body, True)
    except expat.ExpatError as exc:
        message = expat.errors.messages.get(exc.code, str(exc))
        raise UnreadableError(f"not XML at line {exc.lineno}, column {exc.offset + 1}: {message}") from exc
    except UnreadableError:
        raise
    except (ValueError, LookupError) as exc:  # a charset that Python has no codec for
        raise UnreadableError(f"not XML: {exc}") from exc
    return reading.top


def _refuse(*_: object) -> None:
    raise UnreadableError("it has a document type declaration, which is not read")


class _Reading:
    """expat's events made into elements."""

    def __init__(self, keys: Keys) -> None:
        self.top: list[Element | str] = []
        self._give_key = keys.give
        self._open: list[Element] = []
        self._within: list[list[Element | str]] = [self.top]
        """What each open element holds so far, after what stands at the top."""
        self._keeps = [False]
        self._nodes = 0
        self._texts: list[str] = []

    def start(self, name: str, attributes: list[str]) -> None:
        if self._texts:
            self._flush()
        self._count()
        element = Element(_name(name), _attributes(attributes) if attributes else NOTHING)
        if len(self._open) >= DEEPEST:
            raise UnreadableError(f"nested deeper than {DEEPEST} levels")
        self._within[-1].append(element)
        self._open.append(element)
        self._within.append([])
        keeps = self._keeps[-1]
        self._keeps.append(element.attributes.get(_SPACE, "preserve" if keeps else "") == "preserve")

    def end(self, _: str) -> None:
        if self._texts:
            self._flush()
        element, children = self._open.pop(), self._within.pop()
        if not self._keeps.pop() and len(children) > 1:
            texts = [child for child in children if isinstance(child, str)]
            if 0 < len(texts) < len(children) and not any(text.strip(" \t\r\n") for text in texts):
                children = [child for child in children if not isinstance(child, str)]
        if children:
            element.children = children
        self._give_key(element)

    def text(self, data: str) -> None:
        self._texts.append(data)  # comments and CDATA sections do not end a text

    def instruction(self, target: str, data: str) -> None:
        if self._texts:
            self._flush()
        self._count()
        element = Element(f"?{target}", NOTHING, [data] if data else ())
        self._give_key(element)
        self._within[-1].append(element)

    def _flush(self) -> None:
        self._count()
        self._within[-1].append("".join(self._texts))
        self._texts.clear()

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise UnreadableError(f"it has more than {MOST_NODES} elements and texts")


def _attributes(found: list[str]) -> dict[str, str]:
    """expat's list of names and values as a dictionary."""
    return {_name(key): value for key, value in zip(found[::2], found[1::2], strict=True)}


def _name(name: str) -> str:
    """expat's ``namespace\\nlocal`` as ``{namespace}local``."""
    namespace, separator, local = name.rpartition("\n")
    return f"{{{namespace}}}{local}" if separator else name
