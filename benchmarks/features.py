"""What features cost: those of pairs by the product's kernels and by Polars, and all of them on one core.

``python -m benchmarks.features [--events 1e6] [--alone]``

A shop of so many events; one session in eight is cut and described, as in OTTO's test set, in chunks of 8,192 sessions.
Of three matrices Polars makes 18 features (sums, greatest and last shares, counts), the product these and 33 more; the
sums of the 18 must agree. Then all features and each group of them on one core, with four retrievers of drawn vectors:
what they say means nothing, it costs what it costs a run.
"""

import sys
import time
from dataclasses import dataclass
from os import sched_getaffinity

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.harness import Contender, events_parser, measure, show
from candidates.covisitation import fit_covisitation
from candidates.history import History
from candidates.neighbours import Neighbours
from candidates.pool import Arena, Candidates, build_pool
from candidates.settings import CandidatesSettings, NeighboursSettings
from events.columns import TARGETS
from events.lists import Lists
from events.log import SessionLog
from events.shop.settings import ShopSettings
from events.shop.walk import Shop
from features.assemble import FeatureBuilder
from features.items import fit_items
from features.settings import FeaturesSettings, Group
from models.index import ItemIndex
from models.searcher import Searcher

EVENTS_PER_SESSION = 16.8
DESCRIBED = 8
"""One session in so many is described."""
CHUNK = 8_192
MATRICES = ("clicks", "carts_orders", "buy2buy")
AFFINITY: tuple[Group, ...] = ("affinity",)
ALL: tuple[Group, ...] = tuple(group for group in FeaturesSettings().groups if group != "knowledge")
"""The shop has no table of items."""
SPACES = {"item2vec": (64, ()), "two_tower": (32, TARGETS), "gru4rec": (48, TARGETS), "sasrec": (48, TARGETS)}
"""Dimensions and targets of the default retrievers."""

C = pl.col
Sums = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Chunks of sessions with their candidates, and what describes them.

    neighbours : for each matrix, columns x, aid, share
    """

    chunks: list[tuple[SessionLog, Candidates]]
    builder: FeatureBuilder
    neighbours: dict[str, pl.DataFrame]


def draw_log(events: int) -> tuple[SessionLog, SessionLog]:
    """The log, and the sessions to describe, cut."""
    shop = Shop.of(ShopSettings(train_sessions=max(100, int(events / EVENTS_PER_SESSION)), test_sessions=0))
    n = shop.settings.train_sessions
    chunk = shop.walk(0, n)
    rows, ts = np.arange(n), (chunk.ts // 1_000).astype(np.int32)
    log = SessionLog(rows, rows, chunk.offsets, chunk.aids, ts, chunk.types, shop.settings.items)
    cuts = np.where(rows < n // DESCRIBED, shop.cuts(chunk), 0)
    seen = np.arange(chunk.aids.size) - np.repeat(chunk.offsets[:-1], np.diff(chunk.offsets)) < np.repeat(
        cuts, np.diff(chunk.offsets)
    )
    offsets = np.concatenate([[0], np.cumsum(cuts)]).astype(np.int64)
    visible = SessionLog(rows, rows, offsets, chunk.aids[seen], ts[seen], chunk.types[seen], log.n_items)
    return log, visible.slice(0, n // DESCRIBED)


class Drawn:
    """A retriever of random vectors; a session's is the sum of its items'."""

    needs: frozenset[str] = frozenset()

    def __init__(self, n_items: int, dim: int, targets: tuple[str, ...]) -> None:
        self.targets, self.known = targets, np.ones(n_items, np.bool_)
        self.vectors = np.random.default_rng(0).standard_normal((n_items, dim), np.float32)

    def item_vectors(self, target: str | None = None) -> npt.NDArray[np.float32]:  # noqa: ARG002
        """float32[n_items, d]."""
        return self.vectors

    def session_vectors(self, log: SessionLog, target: str | None = None) -> npt.NDArray[np.float32]:  # noqa: ARG002
        """float32[S, d]."""
        out = np.zeros((len(log), self.vectors.shape[1]), np.float32)
        np.add.at(out, log.owner(), self.vectors[log.aids])
        return out

    def revisits(self, log: SessionLog, target: str | None = None) -> npt.NDArray[np.float32] | None:  # noqa: ARG002
        """float32[N] where there are targets."""
        return np.ones(log.n_events, np.float32) if self.targets else None


def set_up(events: int, groups: tuple[Group, ...], threads: int = 0) -> Inputs:
    """Draw, count, propose; the kernels are compiled."""
    every = groups == ALL or "similarity" in groups
    cores = len(sched_getaffinity(0))
    log, cut = draw_log(events)
    recipes = CandidatesSettings.model_validate({}).recipes
    names = (*MATRICES, "next") if every else MATRICES
    matrices = fit_covisitation(log, {name: recipes[name] for name in names}, cores)
    sources = {name: Neighbours(name, NeighboursSettings(matrix=name), lists) for name, lists in matrices.items()}
    searchers = {}
    if every:
        for name, (dim, targets) in SPACES.items():
            drawn = Drawn(log.n_items, dim, targets)
            indices = {t: ItemIndex(drawn.vectors, drawn.known) for t in targets or (None,)}
            searchers[name] = Searcher(drawn, indices)
    chunks = []
    for start in range(0, len(cut), CHUNK):
        part = cut.slice(start, min(start + CHUNK, len(cut)))
        lists = {"history": History().recommend(part, 40)}
        lists |= {name: source.recommend(part, 40) for name, source in sources.items()}
        encoded = {name: searcher.encode(part) for name, searcher in searchers.items()}
        chunks.append((part, build_pool(lists, Arena(), encoded=encoded)))
    settings = FeaturesSettings(groups=groups)
    items = fit_items(log, settings, cores)
    builder = FeatureBuilder(settings, log.has, tuple(lists), items, matrices, threads or cores, searchers)
    first, candidates = chunks[0]
    builder.build(first, candidates, Arena())
    return Inputs(chunks, builder, {name: shares(lists) for name, lists in matrices.items()})


def shares(matrix: Lists) -> pl.DataFrame:
    """A row a neighbour."""
    x = np.repeat(np.arange(len(matrix), dtype=np.int32), matrix.lengths)
    frame = pl.DataFrame({"x": x, "aid": matrix.aids, "score": matrix.scores.astype(np.float64)})
    return frame.select("x", "aid", share=C("score") / C("score").sum().over("x")).filter(C("share").is_finite())


def by_kernels(inputs: Inputs) -> tuple[int, Sums]:
    """Rows, and the sum of each feature."""
    arena, rows, total = Arena(), 0, np.zeros(len(inputs.builder.names))
    for log, candidates in inputs.chunks:
        features = inputs.builder.build(log, candidates, arena)
        rows += len(candidates)
        total += features.sum(axis=0, dtype=np.float64)
    return rows, total


def by_kernels_warm(inputs: Inputs) -> tuple[int, int, float]:
    """Rows, features, and the seconds of their building alone, the best of four times: as in a run, buffers are there.

    In this process: the meter of :func:`measure` reads the memory map all the time, which slows wide buffers down.
    """
    arena, times = Arena(), []
    for _ in range(4):
        seconds = 0.0
        for log, candidates in inputs.chunks:
            began = time.perf_counter()
            inputs.builder.build(log, candidates, arena)
            seconds += time.perf_counter() - began
        times.append(seconds)
    return sum(len(candidates) for _, candidates in inputs.chunks), len(inputs.builder.names), min(times)


def by_polars(inputs: Inputs) -> tuple[int, Sums]:
    """The same in Polars."""
    settings, rows, total = FeaturesSettings(), 0, np.zeros(len(inputs.builder.names))
    for log, candidates in inputs.chunks:
        pairs = pl.LazyFrame({"session": candidates.owner(), "aid": candidates.aids})
        recent = recent_items(log, settings)
        out = pairs
        for name, neighbours in inputs.neighbours.items():
            found = affinity(recent, neighbours.lazy(), name)
            out = out.join(found, on=["session", "aid"], how="left", maintain_order="left")
        made = out.drop("session", "aid").with_columns(pl.all().cast(pl.Float32).fill_null(0.0)).collect()
        rows += made.height
        sums = made.select(pl.all().cast(pl.Float64).sum()).row(0, named=True)
        total += [sums.get(name, np.nan) for name in inputs.builder.names]
    return rows, total


def recent_items(log: SessionLog, settings: FeaturesSettings) -> pl.LazyFrame:
    """The last different items of each session, with their weights."""
    clicks, carts, orders = settings.type_weights
    low, tail = settings.oldest_exponent, settings.affinity_tail
    weight = pl.when(C("type") == 0).then(clicks).when(C("type") == 1).then(carts).otherwise(orders)
    events = pl.LazyFrame({"session": log.owner(), "x": log.aids, "type": log.types}).with_row_index("place")
    count = pl.len().over("session").cast(pl.Float64)
    exponent = low + (1 - low) * (count - 1 - C("newest")) / (count - 1)
    return (
        events.group_by("session", "x")
        .agg(C("place").max(), strength=weight.max())
        .with_columns(newest=C("place").rank("ordinal", descending=True).over("session").cast(pl.Int64) - 1)
        .filter(C("newest") < tail)
        .with_columns(recency=pl.when(count == 1).then(1.0).otherwise(2.0**exponent - 1.0))
    )


def affinity(recent: pl.LazyFrame, neighbours: pl.LazyFrame, name: str) -> pl.LazyFrame:
    """A row a session and neighbour of its items."""
    share, of = C("share"), f"affinity_{name}"
    return (
        recent.join(neighbours, on="x")
        .group_by("session", "aid")
        .agg(
            share.sum().alias(f"{of}_sum"),
            share.max().alias(f"{of}_max"),
            pl.len().alias(f"{of}_count"),
            (share * (C("newest") == 0)).sum().alias(f"{of}_last"),
            (share * C("recency")).sum().alias(f"{of}_recent"),
            (share * C("recency") * C("strength")).sum().alias(f"{of}_typed"),
        )
    )


def main(argv: list[str] | None = None) -> int:
    """Both, and the product with the features of the session's own history."""
    parser = events_parser("Features of pairs: kernels against Polars.", 1_000_000)
    parser.add_argument("--alone", action="store_true", help="without Polars, for large sizes")
    arguments = parser.parse_args(argv)
    events = int(arguments.events)
    ours, (rows, found) = measure(Contender(set_up, by_kernels, (events, AFFINITY)))
    wall, costs = {f"{found.size} affinities": ours.wall_s}, {}
    if not arguments.alone:
        costs["polars"], (_, expected) = measure(Contender(set_up, by_polars, (events, AFFINITY)))
        both = np.isfinite(expected)
        if not np.allclose(found[both], expected[both], rtol=1e-4):
            raise RuntimeError("the features differ")
        wall[f"{both.sum()} affinities, Polars"] = costs["polars"].wall_s
    ns = {name: seconds / rows * 1e9 for name, seconds in wall.items()}
    built, n_features, seconds = by_kernels_warm(set_up(events, ALL, 1))  # of a larger pool: one more matrix proposes
    ns[f"all {n_features} features, one core"] = seconds / built * 1e9
    for group in ALL:
        groups: tuple[Group, ...] = ("item", "match") if group == "match" else (group,)
        built, n_features, seconds = by_kernels_warm(set_up(events, groups, 1))
        ns[f"{n_features} of {' and '.join(groups)}, one core"] = seconds / built * 1e9
    ns = {name: round(each, 1) for name, each in ns.items()}
    for name, each in ns.items():
        print(f"{name}: {each} ns a row, {1e3 / each:.2f} M rows/s")
    show("features", events, ours, costs, rows=rows, wall_ns_per_row=ns)
    return 0


if __name__ == "__main__":
    sys.exit(main())
