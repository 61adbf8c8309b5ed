"""The sessions that a training holds out: cut at a random place, as target sessions are, and scored by full ranking."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from events.arrays import I64
from events.columns import WEIGHTS
from events.labels import Labels, labels_after
from events.lists import Lists
from events.log import SessionLog
from submissions.metrics import count_hits

TOP = 20


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Visible events of held-out sessions, and the labels of what came after."""

    log: SessionLog
    labels: Labels

    def recall(self, recommend: Callable[[SessionLog, str], Lists]) -> float:
        """Recall@20, weighted over the targets as the competition does; of clicks where a log has no types."""
        total = weights = 0.0
        for target, labels in self.labels.items():
            found = count_hits(recommend(self.log, target), labels, TOP).recall
            if found is not None:
                total += WEIGHTS[target] * found
                weights += WEIGHTS[target]
        return total / weights if weights else 0.0


def hold_out(log: SessionLog, share: float, most: int, seed: int) -> tuple[SessionLog, HeldOut | None]:
    """The log without its last ``share`` of sessions, and at most ``most`` of these, cut.

    Sessions are numbered by their ids, which rise with time in OTTO's log and in the shop's. No original session
    (``log.groups``) stands on both sides. Share 0 holds out nothing.
    """
    n = int(len(log) * (1.0 - share)) if share else len(log)
    while 0 < n < len(log) and log.groups[n] == log.groups[n - 1]:
        n -= 1
    if n == len(log):
        return log, None
    rng = np.random.default_rng(seed)
    rows = n + np.flatnonzero(log.lengths[n:] >= 2)
    if rows.size > most:
        rows = np.sort(rng.choice(rows, most, replace=False))
    whole = log.take(rows)
    cuts = whole.offsets[:-1] + rng.integers(1, whole.lengths)
    labels = labels_after(cuts, whole.offsets[1:], whole.aids, whole.types)
    return log.slice(0, n), HeldOut(_until(whole, cuts), labels)


def _until(log: SessionLog, cuts: I64) -> SessionLog:
    """The events of each session before its cut (places in the log)."""
    keep = np.arange(log.n_events) < np.repeat(cuts, log.lengths)
    offsets = np.zeros(len(log) + 1, np.int64)
    np.cumsum(cuts - log.offsets[:-1], out=offsets[1:])
    return SessionLog(
        sessions=log.sessions,
        groups=log.groups,
        offsets=offsets,
        aids=log.aids[keep],
        ts=None if log.ts is None else log.ts[keep],
        types=None if log.types is None else log.types[keep],
        n_items=log.n_items,
    )
