"""Sets of recipes by name: more views of the same pairs than a default run needs.

Many matrices, each of its own window, weights and direction, were worth +.015 over three in the OTTO competition (the
published twenty-matrix solutions). All that keep the same events of a session share one pass over the log.
"""

from typing import Final

from candidates.recipes import Recipe, TypeWeights
from candidates.settings import DEFAULT_RECIPES, HISTORY_WEIGHTS
from events.columns import DAY, HOUR

MINUTE: Final = 60
BUYS: Final = TypeWeights(clicks=0, carts=1, orders=1)

TWENTY: Final[dict[str, Recipe]] = {
    **DEFAULT_RECIPES,
    # windows
    "minutes": Recipe(window_seconds=10 * MINUTE),
    "hour": Recipe(window_seconds=HOUR),
    "days": Recipe(window_seconds=3 * DAY),
    "fortnight": Recipe(window_seconds=14 * DAY),
    # weights: what is recent, what is near, what is bought
    "recent": Recipe(time_base=0, time_slope=1),
    "near": Recipe(step_decay=1),
    "quick": Recipe(gap_seconds=5 * MINUTE),
    "bought": Recipe(window_seconds=14 * DAY, type_weights=BUYS),
    "bought_soon": Recipe(type_weights=BUYS, gap_seconds=HOUR),
    # what comes later
    "next_quick": Recipe(direction="forward", gap_seconds=5 * MINUTE),
    "next_near": Recipe(direction="forward", step_decay=1),
    "next_recent": Recipe(direction="forward", time_base=0, time_slope=1, type_weights=HISTORY_WEIGHTS),
    # from one type to another
    "clicks_to_carts": Recipe(types_x=("clicks",), types_y=("carts",), kept="all"),
    "clicks_to_orders": Recipe(window_seconds=14 * DAY, types_x=("clicks",), types_y=("orders",), kept="all"),
    "carts_to_orders": Recipe(window_seconds=14 * DAY, types_x=("carts",), types_y=("orders",), kept="all"),
    "carts_to_carts": Recipe(window_seconds=14 * DAY, types_x=("carts",), types_y=("carts",)),
    "orders_to_orders": Recipe(window_seconds=None, types_x=("orders",), types_y=("orders",)),
}

PUBLIC: Final = {name: DEFAULT_RECIPES[name] for name in ("clicks", "carts_orders", "buy2buy")}
"""The three matrices of the public notebooks."""
