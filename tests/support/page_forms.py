"""The forms of a page, as a browser and a screen reader find them in its HTML."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
_NOT_TYPED = ("hidden", "submit", "button", "search")


@dataclass(eq=False)
class Element:
    """One element, with those around it from the outermost to the next, and all text in it."""

    tag: str
    attributes: dict[str, str]
    around: tuple[Element, ...]
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text in it, each run of white space as one space."""
        return " ".join("".join(self.pieces).split())

    @property
    def classes(self) -> list[str]:
        """Its classes."""
        return self.get("class").split()

    @property
    def hidden(self) -> bool:
        """Whether something folded holds it, so that it is not to be seen."""
        return any(each.tag == "details" and "open" not in each.attributes for each in self.around)

    def get(self, name: str) -> str:
        """Return an attribute; blank if it has none."""
        return self.attributes.get(name, "")


class Page(HTMLParser):
    """A page's elements, in their order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(self._open))
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        """Close what is open to the last of that tag."""
        if any(each.tag == tag for each in self._open):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Add a text to all that it stands in."""
        for element in self._open:
            element.pieces.append(data)

    def of_class(self, name: str) -> list[Element]:
        """Return the elements of a class."""
        return [each for each in self.elements if name in each.classes]

    def of_tag(self, *tags: str) -> list[Element]:
        """Return the elements of these tags."""
        return [each for each in self.elements if each.tag in tags]

    def by_id(self, identifier: str) -> Element | None:
        """Return the element of an id; None if there is none."""
        return next((each for each in self.elements if each.get("id") == identifier), None)

    def forms(self) -> Iterator[Form]:
        """Return the forms that are sent by POST."""
        for form in self.of_tag("form"):
            if form.get("method").lower() == "post":
                controls = [each for each in self.of_tag("input", "select", "textarea") if form in each.around]
                yield Form(form.get("action"), [each for each in controls if each.get("name")], self)


@dataclass(frozen=True)
class Form:
    """One form: where it is sent (blank: to its own page), and what it sends."""

    action: str
    controls: list[Element]
    page: Page

    def typed(self) -> list[Element]:
        """Return the controls into which something is typed or chosen, boxes and buttons left out."""
        return [each for each in self.controls if each.get("type") not in (*_NOT_TYPED, "checkbox")]

    def values(self) -> dict[str, list[str]]:
        """Return what it sends as it stands."""
        sent: dict[str, list[str]] = {}
        for each in self.controls:
            for value in self._value(each):
                sent.setdefault(each.get("name"), []).append(value)
        return sent

    def _value(self, control: Element) -> list[str]:
        if control.get("type") in ("checkbox", "radio"):
            return [control.get("value") or "on"] if "checked" in control.attributes else []
        if control.tag == "textarea":
            return ["".join(control.pieces).removeprefix("\n")]
        if control.tag == "select":
            options = [each for each in self.page.of_tag("option") if control in each.around]
            chosen = [each for each in options if "selected" in each.attributes] or options[:1]
            return [each.get("value") if "value" in each.attributes else each.text for each in chosen]
        return [control.get("value")]
