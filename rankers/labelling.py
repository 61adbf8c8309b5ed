"""Labels of candidates: which rows of a pool were right."""

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.compiled import kernel
from events.labels import LabelSet


@kernel
def _mark(
    offsets: npt.NDArray[np.int64],
    aids: npt.NDArray[np.int32],
    label_offsets: npt.NDArray[np.int64],
    label_aids: npt.NDArray[np.int32],
    out: npt.NDArray[np.int8],
) -> int:
    """Merge two ascending lists a session; return the number of rows marked."""
    marked = 0
    for s in range(offsets.size - 1):
        label, last = label_offsets[s], label_offsets[s + 1]
        for row in range(offsets[s], offsets[s + 1]):
            while label < last and label_aids[label] < aids[row]:
                label += 1
            hit = label < last and label_aids[label] == aids[row]
            out[row] = 1 if hit else 0
            marked += 1 if hit else 0
    return marked


def mark_labels(candidates: Candidates, labels: LabelSet) -> tuple[npt.NDArray[np.int8], int]:
    """int8[R] 1 where the candidate is a label of its session, and how many labels are not in the pool.

    Raises
    ------
    ValueError
        If candidates and labels are not of the same number of sessions.
    """
    if candidates.n_sessions != len(labels):
        raise ValueError(f"{candidates.n_sessions} sessions of candidates, {len(labels)} of labels")
    out = np.empty(len(candidates), np.int8)
    marked = _mark(candidates.offsets, candidates.aids, labels.offsets, labels.aids, out)
    return out, int(labels.aids.size - marked)


@kernel
def first_unsorted_row(offsets: npt.NDArray[np.int64], aids: npt.NDArray[np.int32]) -> int:
    """The first row whose item is not above its predecessor's in the same session; -1 if all rows are in order."""
    for s in range(offsets.size - 1):
        for row in range(offsets[s] + 1, offsets[s + 1]):
            if aids[row] <= aids[row - 1]:
                return row
    return -1


@kernel
def positives_of(offsets: npt.NDArray[np.int64], labels: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """int64[S] positives in the pool of each session."""
    out = np.zeros(offsets.size - 1, np.int64)
    for s in range(offsets.size - 1):
        for row in range(offsets[s], offsets[s + 1]):
            out[s] += labels[row]
    return out
