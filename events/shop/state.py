"""The whole memory of one session: who visits, what for, what was seen so far. Nothing about the future."""

from math import cos, log, pi, sqrt
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from events.compiled import kernel
from events.randomness import mix, uniform
from events.shop.settings import ShopSettings

MAX_EVENTS: Final = 500
"""OTTO's longest session."""

STATE: Final = np.dtype(
    [
        ("seed", np.int64),  # the session's own seed
        ("stream", np.int64),  # 0: what happened; j > 0: another future
        ("key", np.int64),  # seed of the event being drawn
        ("draw", np.int64),  # draws made for it
        ("clock", np.int64),  # unix milliseconds of the latest event
        ("end", np.int64),  # unix milliseconds at which the log ends
        ("start", np.int64),  # unix milliseconds at which the log begins
        ("level", np.int64),  # hidden engagement level
        ("buyer", np.float64),  # hidden factor on the chance of a cart
        ("intent", np.int64),  # category that the visitor looks for
        ("intent_before", np.int64),  # and the one before
        ("size", np.int64),  # events so far
        ("visits", np.int64),  # visits ended so far
        ("open", np.int64),  # items in the basket
        ("items", np.int32, (MAX_EVENTS,)),  # every event so far: its item
        ("types", np.int8, (MAX_EVENTS,)),  # and its type
        ("basket", np.int32, (MAX_EVENTS,)),  # carted and not ordered, oldest first
    ]
)
"""A numba record. Its arrays are filled up to ``size`` and ``open``."""

State = Any
"""A record of dtype ``STATE``."""


class Habits(NamedTuple):
    """The visitors' numbers of :class:`~events.shop.settings.ShopSettings`, under the same names, for kernels."""

    rise_days: float
    fade_days: float
    same_day: float
    same_day_hours: float
    visit_gap_hours: float
    visit_gap_spread: float
    browse_gap_seconds: float
    browse_gap_spread: float
    order_gap_ms: float
    leave_after_cart: float
    leave_after_order: float
    return_after_order: float
    repeat: float
    revisit: float
    revisit_on_return: float
    revisit_recency: float
    revisit_buys: float
    wander: float
    wander_back: float
    browse: float
    accessory_after_click: float
    accessory_after_buy: float
    resume_intent: float
    cart: float
    cart_seen: float
    cart_again: float
    cart_more: float
    rebuy: float
    buyer_spread: float
    satisfied: float
    order_after_cart: float
    order_later: float
    order_basket: float
    order_on_return: float
    order_more: float
    level_cdf: npt.NDArray[np.float64]
    visit_end: npt.NDArray[np.float64]
    visit_return: npt.NDArray[np.float64]


def make_habits(settings: ShopSettings) -> Habits:
    """The settings as a kernel wants them."""
    values: dict[str, Any] = {
        "level_cdf": np.cumsum(settings.level_shares) / np.sum(settings.level_shares),
        "visit_end": np.array(settings.visit_end, np.float64),
        "visit_return": np.array(settings.visit_return, np.float64),
    }
    values |= {name: getattr(settings, name) for name in Habits._fields if name not in values}
    return Habits(**values)


@kernel
def next_uniform(state: State) -> float:
    """The event's next draw in [0, 1)."""
    state.draw += 1
    return float(uniform(state.key, state.draw))


@kernel
def next_normal(state: State) -> float:
    """The event's next standard normal draw (Box and Muller)."""
    radius = sqrt(-2.0 * log(1.0 - next_uniform(state)))
    return radius * cos(2.0 * pi * next_uniform(state))


@kernel
def begin_draws(state: State) -> None:
    """Set the counters for the event that comes: a pure function of seed, session, stream and event number."""
    state.key = mix(int(mix(state.seed, state.stream)), state.size)
    state.draw = 0


@kernel
def remember(state: State, item: int, kind: int) -> None:
    """Append an event and keep the basket."""
    state.items[state.size] = item
    state.types[state.size] = kind
    state.size += 1
    if kind == 1:
        for place in range(state.open):
            if state.basket[place] == item:
                return
        state.basket[state.open] = item
        state.open += 1
    elif kind == 2:
        kept = 0
        for place in range(state.open):
            if state.basket[place] != item:
                state.basket[kept] = state.basket[place]
                kept += 1
        state.open = kept


@kernel
def copy_state(source: State, target: State) -> None:
    """Copy a session's memory."""
    rewind(source, target)
    for place in range(source.size):
        target.items[place] = source.items[place]
        target.types[place] = source.types[place]


@kernel
def rewind(source: State, target: State) -> None:
    """Copy all but the events: ``target`` went on from ``source`` and still holds its events."""
    target.seed, target.stream, target.key, target.draw = source.seed, source.stream, source.key, source.draw
    target.clock, target.end, target.start = source.clock, source.end, source.start
    target.level, target.buyer = source.level, source.buyer
    target.intent, target.intent_before = source.intent, source.intent_before
    target.size, target.visits, target.open = source.size, source.visits, source.open
    for place in range(source.open):
        target.basket[place] = source.basket[place]
