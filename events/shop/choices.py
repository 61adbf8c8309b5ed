"""Which item comes next: from the whole shop, from a category, along an affinity, or out of one's own past."""

from math import exp

from events.compiled import kernel
from events.shop.state import Habits, State, next_uniform
from events.shop.world import World

TRIES = 12
"""How often a visitor who met an item out of season looks for another one."""

LOOKS = 3
"""How often a visitor looks back for an own item that he carted or ordered."""

LATEST = 0.6
"""Chance that an order takes the latest item of the basket, then the one before, and so on."""


@kernel
def season(world: World, habits: Habits, item: int, day: float) -> float:
    """Demand of an item on this day of the log over its full demand, 0 to 1."""
    rise = (day - world.appears[item]) / habits.rise_days
    if rise <= 0.0:
        return 0.0
    faded = day - world.fades[item]
    level = min(float(rise), 1.0)
    return level * exp(-float(faded) / habits.fade_days) if faded > 0.0 else level


@kernel
def in_season(world: World, habits: Habits, state: State, item: int) -> bool:
    """Draw whether the item is met today."""
    day = (state.clock - state.start) / 86_400_000.0
    chance = season(world, habits, item, day)
    return chance >= 1.0 or next_uniform(state) < chance


@kernel
def draw_between(world: World, habits: Habits, state: State, start: int, stop: int) -> int:
    """An item of ``start:stop`` by demand and season; -1 if none was met."""
    for _ in range(TRIES):
        goal = world.mass[start] + next_uniform(state) * (world.mass[stop] - world.mass[start])
        low, high = start, stop - 1
        while low < high:
            middle = (low + high) >> 1
            if world.mass[middle + 1] <= goal:
                low = middle + 1
            else:
                high = middle
        if in_season(world, habits, state, low):
            return low
    return -1


@kernel
def draw_of_category(world: World, habits: Habits, state: State, category: int) -> int:
    """An item of a category by demand and season; -1 if none was met."""
    return draw_between(world, habits, state, world.first[category], world.first[category + 1])


@kernel
def draw_of_shop(world: World, habits: Habits, state: State) -> int:
    """Any item by demand and season (the best seller, if none was met)."""
    item = draw_between(world, habits, state, 0, world.aids.size)
    return item if item >= 0 else 0


@kernel
def draw_related(world: World, habits: Habits, state: State, item: int, accessory_share: float) -> int:
    """An item that this one leads to; -1 if none was met in season."""
    substitutes = world.substitute_cdf.size
    for _ in range(TRIES):
        is_accessory = next_uniform(state) < accessory_share
        cdf = world.accessory_cdf if is_accessory else world.substitute_cdf
        goal = next_uniform(state)
        k = 0
        while k + 1 < cdf.size and cdf[k] <= goal:
            k += 1
        found = world.related[item, k + substitutes if is_accessory else k]
        if in_season(world, habits, state, found):
            return int(found)
    return -1


@kernel
def draw_own(habits: Habits, state: State) -> int:
    """An item of one's own past, recent ones and bought ones first."""
    place = 0
    for _ in range(LOOKS):
        back = int(state.size * next_uniform(state) ** habits.revisit_recency)
        place = state.size - 1 - back
        if state.types[place] != 0 or next_uniform(state) >= habits.revisit_buys:
            break
    return int(state.items[place])


@kernel
def draw_of_basket(state: State) -> int:
    """An item of the basket, the latest ones first."""
    for place in range(state.open - 1, 0, -1):
        if next_uniform(state) < LATEST:
            return int(state.basket[place])
    return int(state.basket[0])


@kernel
def count_own(state: State, item: int, kind: int) -> int:
    """How often the session held an event of this kind on the item."""
    items, types = state.items, state.types
    count = 0
    for place in range(state.size):
        if items[place] == item and types[place] == kind:
            count += 1
    return count
