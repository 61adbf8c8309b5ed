"""Lists without the session's own items: for shops where nobody takes an item twice."""

import numpy as np

from events.arrays import I32, I64, Flags
from events.compiled import kernel
from events.lists import Lists
from events.log import SessionLog


def leave_out_seen(lists: Lists, log: SessionLog, k: int) -> Lists:
    """The first k items of each list that its session does not hold.

    lists : of the S sessions of ``log``; as long as k and the different items of the session together, so that k remain

    >>> lists = Lists.of([[(2, 3.0), (0, 2.0), (1, 1.0)]])
    >>> leave_out_seen(lists, SessionLog.of([[0, 0]]), 1).aids.tolist()
    [2]
    """
    keep = np.zeros(lists.aids.size, np.bool_)
    latest = np.full(max(log.n_items, int(lists.aids.max(initial=-1)) + 1), -1, np.int64)
    _mark(lists.offsets, lists.aids, log.offsets, log.aids, k, latest, keep)
    before = np.zeros(keep.size + 1, np.int64)
    np.cumsum(keep, out=before[1:])
    return Lists(before[lists.offsets], lists.aids[keep], lists.scores[keep])


@kernel
def _mark(
    offsets: I64, aids: I32, session_offsets: I64, session_aids: I32, k: int, latest: I64, keep: Flags
) -> None:  # fmt: skip
    for s in range(offsets.size - 1):
        for event in range(session_offsets[s], session_offsets[s + 1]):
            latest[session_aids[event]] = s
        kept = 0
        for place in range(offsets[s], offsets[s + 1]):
            if kept < k and latest[aids[place]] != s:
                keep[place] = True
                kept += 1
