"""What a future could have held: chances of its next events, summed up, tell more than the events that were drawn.

A cart after one click in five is seen in few of some hundred futures, its chance in each that comes by. These sums
rank the items that were drawn too seldom to be counted; they are not exact where futures are weighted by their length,
since what might have happened would have made another length.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from events.compiled import kernel
from events.shop.choices import LATEST, season
from events.shop.likelihood import Tables, between, of_shop, over_tries, own_places, related_weight
from events.shop.sessions import CART, CLICK, MOST_CARTED, ORDER, liking
from events.shop.state import MAX_EVENTS, Habits, State
from events.shop.world import World

NOTES = 8 * MAX_EVENTS

NEGLIGIBLE = 1e-3
"""Chance that an order looks deeper into the basket than is noted."""


class Sums(NamedTuple):
    """Labels of one session's futures, zeroed workspace for the n items of the shop.

    counted  : float64[3, n] weights of the futures that hold the label
    expected : float64[3, n] the same by the chances of the next events, up to a factor a target
    futures  : int32[3, n] futures that hold the label
    stamps   : int64[3, n] the last of them
    touched  : int32[3, n] items with any of these, the first ``sizes`` (int64[3])
    """

    counted: npt.NDArray[np.float64]
    expected: npt.NDArray[np.float64]
    futures: npt.NDArray[np.int32]
    stamps: npt.NDArray[np.int64]
    touched: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int64]


class Notes(NamedTuple):
    """Chances met in one future, kept until its weight is known: ``size[0]`` of (type, item, chance).

    marks : int64[3, n] ``future[0]``, if the future that has this number holds an event of the type on the item
    """

    types: npt.NDArray[np.int8]
    items: npt.NDArray[np.int32]
    chances: npt.NDArray[np.float64]
    size: npt.NDArray[np.int64]
    marks: npt.NDArray[np.int64]
    future: npt.NDArray[np.int64]


def new_sums(items: int) -> Sums:
    """Workspace for a shop of this many items."""
    shape = (3, items)
    return Sums(
        np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int32), np.zeros(shape, np.int64),
        np.empty(shape, np.int32), np.zeros(3, np.int64),
    )  # fmt: skip


def new_notes(items: int) -> Notes:
    """Room for the notes of a future in a shop of this many items."""
    return Notes(
        np.empty(NOTES, np.int8), np.empty(NOTES, np.int32), np.empty(NOTES), np.zeros(1, np.int64),
        np.zeros((3, items), np.int64), np.zeros(1, np.int64),
    )  # fmt: skip


@kernel
def new_future(notes: Notes) -> None:
    """Forget the notes and marks of the future before."""
    notes.size[0] = 0
    notes.future[0] += 1


@kernel
def touch(sums: Sums, kind: int, item: int) -> None:
    """List an item before its first sum."""
    if sums.counted[kind, item] == 0.0 and sums.expected[kind, item] == 0.0:
        sums.touched[kind, sums.sizes[kind]] = item
        sums.sizes[kind] += 1


@kernel
def expect(sums: Sums, known: npt.NDArray[np.bool_], kind: int, item: int, amount: float) -> None:
    """Add to what is expected of a known item."""
    if amount > 0.0 and known[item]:
        touch(sums, kind, item)
        sums.expected[kind, item] += amount


@kernel
def note_chances(world: World, habits: Habits, state: State, cut: int, notes: Notes) -> None:
    """Note the chances of carts and orders next, of items that have no such label since ``cut``; after every event.

    An order right after a cart is noted with the chance of the cart, not when the cart was drawn.
    """
    kind = state.types[state.size - 1]
    last = state.items[state.size - 1]
    marks, future = notes.marks, notes.future[0]
    types, items, chances, size = notes.types, notes.items, notes.chances, notes.size[0]
    if state.size > cut:
        marks[kind, last] = future
    more = habits.order_more if kind == ORDER and state.open > 0 else 0.0
    leaves, stays = 0.0, habits.visit_end[state.level]
    if state.size > 1:
        leaves = habits.leave_after_order if kind == ORDER else stays
        if kind == CART:
            leaves *= habits.leave_after_cart
    back = leaves * habits.visit_return[state.level]
    if kind == ORDER:
        back *= habits.return_after_order
    after_cart = habits.order_after_cart * (habits.order_later if state.visits > 0 else 1.0)
    buys = after_cart if kind == CART else habits.order_basket
    # That nothing follows is known not to be, at the cut.
    scale = 1.0 / (1.0 - (1.0 - more) * (leaves - back)) if state.size == cut else 1.0
    here = scale * (1.0 - more) * (1.0 - leaves)
    if state.open > 0:
        late = scale * (1.0 - more) * back * habits.order_on_return
        soon = scale * more + here * buys
        rest = 1.0
        basket = state.basket
        for place in range(state.open - 1, -1, -1):
            item = basket[place]
            share = rest * (LATEST if place > 0 else 1.0)
            rest -= share
            noted = kind == CART and item == last and state.size > cut
            if marks[ORDER, item] != future and size < NOTES:
                types[size], items[size], chances[size] = ORDER, item, share * (late if noted else soon + late)
                size += 1
            if rest < NEGLIGIBLE:
                break
        here *= 1.0 - buys
    if kind != ORDER and not (marks[CART, last] == future and marks[ORDER, last] == future):
        cart = habits.cart_more
        if kind != CART:
            cart = habits.cart * state.buyer * world.conversion[last]
            cart = min(cart * liking(state, last, habits.cart_seen, habits.cart_again, habits.rebuy), MOST_CARTED)
        cart *= here
        if marks[CART, last] != future and size < NOTES:
            types[size], items[size], chances[size] = CART, last, cart
            size += 1
        if marks[ORDER, last] != future and size < NOTES:
            share = LATEST if state.open > 0 else 1.0
            order = cart * (1.0 - stays * habits.leave_after_cart) * after_cart * share
            types[size], items[size], chances[size] = ORDER, last, order
            size += 1
    notes.size[0] = size


@kernel
def expect_notes(notes: Notes, known: npt.NDArray[np.bool_], weight: float, sums: Sums) -> None:
    """Add the chances of a future of this weight."""
    counted, expected = sums.counted, sums.expected
    touched, sizes = sums.touched, sums.sizes
    types, items, chances = notes.types, notes.items, notes.chances
    for place in range(notes.size[0]):
        kind, item = types[place], items[place]
        amount = weight * chances[place]
        if amount > 0.0 and known[item]:
            if counted[kind, item] == 0.0 and expected[kind, item] == 0.0:
                touched[kind, sizes[kind]] = item
                sizes[kind] += 1
            expected[kind, item] += amount


@kernel
def expect_clicks(
    world: World,
    habits: Habits,
    tables: Tables,
    state: State,
    own: npt.NDArray[np.float64],
    known: npt.NDArray[np.bool_],
    intent: int,
    clock: int,
    returned: bool,
    weight: float,
    sums: Sums,
) -> None:
    """Spread ``weight`` over the items that may be clicked next, ``clock`` being the time at which they are drawn.

    Of draws from the whole shop only the best sellers get their part.
    """
    if weight <= 0.0:
        return
    own_places(habits, state, own)
    day = (clock - state.start) / 86_400_000.0
    last = state.items[state.size - 1]
    look = habits.revisit_on_return if returned else min(habits.revisit, 1.0 - habits.repeat)
    fresh = 1.0 - look
    if not returned:
        fresh -= habits.repeat
        expect(sums, known, CLICK, last, weight * habits.repeat)
    clicked = state.types[state.size - 1] == CLICK
    share = habits.accessory_after_click if clicked else habits.accessory_after_buy
    fresh *= weight
    lost = 0.0
    for place in range(state.size):
        item = state.items[place]
        expect(sums, known, CLICK, item, weight * look * own[place])
        source = fresh * habits.wander * habits.wander_back * own[place]
        if place == state.size - 1:
            source += fresh * habits.wander * (1.0 - habits.wander_back)
        lost += expect_related(world, habits, known, item, share, day, source, sums)
    browsed = fresh * (1.0 - habits.wander) * habits.browse
    first, stop = world.first[intent], world.first[intent + 1]
    met = min(1.0, between(tables.present[intent], 24.0 * day))
    looks = browsed * over_tries(met) / (world.mass[stop] - world.mass[first])
    for item in range(first, stop):
        demand = world.mass[item + 1] - world.mass[item]
        expect(sums, known, CLICK, item, looks * demand * season(world, habits, item, day))
    lost += browsed * (1.0 - met * over_tries(met)) + fresh * (1.0 - habits.wander) * (1.0 - habits.browse)
    for item in tables.sellers:
        expect(sums, known, CLICK, item, lost * of_shop(world, habits, tables, item, day))


@kernel
def expect_related(
    world: World,
    habits: Habits,
    known: npt.NDArray[np.bool_],
    source: int,
    accessory_share: float,
    day: float,
    weight: float,
    sums: Sums,
) -> float:
    """Spread ``weight`` over the items that ``source`` leads to; return the part that leads nowhere."""
    substitutes = world.substitute_cdf.size
    met = 0.0
    for k in range(world.related.shape[1]):
        item = world.related[source, k]
        met += related_weight(world, k, substitutes, accessory_share) * season(world, habits, item, day)
    met = min(met, 1.0)
    looks = over_tries(met)
    for k in range(world.related.shape[1]):
        item = world.related[source, k]
        here = related_weight(world, k, substitutes, accessory_share) * season(world, habits, item, day)
        expect(sums, known, CLICK, item, weight * here * looks)
    return weight * (1.0 - met * looks)
