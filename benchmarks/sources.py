"""What each candidate source costs, and what it adds to the pool: ``python -m benchmarks.sources [--events 1e6]``.

On the validation week of a synthetic shop, sources of a config are added one at a time to the default ones. Cost is
CPU on one thread; recall is weighted over the targets (0.10, 0.30, 0.60): of the source's own list at 20, of the pool
at 100 (in the order of its summed reciprocal ranks), and of the whole pool (what a perfect ranker of it would score).
"""

import json
import sys
import tempfile
import time
import tomllib
from dataclasses import asdict, dataclass
from os import cpu_count
from pathlib import Path

import numpy as np

from benchmarks.harness import events_parser, machine
from benchmarks.shop_pass import make_pass, open_matrices, open_pass
from candidates.pool import Arena, build_pool
from candidates.settings import CandidatesSettings
from candidates.source_set import SourceSet
from events.lists import Lists
from events.passes import PassData
from rankers.topk import reciprocal_rank_scores, top_lists
from submissions.candidate_recall import AT_POOL, CandidateRecall
from submissions.report import table

ADDED = """
item_cosine  = { kind = "item_knn", weighting = "cosine", k = 40 }
item_bm25    = { kind = "item_knn", weighting = "bm25", k = 40 }
session_knn  = { kind = "session_knn", k = 40 }
walk_clicks  = { kind = "walks", matrix = "clicks", k = 40 }
walk_carts_orders = { kind = "walks", matrix = "carts_orders", k = 40 }
walk_buy2buy = { kind = "walks", matrix = "buy2buy", k = 40 }
walk_next    = { kind = "walks", matrix = "next", k = 40 }
"""
"""As ``[candidates.sources]`` of a config would hold them."""

TOGETHER = (
    ("walk_next", "session_knn"),
    ("walk_next", "item_bm25"),
    ("walk_next", "session_knn", "item_bm25"),
    ("walk_next", "walk_clicks", "session_knn", "item_bm25"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; cost and own recall are absent for sources together."""

    added: str
    fit_s: float | None
    ms_per_1000: float | None
    own_at_20: float | None
    pool_size: float
    at_100: float
    whole: float


def pool_recall(data: PassData, lists: dict[str, Lists]) -> tuple[float, float, float]:
    """Candidates a session, recall at 100, recall of the whole pool."""
    assert data.labels is not None
    pool = build_pool(lists, Arena())
    deepest = max(1, int(np.diff(pool.offsets).max(initial=0)))
    ranked = {target: top_lists(pool, reciprocal_rank_scores(pool, target), deepest) for target in data.targets}
    recall = CandidateRecall()
    recall.add("pool", ranked, data.labels)
    found = recall.result()["pool"]
    return len(pool) / data.n_targets, found["100"], found[AT_POOL]


def own_recall(data: PassData, lists: dict[str, Lists]) -> float | None:
    """Recall at 20 of a source's list, or of its lists for each target."""
    assert data.labels is not None
    recall = CandidateRecall()
    by_target = {target: one for name, one in lists.items() for target in data.targets if name.endswith(f"_{target}")}
    recall.add("source", next(iter(lists.values())) if len(lists) == 1 else by_target, data.labels)
    at_20: float | None = recall.result()["source"]["20"]
    return at_20


def timed(
    data: PassData, matrices: dict[str, Lists], name: str, settings: CandidatesSettings
) -> tuple[float, float, dict[str, Lists]]:
    """CPU seconds of fitting, CPU milliseconds per 1,000 sessions, and the lists by column; nothing is compiled."""
    only = settings.model_copy(update={"sources": {name: settings.sources[name]}})
    sources = SourceSet.of(only, data.fit.has)
    sources.fit(data.fit.slice(0, 100), matrices).lists(data.target_log.slice(0, 100))
    start = time.process_time()
    sources.fit(data.fit, matrices)
    fitted = time.process_time()
    lists = sources.lists(data.target_log)
    return fitted - start, (time.process_time() - fitted) / data.n_targets * 1e6, lists


def rows(data: PassData, matrices: dict[str, Lists]) -> list[Row]:
    """The default pool, each of its sources, each added source, and some of these together."""
    default = CandidatesSettings()
    given = tomllib.loads(ADDED)
    settings = CandidatesSettings.model_validate({"sources": given})
    found, lists = [], {}
    for name in settings.sources:
        fit, cost, lists[name] = timed(data, matrices, name, settings)
        found.append((name, fit, cost))
    pool = {column: one for name in default.sources for column, one in lists[name].items()}
    whole = pool_recall(data, pool)
    table_rows = [Row("the default sources", None, None, None, *whole)]
    for name, fit, cost in found:
        if name in default.sources:
            without = {column: one for column, one in pool.items() if column not in lists[name]}
            label, changed = f"without {name}", pool_recall(data, without)
        else:
            label, changed = f"with {name}", pool_recall(data, pool | lists[name])
        table_rows.append(Row(label, fit, cost, own_recall(data, lists[name]), *changed))
    for names in TOGETHER:
        more = {column: one for name in names for column, one in lists[name].items()}
        table_rows.append(Row("with " + ", ".join(names), None, None, None, *pool_recall(data, pool | more)))
    return table_rows


def main(argv: list[str] | None = None) -> int:
    """Measure, print the table and the JSON line."""
    arguments = events_parser("Cost and worth of the candidate sources.", 1_000_000).parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pass(arguments.events, CandidatesSettings().recipes, folder, cpu_count() or 1)
        data = open_pass(folder)
        measured = rows(data, open_matrices(folder))
    first = measured[0]
    print(f"{data.fit.n_events:,} fitted events, {data.n_targets:,} sessions, {machine()}")
    header = ["pool", "fit CPU s", "ms / 1,000", "own @20", "size", "@100", "whole", "Δ @100", "Δ whole"]
    lines = []
    for row in measured:
        cost = ["" if value is None else f"{value:.2f}" for value in (row.fit_s, row.ms_per_1000)]
        own = "" if row.own_at_20 is None else f"{row.own_at_20:.4f}"
        recall = [f"{row.pool_size:.0f}", f"{row.at_100:.4f}", f"{row.whole:.4f}"]
        change = [f"{row.at_100 - first.at_100:+.4f}", f"{row.whole - first.whole:+.4f}"]
        lines.append([row.added, *cost, own, *recall, *change])
    print(table(header, lines))
    line = {"job": "sources", "events": data.fit.n_events, "sessions": data.n_targets, "machine": machine()}
    print(json.dumps(line | {"rows": [asdict(row) for row in measured]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
