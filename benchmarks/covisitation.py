"""Co-visitation against Polars, pandas and scipy: ``python -m benchmarks.covisitation --events 1e7``.

Fits the three public matrices (clicks, carts-orders, buy2buy) on a synthetic shop. The baselines do the same work with
a self-join, chunk by chunk of sessions; their lists must be ours. ``scipy`` only multiplies the session-item matrix
with its transpose, for one matrix without window, weights or selection. ``--alone`` leaves the baselines out, so that
the full size can be timed (``--events 2.17e8``); ``--recipes twenty`` fits more recipes at once.
"""

import json
import sys
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
from scipy.sparse import csr_matrix

from benchmarks.harness import Contender, Cost, events_parser, measure, show
from candidates.covisitation import fit_covisitation
from candidates.recipe_sets import RECIPE_SETS
from candidates.recipes import Recipe, type_mask
from events.lists import Lists
from events.log import SessionLog
from events.shop.settings import ShopSettings
from events.shop.walk import Shop

EVENTS_PER_SESSION = 16.85
CHUNK = 100_000
"""Sessions that a baseline joins at a time."""
THREADS = 2


@cache
def shop_log(events: int) -> SessionLog:
    """About so many events of a synthetic shop."""
    settings = ShopSettings(train_sessions=round(events / EVENTS_PER_SESSION))
    chunk = Shop.of(settings).walk(0, settings.train_sessions)
    rows = np.arange(settings.train_sessions, dtype=np.int64)
    seconds = (chunk.ts // 1000).astype(np.int32)
    return SessionLog(rows, rows, chunk.offsets, chunk.aids, seconds, chunk.types, settings.items)


def set_up(events: int, recipes: str) -> tuple[SessionLog, dict[str, Recipe]]:
    """The log and the recipes, the kernels compiled."""
    chosen = RECIPE_SETS[recipes]
    fit_covisitation(shop_log(events).slice(0, 1_000), chosen)
    return shop_log(events), chosen


def ours(inputs: tuple[SessionLog, dict[str, Recipe]]) -> list[int]:
    """Fit; what the lists come to."""
    return [digest(matrix) for matrix in fit_covisitation(*inputs, threads=THREADS).values()]


def digest(matrix: Lists) -> int:
    """A sum over all neighbours and scores, rounded so that the order of additions does not matter."""
    place = np.arange(matrix.aids.size) - np.repeat(matrix.offsets[:-1], matrix.lengths)
    score = np.rint(matrix.scores.astype(np.float64) * 1_000).astype(np.int64)
    return int((matrix.aids.astype(np.int64) * (place + 1) + score).sum())


def tail_of(log: SessionLog, start: int, recipe: Recipe) -> dict[str, npt.NDArray[Any]]:
    """The last events of a chunk of sessions, of the wanted types."""
    part = log.slice(start, min(start + CHUNK, len(log)))
    types, ts = part.types, part.ts
    assert types is not None
    assert ts is not None
    kept = (type_mask(recipe.types_x) >> types) & 1 == 1
    owner = part.owner()[kept]
    last = np.searchsorted(owner, owner, side="right")
    tail = last - np.arange(owner.size) <= recipe.tail
    columns = {"session": owner, "aid": part.aids[kept], "ts": ts[kept], "type": types[kept]}
    return {name: column[tail] for name, column in columns.items()} | {"event": np.arange(int(tail.sum()))}


def weight_of(recipe: Recipe, log: SessionLog, ts_x: Any, types_y: Any) -> npt.NDArray[np.int64]:
    """Weight of pairs in units of 2^-20: whole numbers, so that sums of any order agree."""
    assert log.ts is not None
    age = (ts_x - int(log.ts.min())) / int(log.ts.max() - log.ts.min())
    by_type = np.array(recipe.type_weights.of(True))
    return np.rint(by_type[types_y] * (recipe.time_base + recipe.time_slope * age) * 2**20).astype(np.int64)


def polars_join(inputs: tuple[SessionLog, dict[str, Recipe]]) -> list[int]:
    """A self-join of each chunk, summed up, then the best of each item."""
    log, recipes = inputs
    found = []
    for recipe in recipes.values():
        sums: pl.DataFrame | None = None
        for start in range(0, len(log), CHUNK):
            tail = pl.DataFrame(tail_of(log, start, recipe)).lazy()
            joined = (
                tail.join(tail, on="session", suffix="_y")
                .filter(pl.col("aid") != pl.col("aid_y"))
                .filter((pl.col("ts") - pl.col("ts_y")).abs() < recipe.window_seconds)
                .sort("event", "event_y", descending=True)
                .unique(["session", "aid", "aid_y"], keep="first")
                .select("aid", "aid_y", "ts", "type_y")
                .collect()
            )
            weight = weight_of(recipe, log, joined["ts"].to_numpy(), joined["type_y"].to_numpy())
            part = joined.select("aid", "aid_y", weight=weight).group_by("aid", "aid_y").agg(pl.col("weight").sum())
            both = part if sums is None else pl.concat([sums, part])
            sums = both.group_by("aid", "aid_y").agg(pl.col("weight").sum())
        assert sums is not None
        best = (
            sums.with_columns((pl.col("weight") / 2**20).cast(pl.Float32))
            .sort(["aid", "weight", "aid_y"], descending=[False, True, False])
            .group_by("aid", maintain_order=True)
            .head(recipe.top_k)
        )
        found.append(_digest_of(best["aid"].to_numpy(), best["aid_y"].to_numpy(), best["weight"].to_numpy(), log))
    return found


def pandas_join(inputs: tuple[SessionLog, dict[str, Recipe]]) -> list[int]:
    """The public notebooks' recipe."""
    log, recipes = inputs
    found = []
    for recipe in recipes.values():
        sums: pd.DataFrame | None = None
        for start in range(0, len(log), CHUNK):
            tail = pd.DataFrame(tail_of(log, start, recipe)).sort_values("event", ascending=False)
            pairs = tail.merge(tail, on="session", suffixes=("", "_y"))
            pairs = pairs[
                ((pairs["ts"] - pairs["ts_y"]).abs() < recipe.window_seconds) & (pairs["aid"] != pairs["aid_y"])
            ]
            pairs = pairs.drop_duplicates(["session", "aid", "aid_y"])
            pairs["weight"] = weight_of(recipe, log, pairs["ts"].to_numpy(), pairs["type_y"].to_numpy())
            part = pairs.groupby(["aid", "aid_y"], sort=False, as_index=False)["weight"].sum()
            both = part if sums is None else pd.concat([sums, part])
            sums = both.groupby(["aid", "aid_y"], sort=False, as_index=False)["weight"].sum()
        assert sums is not None
        sums["weight"] = (sums["weight"] / 2**20).astype(np.float32)
        best = sums.sort_values(["aid", "weight", "aid_y"], ascending=[True, False, True])
        best = best.groupby("aid").head(recipe.top_k)
        found.append(_digest_of(best["aid"].to_numpy(), best["aid_y"].to_numpy(), best["weight"].to_numpy(), log))
    return found


def _digest_of(aids: Any, others: Any, weights: Any, log: SessionLog) -> int:
    offsets = np.searchsorted(aids, np.arange(log.n_items + 1)).astype(np.int64)
    return digest(Lists(offsets, others, weights))


def scipy_product(inputs: tuple[SessionLog, dict[str, Recipe]]) -> int:
    """The product of the item-session matrix and its transpose; returns its entries."""
    log, recipes = inputs
    owners, aids, start = [], [], 0
    while start < len(log):
        tail = tail_of(log, start, recipes["clicks"])
        owners.append(tail["session"] + start)
        aids.append(tail["aid"])
        start += CHUNK
    owner, aid = np.concatenate(owners), np.concatenate(aids)
    x = csr_matrix((np.ones(owner.size, np.float32), (owner, aid)), shape=(len(log), log.n_items))
    return int((x.T.tocsr() @ x).nnz)


BASELINES = {"polars self-join": polars_join, "pandas merge": pandas_join, "scipy X'X (one, unranked)": scipy_product}


def main(argv: list[str] | None = None) -> int:
    """Run, print the table, then the JSON line."""
    parser = events_parser("Co-visitation against self-joins.", 1_000_000)
    parser.add_argument("--alone", action="store_true", help="without the baselines")
    parser.add_argument("--recipes", choices=RECIPE_SETS, default="three", help="set of recipes")
    arguments = parser.parse_args(argv)
    events = int(arguments.events)
    cost, lists = measure(Contender(set_up, ours, (events, arguments.recipes)))
    costs: dict[str, Cost] = {}
    more: dict[str, Any] = {"recipes": len(RECIPE_SETS[arguments.recipes])}
    if not arguments.alone:
        agree = {}
        for name, work in BASELINES.items():
            costs[name], found = measure(Contender(set_up, work, (events, "three")))
            if isinstance(found, list):
                agree[name] = found == lists
        more["agree"] = agree
        print(f"the same lists: {json.dumps(agree)}")
    show("covisitation", events, cost, costs, **more)
    return 0


if __name__ == "__main__":
    sys.exit(main())
