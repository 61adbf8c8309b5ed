"""Reading a page as a browser would: its tables, its figures, what it links to; and that its tags close."""

from collections.abc import Iterator
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "hr", "input"}
DRAWN = {"line", "rect", "circle", "path"}


class Page(HTMLParser):
    """Tags in order, tables as lists of rows, all text; raises ``AssertionError`` where tags do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN
        self.tags.append((tag, dict(attrs), tuple(self.open)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data

    def table(self, *header: str) -> Iterator[list[list[str]]]:
        """Bodies of the tables whose head begins so."""
        for rows in self.tables:
            if rows[0][: len(header)] == list(header):
                yield rows[1:]


def check(text: str) -> Page:
    """A page that is whole in itself: well-formed, no script, nothing from the network, every figure in words."""
    page = Page(text)
    figures = 0
    for tag, attributes, _ in page.tags:
        assert tag != "script"
        for name in ("src", "href", "xlink:href", "data", "action", "srcset"):
            assert (attributes.get(name) or "#").startswith("#"), attributes
        figures += tag == "figure"
    assert "@import" not in text
    assert "url(" not in text
    drawings = [attributes for tag, attributes, inside in page.tags if tag == "svg"]
    assert all(one.get("role") == "img" and len(one.get("aria-label") or "") > 10 for one in drawings)
    assert all("figure" in inside for tag, _, inside in page.tags if tag == "svg")
    assert sum(tag == "details" and "figure" in inside for tag, _, inside in page.tags) == figures
    names = [attributes["id"] for tag, attributes, _ in page.tags if tag == "section"]
    assert names == [(attributes["href"] or "")[1:] for tag, attributes, inside in page.tags if tag == "a"]
    assert text.startswith("<!DOCTYPE html>")
    return page
