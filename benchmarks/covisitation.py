"""Co-visitation against dataframes: ``python -m benchmarks.covisitation [--events 1e6] [--log FOLDER]``.

The three public matrices (clicks, carts_orders, buy2buy) by the product, by a Polars self-join and by the pandas
recipe, both in chunks of sessions; all three must agree to the last bit. The item-item products of scipy, implicit
and sparse_dot_topn (the latter two where they are installed) make one matrix of session counts, without window or
weights: they count less. Beside them: the product's buy2buy alone, and its twenty-one recipes at once.
"""

import hashlib
import itertools
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

from benchmarks.harness import Contender, events_parser, measure, show
from candidates.covisitation import fit_covisitation
from candidates.recipe_sets import PUBLIC, TWENTY
from candidates.recipes import Recipe, type_mask
from events.log import SessionLog
from events.shop.settings import ShopSettings
from events.shop.walk import Shop

CHUNK = 250_000
"""Events a chunk of the self-joins, so that its pairs stay within 2 GiB."""
PAIR = ["session", "aid_x", "aid_y"]
SETS = {"three": PUBLIC, "buy2buy": {"buy2buy": PUBLIC["buy2buy"]}, "twenty": TWENTY}
Digests = dict[str, str]


def read(folder: str | None, events: int) -> SessionLog:
    """About so many events: the first sessions of a saved log, or of a synthetic shop."""
    if folder is not None:
        log = SessionLog.load(Path(folder))
    else:
        sessions = max(1_000, events // 16)
        chunk = Shop.of(ShopSettings(train_sessions=sessions)).walk(0, sessions)
        items, aids = np.unique(chunk.aids, return_inverse=True)
        rows = np.arange(sessions)
        seconds = (chunk.ts // 1000).astype(np.int32)
        log = SessionLog(rows, rows, chunk.offsets, aids.astype(np.int32), seconds, chunk.types, items.size)
    return log.slice(0, int(np.searchsorted(log.offsets, events, side="right")) - 1)


def digest(x: npt.NDArray[Any], y: npt.NDArray[Any], scores: npt.NDArray[Any]) -> str:
    """Digest of neighbours in their order."""
    parts = (x.astype(np.int64), y.astype(np.int64), scores.astype(np.float32))
    return hashlib.blake2b(b"".join(part.tobytes() for part in parts), digest_size=8).hexdigest()


def ours_set_up(folder: str | None, events: int, names: str) -> tuple[SessionLog, dict[str, Recipe]]:
    """The log, and recipes whose kernels are compiled."""
    log = read(folder, events)
    fit_covisitation(log.slice(0, 100), SETS[names], threads=2)
    return log, SETS[names]


def ours(held: tuple[SessionLog, dict[str, Recipe]]) -> Digests:
    """The product, on two threads."""
    log, recipes = held
    matrices = fit_covisitation(log, recipes, threads=2)
    if len(recipes) > len(PUBLIC):
        return {}
    return {
        name: digest(np.repeat(np.arange(len(one)), one.lengths), one.aids, one.scores)
        for name, one in matrices.items()
    }


def _chunks(log: SessionLog, recipe: Recipe) -> Iterator[dict[str, npt.NDArray[Any]]]:
    """Columns of the kept tails, chunk by chunk; ``weight`` in quanta is that of a pair by its x, ``gain`` by its y."""
    assert log.ts is not None
    assert log.types is not None
    first, last = int(log.ts.min()), int(log.ts.max())
    gains = np.array(recipe.type_weights.of(True))
    bounds = np.searchsorted(log.offsets, np.arange(0, log.n_events + CHUNK, CHUNK))
    bounds[-1] = len(log)
    for start, stop in itertools.pairwise(bounds):
        part = log.slice(int(start), int(stop))
        assert part.ts is not None
        assert part.types is not None
        kept = np.flatnonzero((type_mask(recipe.types_x) >> part.types) & 1)
        owner = part.owner()[kept]
        ends = np.searchsorted(owner, owner, side="right")
        tail = ends - np.arange(kept.size) <= recipe.tail
        kept, owner, place = kept[tail], owner[tail], (ends - np.arange(kept.size))[tail]
        factor = recipe.time_base + recipe.time_slope * ((part.ts[kept].astype(np.int64) - first) / (last - first))
        yield {
            "session": owner.astype(np.int32), "aid": part.aids[kept], "ts": part.ts[kept],
            "place": (recipe.tail - place).astype(np.int64), "factor": factor, "gain": gains[part.types[kept]],
        }  # fmt: skip


def by_polars(log: SessionLog) -> Digests:
    """A self-join a chunk, the latest pair of a session by a maximum of (places, weight), then sums and top k."""
    return {name: _polars(log, recipe) for name, recipe in PUBLIC.items()}


def _polars(log: SessionLog, recipe: Recipe) -> str:
    sums = []
    quanta = (pl.col("gain_y") * pl.col("factor") * 2.0**20).round().cast(pl.Int64)
    for columns in _chunks(log, recipe):
        events = pl.LazyFrame(columns)
        pairs = (
            events.join(events.drop("factor"), on="session", suffix="_y")
            .filter(pl.col("aid") != pl.col("aid_y"), (pl.col("ts") - pl.col("ts_y")).abs() < recipe.window_seconds)
            .select("session", "aid", "aid_y", key=((pl.col("place") * 32 + pl.col("place_y")) * 2**40) + quanta)
            .group_by("session", "aid", "aid_y")
            .agg(pl.col("key").max())
        )
        sums.append(pairs.group_by("aid", "aid_y").agg((pl.col("key") % 2**40).sum()).collect())
    best = (
        pl.concat(sums).lazy().group_by("aid", "aid_y").agg(pl.col("key").sum())
        .with_columns(score=(pl.col("key") / 2.0**20).cast(pl.Float32))
        .sort("aid", "score", "aid_y", descending=[False, True, False])
        .group_by("aid", maintain_order=True).head(recipe.top_k).collect()
    )  # fmt: skip
    return digest(*(best[name].to_numpy() for name in ("aid", "aid_y", "score")))


def by_pandas(log: SessionLog) -> Digests:
    """The public notebooks' merge, a chunk at a time."""
    return {name: _pandas(log, recipe) for name, recipe in PUBLIC.items()}


def _pandas(log: SessionLog, recipe: Recipe) -> str:
    sums = []
    for columns in _chunks(log, recipe):
        events = pd.DataFrame(columns)
        pairs = events.merge(events, on="session", suffixes=("_x", "_y"))
        near = (pairs["ts_x"] - pairs["ts_y"]).abs() < recipe.window_seconds
        pairs = pairs[near & (pairs["aid_x"] != pairs["aid_y"])]
        pairs = pairs.sort_values(["session", "place_x", "place_y"], ascending=[True, False, False])
        pairs = pairs.drop_duplicates(PAIR)
        weights = np.rint(pairs["gain_y"] * pairs["factor_x"] * 2.0**20).astype(np.int64)
        sums.append(weights.groupby([pairs["aid_x"], pairs["aid_y"]]).sum())
    total = pd.concat(sums).groupby(level=[0, 1]).sum().rename("sum").reset_index()
    total["score"] = (total["sum"] / 2.0**20).astype(np.float32)
    best = total.sort_values(["aid_x", "score", "aid_y"], ascending=[True, False, True])
    best = best.groupby("aid_x").head(recipe.top_k)
    return digest(*(best[name].to_numpy() for name in ("aid_x", "aid_y", "score")))


def matrix_set_up(folder: str | None, events: int) -> Any:
    """Float32 CSR of sessions and items, 1 where a session's last 30 events hold the item."""
    sparse: Any = import_module("scipy.sparse")
    log = read(folder, events)
    owner = log.owner()
    tail = log.offsets[owner + 1] - np.arange(log.n_events) <= 30
    cells = (np.ones(int(tail.sum()), np.float32), (owner[tail], log.aids[tail]))
    made = sparse.csr_matrix(cells, shape=(len(log), log.n_items))
    made.data[:] = 1
    return made


def by_scipy(matrix: Any) -> int:
    """The whole product X'X, without a top k."""
    return int((matrix.T.tocsr() @ matrix).nnz)


def by_implicit(matrix: Any) -> int:
    """Cosine item-item top 20."""
    model = import_module("implicit.nearest_neighbours").CosineRecommender(K=21, num_threads=2)
    model.fit(matrix, show_progress=False)
    return int(model.similarity.nnz)


def by_sparse_dot_topn(matrix: Any) -> int:
    """Item-item counts, top 20."""
    product = import_module("sparse_dot_topn").sp_matmul_topn(matrix.T.tocsr(), matrix, top_n=21, n_threads=2)
    return int(product.nnz)


def main(argv: list[str] | None = None) -> int:
    """Measure all, check that the outputs agree, print the table."""
    parser = events_parser("Co-visitation against dataframes and item-item products.", 1_000_000)
    parser.add_argument("--log", help="folder of a saved session log, in place of a synthetic shop")
    parser.add_argument("--alone", action="store_true", help="the product only")
    arguments = parser.parse_args(argv)
    source = (arguments.log, int(arguments.events))
    cost, wanted = measure(Contender(ours_set_up, ours, (*source, "three")))
    others = {
        f"ours: {name}": measure(Contender(ours_set_up, ours, (*source, name)))[0] for name in ("buy2buy", "twenty")
    }
    if not arguments.alone:
        for name, work in (("polars self-join", by_polars), ("pandas merge", by_pandas)):
            others[name], found = measure(Contender(read, work, source))
            if found != wanted:
                raise RuntimeError(f"{name} disagrees: {found}, not {wanted}")
        counting = {"scipy": by_scipy, "implicit": by_implicit, "sparse_dot_topn": by_sparse_dot_topn}
        for name, product in counting.items():
            if find_spec(name) is not None:
                others[f"{name} (counts less)"], _ = measure(Contender(matrix_set_up, product, source))
    show("covisitation", source[1], cost, others)
    return 0


if __name__ == "__main__":
    sys.exit(main())
