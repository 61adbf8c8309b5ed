"""How likely the generator's every choice is, in closed form: what an observer needs to judge an event by.

Each function is the probability of a draw made in :mod:`events.shop.choices` or :mod:`events.shop.sessions`, over all
of its retries. Two sums over the catalogue or the clock are tabled and interpolated (see :class:`Tables`), with
errors below a thousandth of themselves; all else is exact.
"""

from math import erfc, exp, log, pi, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from events.compiled import kernel
from events.shop.choices import LATEST, LOOKS, TRIES, season
from events.shop.sessions import HOUR_MS, TIMES_ASKED, demand_at
from events.shop.settings import ShopSettings
from events.shop.state import Habits, State
from events.shop.world import World

DAY_MS = 24 * HOUR_MS
CLOCK_STEPS = 96
"""Times of the day at which a return's demand is tabled."""

BUYER_STEP, BUYER_REACH = 0.25, 4.0
"""Grid of the visitor's hidden cart rate, in standard deviations: the trapezoid rule is all but exact on it."""

SELLERS = 500
"""Items of the highest demand that are tabled."""


class Tables(NamedTuple):
    """Sums that a likelihood needs.

    present : float64[C + 1, T] share of a category's demand (last: of the shop's) that is in season, by hour of the log
    welcome : float64[2, 97] chance that a return after hours (0) or days (1) is accepted, by the time it is drawn at
    buyers, weights : float64[G] values and probabilities of the hidden cart rate before any order
    sellers : int32[SELLERS or n] items of the highest demand in the shop
    """

    present: npt.NDArray[np.float64]
    welcome: npt.NDArray[np.float64]
    buyers: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    sellers: npt.NDArray[np.int32]


def make_tables(settings: ShopSettings, world: World, habits: Habits) -> Tables:
    """Tables of a shop; seconds for two million items.

    Raises
    ------
    ValueError
        If the time between events is not spread at all: it has no density then.
    """
    if min(habits.browse_gap_spread, habits.visit_gap_spread, habits.browse_gap_seconds, habits.order_gap_ms) <= 0:
        raise ValueError("times between events must be spread to have a likelihood")
    present = np.zeros((world.first.size, (settings.weeks + 1) * 7 * 24 + 2))
    fill_present(world, habits, present)
    z = np.arange(-6.0, 6.0, 0.002)
    chances = np.exp(-0.5 * z**2)
    welcome = np.empty((2, CLOCK_STEPS + 1))
    for m, median in enumerate((habits.same_day_hours, habits.visit_gap_hours)):
        later = median * np.exp(habits.visit_gap_spread * z)
        for step in range(CLOCK_STEPS + 1):
            hour = (step * 24.0 / CLOCK_STEPS + later) % 24.0
            demand = np.interp(hour, np.arange(25.0), world.rhythm)
            welcome[m, step] = np.average(demand, weights=chances)
    spread = habits.buyer_spread
    grid = np.arange(-BUYER_REACH, BUYER_REACH + BUYER_STEP / 2, BUYER_STEP) if spread > 0 else np.zeros(1)
    weights = np.exp(-0.5 * grid**2)
    sellers = np.argsort(-np.diff(world.mass), kind="stable")[:SELLERS].astype(np.int32)
    return Tables(present, welcome, np.exp(spread * grid - 0.5 * spread**2), weights / weights.sum(), sellers)


@kernel
def fill_present(world: World, habits: Habits, present: npt.NDArray[np.float64]) -> None:
    """Fill the zeroed ``present``."""
    categories = world.first.size - 1
    for c in range(categories):
        for item in range(world.first[c], world.first[c + 1]):
            demand = world.mass[item + 1] - world.mass[item]
            for hour in range(present.shape[1]):
                present[c, hour] += demand * season(world, habits, item, hour / 24.0)
        for hour in range(present.shape[1]):
            present[categories, hour] += present[c, hour]
            present[c, hour] /= world.mass[world.first[c + 1]] - world.mass[world.first[c]]
    for hour in range(present.shape[1]):
        present[categories, hour] /= world.mass[world.aids.size]


@kernel
def between(values: npt.NDArray[np.float64], place: float) -> float:
    """Linear interpolation in a row; ``place`` from 0 to its size - 1."""
    low = min(int(place), values.size - 2)
    return float(values[low] + (place - low) * (values[low + 1] - values[low]))


@kernel
def over_tries(met: float) -> float:
    """Sum of (1 - met)^t over the tries: expected looks of a visitor who stops at an item in season."""
    if met < 1e-9:
        return float(TRIES)
    return (1.0 - (1.0 - met) ** TRIES) / met


@kernel
def of_category(world: World, habits: Habits, tables: Tables, item: int, day: float) -> float:
    """Chance of the item among draws of its category."""
    c = world.category[item]
    demand = (world.mass[item + 1] - world.mass[item]) / (world.mass[world.first[c + 1]] - world.mass[world.first[c]])
    found = demand * season(world, habits, item, day) * over_tries(between(tables.present[c], 24.0 * day))
    return float(found)


@kernel
def category_empty(tables: Tables, category: int, day: float) -> float:
    """Chance that a draw of this category meets no item."""
    return (1.0 - min(1.0, between(tables.present[category], 24.0 * day))) ** TRIES


@kernel
def of_shop(world: World, habits: Habits, tables: Tables, item: int, day: float) -> float:
    """Chance of the item among draws of the whole shop."""
    met = min(1.0, between(tables.present[tables.present.shape[0] - 1], 24.0 * day))
    demand = (world.mass[item + 1] - world.mass[item]) / world.mass[world.aids.size]
    found = demand * season(world, habits, item, day) * over_tries(met)
    return float(found + (1.0 - met) ** TRIES if item == 0 else found)


@kernel
def related_weight(world: World, k: int, substitutes: int, accessory_share: float) -> float:
    """Chance that a look goes to the k-th related item."""
    if k < substitutes:
        weight = world.substitute_cdf[k] - (world.substitute_cdf[k - 1] if k > 0 else 0.0)
        return float(weight * (1.0 - accessory_share))
    k -= substitutes
    weight = world.accessory_cdf[k] - (world.accessory_cdf[k - 1] if k > 0 else 0.0)
    return float(weight * accessory_share)


@kernel
def of_related(
    world: World, habits: Habits, source: int, item: int, accessory_share: float, day: float
) -> tuple[float, float]:
    """Chance that ``source`` leads to ``item``, and chance that it leads nowhere."""
    substitutes = world.substitute_cdf.size
    met, hit = 0.0, 0.0
    for k in range(world.related.shape[1]):
        other = world.related[source, k]
        here = related_weight(world, k, substitutes, accessory_share) * season(world, habits, other, day)
        met += here
        if other == item:
            hit += here
    met = min(met, 1.0)
    return hit * over_tries(met), (1.0 - met) ** TRIES


@kernel
def own_places(habits: Habits, seen: State, chances: npt.NDArray[np.float64]) -> None:
    """Chance that a look back ends at each event so far, into ``chances``."""
    size = seen.size
    power = 1.0 / habits.revisit_recency
    rejected = 0.0
    for place in range(size):
        back = size - 1 - place
        chances[place] = ((back + 1) / size) ** power - (back / size) ** power
        if seen.types[place] == 0:
            rejected += chances[place] * habits.revisit_buys
    looks = 0.0
    for look in range(LOOKS - 1):
        looks += rejected**look
    for place in range(size):
        stops = 1.0 - habits.revisit_buys if seen.types[place] == 0 else 1.0
        chances[place] *= stops * looks + rejected ** (LOOKS - 1)


@kernel
def of_basket(seen: State, item: int) -> float:
    """Chance that an order takes this item of the basket."""
    rest = 1.0
    for place in range(seen.open - 1, -1, -1):
        here = rest * (LATEST if place > 0 else 1.0)
        if seen.basket[place] == item:
            return here
        rest -= here
    return 0.0


@kernel
def of_click(
    world: World,
    habits: Habits,
    tables: Tables,
    seen: State,
    own: npt.NDArray[np.float64],
    item: int,
    day: float,
    returned: bool,
    out: npt.NDArray[np.float64],
) -> None:
    """Chances of a click on the item, drawn on ``day``, given that the next event is a click.

    own : what :func:`own_places` found
    out : float64[4], the parts of the chance: [0] as a look back, the intent stays; as something new, [1] whatever the
          intent, [2] more if it is the item's category, [3] more for each unit of :func:`category_empty` of the intent
    """
    last = seen.items[seen.size - 1]
    mine = 0.0
    for place in range(seen.size):
        if seen.items[place] == item:
            mine += own[place]
    if returned:
        fresh = 1.0 - habits.revisit_on_return
        out[0] = habits.revisit_on_return * mine
    else:
        revisit = min(habits.revisit, 1.0 - habits.repeat)
        fresh = 1.0 - habits.repeat - revisit
        out[0] = revisit * mine + (habits.repeat if item == last else 0.0)
    clicked = seen.types[seen.size - 1] == 0
    share = habits.accessory_after_click if clicked else habits.accessory_after_buy
    led, lost = of_related(world, habits, last, item, share, day)
    if habits.wander_back > 0.0:
        led *= 1.0 - habits.wander_back
        lost *= 1.0 - habits.wander_back
        for place in range(seen.size):
            there, nowhere = of_related(world, habits, seen.items[place], item, share, day)
            led += habits.wander_back * own[place] * there
            lost += habits.wander_back * own[place] * nowhere
    shop = of_shop(world, habits, tables, item, day)
    browsed = (1.0 - habits.wander) * habits.browse
    out[1] = fresh * (habits.wander * (led + lost * shop) + (1.0 - habits.wander) * (1.0 - habits.browse) * shop)
    out[2] = fresh * browsed * of_category(world, habits, tables, item, day)
    out[3] = fresh * browsed * shop


@kernel
def normal_density(z: float) -> float:
    """Density of the standard normal distribution."""
    return exp(-0.5 * z * z) / sqrt(2.0 * pi)


@kernel
def of_pause(habits: Habits, seen: State, gap: int) -> float:
    """Chance (a millisecond) of a pause of ``gap`` within a visit."""
    median = 1000.0 * habits.browse_gap_seconds
    if seen.size == 1 and seen.clock + gap == seen.end - 1:  # a second event that would come later comes here
        if gap == 0:
            return 1.0
        return 0.5 * erfc(log(gap / median) / habits.browse_gap_spread / sqrt(2.0))
    middle = gap + 0.5
    return normal_density(log(middle / median) / habits.browse_gap_spread) / (habits.browse_gap_spread * middle)


@kernel
def of_order_gap(habits: Habits, gap: int) -> float:
    """Chance of ``gap`` milliseconds between two items of one order."""
    return exp(-gap / habits.order_gap_ms) - exp(-(gap + 1) / habits.order_gap_ms)


@kernel
def of_absence(world: World, habits: Habits, tables: Tables, seen: State, gap: int) -> float:
    """Chance (a millisecond) of ``gap`` between visits, given that another one follows."""
    middle = gap + 0.5
    welcome = demand_at(world, seen.clock + gap - seen.start)
    place = ((seen.clock - seen.start) % DAY_MS) / DAY_MS * CLOCK_STEPS
    total = 0.0
    for m in range(2):
        share = habits.same_day if m == 0 else 1.0 - habits.same_day
        median = HOUR_MS * (habits.same_day_hours if m == 0 else habits.visit_gap_hours)
        density = normal_density(log(middle / median) / habits.visit_gap_spread) / (habits.visit_gap_spread * middle)
        met = between(tables.welcome[m], place)
        missed = (1.0 - met) ** (TIMES_ASKED - 1)  # the last time stands, welcome or not
        total += share * density * (welcome * (1.0 - (1.0 - met) * missed) / met + (1.0 - welcome) * missed)
    return total
