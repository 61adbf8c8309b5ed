"""Kernels of the index: the best items of a session by exact scores, from a scan of all or from those fetched.

An exact score is the float64 inner product of :mod:`models.inner_products`, and what the session's events add to it,
rounded to float32. Lists are filled by ``insert_best``, so that they depend neither on the order in which items come
nor on how sessions are cut into batches. Arguments that all kernels share:

offsets, session_aids : events of the sessions;  revisits : float32[N], or empty
queries : float32[S, d];  vectors : float32[n_items, d];  known : bool[n_items]
sizes   : int64[S] items in the lists so far;  aids, scores : int32 and float64 [S, k]
"""

import numpy as np

from events.arrays import F32, F64, I32, I64, Flags
from events.compiled import inline, kernel, vectorised
from events.lists import insert_best
from models.inner_products import holds, inner_product, revisited

AT_ONCE = 64
"""Rounded scores that are looked at together."""


@inline
def insert_own(
    s: int, offsets: I64, session_aids: I32, revisits: F32, queries: F32, vectors: F32, known: Flags,
    aids: I32, scores: F64,
) -> int:  # fmt: skip
    """Begin a session's list with its own known items; returns their number, ``k`` at most."""
    size, first, last = 0, offsets[s], offsets[s + 1]
    for event in range(first, last):
        aid = session_aids[event]
        if known[aid] and not holds(session_aids, first, event, aid):
            score = inner_product(queries[s], vectors[aid]) + revisited(session_aids, revisits, first, last, aid)
            size = insert_best(aids[s], scores[s], size, aids.shape[1], aid, np.float64(np.float32(score)))
    return size


@kernel
def insert_owns(
    offsets: I64, session_aids: I32, revisits: F32, queries: F32, vectors: F32, known: Flags,
    sizes: I64, aids: I32, scores: F64,
) -> None:  # fmt: skip
    """Begin all lists with the sessions' own items."""
    for s in range(offsets.size - 1):
        sizes[s] = insert_own(s, offsets, session_aids, revisits, queries, vectors, known, aids, scores)


@vectorised
def score_four(queries: F32, vectors: F32, block: F32) -> None:
    """block[:, i] = rounded scores of four queries float32[4, d] for item i; the items are read once for all four."""
    for i in range(vectors.shape[0]):
        one, two, three, four = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
        for j in range(vectors.shape[1]):
            value = vectors[i, j]
            one += queries[0, j] * value
            two += queries[1, j] * value
            three += queries[2, j] * value
            four += queries[3, j] * value
        block[0, i], block[1, i], block[2, i], block[3, i] = one, two, three, four


@kernel
def add_kinds(block: F32, of_kinds: F32, kinds: I32) -> None:
    """Add to rounded scores float32[b, m] those of the items' kinds, float32[b, K]; kinds : int32[m]."""
    for b in range(block.shape[0]):
        row, out = of_kinds[b], block[b]
        for i in range(out.size):
            out[i] += row[kinds[i]]


@kernel
def scan(
    block: F32, ids: I32, asked: Flags, margins: F64, start: int, offsets: I64, session_aids: I32,
    queries: F32, vectors: F32, sizes: I64, aids: I32, scores: F64,
) -> None:  # fmt: skip
    """Go through rounded scores float32[b, m] of sessions from ``start`` and known items int32[m] ``ids``.

    asked   : bool[S] whether the session has a vector; the others would tie with everything
    margins : float64[S]; no rounded score is farther from the exact one than that, so that an item which belongs into
              the list is never passed over
    """
    k = aids.shape[1]
    for b in range(block.shape[0]):
        s = start + b
        if not asked[s]:
            continue
        size = sizes[s]
        bar = np.float32(scores[s, k - 1] - margins[s]) if size == k else np.float32(-np.inf)
        for first in range(0, block.shape[1], AT_ONCE):
            some, their = block[b, first : first + AT_ONCE], ids[first : first + AT_ONCE]
            reaching = np.int32(0)
            for i in range(some.size):  # without a branch it vectorises, and hardly any reach the bar
                reaching += np.int32(some[i] >= bar)
            if reaching == 0:
                continue
            for i in range(some.size):
                if some[i] >= bar and not holds(session_aids, offsets[s], offsets[s + 1], their[i]):
                    score = np.float64(np.float32(inner_product(queries[s], vectors[their[i]])))
                    size = insert_best(aids[s], scores[s], size, k, their[i], score)
                    if size == k:
                        bar = np.float32(scores[s, k - 1] - margins[s])
        sizes[s] = size


@kernel
def insert_fetched(
    fetched: I64, start: int, offsets: I64, session_aids: I32, queries: F32, vectors: F32,
    sizes: I64, aids: I32, scores: F64,
) -> None:  # fmt: skip
    """Score what was fetched, int64[b, m], for the sessions from ``start``; -1 stands for no item."""
    k = aids.shape[1]
    for b in range(fetched.shape[0]):
        s = start + b
        size = sizes[s]
        for aid in fetched[b]:
            if aid >= 0 and not holds(session_aids, offsets[s], offsets[s + 1], aid):
                score = np.float64(np.float32(inner_product(queries[s], vectors[aid])))
                size = insert_best(aids[s], scores[s], size, k, aid, score)
        sizes[s] = size
