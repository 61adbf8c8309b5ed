"""A small writer of inline SVG whose colours come from the page's style sheet, so that dark mode changes them."""

from collections.abc import Sequence
from html import escape

Point = tuple[float, float]

LETTER = 6.6
"""Width of a letter of the figures' text, in their units, a little more than the mean."""


def _n(value: float) -> str:
    """One decimal, no trailing zero.

    >>> _n(3.0), _n(2.25)
    ('3', '2.2')
    """
    return f"{value:.1f}".removesuffix(".0")


def shortened(text: str, width: float) -> str:
    """The text as it fits into a width, in units of the figure.

    >>> shortened("similarity", 40)
    'simil…'
    """
    most = max(1, int(width / LETTER))
    return text if len(text) <= most else text[: most - 1] + "…"


class Canvas:
    """Shapes on a plane of ``width`` by ``height`` units, y downward; ``kind`` names a class of the style sheet."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "rule") -> None:
        """A straight line."""
        self._parts.append(f'<line class="{kind}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"/>')

    def rect(self, x: float, y: float, width: float, height: float, kind: str, opacity: float = 1.0) -> None:
        """A filled rectangle."""
        size = f'x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0.0))}" height="{_n(max(height, 0.0))}"'
        faint = "" if opacity >= 1 else f' fill-opacity="{opacity:.3f}"'
        self._parts.append(f'<rect class="{kind}" {size}{faint}/>')

    def circle(self, x: float, y: float, radius: float, kind: str) -> None:
        """A filled disc."""
        self._parts.append(f'<circle class="{kind}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"/>')

    def dots(self, points: Sequence[Point], radius: float, kind: str) -> None:
        """Many discs as one path."""
        r, twice = _n(radius), _n(2 * radius)
        steps = "".join(
            f"M{_n(x - radius)} {_n(y)}a{r} {r} 0 1 0 {twice} 0a{r} {r} 0 1 0 -{twice} 0" for x, y in points
        )
        self._parts.append(f'<path class="{kind}" d="{steps}"/>')

    def path(self, points: Sequence[Point], kind: str) -> None:
        """A line through these points."""
        steps = "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        self._parts.append(f'<path class="{kind}" d="M{steps}"/>')

    def text(self, x: float, y: float, text: str, kind: str = "t", anchor: str = "start", turned: float = 0.0) -> None:
        """Text whose baseline begins, ends (``end``) or has its middle at (x, y); ``turned`` by degrees about it."""
        turn = f' transform="rotate({_n(turned)} {_n(x)} {_n(y)})"' if turned else ""
        place = f'x="{_n(x)}" y="{_n(y)}"'
        self._parts.append(f'<text class="{kind}" text-anchor="{anchor}" {place}{turn}>{escape(text)}</text>')

    def svg(self, label: str, kind: str = "") -> str:
        """The element; ``label`` is what a screen reader says instead of it."""
        size = f'viewBox="0 0 {_n(self.width)} {_n(self.height)}" style="max-width:{_n(self.width)}px"'
        return f'<svg class="{kind}" role="img" aria-label="{escape(label)}" {size}>{"".join(self._parts)}</svg>'
