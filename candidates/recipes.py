"""Recipes of co-visitation matrices: which pairs of a session's events count, and how much."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from events.columns import DAY, TARGETS
from events.settings import Frozen

EventType = Literal["clicks", "carts", "orders"]
Weight = Annotated[float, Field(ge=0, le=1000)]
ALL_TYPES: tuple[EventType, ...] = ("clicks", "carts", "orders")


PairKey = tuple[int | None, int, int, bool, bool]


class TypeWeights(Frozen):
    """A weight for each type of event."""

    clicks: Weight = 1.0
    carts: Weight = 1.0
    orders: Weight = 1.0

    def of(self, has_types: bool) -> tuple[float, float, float]:
        """Weights by type code; all 1 where the shop has no types."""
        return (self.clicks, self.carts, self.orders) if has_types else (1.0, 1.0, 1.0)


class Recipe(Frozen):
    """How one co-visitation matrix is counted.

    Of each session the events of the wanted types (or all) are kept, then the last ``tail`` of them. Every ordered
    pair of these events (x, y) with different items and less than ``window_seconds`` between them weighs

        type weight of y  *  (time_base + time_slope * (ts_x - t_first) / (t_last - t_first))
            *  |place_y - place_x| ^ -step_decay  /  (1 + |ts_y - ts_x| / gap_seconds)

    with the first and last time of the whole log, and places among the kept events. The matrix holds, for each item of
    x, the ``top_k`` items y of the largest sums over all sessions. The defaults of this class and of the three recipes
    that a run starts with are the public recipes of the OTTO competition.
    """

    tail: Annotated[int, Field(ge=2)] = 30
    """Last events of a session that are paired, after the types were filtered."""
    window_seconds: Annotated[int, Field(gt=0)] | None = DAY
    """Two events pair if they lie less than this apart; left out (TOML has no null: "none"), all of the tail pair."""
    types_x: tuple[EventType, ...] = ALL_TYPES
    """Types of the event that is looked up."""
    types_y: tuple[EventType, ...] = ALL_TYPES
    """Types of the event that is recommended."""
    type_weights: TypeWeights = TypeWeights()
    """By the type of y; all 1 where the shop has no types."""
    time_base: Weight = 1.0
    time_slope: Weight = 0.0
    """Weight added between the first and the last moment of the log; off where the shop has no time."""
    step_decay: Annotated[float, Field(ge=0, le=4)] = 0.0
    """Power by which the places between the two events weaken a pair; 0 for not at all."""
    gap_seconds: Annotated[float, Field(gt=0)] | None = None
    """Seconds between the two events at which a pair weighs half; left out, the gap does not matter."""
    kept: Literal["wanted", "all"] = "wanted"
    """Events that are kept for pairs of wanted types: only these, or all, so that the tail is the session's own."""
    direction: Literal["both", "forward"] = "both"
    """``both`` every ordered pair; ``forward`` only y after x (by place in the session)."""
    dedup: Literal["pair", "none"] = "pair"
    """``pair`` one count a session and pair of items: that of the latest x, and of the latest y for this x (by place
    in the session); ``none`` every pair of events counts."""
    top_k: Annotated[int, Field(ge=1, le=1000)] = 20

    @model_validator(mode="before")
    @classmethod
    def _window_none(cls, data: object) -> object:
        if isinstance(data, dict) and data.get("window_seconds") == "none":
            return {**data, "window_seconds": None}
        return data

    @model_validator(mode="after")
    def _has_types(self) -> "Recipe":
        if not self.types_x or not self.types_y:
            raise ValueError("types_x and types_y must name at least one type each")
        return self

    @property
    def needs(self) -> frozenset[str]:
        """What the recipe asks of a log: a window or a gap needs time, a filter of types needs types."""
        filters = set(self.types_x) != set(ALL_TYPES) or set(self.types_y) != set(ALL_TYPES)
        timed = self.window_seconds is not None or self.gap_seconds is not None
        wanted = (("time", timed), ("types", filters))
        return frozenset(name for name, there in wanted if there)

    @property
    def tails(self) -> tuple[int, int]:
        """What decides which events are kept: how many of a session, and of which types (a mask)."""
        wanted = type_mask(self.types_x) | type_mask(self.types_y)
        return self.tail, type_mask(ALL_TYPES) if self.kept == "all" else wanted

    @property
    def shaped(self) -> bool:
        """Whether what a pair weighs depends on the places or the time between x and y."""
        return self.step_decay > 0 or self.gap_seconds is not None

    @property
    def pairs(self) -> PairKey:
        """What decides which pairs of the kept events count: window, types of x and of y (masks), forward, dedup."""
        return (
            self.window_seconds,
            type_mask(self.types_x),
            type_mask(self.types_y),
            self.direction == "forward",
            self.dedup == "pair",
        )


def type_mask(types: tuple[EventType, ...]) -> int:
    """Bit c is set if the type with code c is among ``types``."""
    return sum(1 << TARGETS.index(name) for name in set(types))


def usable_recipes(recipes: dict[str, Recipe], has: frozenset[str]) -> tuple[dict[str, Recipe], dict[str, str]]:
    """Recipes that a log with these columns can serve, and for each of the others why not.

    >>> usable_recipes({"clicks": Recipe()}, frozenset())
    ({}, {'clicks': 'the shop has no time'})
    """
    left_out = {
        name: "the shop has no " + " and no ".join(sorted(recipe.needs - has))
        for name, recipe in recipes.items()
        if not recipe.needs <= has
    }
    return {name: recipe for name, recipe in recipes.items() if name not in left_out}, left_out
