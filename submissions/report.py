"""What an evaluation says: one JSON artifact, and plain-text tables made of it."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from events.columns import TARGETS
from events.files import read_json
from submissions.bootstrap import Interval
from submissions.candidate_recall import AT_POOL, SourceRecall
from submissions.metrics import Scores

ABSENT = "absent"
COLUMNS = (*TARGETS, "total")


def evaluation(
    ladder: Mapping[str, Scores],
    candidate_recall: Mapping[str, SourceRecall],
    intervals: Mapping[str, Interval | None] | None = None,
) -> dict[str, Any]:
    """The artifact ``scores.json``: ``{"ladder": {rung: ...}, "candidate_recall": {source: {depth: ...}}}``.

    A rung is what :meth:`Scores.as_json` gives, with ``"interval": [low, high]`` of its total where one is given.
    """
    rungs: dict[str, Any] = {}
    for rung, scores in ladder.items():
        rungs[rung] = scores.as_json()
        interval = (intervals or {}).get(rung)
        if interval is not None:
            rungs[rung]["interval"] = [interval.low, interval.high]
    return {"ladder": rungs, "candidate_recall": {source: dict(at) for source, at in candidate_recall.items()}}


def number(value: float | None) -> str:
    """Four decimals, or ``absent``."""
    return ABSENT if value is None else f"{value:.4f}"


def spread(low: float, high: float) -> str:
    """An interval of a difference in recall.

    >>> spread(-0.001, 0.0025)
    '-0.0010 to +0.0025'
    """
    return f"{low:+.4f} to {high:+.4f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Columns aligned, those of ``left`` (by default the first) to the left and the others to the right.

    >>> print(table(["rung", "total"], [["rules", "0.5646"]]))
    rung    total
    rules  0.5646
    """
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def columns_of(rows: Collection[Mapping[str, Any]]) -> list[str]:
    """The targets that any row has a score of, and the total.

    >>> columns_of([{"clicks": 0.5, "carts": None, "orders": None, "total": 0.5}])
    ['clicks', 'total']
    """
    return [*(name for name in TARGETS if any(row.get(name) is not None for row in rows)), "total"]


def ladder_table(ladder: Mapping[str, Mapping[str, Any]], k: int = 20) -> str:
    """A line a rung: recall of each target and in total, its 95 % interval if given, and the reciprocal rank."""
    columns = columns_of(ladder.values())
    with_interval = any("interval" in scores for scores in ladder.values())
    with_mrr = any("mrr" in scores for scores in ladder.values())
    header = [f"recall@{k}", *columns]
    header += ["95 % interval"] if with_interval else []
    header += [f"MRR@{k}"] if with_mrr else []
    rows = []
    for rung, scores in ladder.items():
        row = [rung, *(number(scores.get(column)) for column in columns)]
        if with_interval:
            interval = scores.get("interval")
            row.append(f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else "")
        if with_mrr:
            row.append(number(scores.get("mrr", {}).get("total")))
        rows.append(row)
    return table(header, rows)


def candidate_table(candidate_recall: Mapping[str, SourceRecall], column: str = "total") -> str:
    """A line a source: recall of its first 20, 50, ... candidates and of all of them, of one target or in total."""
    of_column = {source: at if column == "total" else at["targets"][column] for source, at in candidate_recall.items()}
    depths = list(dict.fromkeys(depth for at in of_column.values() for depth in at if depth != "targets"))
    header = [f"{column}, recall at", *("whole pool" if depth == AT_POOL else depth for depth in depths)]
    rows = [[source, *(number(at.get(depth)) for depth in depths)] for source, at in of_column.items()]
    return table(header, rows)


def report(scores: Mapping[str, Any], k: int = 20) -> str:
    """Both tables of an evaluation; candidate recall in total, then for each of several targets that have labels."""
    blocks = [ladder_table(scores["ladder"], k)] if scores["ladder"] else []
    recall: Mapping[str, SourceRecall] = scores["candidate_recall"]
    known = {
        target
        for at in recall.values()
        for target, values in at["targets"].items()
        if any(value is not None for value in values.values())
    }
    asked = scores.get("candidate_sessions", scores.get("sessions", 0))
    if recall and asked < scores.get("sessions", 0):
        blocks.append(f"candidates of a sample of {asked:,} sessions:")
    if recall:
        blocks.append(candidate_table(recall))
    blocks += [candidate_table(recall, target) for target in TARGETS if target in known and len(known) > 1]
    return "\n\n".join(blocks)


def read_report(path: Path, k: int = 20) -> str:
    """:func:`report` of an artifact on disk.

    Raises
    ------
    InputError
        If the file is missing or is not JSON.
    """
    return report(read_json(path), k)
