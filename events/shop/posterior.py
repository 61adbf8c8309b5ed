"""What the visible events of a session tell of its hidden state: an exact filter over all that cannot be seen.

Hidden are the visitor's engagement level, his cart rate, the category he looks for and the one before, whether a pause
was the end of a visit, and, after several orders, how many of them were orders of their own. The first two never
change, the others are discrete, and every chance has a closed form (:mod:`events.shop.likelihood`), so that nothing is
sampled: the filter sums over all paths. Approximate are the grid of the cart rate and the likelihood's tables (below a
thousandth), and hypotheses below ``NEGLIGIBLE`` of the whole are dropped.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from events.compiled import kernel
from events.shop.likelihood import (
    Tables,
    category_empty,
    of_absence,
    of_basket,
    of_click,
    of_order_gap,
    of_pause,
    own_places,
)
from events.shop.sessions import CART, CLICK, MOST_CARTED, ORDER, liking
from events.shop.state import MAX_EVENTS, Habits, State, remember
from events.shop.world import World

HYPOTHESES = 256
"""Room for hypotheses; the lightest ones find none (the default shop rarely has ten)."""

NEGLIGIBLE = 1e-9

INTENT, BEFORE, LATER, ORDERS = range(4)
"""What a hypothesis says: the intent, the one before, whether a visit has ended (0, 1), orders of their own."""


class Belief(NamedTuple):
    """Posterior over the hidden state, and the workspace of its filter.

    keys    : int64[2, HYPOTHESES, 4] what each hypothesis says
    weights : float64[2, HYPOTHESES, L, G] its probability with each engagement level and cart rate
    counts  : int64[2] hypotheses there are; the posterior is in the first half, the second is workspace
    own     : float64[MAX_EVENTS], parts : float64[2, 4], stay, back : float64[L], cart : float64[G] workspace
    """

    keys: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    own: npt.NDArray[np.float64]
    parts: npt.NDArray[np.float64]
    stay: npt.NDArray[np.float64]
    back: npt.NDArray[np.float64]
    cart: npt.NDArray[np.float64]


def new_belief(levels: int, buyers: int) -> Belief:
    """Room for a posterior over this many levels and cart rates."""
    return Belief(
        np.zeros((2, HYPOTHESES, 4), np.int64), np.zeros((2, HYPOTHESES, levels, buyers)), np.zeros(2, np.int64),
        np.zeros(MAX_EVENTS), np.zeros((2, 4)), np.zeros(levels), np.zeros(levels), np.zeros(buyers),
    )  # fmt: skip


@kernel
def believe(
    world: World,
    habits: Habits,
    tables: Tables,
    seen: State,
    items: npt.NDArray[np.int32],
    types: npt.NDArray[np.int8],
    ts: npt.NDArray[np.int64],
    size: int,
    belief: Belief,
) -> float:
    """Fill ``belief`` from the first ``size`` events; return the log likelihood of all but the first of them.

    ``seen`` holds begin and end of the log; afterwards also what is visible: events, basket, clock. Minus infinity if
    the events cannot be of this shop.
    """
    seen.size, seen.open, seen.visits = 0, 0, 0
    seen.clock = ts[0]
    remember(seen, items[0], CLICK)
    intent = world.category[items[0]]
    belief.keys[0, 0, INTENT] = belief.keys[0, 0, BEFORE] = intent
    belief.keys[0, 0, LATER] = belief.keys[0, 0, ORDERS] = 0
    belief.counts[0] = 1
    for level in range(habits.level_cdf.size):
        share = habits.level_cdf[level] - (habits.level_cdf[level - 1] if level > 0 else 0.0)
        for g in range(tables.buyers.size):
            belief.weights[0, 0, level, g] = share * tables.weights[g]
    evidence = 0.0
    for event in range(1, size):
        weigh_event(world, habits, tables, seen, items[event], types[event], ts[event] - seen.clock, belief)
        total = settle(belief)
        if total <= 0.0:
            return -np.inf
        evidence += np.log(total)
        seen.clock = ts[event]
        remember(seen, items[event], types[event])
    return evidence


@kernel
def weigh_event(
    world: World, habits: Habits, tables: Tables, seen: State, item: int, kind: int, gap: int, belief: Belief
) -> None:
    """Multiply out every way in which the next event can come about, into the second half; mirrors ``sessions.step``.

    Weights are then joint with the event: their sum is its likelihood (a millisecond).
    """
    latest = seen.types[seen.size - 1]
    last = seen.items[seen.size - 1]
    more = habits.order_more if latest == ORDER and seen.open > 0 else 0.0
    pause = (1.0 - more) * of_pause(habits, seen, gap)
    absence = (1.0 - more) * of_absence(world, habits, tables, seen, gap) if seen.size > 1 else 0.0
    for level in range(belief.stay.size):
        leaves = habits.leave_after_order if latest == ORDER else habits.visit_end[level]
        if latest == CART:
            leaves *= habits.leave_after_cart
        belief.stay[level] = pause * (1.0 if seen.size == 1 else 1.0 - leaves)
        belief.back[level] = absence * leaves * habits.visit_return[level]
        if latest == ORDER:
            belief.back[level] *= habits.return_after_order
    basket = of_basket(seen, item) if kind == ORDER else 0.0
    likes = habits.cart * world.conversion[last]
    likes *= liking(seen, last, habits.cart_seen, habits.cart_again, habits.rebuy)
    if kind == CLICK:
        own_places(habits, seen, belief.own)
        day = (seen.clock - seen.start) / 86_400_000.0
        later = (seen.clock + gap - seen.start) / 86_400_000.0
        of_click(world, habits, tables, seen, belief.own, item, day, False, belief.parts[0])
        of_click(world, habits, tables, seen, belief.own, item, later, True, belief.parts[1])
    else:
        day = later = 0.0
    belief.counts[1] = 0
    for h in range(belief.counts[0]):
        key = belief.keys[0, h]
        satisfied = habits.satisfied ** key[ORDERS]
        if kind == ORDER and more > 0.0:
            common = more * basket * of_order_gap(habits, gap)
            add(belief, h, key[INTENT], key[BEFORE], key[LATER], key[ORDERS], common, 0, 0)
        for g in range(belief.cart.size):
            chance = habits.cart_more if latest == CART else 0.0
            if latest == CLICK:
                chance = min(tables.buyers[g] * satisfied * likes, MOST_CARTED)
            belief.cart[g] = chance
        # Within the visit.
        buys = 0.0
        if seen.open > 0:
            buys = habits.order_basket
            if latest == CART:
                buys = habits.order_after_cart * (habits.order_later if key[LATER] > 0 else 1.0)
        if kind == ORDER:
            add(belief, h, key[INTENT], key[BEFORE], key[LATER], key[ORDERS] + 1, buys * basket, 1, 0)
        elif kind == CART and item == last:
            add(belief, h, key[INTENT], key[BEFORE], key[LATER], key[ORDERS], 1.0 - buys, 1, 1)
        elif kind == CLICK:
            empty = category_empty(tables, key[INTENT], day)
            click(world, belief, h, key[INTENT], key[BEFORE], key[LATER], item, 1.0 - buys, 0, empty)
        # First in a later visit, on the intent or on the one before.
        if belief.back.max() <= 0.0 or kind == CART:
            continue
        buys = habits.order_on_return if seen.open > 0 else 0.0
        for swap in range(2):
            resumes = habits.resume_intent if swap else 1.0 - habits.resume_intent
            intent, before = (key[BEFORE], key[INTENT]) if swap else (key[INTENT], key[BEFORE])
            if kind == ORDER:
                add(belief, h, intent, before, 1, key[ORDERS] + 1, resumes * buys * basket, 2, 0)
            else:
                empty = category_empty(tables, intent, later)
                click(world, belief, h, intent, before, 1, item, resumes * (1.0 - buys), 1, empty)


@kernel
def click(
    world: World,
    belief: Belief,
    h: int,
    intent: int,
    before: int,
    later: int,
    item: int,
    common: float,
    returned: int,
    empty: float,
) -> None:
    """Add the ways in which a click comes about: as a look back, which keeps the intent, or as something new."""
    parts = belief.parts[returned]
    buyer = 0 if returned else 2  # within the visit it is no cart
    orders = belief.keys[0, h, ORDERS]
    add(belief, h, intent, before, later, orders, common * parts[0], 1 + returned, buyer)
    category = world.category[item]
    fresh = parts[1] + parts[3] * empty
    if category == intent:
        add(belief, h, intent, before, later, orders, common * (fresh + parts[2]), 1 + returned, buyer)
    else:
        add(belief, h, category, intent, later, orders, common * fresh, 1 + returned, buyer)


@kernel
def add(
    belief: Belief, h: int, intent: int, before: int, later: int, orders: int, common: float, level: int, buyer: int
) -> None:
    """Add hypothesis ``h`` times a chance to the hypothesis that it turns into.

    The chance is ``common`` times a factor of the level (0: none, 1: stay, 2: come back) times one of the cart rate
    (0: none, 1: cart, 2: no cart).
    """
    if common <= 0.0:
        return
    keys, count = belief.keys[1], belief.counts[1]
    to = 0
    while to < count and (
        keys[to, INTENT] != intent
        or keys[to, BEFORE] != before
        or keys[to, LATER] != later
        or keys[to, ORDERS] != orders
    ):
        to += 1
    if to == HYPOTHESES:
        return
    if to == count:
        keys[to, INTENT], keys[to, BEFORE], keys[to, LATER], keys[to, ORDERS] = intent, before, later, orders
        belief.weights[1, to] = 0.0
        belief.counts[1] += 1
    for one in range(belief.stay.size):
        factor = common
        if level > 0:
            factor *= belief.stay[one] if level == 1 else belief.back[one]
        for g in range(belief.cart.size):
            rate = 1.0
            if buyer > 0:
                rate = belief.cart[g] if buyer == 1 else 1.0 - belief.cart[g]
            belief.weights[1, to, one, g] += belief.weights[0, h, one, g] * factor * rate


@kernel
def settle(belief: Belief) -> float:
    """Bring the second half to the first, heaviest hypotheses first, so that they sum to 1; return their sum before."""
    count = belief.counts[1]
    masses = np.zeros(count)
    for h in range(count):
        masses[h] = belief.weights[1, h].sum()
    total = masses.sum()
    belief.counts[0] = 0
    if total <= 0.0:
        return 0.0
    for h in np.argsort(-masses, kind="mergesort"):
        if masses[h] < NEGLIGIBLE * total:
            break
        to = belief.counts[0]
        belief.keys[0, to] = belief.keys[1, h]
        belief.weights[0, to] = belief.weights[1, h] / total
        belief.counts[0] += 1
    return float(total)


@kernel
def accumulate(belief: Belief, cumulative: npt.NDArray[np.float64]) -> int:
    """Running sum of the posterior over (hypothesis, level, cart rate) into ``cumulative``; return its size."""
    size, total = 0, 0.0
    for h in range(belief.counts[0]):
        for level in range(belief.stay.size):
            for g in range(belief.cart.size):
                total += belief.weights[0, h, level, g]
                cumulative[size] = total
                size += 1
    return size


@kernel
def draw_hidden(
    habits: Habits, tables: Tables, belief: Belief, cumulative: npt.NDArray[np.float64], u: float, state: State
) -> int:
    """Set the hidden part of a state from the posterior, ``u`` in [0, 1); return the hypothesis."""
    goal = u * cumulative[-1]
    cell = min(int(np.searchsorted(cumulative, goal, side="right")), cumulative.size - 1)
    buyers, levels = belief.cart.size, belief.stay.size
    h = cell // (buyers * levels)
    key = belief.keys[0, h]
    state.level = cell // buyers % levels
    state.buyer = tables.buyers[cell % buyers] * habits.satisfied ** key[ORDERS]
    state.intent, state.intent_before, state.visits = key[INTENT], key[BEFORE], key[LATER]
    return h
