"""The public co-visitation recipe in pandas and dictionaries: the obvious slow version."""

from collections import defaultdict

import numpy as np
import pandas as pd

from candidates.recipes import Recipe
from events.columns import TARGETS
from events.log import SessionLog

Neighbours = list[list[tuple[int, float]]]


def slow_matrix(log: SessionLog, recipe: Recipe) -> Neighbours:
    """For each item its best (item, score) pairs."""
    frame = pd.DataFrame(
        {"session": log.owner(), "aid": log.aids, "type": log.type_codes(), "event": range(log.n_events)}
    )
    frame["ts"] = 0 if log.ts is None else log.ts
    x_types = [TARGETS.index(name) for name in recipe.types_x]
    y_types = [TARGETS.index(name) for name in recipe.types_y]
    if recipe.kept == "wanted":
        frame = frame[frame["type"].isin(x_types + y_types)]
    frame = frame.sort_values(["session", "event"], ascending=[True, False])
    frame["place"] = -frame.groupby("session").cumcount()
    frame = frame[frame["place"] > -recipe.tail]
    pairs = frame.merge(frame, on="session", suffixes=("_x", "_y"))
    pairs = pairs[pairs["aid_x"] != pairs["aid_y"]]
    pairs = pairs[pairs["type_x"].isin(x_types) & pairs["type_y"].isin(y_types)]
    if recipe.window_seconds is not None:
        pairs = pairs[(pairs["ts_x"] - pairs["ts_y"]).abs() < recipe.window_seconds]
    if recipe.direction == "forward":
        pairs = pairs[pairs["event_y"] > pairs["event_x"]]
    pairs = pairs.sort_values(["session", "event_x", "event_y"], ascending=[True, False, False])
    if recipe.dedup == "pair":
        pairs = pairs.drop_duplicates(["session", "aid_x", "aid_y"])

    first, last = (0, 0) if log.ts is None or log.ts.size == 0 else (int(log.ts.min()), int(log.ts.max()))
    sums: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    weights = recipe.type_weights
    by_type = [weights.clicks, weights.carts, weights.orders] if log.has_types else [1.0, 1.0, 1.0]
    pairs["steps"] = (pairs["place_x"] - pairs["place_y"]).abs()
    pairs["gap"] = (pairs["ts_x"] - pairs["ts_y"]).abs()
    for x, y, ts, code, steps, gap in pairs[["aid_x", "aid_y", "ts_x", "type_y", "steps", "gap"]].itertuples(
        index=False
    ):
        age = (ts - first) / (last - first) if last > first else 0.0
        factor = recipe.time_base + recipe.time_slope * age if log.has_time else 1.0
        shape = float(steps) ** -recipe.step_decay / (1.0 + gap / (recipe.gap_seconds or np.inf))
        sums[x][y] += round(by_type[code] * 2**20 * factor * shape)
    matrix: Neighbours = []
    for x in range(log.n_items):
        scored = [(y, float(np.float32(total / 2**20))) for y, total in sums[x].items() if total > 0]
        matrix.append(sorted(scored, key=lambda pair: (-pair[1], pair[0]))[: recipe.top_k])
    return matrix
