"""One visitor, event by event: each step draws what happens next from the state, at the moment it happens."""

from math import exp, log

import numpy as np
import numpy.typing as npt

from events.compiled import kernel
from events.randomness import mix, uniform
from events.shop.choices import (
    count_own,
    draw_of_basket,
    draw_of_category,
    draw_of_shop,
    draw_own,
    draw_related,
)
from events.shop.state import MAX_EVENTS, Habits, State, begin_draws, next_normal, next_uniform, remember
from events.shop.world import World

HOUR_MS = 3_600_000
CLICK, CART, ORDER = 0, 1, 2
MOST_CARTED = 0.8
"""The highest chance of a cart."""

TIMES_ASKED = 24
"""Times that a returning visitor thinks of; he takes the first that suits the rhythm of the day, or the last."""


@kernel
def arrival(seed: int, arrivals: npt.NDArray[np.float64], row: int, rows: int) -> int:
    """Milliseconds after the log's begin at which session ``row`` of ``rows`` starts; ascending with the row."""
    goal = (row + uniform(seed, row)) / rows
    hour = min(int(np.searchsorted(arrivals, goal, side="right")) - 1, arrivals.size - 2)
    return int((hour + (goal - arrivals[hour]) / (arrivals[hour + 1] - arrivals[hour])) * HOUR_MS)


@kernel
def begin(
    world: World, habits: Habits, state: State, seed: int, session: int, start: int, clock: int, end: int
) -> None:
    """Let a session enter at ``clock`` (unix ms; ``start`` and ``end`` of the log) and look at its first item."""
    state.seed = mix(seed, session)
    state.stream, state.size, state.visits, state.open = 0, 0, 0, 0
    state.start, state.clock, state.end = start, min(clock, end - 1), end
    begin_draws(state)
    state.level = min(np.searchsorted(habits.level_cdf, next_uniform(state), side="right"), habits.visit_end.size - 1)
    spread = habits.buyer_spread
    state.buyer = exp(spread * next_normal(state) - 0.5 * spread * spread)
    item = draw_of_shop(world, habits, state)
    state.intent = state.intent_before = world.category[item]
    remember(state, item, CLICK)


@kernel
def step(world: World, habits: Habits, state: State) -> bool:
    """Draw the next event into the state; false, and nothing remembered, if the session is over."""
    if state.size == MAX_EVENTS:
        return False
    begin_draws(state)
    item = state.items[state.size - 1]
    kind = state.types[state.size - 1]
    if kind == ORDER and state.open > 0 and next_uniform(state) < habits.order_more:
        return happen(state, draw_of_basket(state), ORDER, habits.order_gap_ms * -log(1.0 - next_uniform(state)))

    returned = False
    if state.size > 1:  # no session of a single event
        leaves = habits.leave_after_order if kind == ORDER else habits.visit_end[state.level]
        if kind == CART:
            leaves *= habits.leave_after_cart
        if next_uniform(state) < leaves:
            if not come_back(world, habits, state, kind == ORDER):
                return False
            returned = True
    pause = 0.0
    if not returned:
        pause = 1000.0 * habits.browse_gap_seconds * exp(habits.browse_gap_spread * next_normal(state))

    if state.open > 0:
        chance = habits.order_on_return if returned else habits.order_basket
        if kind == CART and not returned:
            chance = habits.order_after_cart * (habits.order_later if state.visits > 0 else 1.0)
        if next_uniform(state) < chance:
            state.buyer *= habits.satisfied
            return happen(state, draw_of_basket(state), ORDER, pause)
    if kind != ORDER and not returned:
        chance = habits.cart_more if kind == CART else cart_chance(world, habits, state, item)
        if next_uniform(state) < chance:
            return happen(state, item, CART, pause)
    return happen(state, next_click(world, habits, state, returned), CLICK, pause)


@kernel
def happen(state: State, item: int, kind: int, pause: float) -> bool:
    """Remember the event ``pause`` milliseconds later, unless the log ends before; a second event always fits."""
    clock = state.clock + int(pause)
    if clock >= state.end:
        if state.size > 1:
            return False
        clock = state.end - 1
    state.clock = clock
    remember(state, item, kind)
    return True


@kernel
def come_back(world: World, habits: Habits, state: State, after_order: bool) -> bool:
    """Draw whether another visit follows and set the clock to its start, by the rhythm of the day."""
    chance = habits.visit_return[state.level] * (habits.return_after_order if after_order else 1.0)
    if next_uniform(state) >= chance:
        return False
    clock = state.clock
    median = habits.same_day_hours if next_uniform(state) < habits.same_day else habits.visit_gap_hours
    for _ in range(TIMES_ASKED):
        hours = median * exp(habits.visit_gap_spread * next_normal(state))
        clock = state.clock + int(hours * HOUR_MS)
        if next_uniform(state) < demand_at(world, clock - state.start):
            break
    if clock >= state.end:
        return False
    state.clock = clock
    state.visits += 1
    if next_uniform(state) < habits.resume_intent:
        state.intent, state.intent_before = state.intent_before, state.intent
    return True


@kernel
def demand_at(world: World, elapsed: int) -> float:
    """Demand, 0 to 1, at a moment given in milliseconds after the log's begin."""
    hour = (elapsed / HOUR_MS) % 24.0
    low = int(hour)
    return float(world.rhythm[low] + (hour - low) * (world.rhythm[low + 1] - world.rhythm[low]))


@kernel
def cart_chance(world: World, habits: Habits, state: State, item: int) -> float:
    """Chance that the item just clicked goes into the basket."""
    again = liking(state, item, habits.cart_seen, habits.cart_again, habits.rebuy)
    return min(float(habits.cart * state.buyer * world.conversion[item] * again), MOST_CARTED)


@kernel
def liking(state: State, item: int, cart_seen: float, cart_again: float, rebuy: float) -> float:
    """Factor of the item's history on the chance of a cart (numbers alone: habits as argument cost more than it)."""
    factor = 1.0
    if count_own(state, item, CLICK) > 1:
        factor *= cart_seen
    basket = state.basket
    for place in range(state.open):
        if basket[place] == item:
            factor *= cart_again
    if count_own(state, item, ORDER) > 0:
        factor *= rebuy
    return factor


@kernel
def next_click(world: World, habits: Habits, state: State, returned: bool) -> int:
    """The next item looked at: the same again, an own one, a related one, one of the intent, or something new."""
    last = int(state.items[state.size - 1])
    if returned:
        if next_uniform(state) < habits.revisit_on_return:
            return draw_own(habits, state)
    else:
        u = next_uniform(state)
        if u < habits.repeat:
            return last
        if u < habits.repeat + habits.revisit:
            return draw_own(habits, state)
    found = -1
    if next_uniform(state) < habits.wander:
        source = draw_own(habits, state) if next_uniform(state) < habits.wander_back else last
        bought = state.types[state.size - 1] != CLICK
        found = draw_related(
            world, habits, state, source, habits.accessory_after_buy if bought else habits.accessory_after_click
        )
    elif next_uniform(state) < habits.browse:
        found = draw_of_category(world, habits, state, state.intent)
    if found < 0:
        found = draw_of_shop(world, habits, state)
    if world.category[found] != state.intent:
        state.intent_before, state.intent = state.intent, int(world.category[found])
    return found
