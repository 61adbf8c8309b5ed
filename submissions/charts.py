"""Figures: bars, intervals, lines, histograms, tables of shades, and maps; each draws itself at any width."""

import math
from dataclasses import dataclass
from typing import Protocol

from submissions.axes import Axis, apart
from submissions.svg import LETTER, Canvas, shortened

TOP, BOTTOM, LINE = 8.0, 36.0, 14.0
"""Room above the plot, below it for the axis, and between two labels."""

MOST_LABEL = 0.46
"""Share of the width that labels beside a chart may take."""


class Chart(Protocol):
    """What a figure shows."""

    def draw(self, width: float) -> Canvas:
        """The drawing at a width in pixels."""
        ...


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a chart of bars: a value, how it is written, and perhaps its interval."""

    label: str
    value: float
    shown: str
    strong: bool = False
    low: float | None = None
    high: float | None = None


def _wide(bars: tuple[Bar, ...]) -> float:
    """Width of the longest label; bold letters are wider."""
    return max((len(bar.label) * LETTER * (1.12 if bar.strong else 1.0) for bar in bars), default=0.0) + 8


def _margins(bars: tuple[Bar, ...], width: float) -> tuple[float, float]:
    right = max((len(bar.shown) for bar in bars), default=0) * 7.6 + 14
    return min(_wide(bars), MOST_LABEL * width), right


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars from 0, labels go above them if told or if they are long."""

    bars: tuple[Bar, ...]
    above: bool = False

    def draw(self, width: float) -> Canvas:
        above = self.above or _wide(self.bars) > MOST_LABEL * width
        step = 38.0 if above else 22.0
        canvas = Canvas(width, step * len(self.bars) + 6)
        left, right = _margins(self.bars, width)
        left = 0.0 if above else left
        room, most = width - left - right, max((bar.value for bar in self.bars), default=0.0) or 1.0
        for i, bar in enumerate(self.bars):
            y = 3 + (i + 1) * step - 22
            kind = "t strong" if bar.strong else "t"
            if above:
                canvas.text(0, y - 2, shortened(bar.label, width), kind)
            else:
                canvas.text(left - 8, y + 15, shortened(bar.label, left), kind, "end")
            length = room * max(bar.value, 0.0) / most
            canvas.rect(left, y + 3, max(length, 1.0), 15, "fill accent" if bar.strong else "fill plain")
            canvas.text(left + length + 6, y + 15, bar.shown, "v")
        return canvas


@dataclass(frozen=True, slots=True)
class Intervals:
    """A dot a line, with its interval, over a common axis."""

    bars: tuple[Bar, ...]
    axis: Axis

    def draw(self, width: float) -> Canvas:
        step = 30.0
        bottom = TOP + step * len(self.bars)
        canvas = Canvas(width, bottom + BOTTOM)
        left, right = _margins(self.bars, width)
        room = width - left - right
        for value, text in self.axis.marks(5 if room > 300 else 3):
            x = left + room * self.axis.at(value)
            canvas.line(x, TOP, x, bottom)
            canvas.text(x, bottom + LINE, text, "t", "middle")
        canvas.text(left + room / 2, bottom + 2 * LINE + 3, self.axis.title, "t", "middle")
        for i, bar in enumerate(self.bars):
            y, x = TOP + (i + 0.5) * step, left + room * self.axis.at(bar.value)
            canvas.text(left - 8, y + 4, shortened(bar.label, left - 6), "t strong" if bar.strong else "t", "end")
            if bar.low is not None and bar.high is not None:
                first, last = (left + room * self.axis.at(end) for end in (bar.low, bar.high))
                canvas.line(first, y, last, y, "interval accent" if bar.strong else "interval")
            canvas.circle(x, y, 5, "fill accent" if bar.strong else "fill plain")
            canvas.text(width - right + 8, y + 4, bar.shown, "v strong" if bar.strong else "v")
        return canvas


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name is written at its end where ``named``; ``dot`` is the place of a point to be marked."""

    name: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    kind: str = "plain"
    named: bool = True
    dot: int | None = None
    points: bool = False


def _frame(canvas: Canvas, x: Axis, y: Axis, left: float, right: float, bottom: float, head: float) -> None:
    """Rules and numbers of both axes; ``head`` is the room for the title of the y axis, above the plot."""
    room, high = canvas.width - left - right, bottom - TOP - head
    for value, text in y.marks(5 if high > 110 else 3):
        at = bottom - high * y.at(value)
        canvas.line(left, at, left + room, at)
        canvas.text(left - 6, at + 4, text, "t", "end")
    free = 0.0
    for value, text in x.marks(max(2, int(room / 60))):
        at, half = left + room * x.at(value), len(text) * LETTER / 2
        canvas.line(at, bottom, at, bottom + 4, "rule dark")
        if at - half >= free:  # a text that would touch the one before is left out, its mark is not
            canvas.text(at, bottom + 4 + LINE, text, "t", "middle")
            free = at + half + 5
    canvas.line(left, bottom, left + room, bottom, "rule dark")
    if x.title:
        canvas.text(left + room / 2, bottom + 2 * LINE + 8, x.title, "t", "middle")
    if y.title:
        canvas.text(0, TOP + 6, y.title, "t")


def _left(y: Axis, high: float) -> float:
    return max((len(text) for _, text in y.marks(5 if high > 110 else 3)), default=1) * LETTER + 12


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines over common axes, named at their right ends."""

    series: tuple[Series, ...]
    x: Axis
    y: Axis
    height: float = 260.0

    def draw(self, width: float) -> Canvas:
        canvas = Canvas(width, self.height)
        head = 16.0 if self.y.title else 0.0
        bottom = self.height - BOTTOM - (10 if self.x.title else -12)
        left = _left(self.y, bottom - TOP)
        named = [one for one in self.series if one.named and one.xs]
        right = max((len(one.name) for one in named), default=0) * LETTER + 12 if named else 12.0
        right = min(right, 0.35 * width)
        room, high = width - left - right, bottom - TOP - head
        _frame(canvas, self.x, self.y, left, right, bottom, head)
        ends = []
        for one in self.series:
            points = [
                (left + room * self.x.at(x), bottom - high * self.y.at(y)) for x, y in zip(one.xs, one.ys, strict=True)
            ]
            if len(points) > 1:
                canvas.path(points, f"stroke {one.kind}")
            if one.points or len(points) == 1:
                canvas.dots(points, 3, f"fill {one.kind}")
            if one.dot is not None:
                canvas.circle(*points[one.dot], 4, f"fill {one.kind}")
            if one.named and points:
                ends.append((points[-1][1], one))
        places = apart([y for y, _ in ends], LINE, TOP + head, bottom)
        for place, (_, one) in zip(places, ends, strict=True):
            canvas.text(width - right + 6, place + 4, shortened(one.name, right - 2), f"t name {one.kind}")
        return canvas


@dataclass(frozen=True, slots=True)
class Columns:
    """Vertical bars side by side, each over its part of the x axis (``edges``, one more than there are heights)."""

    edges: tuple[float, ...]
    heights: tuple[float, ...]
    x: Axis
    y: Axis
    height: float = 220.0

    def draw(self, width: float) -> Canvas:
        canvas = Canvas(width, self.height)
        head, right = (16.0 if self.y.title else 0.0), 12.0
        bottom = self.height - BOTTOM - (10 if self.x.title else -12)
        left = _left(self.y, bottom - TOP)
        room, high = width - left - right, bottom - TOP - head
        _frame(canvas, self.x, self.y, left, right, bottom, head)
        for i, value in enumerate(self.heights):
            first, last = (left + room * self.x.at(edge) for edge in self.edges[i : i + 2])
            tall = high * self.y.at(value)
            gap = min(1.0, (last - first) / 4)
            canvas.rect(first + gap / 2, bottom - tall, last - first - gap, tall, "fill accent")
        return canvas


@dataclass(frozen=True, slots=True)
class Shades:
    """A table of shades: 0 is blank, 1 is full; ``shown`` is written into each cell that has room for it."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    shown: tuple[tuple[str, ...], ...] = ()
    square: bool = True

    def draw(self, width: float) -> Canvas:
        longest = max((len(row) for row in self.rows), default=0)
        left = min(longest * LETTER + 10, 0.34 * width)
        cell = (width - left) / max(len(self.columns), 1)
        tall = min(cell, 34.0) if self.square else 20.0
        names = max((len(name) for name in self.columns), default=0)
        # Short names, such as hours, are thinned out where they would touch; long ones are turned.
        upright = names > 3 and names * LETTER > cell
        every = 1 if upright else max(1, math.ceil((names * LETTER + 3) / cell))
        head = min(names * LETTER + 8, 0.34 * width) if upright else 20.0
        canvas = Canvas(width, head + tall * len(self.rows) + 4)
        for j, name in enumerate(self.columns):
            x = left + (j + 0.5) * cell
            if upright:
                canvas.text(x + 4, head - 6, shortened(name, head - 4), "t", "start", -90)
            elif j % every == 0:
                canvas.text(x, head - 6, name, "t", "middle")
        for i, row in enumerate(self.rows):
            y = head + i * tall
            canvas.text(left - 8, y + tall / 2 + 4, shortened(row, left - 6), "t", "end")
            for j, value in enumerate(self.values[i]):
                box = left + j * cell + 0.5, y + 0.5, cell - 1, tall - 1
                canvas.rect(*box, "fill faint")
                canvas.rect(*box, "fill accent", min(max(value, 0.0), 1.0))
                if self.shown and len(self.shown[i][j]) * 6.2 < cell + 2:
                    kind = "cell over" if value > 0.55 else "cell"
                    canvas.text(left + (j + 0.5) * cell, y + tall / 2 + 4, self.shown[i][j], kind, "middle")
        return canvas


@dataclass(frozen=True, slots=True)
class Cloud:
    """Points on a map without axes; a group has a colour of its own, and a number written at its middle."""

    groups: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]
    height: float = 420.0

    def draw(self, width: float) -> Canvas:
        height = min(self.height, width)
        canvas = Canvas(width, height)
        points = [point for _, group in self.groups for point in group] or [(0.0, 0.0)]
        (x0, x1), (y0, y1) = ((min(axis), max(axis)) for axis in zip(*points, strict=True))
        scale = min((width - 20) / ((x1 - x0) or 1.0), (height - 20) / ((y1 - y0) or 1.0))
        middles = []
        for i, (name, group) in enumerate(self.groups):
            placed = [(width / 2 + (x - (x0 + x1) / 2) * scale, height / 2 - (y - (y0 + y1) / 2) * scale)
                      for x, y in group]  # fmt: skip
            canvas.dots(placed, 2.2, f"fill c{i % 8}")
            if placed:
                middles.append((sorted(x for x, _ in placed)[len(placed) // 2],
                                sorted(y for _, y in placed)[len(placed) // 2], name))  # fmt: skip
        for x, y, name in middles:
            canvas.text(x, y + 4, name, "t halo strong", "middle")
        return canvas
