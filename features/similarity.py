"""Candidate and session in the spaces of the retrievers: every candidate is scored, whoever proposed it.

Learned spaces differ from fit to fit, so that a score only counts among those of the session's other candidates.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from candidates.pool import Candidates
from events.arrays import Flags
from events.compiled import kernel
from events.log import SessionLog
from features.arrays import F32, I32, I64
from features.history import longest
from features.registry import Feature
from models.inner_products import inner_product, revisited
from models.searcher import Searcher


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


def last_features(name: str, needs: frozenset[str] = frozenset()) -> tuple[Feature, ...]:
    """The feature of a retriever's items, whatever the target."""
    meaning = f"cosine with the session's last item in {name}, less the mean, in standard deviations, likewise"
    return (Feature(f"similarity_{name}_last", "similarity", meaning, needs),)


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
def write_places(values: F32, keys: I64, out: F32, first: int, column: int) -> None:
    """For each value the share of the others that are greater, likewise."""
    bits = values.view(np.int32)
    n = 0
    for i in range(values.size):
        out[first + i, column] = np.nan
        if not math.isnan(values[i]):
            # Negative floats order backwards by their bits; those of -0 would come before 0.
            ordered = np.int64(bits[i]) if values[i] > 0.0 else np.int64(bits[i] ^ 0x7FFFFFFF) if values[i] < 0.0 else 0
            keys[n] = (ordered << 32) | i
            n += 1
    keys[:n].sort()
    greater = 0
    for k in range(n - 1, -1, -1):
        if k < n - 1 and keys[k] >> 32 != keys[k + 1] >> 32:
            greater = n - 1 - k
        out[first + (keys[k] & 0xFFFFFFFF), column] = np.float32(greater / n)


@kernel
def fill_similarity(
    events: tuple[I64, I32, F32], rows: tuple[I64, I32], queries: F32, vectors: F32, known: Flags,
    start: int, stop: int, out: F32, at: int,
) -> None:  # fmt: skip
    """Both features for the rows of sessions ``start:stop``; NaN where the retriever knows item or session not.

    events : offsets and items of the log, and revisits (or none); rows : offsets and items of the candidates
    queries : float32[S, d];  vectors : float32[n_items, d];  known : bool[n_items]
    """
    log_offsets, aids, revisits = events
    offsets, rows_aids = rows
    most = longest(offsets, start, stop)
    values, keys = np.empty(most, np.float32), np.empty(most, np.int64)
    for s in range(start, stop):
        first, last = offsets[s], offsets[s + 1]
        is_known = np.any(queries[s] != 0)
        for row in range(first, last):
            aid = rows_aids[row]
            values[row - first] = np.nan
            if is_known and 0 <= aid < known.size and known[aid]:
                added = revisited(aids, revisits, log_offsets[s], log_offsets[s + 1], aid)
                values[row - first] = np.float32(inner_product(queries[s], vectors[aid]) + added)
        write_zscores(values[: last - first], out, first, at)
        write_places(values[: last - first], keys, out, first, at + 1)


@kernel
def cosine(a: F32, b: F32) -> float:
    """Cosine of two rows; NaN if one is 0."""
    lengths = math.sqrt(inner_product(a, a) * inner_product(b, b))
    return inner_product(a, b) / lengths if lengths > 0.0 else np.nan


@kernel
def fill_last(
    events: tuple[I64, I32], rows: tuple[I64, I32], vectors: F32, known: Flags,
    start: int, stop: int, out: F32, at: int,
) -> None:  # fmt: skip
    """The cosine with the session's last known item, for the rows of sessions ``start:stop``."""
    log_offsets, aids = events
    offsets, rows_aids = rows
    values = np.empty(longest(offsets, start, stop), np.float32)
    for s in range(start, stop):
        first, last = offsets[s], offsets[s + 1]
        event = log_offsets[s + 1] - 1
        while event >= log_offsets[s] and not (0 <= aids[event] < known.size and known[aids[event]]):
            event -= 1
        for row in range(first, last):
            aid = rows_aids[row]
            values[row - first] = np.nan
            if event >= log_offsets[s] and 0 <= aid < known.size and known[aid]:
                values[row - first] = np.float32(cosine(vectors[aids[event]], vectors[aid]))
        write_zscores(values[: last - first], out, first, at)


@dataclass(frozen=True, slots=True)
class SimilarityBlock:
    """The candidate's place in a retriever's order of the session's candidates, for one target or ``None``."""

    features: tuple[Feature, ...]
    name: str
    target: str | None
    vectors: npt.NDArray[np.float32]
    known: Flags

    def fill(
        self, log: SessionLog, candidates: Candidates, start: int, stop: int, out: npt.NDArray[np.float32], at: int
    ) -> None:
        """See :class:`features.registry.Block`; the sessions' vectors come with the candidates."""
        encoded = candidates.encoded[self.name]
        added = encoded.revisits[self.target]
        revisits = np.zeros(0, np.float32) if added is None else added
        fill_similarity(
            (log.offsets, log.aids, revisits),
            (candidates.offsets, candidates.aids),
            encoded.vectors[self.target],
            self.vectors,
            self.known,
            start,
            stop,
            out,
            at,
        )


@dataclass(frozen=True, slots=True)
class LastItemBlock:
    """The candidate beside the session's last item, in a retriever's space (of its first target)."""

    features: tuple[Feature, ...]
    vectors: npt.NDArray[np.float32]
    known: Flags

    def fill(
        self, log: SessionLog, candidates: Candidates, start: int, stop: int, out: npt.NDArray[np.float32], at: int
    ) -> None:
        """See :class:`features.registry.Block`."""
        rows = candidates.offsets, candidates.aids
        fill_last((log.offsets, log.aids), rows, self.vectors, self.known, start, stop, out, at)


def similarity_blocks(name: str, searcher: Searcher) -> list[SimilarityBlock | LastItemBlock]:
    """The blocks of one retriever."""
    retriever = searcher.retriever
    blocks: list[SimilarityBlock | LastItemBlock] = []
    for target in searcher.indices:
        chosen = similarity_features(name if target is None else f"{name}_{target}", retriever.needs)
        blocks.append(SimilarityBlock(chosen, name, target, retriever.item_vectors(target), retriever.known))
    first = next(iter(searcher.indices))
    chosen = last_features(name, retriever.needs)
    return [*blocks, LastItemBlock(chosen, retriever.item_vectors(first), retriever.known)]
