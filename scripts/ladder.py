"""The ladder: the ranker beside the baselines that a run names, on the same sessions, and what they choose from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from candidates.pool import Arena, build_pool
from candidates.source_set import SourceSet
from events.columns import TARGETS
from events.files import read_json, write_json
from events.labels import Labels, take_labels
from events.leakage import check_pass
from events.lists import Lists
from events.log import SessionLog
from events.passes import PassData
from rankers.folds import PROPOSED, sample_sessions
from rankers.topk import reciprocal_rank_scores, top_lists
from scripts.baselines import baseline_lists
from scripts.pipeline import Run
from scripts.reranking import DIVERSITY, open_catalogue, open_reranker
from scripts.rungs import CLASSIC, RANKER, RERANKED, RULES
from submissions.bootstrap import bootstrap_total
from submissions.candidate_recall import CandidateRecall
from submissions.kept_hits import KeptHits
from submissions.measures import measure, measures_tables
from submissions.metrics import Hits, Scores, hits_by_target
from submissions.proposals import PROPOSALS, Proposals
from submissions.report import evaluation, ladder_table, report, spread
from submissions.slice_report import slices_of, slices_table

PARTS = {
    "models", "candidates", "features", "rankers", "submissions", "ladder", "evaluation", "rerank",
}  # fmt: skip
"""Settings that the stages which evaluate depend on."""

HELPERS = ("artifacts", "knowledge", "ladder", "baselines", "rungs", "reranking", "retrievers")
"""Modules of this package that they depend on."""

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


def _evaluation(
    hits: Mapping[str, Mapping[str, Hits]], groups: Rows, weights: Mapping[str, float], recall: Any = None
) -> dict[str, Any]:
    """The artifact of these rungs, with their intervals."""
    ladder = {rung: Scores.of(found, weights) for rung, found in hits.items()}
    intervals = {rung: bootstrap_total(found, groups, weights=weights) for rung, found in hits.items()}
    return evaluation(ladder, recall or {}, intervals)


def _baselines(
    run: Run, data: PassData, names: Sequence[str], log: SessionLog, sources: SourceSet
) -> dict[str, dict[str, Lists]]:
    return {name: baseline_lists(name, run, data, log, sources) for name in names}


def evaluate(
    run: Run, data: PassData, sources: SourceSet, ranked: Mapping[str, Lists], kept: Path, rows: Rows | None = None
) -> dict[str, Any]:
    """All scores of a pass, as they go into ``scores.json``.

    sources : the fitted ones of the pass
    ranked  : target to the rankers' lists of the target sessions ``rows`` (int64, all of them by default), before they
              are reranked; all rungs are scored on these sessions, and the classic ones on every session, too
    kept    : folder to be made for the hits of each session, which ``scripts.compare`` reads; beside it goes what
              the sources propose, which ``scripts.report`` draws

    Raises
    ------
    InputError
        If the pass sees the future, or a rung, a metric or the reranking lacks what it needs.
    """
    assert data.labels is not None
    check_pass(data, run.prepared / data.name)
    settings, ladder = run.settings, run.settings.ladder
    weights, k = settings.submissions.weights.by_target(), settings.submissions.k
    log, labels = data.target_log, data.labels
    lists = _baselines(run, data, [name for name in ladder if name in CLASSIC], log, sources)
    whole: dict[str, Any] = {}
    if rows is not None and rows.size < len(log):
        hits = {rung: hits_by_target(found, labels, k) for rung, found in lists.items()}
        whole = {"sessions": len(log), "ladder": _evaluation(hits, log.groups, weights)["ladder"]}
        log, labels = log.take(rows), take_labels(labels, rows)
        lists = {rung: {target: one.take(rows) for target, one in found.items()} for rung, found in lists.items()}
    for target in data.targets:
        if labels[target].aids.size == 0:
            print(f"  no session has a label for {target}: the total goes over the others")
    others = [name for name in ladder if name not in (*CLASSIC, RANKER)]
    lists |= _baselines(run, data, others, log, sources)
    lists[RANKER] = {target: one.top(k) for target, one in ranked.items()}
    names = [name for name in ladder if name != RANKER] + [RANKER] * (RANKER in ladder)
    reranker = open_reranker(run, sources)
    if reranker is not None:
        lists[RERANKED] = reranker.apply_all(ranked, k)
        names = [name for name in names if name != RANKER] + [RANKER, RERANKED]
    lists = {name: lists[name] for name in names}

    hits = {rung: hits_by_target(found, labels, k) for rung, found in lists.items()}
    KeptHits(np.arange(len(log)) if rows is None else rows, hits).save(kept)
    proposals = Proposals({column: source for column, (source, _) in sources.columns.items()}, k, weights)
    some = sample_sessions(log.groups, settings.evaluation.pool_sessions, settings.rankers.seed, PROPOSED)
    asked = log.take(some), take_labels(labels, some)
    recall = candidate_recall(sources, *asked, data.targets, settings.rankers.chunk_sessions, proposals)
    write_json(kept.with_name(PROPOSALS), proposals.result())
    scores = _evaluation(hits, log.groups, weights, recall)
    scores["ranker_minus_rules"] = _difference(hits, RANKER, RULES, log.groups, weights)
    scores["reranked_minus_ranker"] = _difference(hits, RERANKED, RANKER, log.groups, weights)
    metrics: list[str] = [*settings.evaluation.metrics]
    if reranker is not None and DIVERSITY not in metrics:
        metrics.append(DIVERSITY)
    catalogue = open_catalogue(run, data.fit, sources, DIVERSITY in metrics)
    depths = settings.evaluation.k or (k,)
    scores["metrics"] = {
        rung: measure(found, labels, catalogue, log.groups, metrics, depths, weights) for rung, found in lists.items()
    }
    until_s = None if data.fit_until_ms is None else data.fit_until_ms // 1000
    sliced = RANKER if RANKER in lists else names[-1]
    scores["sliced"] = sliced
    scores["slices"] = slices_of(
        lists[sliced], labels, hits[sliced], log, data.fit, catalogue.counts, until_s, k, weights
    )
    scores["sessions"], scores["candidate_sessions"] = len(log), int(some.size)
    if whole:
        scores["all_sessions"] = whole
    return scores


def _difference(
    hits: Mapping[str, Mapping[str, Hits]], rung: str, minus: str, groups: Rows, weights: Mapping[str, float]
) -> list[float] | None:
    """Interval of one rung's total minus another's; ``None`` if the ladder lacks one of them."""
    if rung not in hits or minus not in hits:
        return None
    gain = bootstrap_total(hits[rung], groups, minus=hits[minus], weights=weights)
    return None if gain is None else [gain.low, gain.high]


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
    for table in measures_tables(scores["metrics"]):
        print(f"\n{table}")
    targets = [target for target in TARGETS if scores["ladder"][scores["sliced"]][target] is not None]
    print(f"\n{slices_table(scores['slices'], scores['sliced'], targets)}\n")
    for rung, minus in ((RANKER, RULES), (RERANKED, RANKER)):
        if scores[f"{rung}_minus_{minus}"]:
            low, high = scores[f"{rung}_minus_{minus}"]
            print(f"{rung} minus {minus}, total: {spread(low, high)} (95 % interval, paired)")
    if scores.get("drift"):
        most = list(scores["drift"].items())[:SHOWN_DRIFT]
        print("\nfeatures that drift most between the passes (Kolmogorov-Smirnov distance): ")
        print(", ".join(f"{name} {value:.3f}" for name, value in most))
    print()
