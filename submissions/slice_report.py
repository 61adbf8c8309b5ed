"""All slices of one model's lists, and their table."""

from collections.abc import Mapping, Sequence
from typing import Any

from events.arrays import I64
from events.columns import TARGETS, WEIGHTS
from events.labels import Labels
from events.lists import Lists
from events.log import SessionLog
from submissions.item_slices import (
    age_slices,
    counts_of,
    first_types,
    item_slice_scores,
    novelty_slices,
    popularity_slices,
)
from submissions.metrics import Hits
from submissions.report import number, table
from submissions.slices import length_buckets, slice_scores

SESSIONS, LABELS = "sessions", "labels"

Slices = dict[str, dict[str, dict[str, Any]]]
"""``{"item age": {"new": {"clicks": ..., "total": ..., "labels": 12}}}``; slices of sessions have "sessions"."""


def slices_of(
    lists: Mapping[str, Lists],
    labels: Labels,
    hits: Mapping[str, Hits],
    log: SessionLog,
    fit: SessionLog,
    counts: I64,
    until_s: int | None,
    k: int,
    weights: Mapping[str, float] = WEIGHTS,
) -> Slices:
    """Recall of one model's lists of S sessions by length and first event, and by the true item.

    lists, labels, hits : target to the lists, labels and hits of the S sessions of ``log``
    fit, counts         : what was fitted on, and int64[n_items] its sessions with each item
    until_s             : moment that ages are counted to, unix seconds; ``None`` without time
    """
    found: Slices = {}
    of_sessions = {"session length": length_buckets(log.lengths), "first event": first_types(log)}
    for title, (codes, names) in of_sessions.items():
        if title == "first event" and not log.has_types:
            continue
        sizes = counts_of(codes, names)
        slices = slice_scores(hits, codes, names, weights)
        found[title] = {name: {**one.as_json(), SESSIONS: sizes[name]} for name, one in slices.items()}
    of_items = {"true item": novelty_slices(counts), "item popularity": popularity_slices(counts)}
    if fit.has_time and until_s is not None:
        of_items["item age"] = age_slices(fit, until_s)
    for title, items in of_items.items():
        scored = item_slice_scores(lists, labels, items, k, weights)
        found[title] = {name: {**one.as_json(), LABELS: n} for name, (one, n) in scored.items()}
    return found


def slices_table(slices: Slices, title: str, targets: Sequence[str] = TARGETS) -> str:
    """A line a slice: how many sessions or labels it has, and the recall of each target and in total.

    A kind with a single slice, which is everything, has no line.
    """
    rows = []
    for kind, of_kind in slices.items():
        if len(of_kind) < 2:
            continue
        for name, one in of_kind.items():
            size = f"{one[SESSIONS]:,} sessions" if SESSIONS in one else f"{one[LABELS]:,} labels"
            rows.append([f"{kind}: {name}", size, *(number(one[column]) for column in (*targets, "total"))])
    return table([title, "of", *targets, "total"], rows)
