"""Candidate and session in the spaces of the retrievers: every candidate is scored, whoever proposed it.

Learned spaces differ from fit to fit, so that a score only counts among those of the session's other candidates.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.arrays import F32, F64, I32, I64, Flags, read_only
from events.compiled import kernel, vectorised
from events.log import SessionLog
from features.history import longest
from features.places import write_places
from features.registry import Feature
from models.inner_products import holds, inner_product, revisited
from models.searcher import Searcher, sharing

FLOATS_A_LINE = 16
"""Of a cache line."""

Items = tuple[F32, F32, Flags]

OWN = 3
"""Items of the session that a candidate is compared with, the last different ones that the retriever knows."""


def similarity_features(column: str, needs: frozenset[str] = frozenset()) -> tuple[Feature, ...]:
    """The features of a retriever, or of one of its targets, in the order that :func:`fill_similarity` writes them."""
    score = f"inner product with the session in {column}, with what its own events add"
    return (
        Feature(
            f"similarity_{column}_zscore",
            "similarity",
            f"{score}, less the mean of the session's candidates, in standard deviations",
            needs,
        ),
        Feature(
            f"similarity_{column}_place",
            "similarity",
            f"share of the session's candidates with a greater inner product in {column}",
            needs,
        ),
    )


def own_features(name: str, needs: frozenset[str] = frozenset()) -> tuple[Feature, ...]:
    """The features of a retriever's items, whatever the target, in the order that :func:`fill_similarity` writes."""
    likewise = "less the mean, in standard deviations, likewise"
    return tuple(
        Feature(f"similarity_{name}_{which}", "similarity", f"{meaning} in {name}, {likewise}", needs)
        for which, meaning in (
            ("last", "cosine with the session's last item"),
            ("mean", f"mean cosine with the session's last {OWN} different items"),
            ("max", f"greatest cosine with one of the session's last {OWN} different items"),
        )
    )


@kernel
def write_zscores(values: F32, out: F32, first: int, column: int) -> None:
    """Each value less the mean, in standard deviations (0 if all are equal), into ``out[first + i, column]``.

    NaN stays NaN, and counts for nothing.
    """
    n, total, squares = 0, 0.0, 0.0
    for value in values:
        if not math.isnan(value):
            n += 1
            total += np.float64(value)
    mean = total / max(n, 1)
    for value in values:
        if not math.isnan(value):
            squares += (np.float64(value) - mean) ** 2
    deviation = math.sqrt(squares / max(n, 1))
    # Equal scores differ from their mean by rounding alone.
    unit = 1.0 / deviation if deviation > 1e-6 * abs(mean) else 0.0
    for i in range(values.size):
        out[first + i, column] = np.float32((np.float64(values[i]) - mean) * unit)


@kernel
def touch(vectors: F32, aids: I32, first: int, last: int) -> float:
    """Read something of every cache line of the items' rows, many at a time: they may lie anywhere in memory.

    Returns a number without meaning, which keeps the reads alive.
    """
    warm = np.float32(0.0)
    for row in range(first, last):
        if 0 <= aids[row] < vectors.shape[0]:
            for i in range(0, vectors.shape[1], FLOATS_A_LINE):
                warm += vectors[aids[row], i]
    return float(warm)


@kernel
def vector_lengths(vectors: F32, lengths: F32) -> None:
    """Euclidean length of each row."""
    for aid in range(vectors.shape[0]):
        lengths[aid] = math.sqrt(inner_product(vectors[aid], vectors[aid]))


@vectorised
def multiply(rows: F64, n: int, vectors: F32, aid: int, products: F64) -> None:
    """products[:n] = inner products of the first rows with an item's vector, in float64, many numbers at a time."""
    for row in range(n):
        total = 0.0
        for i in range(vectors.shape[1]):
            total += rows[row, i] * np.float64(vectors[aid, i])
        products[row] = total


@kernel
def own_directions(aids: I32, first: int, last: int, items: Items, seen: I32, own: F64) -> int:
    """own[:n] = vectors of length 1 of the last different known items, newest first; ``seen`` their ids; returns n.

    Items whose vector is 0 have no direction and are passed over.
    """
    vectors, lengths, known = items
    n, event = 0, last - 1
    while event >= first and n < seen.size:
        aid = aids[event]
        event -= 1
        if not (0 <= aid < known.size and known[aid]) or holds(seen, 0, n, aid):
            continue
        if lengths[aid] > 0.0:
            seen[n] = aid
            for i in range(own.shape[1]):
                own[n, i] = np.float32(vectors[aid, i] / lengths[aid])
            n += 1
    return n


@kernel
def fill_similarity(
    events: tuple[I64, I32, F32], rows: tuple[I64, I32], queries: F32, items: Items,
    start: int, stop: int, out: F32, at: int,
) -> float:  # fmt: skip
    """Score the rows of sessions ``start:stop``; NaN where the retriever does not know the item or the session.

    events  : offsets and items of the log, and revisits float32[T, events of these sessions] (or [T, 0])
    rows    : offsets and items of the candidates
    queries : float32[T, stop - start, d] of T targets
    items   : their vectors float32[n_items, d], lengths of these, and bool[n_items] whether each is known
    out     : gets z-score and place of each target, then the z-scores of three cosines with the session's own items

    Returns a number without meaning.
    """
    log_offsets, aids, revisits = events
    offsets, rows_aids = rows
    vectors, lengths, known = items
    targets, most, warm = queries.shape[0], longest(offsets, start, stop), 0.0
    values, keys = np.empty((targets + 3, most), np.float32), np.empty(most, np.int64)
    seen, asked, shift = np.empty(OWN, np.int32), np.empty(targets, np.bool_), log_offsets[start]
    compared, products = np.empty((targets + OWN, vectors.shape[1])), np.empty(targets + OWN)
    cosines = products[targets:]
    for s in range(start, stop):
        first, last = offsets[s], offsets[s + 1]
        warm += touch(vectors, rows_aids, first, last)
        begin, end = log_offsets[s], log_offsets[s + 1]
        n = own_directions(aids, begin, end, items, seen, compared[targets:])
        for t in range(targets):
            asked[t] = np.any(queries[t, s - start] != 0)
            compared[t] = queries[t, s - start]
        for row in range(first, last):
            aid = rows_aids[row]
            values[:, row - first] = np.nan
            if not (0 <= aid < known.size and known[aid]):
                continue
            multiply(compared, targets + n, vectors, aid, products)
            again = revisits.shape[1] > 0 and holds(aids, begin, end, aid)
            for t in range(targets):
                if asked[t]:
                    added = revisited(aids[shift:], revisits[t], begin - shift, end - shift, aid) if again else 0.0
                    values[t, row - first] = np.float32(products[t] + added)
            if n > 0 and lengths[aid] > 0.0:
                for u in range(n):
                    cosines[u] /= lengths[aid]
                values[targets, row - first] = np.float32(cosines[0])
                values[targets + 1, row - first] = np.float32(cosines[:n].sum() / n)
                values[targets + 2, row - first] = np.float32(cosines[:n].max())
        for t in range(targets):
            write_zscores(values[t, : last - first], out, first, at + 2 * t)
            write_places(values[t, : last - first], keys, out, first, at + 2 * t + 1)
        for j in range(3):
            write_zscores(values[targets + j, : last - first], out, first, at + 2 * targets + j)
    return warm


@dataclass(frozen=True, slots=True)
class SimilarityBlock:
    """The candidate's standing in a retriever's order of the session's candidates, and beside its last items.

    targets : those that share these item vectors, or ``None`` alone
    """

    features: tuple[Feature, ...]
    name: str
    targets: tuple[str | None, ...]
    vectors: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.float32]
    known: Flags

    def fill(
        self, log: SessionLog, candidates: Candidates, start: int, stop: int, out: npt.NDArray[np.float32], at: int
    ) -> None:
        """See :class:`features.registry.Block`; the sessions' vectors come with the candidates."""
        encoded = candidates.encoded[self.name].slice(log, start, stop)
        added = [encoded.revisits[target] for target in self.targets]
        width = int(log.offsets[stop] - log.offsets[start]) if any(one is not None for one in added) else 0
        zeros = np.zeros(width, np.float32)
        fill_similarity(
            (log.offsets, log.aids, np.stack([zeros if one is None else one for one in added])),
            (candidates.offsets, candidates.aids),
            np.stack([encoded.vectors[target] for target in self.targets]),
            (self.vectors, self.lengths, self.known),
            start,
            stop,
            out,
            at,
        )


def lengths_name(name: str, block: int) -> str:
    """Name of the table with the lengths of the vectors of a retriever's i-th block."""
    return f"similarity_{name}_{block}_lengths"


def similarity_blocks(name: str, searcher: Searcher, held: Mapping[str, F32] | None = None) -> list[SimilarityBlock]:
    """The blocks of one retriever: one for all targets that share their item vectors.

    held : lengths of the item vectors by :func:`lengths_name`, where they were measured before
    """
    retriever = searcher.retriever
    blocks = []
    for i, targets in enumerate(sharing(retriever)):
        columns = [name if target is None else f"{name}_{target}" for target in targets]
        chosen = [one for column in columns for one in similarity_features(column, retriever.needs)]
        chosen += own_features(name if targets[0] == next(iter(searcher.indices)) else columns[0], retriever.needs)
        vectors = retriever.item_vectors(targets[0])
        lengths = (held or {}).get(lengths_name(name, i))
        if lengths is None:
            lengths = np.empty(len(vectors), np.float32)
            vector_lengths(vectors, lengths)
        blocks.append(
            SimilarityBlock(tuple(chosen), name, targets, read_only(vectors), read_only(lengths), retriever.known)
        )
    return blocks
