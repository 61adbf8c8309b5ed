"""What each candidate source costs, and what it adds to the pool: ``python -m benchmarks.sources [--events 1e6]``.

On the validation week of a synthetic shop (or of a prepared pass, ``--pass runs/shop/prepared/validation``) default
sources are left out, and others added, one at a time. Cost is CPU seconds of all threads; recall is weighted over the
targets (0.10, 0.30, 0.60): of the source's own list at 20, of the pool at 100 (in the order of its summed reciprocal
ranks), and of the whole pool (what a perfect ranker of it would score).
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
from candidates.covisitation import fit_covisitation
from candidates.pool import Arena, build_pool
from candidates.settings import CandidatesSettings
from candidates.source_set import SourceSet
from events.labels import Labels, take_labels
from events.lists import Lists
from events.log import SessionLog
from events.passes import PassData
from rankers.topk import reciprocal_rank_scores, top_lists
from submissions.candidate_recall import AT_POOL, CandidateRecall
from submissions.report import table

ADDED = """
item_cosine  = { kind = "item_knn", weighting = "cosine", k = 60 }
item_bm25    = { kind = "item_knn", weighting = "bm25", k = 60 }
session_knn  = { kind = "session_knn", k = 40 }
walk_clicks  = { kind = "walks", matrix = "clicks", k = 40 }
walk_carts_orders = { kind = "walks", matrix = "carts_orders", k = 40 }
walk_buy2buy = { kind = "walks", matrix = "buy2buy", k = 40 }
walk_next    = { kind = "walks", matrix = "next", k = 40 }
"""
"""As ``[candidates.sources]`` of a config would hold them."""

TOGETHER: dict[str, dict[str, int]] = {
    "A": {"item_bm25": 60, "walk_next": 40},
    "B": {"item_bm25": 60, "walk_next": 40, "session_knn": 40},
    "C": {"item_bm25": 60, "walk_next": 40, "walk_clicks": 20, "near_carts_orders": 20, "near_buy2buy": 15},
    "D": {
        "item_bm25": 30,
        "walk_next": 30,
        "walk_clicks": 15,
        "walk_buy2buy": 10,
        "near_carts_orders": 30,
        "near_buy2buy": 10,
        "popularity": 10,
    },
    "E": {"item_bm25": 60, "walk_next": 40, "near_carts_orders": 20, "near_buy2buy": 15},
    "F": {"item_bm25": 60, "walk_next": 40, "near_carts_orders": 20, "near_buy2buy": 15, "popularity": 10},
}
"""Sources that are added together, or whose depth is changed, with their depth."""


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


@dataclass(frozen=True, slots=True)
class Week:
    """What is fitted on, the sessions to recommend for, their labels, and the matrices."""

    fit: SessionLog
    log: SessionLog
    labels: Labels
    targets: tuple[str, ...]
    matrices: dict[str, Lists]

    @classmethod
    def of(cls, data: PassData, matrices: dict[str, Lists], sessions: int) -> "Week":
        """At most so many random target sessions of a pass."""
        assert data.labels is not None
        size = min(sessions, data.n_targets)
        rows = np.sort(np.random.default_rng(0).choice(data.n_targets, size, replace=False))
        return cls(data.fit, data.target_log.take(rows), take_labels(data.labels, rows), data.targets, matrices)


def pool_recall(week: Week, lists: dict[str, Lists]) -> tuple[float, float, float]:
    """Candidates a session, recall at 100, recall of the whole pool."""
    pool = build_pool(lists, Arena())
    deepest = max(1, int(np.diff(pool.offsets).max(initial=0)))
    ranked = {target: top_lists(pool, reciprocal_rank_scores(pool, target), deepest) for target in week.targets}
    recall = CandidateRecall()
    recall.add("pool", ranked, week.labels)
    found = recall.result()["pool"]
    return len(pool) / len(week.log), found["100"], found[AT_POOL]


def own_recall(week: Week, lists: dict[str, Lists]) -> float | None:
    """Recall at 20 of a source's list, or of its lists for each target."""
    recall = CandidateRecall()
    by_target = {target: one for name, one in lists.items() for target in week.targets if name.endswith(f"_{target}")}
    recall.add("source", next(iter(lists.values())) if len(lists) == 1 else by_target, week.labels)
    at_20: float | None = recall.result()["source"]["20"]
    return at_20


def timed(week: Week, name: str, settings: CandidatesSettings) -> tuple[float, float, dict[str, Lists]]:
    """CPU seconds of fitting, CPU milliseconds per 1,000 sessions, and the lists by column; nothing is compiled."""
    only = settings.model_copy(update={"sources": {name: settings.sources[name]}})
    sources = SourceSet.of(only, week.fit.has, cpu_count() or 1)
    sources.fit(week.fit.slice(0, 100), week.matrices).lists(week.log.slice(0, 100))
    start = time.process_time()
    sources.fit(week.fit, week.matrices)
    fitted = time.process_time()
    lists = sources.lists(week.log)
    return fitted - start, (time.process_time() - fitted) / len(week.log) * 1e6, lists


def measure(week: Week) -> list[Row]:
    """The default pool, each of its sources, each added source, and some of these together."""
    default = CandidatesSettings()
    settings = CandidatesSettings.model_validate({"sources": tomllib.loads(ADDED)})
    costs, lists = {}, {}
    for name in settings.sources:
        *costs[name], lists[name] = timed(week, name, settings)
    pool = {column: one for name in default.sources for column, one in lists[name].items()}
    rows = [Row("the default sources", None, None, None, *pool_recall(week, pool))]
    for name in settings.sources:
        if name in default.sources:
            label = f"without {name}"
            changed = {column: one for column, one in pool.items() if column not in lists[name]}
        else:
            label, changed = f"with {name}", pool | lists[name]
        rows.append(Row(label, *costs[name], own_recall(week, lists[name]), *pool_recall(week, changed)))
    for label, depths in TOGETHER.items():
        more = {column: one.top(k) for name, k in depths.items() for column, one in lists[name].items()}
        rows.append(Row(f"with {label}", None, None, None, *pool_recall(week, pool | more)))
    return rows


def shop_week(events: float, sessions: int) -> Week:
    """The validation week of a shop of its own; in memory, as its folder is gone afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pass(events, CandidatesSettings().recipes, folder, cpu_count() or 1)
        return Week.of(open_pass(folder), open_matrices(folder), sessions)


def prepared_week(folder: Path, sessions: int) -> Week:
    """The target sessions of a prepared pass, with its matrices fitted here."""
    data = PassData.load(folder)
    return Week.of(data, fit_covisitation(data.fit, CandidatesSettings().recipes, cpu_count() or 1), sessions)


def main(argv: list[str] | None = None) -> int:
    """Measure, print the table and the JSON line."""
    parser = events_parser("Cost and worth of the candidate sources.", 1_000_000)
    parser.add_argument("--pass", dest="folder", type=Path, help="a prepared pass, instead of a shop")
    parser.add_argument("--sessions", type=int, default=100_000, help="random target sessions, at most")
    arguments = parser.parse_args(argv)
    if arguments.folder is None:
        week = shop_week(arguments.events, arguments.sessions)
    else:
        week = prepared_week(arguments.folder, arguments.sessions)
    measured = measure(week)
    first = measured[0]
    print(f"{week.fit.n_events:,} fitted events, {len(week.log):,} sessions, {machine()}")
    header = ["pool", "fit CPU s", "ms / 1,000", "own @20", "size", "@100", "whole", "Δ @100", "Δ whole"]
    lines = []
    for row in measured:
        cost = ["" if value is None else f"{value:.2f}" for value in (row.fit_s, row.ms_per_1000)]
        own = "" if row.own_at_20 is None else f"{row.own_at_20:.4f}"
        recall = [f"{row.pool_size:.0f}", f"{row.at_100:.4f}", f"{row.whole:.4f}"]
        change = [f"{row.at_100 - first.at_100:+.4f}", f"{row.whole - first.whole:+.4f}"]
        lines.append([row.added, *cost, own, *recall, *change])
    print(table(header, lines))
    for label, depths in TOGETHER.items():
        print(f"{label}: {', '.join(f'{name} {k}' for name, k in depths.items())}")
    line = {"job": "sources", "events": week.fit.n_events, "sessions": len(week.log), "machine": machine()}
    print(json.dumps(line | {"rows": [asdict(row) for row in measured]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
