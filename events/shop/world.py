"""What the shop is, before anyone enters: its catalogue, demand over time, affinities. Drawn from the seed alone."""

from math import erf
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from events.columns import HOUR, WEEK
from events.compiled import kernel
from events.randomness import mix, uniform, uniforms
from events.shop.settings import ShopSettings

NIGHT = (0.3, 0.15, 0.06, 0.0, 0.0, 0.04, 0.15, 0.32)
DAY = (0.45, 0.54, 0.6, 0.63, 0.64, 0.65, 0.66, 0.67)
EVENING = (0.7, 0.75, 0.83, 0.94, 1.0, 0.96, 0.78, 0.52)
RHYTHM = np.array([*NIGHT, *DAY, *EVENING])
"""Demand in each hour of the local day, 0 in the deepest night to 1 in the best hour (floored by ``night_share``)."""


class World(NamedTuple):
    """The catalogue as arrays, an item being its place in it (sorted by category, best sellers first).

    aids         : int32[n]    the item's id in the log: a permutation, so that ids say nothing
    category     : int32[n]    hidden category of the item
    first        : int64[C+1]  items of category c are ``first[c]:first[c+1]``
    mass         : float64[n+1] cumulative demand; ``mass[i+1] - mass[i]`` is the demand of item i while it is in season
    related      : int32[n, K] items that the item leads to: substitutes, then accessories
    conversion   : float32[n]  factor on the chance of a cart
    appears      : float32[n]  day of the log on which the item appears (negative: before)
    fades        : float32[n]  day on which it begins to fade (far away: never)
    substitute_cdf, accessory_cdf : float64[...] cumulative weights of the affinities by their rank
    rhythm       : float64[25] demand by hour of the local day, at most 1; the last repeats the first
    arrivals     : float64[H+1], test_arrivals : float64[169] cumulative share of sessions started, by hour of the log
    """

    aids: npt.NDArray[np.int32]
    category: npt.NDArray[np.int32]
    first: npt.NDArray[np.int64]
    mass: npt.NDArray[np.float64]
    related: npt.NDArray[np.int32]
    conversion: npt.NDArray[np.float32]
    appears: npt.NDArray[np.float32]
    fades: npt.NDArray[np.float32]
    substitute_cdf: npt.NDArray[np.float64]
    accessory_cdf: npt.NDArray[np.float64]
    rhythm: npt.NDArray[np.float64]
    arrivals: npt.NDArray[np.float64]
    test_arrivals: npt.NDArray[np.float64]


# One independent family of draws for each thing drawn.
ORDER, SIZES, PLACES, BIRTHS, DEATHS, TASTES, CATEGORY_TASTES, LINKS, PERMUTATION = range(1, 10)


def make_world(settings: ShopSettings) -> World:
    """Draw the shop. Time and memory are linear in the number of items (2 million: seconds, 0.3 GB)."""
    n = settings.items
    seeds = [int(mix(settings.seed, 1_000 + kind)) >> 1 for kind in range(10)]
    demand = _demand(settings, n)
    category, first = _categories(settings, seeds, demand)
    # Within its category an item stands by demand, best first; ties cannot matter (equal demand).
    order = np.lexsort((-demand, category))
    demand, category = demand[order], category[order]

    counters = np.arange(n)
    births, deaths = uniforms(seeds[BIRTHS], counters), uniforms(seeds[DEATHS], counters)
    days = settings.weeks * 7.0
    appears = np.where(births < settings.newcomer_share, births / settings.newcomer_share * days, -1e3)
    fades = np.where(deaths < settings.fading_share, deaths / settings.fading_share * (days + 7), 1e6)
    present = _presence(settings, appears, fades, days)
    # An item that is there for half of the time sells its share in that half: it trends.
    mass = np.zeros(n + 1)
    np.cumsum(demand / np.maximum(present, 0.15), out=mass[1:])

    taste = np.exp(settings.category_conversion_spread * _normals(seeds[CATEGORY_TASTES], first.size - 1))[category]
    taste *= np.exp(settings.item_conversion_spread * _normals(seeds[TASTES], n))
    taste /= np.average(taste, weights=demand)

    related = np.empty((n, settings.substitutes + settings.accessories), np.int32)
    fill_related(seeds[LINKS], category, first, settings.substitutes, settings.affinity_reach, related)
    return World(
        aids=np.argsort(uniforms(seeds[PERMUTATION], counters), kind="stable").astype(np.int32),
        category=category,
        first=first,
        mass=mass,
        related=related,
        conversion=taste.astype(np.float32),
        appears=appears.astype(np.float32),
        fades=fades.astype(np.float32),
        substitute_cdf=_zipf_cdf(settings.substitutes, settings.substitute_decay),
        accessory_cdf=_zipf_cdf(settings.accessories, settings.accessory_decay),
        rhythm=np.append(np.maximum(RHYTHM, settings.night_share), max(RHYTHM[0], settings.night_share)),
        arrivals=_arrivals(settings, 0, settings.weeks),
        test_arrivals=_arrivals(settings, settings.weeks, 1),
    )


def _normals(seed: int, n: int) -> npt.NDArray[np.float64]:
    """n standard normal draws (Box and Muller)."""
    u, v = uniforms(seed, np.arange(n)), uniforms(seed, np.arange(n, 2 * n))
    return np.asarray(np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v))


def _normal_quantiles(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Standard normal quantiles by inverting a fine table of the cumulative distribution."""
    grid = np.linspace(-6, 6, 4_801)
    return np.interp(p, [0.5 * (1 + erf(z / 2**0.5)) for z in grid], grid)


def _demand(settings: ShopSettings, n: int) -> npt.NDArray[np.float64]:
    """float64[n] expected events of each item, descending: the popularity curve at n equally likely places."""
    z = _normal_quantiles((n - np.arange(n) - 0.5) / n)
    demand = np.exp(np.interp(z, settings.popularity_normal, settings.popularity_log))
    for _ in range(20):  # a cap lowers the sum that it is a share of
        demand = np.minimum(demand, settings.popularity_cap * demand.sum())
    return np.asarray(demand)


def _categories(
    settings: ShopSettings, seeds: list[int], demand: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Category of each item and the categories' bounds; categories are numbered by total demand, largest first."""
    count = max(2, round(demand.size / settings.category_items))
    sizes = np.exp(settings.category_spread * _normals(seeds[SIZES], count))
    cdf = np.cumsum(sizes) / sizes.sum()
    drawn = np.searchsorted(cdf, uniforms(seeds[PLACES], np.arange(demand.size)), side="right")
    drawn = np.minimum(drawn, count - 1)
    totals = np.bincount(drawn, weights=demand, minlength=count)
    by_demand = np.argsort(-totals, kind="stable")
    by_demand = by_demand[totals[by_demand] > 0]
    number = np.zeros(count, np.int32)
    number[by_demand] = np.arange(by_demand.size, dtype=np.int32)
    category = number[drawn]
    first = np.zeros(by_demand.size + 1, np.int64)
    np.cumsum(np.bincount(category, minlength=by_demand.size), out=first[1:])
    return category, first


def _presence(settings: ShopSettings, appears: Any, fades: Any, days: float) -> npt.NDArray[np.float64]:
    """float64[n] an item's demand averaged over the days of train, weighted by the visitors that there are."""
    total, weights = np.zeros(appears.size), 0.0
    for day in np.arange(0.5, days):
        weight = float(np.exp(-0.3 * settings.weekly_decline * day / 7))  # returning visitors soften the decline
        rising = np.clip((day - appears) / settings.rise_days, 0, 1)
        total += weight * rising * np.exp(-np.maximum(0, day - fades) / settings.fade_days)
        weights += weight
    return np.asarray(total / weights)


def _zipf_cdf(k: int, decay: float) -> npt.NDArray[np.float64]:
    weights = (np.arange(k) + 1.0) ** -decay
    return np.asarray(np.cumsum(weights) / weights.sum())


def _arrivals(settings: ShopSettings, first_week: int, weeks: int) -> npt.NDArray[np.float64]:
    hours = np.arange(weeks * WEEK // HOUR)
    rate = np.maximum(RHYTHM, settings.night_share)[hours % 24]
    rate = rate * np.exp(-settings.weekly_decline * (first_week + hours * HOUR / WEEK))
    return np.append(0.0, np.cumsum(rate) / rate.sum())


@kernel
def fill_related(
    seed: int,
    category: npt.NDArray[np.int32],
    first: npt.NDArray[np.int64],
    substitutes: int,
    reach: float,
    related: npt.NDArray[np.int32],
) -> None:
    """Draw the directed affinities into int32[n, K].

    A related item has about the same popularity rank in its category, and an accessory's category about the same
    demand, so that demand flows along the affinities without piling up.
    """
    n, width = related.shape
    count = first.size - 1
    for x in range(n):
        c = category[x]
        own = first[c + 1] - first[c]
        place = (x - first[c] + 0.5) / own
        key = int(mix(seed, x))
        for k in range(width):
            target = c
            if k >= substitutes:  # two categories of accessories for each category
                side = int(mix(seed, -1 - (c * 2 + (k & 1))))
                shift = (0.7 + 0.9 * uniform(side, 0)) if k & 1 else 1.0 / (0.7 + 0.9 * uniform(side, 0))
                target = int((c + 0.5) * shift + 2.0 * uniform(side, 1))
                if target >= count:  # reflected at the smallest: all of the rest would meet there
                    target = max(0, 2 * count - 1 - target)
                if target == c:
                    target = c + 1 if c + 1 < count else c - 1
            size = first[target + 1] - first[target]
            radius = np.sqrt(-2.0 * np.log(1.0 - uniform(key, 2 * k)))
            normal = radius * np.cos(2.0 * np.pi * uniform(key, 2 * k + 1))
            goal = place * np.exp(reach * normal)
            goal = goal if goal < 1.0 else 1.0 / goal  # reflected at the least popular
            rank = min(int(goal * size), size - 1)
            for _ in range(size):  # the next one, if this one is taken
                y = first[target] + rank
                taken = y == x
                for j in range(k):
                    taken = taken or related[x, j] == y
                if not taken:
                    break
                rank = (rank + 1) % size
            related[x, k] = first[target] + rank
