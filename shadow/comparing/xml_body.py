"""XML bodies as trees in which only what XML calls different differs. Pure.

As Canonical XML (W3C, 2001) has it: attributes in any order, prefixes replaced by the namespaces that they stand for,
comments out, CDATA sections and character references the text that they denote. Beyond it, white space between elements
is dropped where an element holds nothing else but elements and `xml:space` does not keep it: services indent or do not.

A document type declaration is refused, and with it every entity that could grow (XML 1.0 section 4): no service sends
data with one, and what is refused on one side is a difference.
"""

from __future__ import annotations

from xml.parsers import expat

from shadow.comparing.trees import DEEPEST, MOST_NODES, Element
from shadow.comparing.values import UnreadableError

_SPACE = "{http://www.w3.org/XML/1998/namespace}space"


def parse_xml(body: bytes, charset: str | None = None) -> list[Element | str]:
    """What stands at the top of a document: its root element, and processing instructions around it.

    `charset` is that of the Content-Type, which goes before the document's own declaration (RFC 7303 section 3.2).
    Raises UnreadableError.
    """
    reading = _Reading()
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
    for child in reading.top.children:
        if isinstance(child, Element):
            child.seal()
    return reading.top.children


def _refuse(*_: object) -> None:
    raise UnreadableError("it has a document type declaration, which is not read")


class _Reading:
    """expat's events made into elements."""

    def __init__(self) -> None:
        self.top = Element("")
        self._open = [self.top]
        self._keeps = [False]
        self._nodes = 0
        self._texts: list[str] = []

    def start(self, name: str, attributes: list[str]) -> None:
        pairs = zip(attributes[::2], attributes[1::2], strict=True)
        element = Element(_name(name), {_name(key): value for key, value in pairs})
        self._flush()
        self._add(element)
        if len(self._open) > DEEPEST:
            raise UnreadableError(f"nested deeper than {DEEPEST} levels")
        self._open.append(element)
        space = element.attributes.get(_SPACE)
        self._keeps.append(self._keeps[-1] if space is None else space == "preserve")

    def end(self, _: str) -> None:
        self._flush()
        element, keeps = self._open.pop(), self._keeps.pop()
        if not keeps and any(isinstance(child, Element) for child in element.children):
            texts = [child for child in element.children if isinstance(child, str)]
            if all(not text.strip(" \t\r\n") for text in texts):
                element.children = [child for child in element.children if isinstance(child, Element)]

    def text(self, data: str) -> None:
        self._texts.append(data)  # comments and CDATA sections do not end a text

    def instruction(self, target: str, data: str) -> None:
        self._flush()
        self._add(Element(f"?{target}", {}, [data] if data else []))

    def _flush(self) -> None:
        if self._texts:
            self._add("".join(self._texts))
            self._texts.clear()

    def _add(self, child: Element | str) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise UnreadableError(f"it has more than {MOST_NODES} elements and texts")
        self._open[-1].children.append(child)


def _name(name: str) -> str:
    """expat's ``namespace\\nlocal`` as ``{namespace}local``."""
    namespace, separator, local = name.rpartition("\n")
    return f"{{{namespace}}}{local}" if separator else name
