"""All metrics by name, for every target: the table beside the ladder."""

from collections.abc import Mapping, Sequence
from typing import Any

from events.arrays import I64
from events.columns import TARGETS, WEIGHTS
from events.labels import Labels
from events.lists import Lists
from submissions import ranking_metrics
from submissions.bootstrap import bootstrap_total
from submissions.catalogue_metrics import Catalogue, coverage, list_values
from submissions.metrics import hits_by_target
from submissions.ranking_metrics import ranking_values
from submissions.report import number, table
from submissions.session_values import Counted, by_target

TITLES = {
    "recall": "recall", "recall_mean": "mean recall", "precision": "precision", "hit_rate": "hit rate", "mrr": "MRR",
    "map": "MAP", "ndcg": "NDCG", "coverage": "coverage", "novelty": "novelty", "diversity": "diversity",
    "head_share": "head share", "popularity_rank": "popularity rank",
}  # fmt: skip

Measured = dict[str, dict[str, Any]]
"""``{"ndcg@20": {"clicks": 0.3, ..., "total": 0.35, "interval": [low, high]}}``."""


def measure(
    lists: Mapping[str, Lists],
    labels: Labels,
    catalogue: Catalogue,
    groups: I64,
    names: Sequence[str],
    depths: Sequence[int],
    weights: Mapping[str, float] = WEIGHTS,
) -> Measured:
    """The metrics ``names`` of the lists of the same S sessions, for each target and in total, at each depth.

    lists  : target to lists; only the targets that have labels count
    groups : int64[S] original session or user, which the intervals (95 %, bootstrap) draw

    Coverage is that of each target's lists, in total that of all of them together, and has no interval.

    Raises
    ------
    ValueError
        If a name is unknown, or diversity is asked for without vectors and categories.
    """
    there = {target: lists.get(target, Lists.empty(len(label_set))) for target, label_set in labels.items()}
    measured: Measured = {}
    for k in depths:
        ranked = {target: ranking_values(one, labels[target], k) for target, one in there.items()}
        for name in names:
            if name == "coverage":
                of_target = {target: coverage([one], catalogue.counts.size, k) for target, one in there.items()}
                whole = coverage(list(there.values()), catalogue.counts.size, k)
                measured[f"{name}@{k}"] = {**{t: of_target.get(t) for t in TARGETS}, "total": whole}
                continue
            found: Mapping[str, Counted]
            if name == "recall":
                found = hits_by_target(there, labels, k)
            elif name in ranking_metrics.NAMES:
                found = {target: values[name] for target, values in ranked.items()}
            else:
                found = {target: list_values(name, one, k, catalogue) for target, one in there.items()}
            interval = bootstrap_total(found, groups, weights=weights)
            measured[f"{name}@{k}"] = by_target(found, weights) | (
                {} if interval is None else {"interval": [interval.low, interval.high]}
            )
    return measured


def measures_tables(rungs: Mapping[str, Measured]) -> list[str]:
    """A table a depth, with a line a rung: each metric in total, and its 95 % interval."""
    columns = dict.fromkeys(name for measured in rungs.values() for name in measured)
    tables = []
    for depth in dict.fromkeys(column.partition("@")[2] for column in columns):
        of_depth = [column for column in columns if column.partition("@")[2] == depth]
        titles = [f"{TITLES[column.partition('@')[0]]}@{depth}" for column in of_depth]
        rows = [[rung, *(_cell(measured.get(column, {})) for column in of_depth)] for rung, measured in rungs.items()]
        tables.append(table(["total", *titles], rows))
    return tables


def _cell(found: Mapping[str, Any]) -> str:
    interval = found.get("interval")
    value = number(found.get("total"))
    return value if interval is None else f"{value} [{interval[0]:.4f}, {interval[1]:.4f}]"
