"""The ladder: popularity, history, rules and ranker on the same sessions, and the recall of what they choose from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from candidates.building import Shared, build_source
from candidates.pool import Arena, build_pool
from candidates.settings import HistorySettings, PopularitySettings, SourceSettings
from candidates.source_set import SourceSet, recommend
from events.files import read_json, write_json
from events.labels import Labels, take_labels
from events.lists import Lists
from events.log import SessionLog
from events.passes import PassData
from rankers.topk import reciprocal_rank_scores, top_lists
from scripts.artifacts import open_matrices, open_sources
from scripts.pipeline import Run
from submissions.bootstrap import bootstrap_total
from submissions.candidate_recall import CandidateRecall
from submissions.kept_hits import KeptHits
from submissions.metrics import Hits, Scores, hits_by_target
from submissions.proposals import PROPOSALS, Proposals
from submissions.report import evaluation, ladder_table, report, spread
from submissions.slices import length_buckets, slice_scores

POOL = "pool"

HITS = "hits"
"""Folder, in that of the stage that evaluates, of each session's hits."""

SHOWN_DRIFT = 5
"""Drifting features that are printed."""

Rows = npt.NDArray[np.int64]


def _of_source(name: str, lists: Mapping[str, Lists], targets: tuple[str, ...]) -> Lists | dict[str, Lists]:
    """What a source proposes: one list for all targets, or one a target."""
    if name in lists:
        return lists[name]
    return {target: lists[f"{name}_{target}"] for target in targets if f"{name}_{target}" in lists}


def _labels(labels: Labels, start: int, stop: int) -> Labels:
    return {target: label_set.slice(start, stop) for target, label_set in labels.items()}


def candidate_recall(
    sources: SourceSet,
    log: SessionLog,
    labels: Labels,
    targets: tuple[str, ...],
    chunk: int,
    proposals: Proposals | None = None,
) -> Any:
    """Recall at 20, 50, 100 and 200 of each source, and of the pool in the order of its summed reciprocal ranks.

    proposals : is told of the same lists, for the curves and the overlap of the sources
    """
    recall = CandidateRecall()
    arena = Arena()
    with tqdm(total=len(log), desc="candidate recall", unit="session", disable=None) as bar:
        for start in range(0, len(log), chunk):
            stop = min(start + chunk, len(log))
            lists = sources.lists(log.slice(start, stop))
            part = _labels(labels, start, stop)
            for name in sources.sources:
                recall.add(name, _of_source(name, lists, targets), part)
            pool = build_pool(lists, arena)
            whole = max(1, int(np.diff(pool.offsets).max(initial=0)))
            fused = {target: top_lists(pool, reciprocal_rank_scores(pool, target), whole) for target in targets}
            recall.add(POOL, fused, part)
            if proposals is not None:
                for name in sources.sources:
                    proposals.add(name, _of_source(name, lists, targets), part)
                proposals.add(POOL, fused, part)
                proposals.add_pool(pool.offsets, pool.aids, pool.ranks, part)
            bar.update(stop - start)
    return recall.result()


def _rungs(run: Run, data: PassData, log: SessionLog) -> dict[str, dict[str, Lists]]:
    """The rungs below the ranker, each with its own list a target."""
    settings, k = run.settings.candidates, run.settings.submissions.k
    shared = Shared(open_matrices(run, data.name), threads=run.settings.n_threads)
    chosen: dict[str, SourceSettings] = {
        "popularity": PopularitySettings(),
        "history": HistorySettings(),
        "rules": settings.rules,
    }
    chosen |= {one.kind: one for one in settings.sources.values() if one.kind in ("popularity", "history")}
    return {rung: rung_lists(rung, one, shared, data, log, k) for rung, one in chosen.items()}


def rung_lists(
    rung: str, settings: SourceSettings, shared: Shared, data: PassData, log: SessionLog, k: int
) -> dict[str, Lists]:
    """The lists of one source, alone, for each target of a pass."""
    source = build_source(rung, settings, shared).fit(data.fit)
    lists = {own: recommend(source, log, k, own, shared.threads) for own in source.targets or (None,)}
    return {target: lists[target if target in lists else None] for target in data.targets}


def _evaluation(
    hits: Mapping[str, Mapping[str, Hits]], groups: Rows, weights: Mapping[str, float], recall: Any = None
) -> dict[str, Any]:
    """The artifact of these rungs, with their intervals."""
    ladder = {rung: Scores.of(found, weights) for rung, found in hits.items()}
    intervals = {rung: bootstrap_total(found, groups, weights=weights) for rung, found in hits.items()}
    return evaluation(ladder, recall or {}, intervals)


def evaluate(
    run: Run, data: PassData, ranked: Mapping[str, Lists], kept: Path, rows: Rows | None = None
) -> dict[str, Any]:
    """All scores of a pass, as they go into ``scores.json``.

    ranked : target to the rankers' lists of the target sessions ``rows`` (int64, all of them by default); all rungs are
             scored on these sessions, and those below the ranker on every session, too
    kept   : folder to be made for the hits of each session, which ``scripts.compare`` reads; beside it goes what
             the sources propose, which ``scripts.report`` draws
    """
    assert data.labels is not None
    settings = run.settings
    weights, k = settings.submissions.weights.by_target(), settings.submissions.k
    log, labels = data.target_log, data.labels
    rungs = _rungs(run, data, log)
    hits = {rung: hits_by_target(lists, labels, k) for rung, lists in rungs.items()}
    whole: dict[str, Any] = {}
    if rows is not None and rows.size < len(log):
        whole = {"sessions": len(log), "ladder": _evaluation(hits, log.groups, weights)["ladder"]}
        log, labels = log.take(rows), take_labels(labels, rows)
        hits = {rung: {target: one.take(rows) for target, one in found.items()} for rung, found in hits.items()}
    for target in data.targets:
        if labels[target].aids.size == 0:
            print(f"  no session has a label for {target}: it is reported as absent, the total goes over the others")
    hits["ranker"] = hits_by_target(ranked, labels, k)
    KeptHits(np.arange(len(log)) if rows is None else rows, hits).save(kept)
    sources = open_sources(run, data)
    proposals = Proposals({column: source for column, (source, _) in sources.columns.items()}, k, weights)
    recall = candidate_recall(sources, log, labels, data.targets, settings.rankers.chunk_sessions, proposals)
    write_json(kept.with_name(PROPOSALS), proposals.result())
    scores = _evaluation(hits, log.groups, weights, recall)
    gain = bootstrap_total(hits["ranker"], log.groups, minus=hits["rules"], weights=weights)
    scores["ranker_minus_rules"] = None if gain is None else [gain.low, gain.high]
    codes, names = length_buckets(log.lengths)
    slices = slice_scores(hits["ranker"], codes, names, weights)
    scores["ranker_by_session_length"] = {name: one.as_json() for name, one in slices.items()}
    scores["sessions"] = len(log)
    if whole:
        scores["all_sessions"] = whole
    return scores


def show(run: Run, pass_name: str) -> None:
    """Print the scores of a pass, where there are any."""
    path = run.folder / pass_name / "scores.json"
    if not path.exists():
        return
    scores = read_json(path)
    print(f"\n{pass_name}: {scores['sessions']:,} sessions\n")
    print(report(scores, run.settings.submissions.k))
    if "all_sessions" in scores:
        print(f"\nall {scores['all_sessions']['sessions']:,} sessions\n")
        print(ladder_table(scores["all_sessions"]["ladder"], run.settings.submissions.k))
    if scores["ranker_minus_rules"]:
        low, high = scores["ranker_minus_rules"]
        print(f"\nranker minus rules, total: {spread(low, high)} (95 % interval, paired)")
    if scores.get("drift"):
        most = list(scores["drift"].items())[:SHOWN_DRIFT]
        print("\nfeatures that drift most between the passes (Kolmogorov-Smirnov distance): ")
        print(", ".join(f"{name} {value:.3f}" for name, value in most))
    print()
