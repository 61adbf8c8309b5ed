"""Pages: one self-contained HTML file each, without a script, made of sections, figures and tables.

Every text from outside is escaped here, and here only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from submissions.charts import Chart
from submissions.style import STYLE

WIDE, NARROW, PANEL = 720.0, 345.0, 225.0
"""Widths that figures are drawn at, in pixels: at a desk, on a phone, side by side."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text. The first ``left`` columns go to the left, the others are numbers, to the right.

    strong : numbers of the rows to stand out
    wrap   : whether long text of the last column may break
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    strong: tuple[int, ...] = ()
    wrap: bool = False

    def html(self) -> str:
        """A table in a box of its own, which scrolls where the page is too narrow."""

        def cell(tag: str, place: int, text: str) -> str:
            kinds = ["left"] * (place < self.left) + ["wrap"] * (self.wrap and place == len(self.header) - 1)
            kind = f' class="{" ".join(kinds)}"' if kinds else ""
            scope = ' scope="col"' if tag == "th" else ""
            return f"<{tag}{scope}{kind}>{escape(text)}</{tag}>"

        head = "".join(cell("th", i, text) for i, text in enumerate(self.header))
        body = []
        for number, row in enumerate(self.rows):
            kind = ' class="strong"' if number in self.strong else ""
            body.append(f"<tr{kind}>{''.join(cell('td', i, text) for i, text in enumerate(row))}</tr>")
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        return f'<div class="scroll" tabindex="0" role="region" aria-label="table">{table}</div>'


def folded(summary: str, *parts: str, unfolded: bool = False) -> str:
    """Parts that are shown on demand."""
    return f"<details{' open' if unfolded else ''}><summary>{escape(summary)}</summary>{''.join(parts)}</details>"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, or several side by side with a heading each, with its finding, its alt text and its numbers.

    title  : the finding, one plain sentence
    label  : what there is to see, for who cannot
    charts : heading and chart; a lone chart is drawn wide and narrow, several as panels
    pairs  : whether two panels fit beside each other on a phone
    least  : width of a panel in pixels
    """

    title: str
    label: str
    charts: tuple[tuple[str, Chart], ...]
    table: Table
    note: str = ""
    unfolded: bool = False
    pairs: bool = False
    least: float = PANEL

    def html(self) -> str:
        """The figure."""
        if len(self.charts) == 1:
            chart = self.charts[0][1]
            drawn = chart.draw(WIDE).svg(self.label, "wide") + chart.draw(NARROW).svg(self.label, "narrow")
        else:
            panels = [
                f"<div><h4>{escape(name)}</h4>{chart.draw(self.least).svg(f'{self.label}: {name}', 'panel')}</div>"
                for name, chart in self.charts
            ]
            kind = "panels pairs" if self.pairs else "panels"
            drawn = f'<div class="{kind}" style="--least:{self.least:.0f}px">{"".join(panels)}</div>'
        note = f"<figcaption>{escape(self.note)}</figcaption>" if self.note else ""
        numbers = folded("the numbers", self.table.html(), unfolded=self.unfolded)
        return f"<figure><h3>{escape(self.title)}</h3>{drawn}{note}{numbers}</figure>"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it (HTML)."""

    name: str
    title: str
    parts: tuple[str, ...]


def items(rows: Iterable[tuple[str, str, bool]], numbered: bool = False) -> str:
    """A list of items, each with a remark; a hit is marked, for readers by ear, too."""
    lines = []
    for place, (item, remark, hit) in enumerate(rows, 1):
        number = f'<span class="place">{place}</span>' if numbered else ""
        said = '<span class="out"> hit</span>' if hit else ""
        after = f" <i>{escape(remark)}</i>" if remark else ""
        kind = ' class="hit"' if hit else ""
        lines.append(f"<li{kind}>{number}{escape(item)}{after}{said}</li>")
    return f'<ol class="items">{"".join(lines)}</ol>' if lines else '<p class="soft">none</p>'


def page(title: str, opening: Sequence[str], sections: Sequence[Section], ending: str) -> str:
    """The document; ``opening`` is HTML below the title, ``ending`` plain text at the foot."""
    contents = "".join(f'<li><a href="#{escape(one.name)}">{escape(one.title)}</a></li>' for one in sections)
    body = "".join(
        f'<section id="{escape(one.name)}"><h2>{escape(one.title)}</h2>{"".join(one.parts)}</section>'
        for one in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f'<div class="frame"><header><h1>{escape(title)}</h1>{"".join(opening)}</header>'
        f'<nav aria-label="contents"><ol>{contents}</ol></nav>'
        f"<main>{body}<footer>{escape(ending)}</footer></main></div></body></html>\n"
    )
