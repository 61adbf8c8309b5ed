"""The best candidates of each session."""

import numpy as np
import numpy.typing as npt

from candidates.pool import ABSENT, Candidates
from events.columns import TARGETS
from events.compiled import kernel
from events.lists import Lists, insert_best


@kernel
def _top(
    offsets: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    out_offsets: npt.NDArray[np.int64],
    out_aids: npt.NDArray[np.int32],
    out_scores: npt.NDArray[np.float64],
) -> None:
    for s in range(offsets.size - 1):
        first, last = out_offsets[s], out_offsets[s + 1]
        best_aids, best_scores = out_aids[first:last], out_scores[first:last]
        size = 0
        for row in range(offsets[s], offsets[s + 1]):
            size = insert_best(best_aids, best_scores, size, last - first, aids[row], scores[row])


def top_lists(candidates: Candidates, scores: npt.NDArray[np.float32], k: int) -> Lists:
    """The ``k`` best candidates of each session by float32[R] finite scores; ties by ascending item."""
    lengths = np.minimum(np.diff(candidates.offsets), k)
    offsets = np.zeros(lengths.size + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    aids, best = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.float64)
    _top(candidates.offsets, candidates.aids, scores, offsets, aids, best)
    return Lists(offsets, aids, best.astype(np.float32))


@kernel
def _add_reciprocal_ranks(ranks: npt.NDArray[np.int16], out: npt.NDArray[np.float32]) -> None:
    for row in range(out.size):
        if ranks[row] != ABSENT:
            out[row] += np.float32(1.0) / np.float32(ranks[row] + 1)


def reciprocal_rank_scores(candidates: Candidates, target: str) -> npt.NDArray[np.float32]:
    """float32[R] sum over the sources of 1 / place: what ranks a target that has no model.

    Of a source with a list for each of several targets (``<source>_<target>``) only the one for this target counts.
    """
    scores = np.zeros(len(candidates), np.float32)
    for c, name in enumerate(candidates.names):
        if name not in _of_other_targets(candidates.names, target):
            _add_reciprocal_ranks(candidates.ranks[c], scores)
    return scores


def _of_other_targets(names: tuple[str, ...], target: str) -> set[str]:
    """Columns that hold a list made for another target. A name alone does not tell: near_clicks is a source."""
    found = set()
    for name in names:
        source, _, ending = name.rpartition("_")
        lists = [other for other in TARGETS if f"{source}_{other}" in names]
        if ending in TARGETS and ending != target and len(lists) > 1:
            found.add(name)
    return found
