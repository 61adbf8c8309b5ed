"""What each retriever is worth: ``python -m benchmarks.ablation [--sessions 1000000] [--config configs/shop.toml]``.

Runs the stages to ``features`` on a synthetic shop with every retriever of the config, then asks of each of them

- its own weighted recall@20;
- what it adds to the pool's recall@100 (in the order of summed reciprocal ranks) beside the sources without vectors,
  and what is lost when it alone is left out of all;
- what the rankers gain from its columns (place and score of its list, similarity to the session) on the pool of all,
  beside the columns without vectors, and what is lost when it alone is left out.

Rankers are trained on a sample of the validation sessions and compared on the others, paired by session, with 95 %
intervals. Every variant ranks the same candidates. The last line is one JSON object.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import machine
from candidates.pool import Arena, Candidates, build_pool
from candidates.source_set import SourceSet
from events.columns import WEIGHTS
from events.compiled import ROOT
from events.labels import Labels, take_labels
from events.lists import Lists
from events.log import SessionLog
from events.passes import PassData
from rankers.folds import REPORTED, sample_sessions
from rankers.matrix import TrainingMatrix, read_matrix
from rankers.models import Rankers
from rankers.scoring import chunks
from rankers.settings import RankersSettings
from rankers.topk import reciprocal_rank_scores, top_lists
from rankers.training import train_rankers
from scripts import candidates, covisit, features, prepare, retrievers
from scripts.artifacts import open_builder, open_pass, open_sources
from scripts.cli import open_run
from scripts.pipeline import Run, run_stage
from submissions.bootstrap import Interval, bootstrap_total
from submissions.metrics import Hits, count_hits
from submissions.report import spread, table

TOP = 20
POOL = 100
NONE, ALL = "none of them", "all of them"

ByTarget = dict[str, Hits]


@dataclass(frozen=True, slots=True)
class Row:
    """A retriever's line: its own recall@20, and differences with their intervals, in points of weighted recall."""

    retriever: str
    own_at_20: float
    pool_alone: Interval
    pool_without: Interval
    ranker_alone: Interval
    ranker_without: Interval


def belongs(column: str, retriever: str) -> bool:
    """Whether a column of the pool or a feature speaks of a retriever.

    >>> belongs("rank_gru4rec_clicks", "gru4rec"), belongs("rank_near_next", "gru4rec")
    (True, False)
    """
    return re.search(rf"(^|_){re.escape(retriever)}(_|$)", column) is not None


def without(columns: Iterable[str], retrievers: Iterable[str]) -> list[str]:
    """The columns that speak of none of these."""
    return [column for column in columns if not any(belongs(column, one) for one in retrievers)]


def variants(names: list[str]) -> dict[str, list[str]]:
    """Each variant with the retrievers that it goes without."""
    found = {NONE: names, ALL: []}
    for name in names:
        found[f"+{name}"] = [one for one in names if one != name]
        found[f"-{name}"] = [name]
    return found


def weighted(hits: ByTarget) -> float:
    """Weighted recall over the targets that have labels."""
    recalls = {target: one.recall for target, one in hits.items() if one.recall is not None}
    total = sum(WEIGHTS[target] for target in recalls)
    return sum(WEIGHTS[target] * (recall or 0.0) for target, recall in recalls.items()) / max(total, 1e-12)


def difference(hits: Mapping[str, ByTarget], one: str, other: str, groups: Any) -> Interval:
    """Interval of the recall of ``one`` less that of ``other``, paired by session."""
    found = bootstrap_total(hits[one], groups, minus=hits[other])
    assert found is not None
    return found


def add(
    total: dict[str, dict[str, list[Hits]]], variant: str, lists: Mapping[str, Lists], labels: Labels, k: int
) -> None:
    """Append the hits of a chunk."""
    for target, one in lists.items():
        total.setdefault(variant, {}).setdefault(target, []).append(count_hits(one, labels[target], k))


def joined(total: dict[str, dict[str, list[Hits]]]) -> dict[str, ByTarget]:
    """The chunks of every variant and target in one."""
    return {variant: {t: Hits.concat(parts) for t, parts in by.items()} for variant, by in total.items()}


def train_variants(
    matrix: TrainingMatrix, settings: RankersSettings, kept: Mapping[str, list[str]], work: Path, threads: int
) -> dict[str, Rankers]:
    """Rankers of each variant, on its columns of the one matrix; finished fits are kept in ``work``."""
    found = {}
    for variant, names in kept.items():
        mine = replace(matrix, names=tuple(names), digest=f"{matrix.digest} {variant}")
        found[variant] = train_rankers(mine, settings, work / variant.replace(" ", "_"), threads=threads)
    return found


def own_lists(sources: SourceSet, lists: Mapping[str, Lists], name: str, targets: tuple[str, ...]) -> dict[str, Lists]:
    """The lists of one retriever, for each target."""
    columns = {target: column for column, (source, target) in sources.columns.items() if source == name}
    return {target: lists[columns[target if target in columns else None]] for target in targets}


def fused(pool: Candidates, targets: tuple[str, ...]) -> dict[str, Lists]:
    """The pool's best hundred for each target."""
    return {target: top_lists(pool, reciprocal_rank_scores(pool, target), POOL) for target in targets}


def shop_parser(description: str, sessions: int, trained: int) -> argparse.ArgumentParser:
    """Arguments of a comparison of rankers on a synthetic shop, with these defaults."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--sessions", type=int, default=sessions, help="train sessions of the synthetic shop")
    made.add_argument("--trained", type=int, default=trained, help="validation sessions that rankers are trained on")
    made.add_argument("--scored", type=int, default=150_000, help="validation sessions to compare on, at most")
    made.add_argument("--config", type=Path, default=ROOT / "configs" / "shop.toml")
    made.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    made.add_argument("--folder", type=Path, help="keep the run here, and go on with it; default: a temporary one")
    return made


def run_to_features(arguments: argparse.Namespace, folder: Path) -> Run:
    """The run of these arguments, with the training matrix of its validation pass."""
    assignments = [f"runs={folder}", f"shop.train_sessions={arguments.sessions}"]
    assignments += [f"rankers.max_sessions={arguments.trained}", *arguments.assignments]
    run = open_run(arguments.config, assignments)
    run_stage(prepare.STAGE, run, "")
    for module in (covisit, retrievers, candidates, features):
        run_stage(module.STAGE, run, "validation")
    return run


def of_one_fit(settings: RankersSettings) -> RankersSettings:
    """Settings by which each model is one fit, stopped by a part of the matrix; who is compared on lies outside it."""
    return settings.model_copy(update={"folds": 1, "holdout_share": 0.05, "submission": "mean_of_folds"})


def outside_matrix(log: SessionLog, matrix: TrainingMatrix, sessions: int, seed: int) -> Any:
    """int64[n] rows of at most ``sessions`` target sessions, of no group that the matrix holds."""
    rows = np.flatnonzero(~np.isin(log.groups, matrix.groups))
    return rows[sample_sessions(log.groups[rows], sessions, seed, REPORTED)]


def compare(run: Run, data: PassData, names: list[str], sessions: int, work: Path) -> tuple[list[Row], dict[str, Any]]:
    """Train, score and compare every variant; at most ``sessions`` of those not trained on are scored."""
    assert data.labels is not None
    settings = of_one_fit(run.settings.rankers)
    matrix = read_matrix(run.need(data.name, "features") / "matrix.parquet")
    kept = {variant: without(matrix.names, less) for variant, less in variants(names).items()}
    threads = run.settings.n_threads
    rankers = train_variants(matrix, settings, kept, work, threads)

    log = data.target_log
    rows = outside_matrix(log, matrix, sessions, settings.seed)
    sources = open_sources(run, data)
    builder = open_builder(run, data, sources)
    arena, scratch = Arena(), Arena()
    ranked: dict[str, dict[str, list[Hits]]] = {}
    pooled: dict[str, dict[str, list[Hits]]] = {}
    own: dict[str, dict[str, list[Hits]]] = {}
    for start, stop in chunks(rows.size, settings.chunk_sessions, "scoring"):
        part = rows[start:stop]
        chunk, labels = log.take(part), take_labels(data.labels, part)
        encoded = sources.encode(chunk)
        lists = sources.lists(chunk, encoded)
        pool = build_pool(lists, arena, threads, encoded)
        built = builder.build(chunk, pool, arena)
        for name in names:
            add(own, name, own_lists(sources, lists, name, data.targets), labels, TOP)
        for variant, less in variants(names).items():
            some = {column: lists[column] for column in without(lists, less)}
            add(pooled, variant, fused(build_pool(some, scratch, threads), data.targets), labels, POOL)
            columns = [builder.names.index(name) for name in kept[variant]]
            matrix_part = np.ascontiguousarray(built[:, columns])
            add(ranked, variant, rank(rankers[variant], pool, matrix_part, data.targets, scratch), labels, TOP)
    groups = log.groups[rows]
    hits, pools, alone = joined(ranked), joined(pooled), joined(own)
    found = [
        Row(
            retriever=name,
            own_at_20=weighted(alone[name]),
            pool_alone=difference(pools, f"+{name}", NONE, groups),
            pool_without=difference(pools, ALL, f"-{name}", groups),
            ranker_alone=difference(hits, f"+{name}", NONE, groups),
            ranker_without=difference(hits, ALL, f"-{name}", groups),
        )
        for name in names
    ]
    facts = {
        "sessions": int(rows.size),
        "trained": matrix.n_sessions,
        "pool@100": {variant: weighted(pools[variant]) for variant in (NONE, ALL)},
        "ranker@20": {variant: weighted(hits[variant]) for variant in hits},
        "ranker_all_minus_none": asdict(difference(hits, ALL, NONE, groups)),
    }
    return found, facts


def rank(rankers: Rankers, pool: Candidates, features: Any, targets: tuple[str, ...], arena: Arena) -> dict[str, Lists]:
    """The rankers' top lists of a pool."""
    fits = [rankers.for_others(target)[0] for target in targets]
    raw = arena.take("raw", (len(fits), len(pool)), np.float64)
    scores = rankers.predictor(fits).scores(features, 0, raw)
    return {t: top_lists(pool, s.astype(np.float32), TOP) for t, s in zip(targets, scores, strict=True)}


def _points(interval: Interval) -> str:
    return spread(interval.low, interval.high)


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    arguments = shop_parser("What each retriever is worth.", sessions=1_000_000, trained=40_000).parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        run = run_to_features(arguments, folder)
        data = open_pass(run, "validation")
        names = [name for name, one in run.settings.models.retrievers.items() if one.on]
        rows, facts = compare(run, data, names, arguments.scored, folder / "ablation")
    header = ["retriever", "own @20", "pool @100, added", "… left out", "ranker @20, added", "… left out"]
    lines = [
        [
            one.retriever,
            f"{one.own_at_20:.4f}",
            *map(_points, (one.pool_alone, one.pool_without, one.ranker_alone, one.ranker_without)),
        ]
        for one in rows
    ]
    print(table(header, lines))
    print(json.dumps({"job": "ablation", "machine": machine(), **facts, "retrievers": [asdict(one) for one in rows]}))


if __name__ == "__main__":
    main()
