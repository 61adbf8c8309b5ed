"""Axes of figures: where a value lies, and round numbers to write beside it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Ticks = tuple[tuple[float, str], ...]


def short(value: float) -> str:
    """A number as short as an axis wants it.

    >>> [short(value) for value in (0.25, 1.0, 1500, 2_000_000, 0.001)]
    ['0.25', '1', '1.5k', '2M', '0.001']
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.6g}"


def round_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two values, ``most`` at most.

    >>> round_ticks(0.0, 0.7)
    [0.0, 0.2, 0.4, 0.6]
    """
    span = high - low
    if span <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if span / (power * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def decades(low: float, high: float, most: int = 6) -> list[float]:
    """Powers of ten between two positive values, thinned to ``most``.

    >>> decades(1, 2000)
    [1.0, 10.0, 100.0, 1000.0]
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    powers = list(range(first, last + 1))
    return [10.0**power for power in powers[:: max(1, math.ceil(len(powers) / most))]]


@dataclass(frozen=True, slots=True)
class Axis:
    """From ``low`` to ``high``; ``ticks`` (value, text) are chosen if none are given. A log axis begins above 0."""

    title: str
    low: float
    high: float
    log: bool = False
    ticks: Ticks = ()

    @classmethod
    def of(cls, title: str, values: Sequence[float], log: bool = False, zero: bool = True, ticks: Ticks = ()) -> "Axis":
        """Around these values; a linear one from 0 on unless told otherwise."""
        found = [value for value in values if math.isfinite(value) and (value > 0 or not log)] or [1.0]
        low, high = min(found), max(found)
        if log:
            return cls(title, low, max(high, low * 10), True, ticks)
        if zero:
            low = min(low, 0.0)
        room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
        return cls(title, low if low == 0 else low - room, high + room, False, ticks)

    def at(self, value: float) -> float:
        """Share of the way from ``low`` to ``high``; outside it is drawn at the edge."""
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)

    def marks(self, most: int = 5) -> Ticks:
        """Values to be named, with their text."""
        if self.ticks:
            return tuple(one for one in self.ticks if self.low <= one[0] <= self.high)
        values = decades(self.low, self.high, most) if self.log else round_ticks(self.low, self.high, most)
        return tuple((value, short(value)) for value in values)


def apart(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, at least ``least`` apart and within bounds if they fit: for labels.

    >>> apart([10, 11, 30], 5, 0, 40)
    [10, 15, 30]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    places = list(wanted)
    before = low - least
    for i in order:
        before = places[i] = max(places[i], before + least)
    after = high + least
    for i in reversed(order):
        after = places[i] = min(places[i], after - least)
    return places
