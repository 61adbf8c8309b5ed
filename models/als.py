"""ALS: factors of sessions and items by alternating weighted least squares on implicit feedback.

Source: Hu, Koren, Volinsky: Collaborative filtering for implicit feedback datasets (ICDM 2008). The objective is

    Σ over all sessions s and items i of c_si (p_si - x_s·y_i)² + λ (Σ |x_s|² + Σ |y_i|²)

where p is 1 for pairs that occur, else 0, and c = 1 + alpha * weight, weight the sum over the pair's events.

An unseen session (every asked session counts as one) gets the x that minimises its own terms with the items held
fixed, in closed form; there, events weigh less the longer ago they are.

Differences to the paper: weights by event type, summed over repeats, in place of a play time; each row is solved
exactly, a session with few items in the space of its items (n equations instead of d, by the push-through identity);
old events of asked sessions fade, which those of fitted ones do not.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
from tqdm import tqdm

from events.arrays import F32, F64, I32, I64, Flags
from events.compiled import kernel
from events.errors import InputError
from events.files import need_array, save_arrays
from events.log import SessionLog
from models.compact import KnownItems
from models.factor_settings import AlsSettings
from models.inner_products import inner_product
from models.linear_systems import add_gram, invert_symmetric, project, solve_symmetric
from models.session_items import SessionItems, fading_revisits, weigh_events

RANGES = 64
"""Pieces of work that threads pull; their number, not that of the threads, decides the order of additions."""

INITIAL = 0.01
"""Standard deviation of the items' first vectors."""


class Als:
    """Retriever of implicit ALS; one set of vectors serves all targets; needs nothing, uses types.

    Kernels run on ``threads`` threads; the result is the same for any number of them.
    """

    def __init__(
        self, name: str = "als", settings: AlsSettings | None = None, threads: int = 1, progress: bool = False
    ) -> None:
        self.name = name
        self.settings = settings or AlsSettings()
        self.targets: tuple[str, ...] = ()
        self.needs: frozenset[str] = frozenset()
        self._threads, self._progress = threads, progress
        self._items = Side.of(np.zeros((0, self.settings.dim), np.float32), self.settings.regularization)
        self._known: Flags = np.zeros(0, np.bool_)

    @property
    def known(self) -> Flags:
        """bool[n_items] items of the fitted sessions."""
        return self._known

    def fit(self, log: SessionLog) -> Self:
        """Solve for sessions and items in turn. Memory: 4 to 8 d bytes a session, 12 d an item, 16 a pair."""
        settings, items = self.settings, KnownItems.of(log)
        log, self._known = items.renumber(log), items.known
        bags = SessionItems.of(log, weigh_events(log, settings.event_weights))
        owners = bags.by_item(log.n_items)
        shape = (log.n_items, settings.dim)
        vectors = np.random.default_rng(settings.seed).standard_normal(shape, np.float32) * np.float32(INITIAL)
        sessions = np.empty((len(log), settings.dim), np.float32)
        # Projecting the sessions costs d² each; it saves the d³ / 6 of items that few sessions hold.
        short = np.count_nonzero(np.diff(owners.offsets) <= settings.dim // 2)
        worthwhile = bool(6 * len(log) < short * settings.dim)
        for _ in tqdm(range(settings.sweeps), self.name, unit="sweep", disable=None if self._progress else True):
            self._items = Side.of(vectors, settings.regularization, True, self._threads)
            self._items.solve_others(bags, settings.alpha, sessions, self._threads)
            fixed = Side.of(sessions, settings.regularization, worthwhile, self._threads)
            vectors = np.empty(shape, np.float32)
            fixed.solve_others(owners, settings.alpha, vectors, self._threads)
        self._items = Side.of(items.spread(vectors), settings.regularization, True, self._threads)
        return self

    def item_vectors(self, target: str | None = None) -> F32:  # noqa: ARG002  (one set for all)
        """float32[n_items, d]."""
        return self._items.vectors

    def session_vectors(self, log: SessionLog, target: str | None = None) -> F32:  # noqa: ARG002
        """float32[S, d], each session solved for by itself."""
        weights = weigh_events(log, self.settings.event_weights, self.settings.half_life)
        bags = SessionItems.of(log, weights, self._known)
        out = np.empty((len(log), self.settings.dim), np.float32)
        self._items.solve_others(bags, self.settings.alpha, out, self._threads)
        return out

    def revisits(self, log: SessionLog, target: str | None = None) -> F32 | None:  # noqa: ARG002
        """See :func:`models.session_items.fading_revisits`."""
        return fading_revisits(log, self.settings)

    def save(self, folder: Path) -> None:
        """Write the items' vectors."""
        save_arrays(folder, vectors=self._items.vectors, known=self._known)

    def load(self, folder: Path) -> Self:
        """Open the items' vectors.

        Raises
        ------
        InputError
            If a file is missing or its width is another than the settings'.
        """
        vectors, self._known = need_array(folder, "vectors"), need_array(folder, "known")
        if vectors.shape != (self._known.size, self.settings.dim):
            raise InputError(folder, None, f"vectors of shape {vectors.shape}", "fit the model again")
        self._items = Side.of(vectors, self.settings.regularization, True, self._threads)
        return self


class Side:
    """One side of the factorisation, held fixed while rows of the other are solved for.

    vectors   : float32[n, d]
    gram      : float64[d, d] Σ v vᵀ + λ I, its upper triangle
    projected : float32[n, d] vectors @ gram⁻¹, or float32[0, d]: then all rows are solved with d equations
    """

    def __init__(self, vectors: F32, gram: F64, projected: F32) -> None:
        self.vectors, self.gram, self.projected = vectors, gram, projected

    @classmethod
    def of(cls, vectors: F32, regularization: float, short_rows: bool = False, threads: int = 1) -> "Side":
        """Prepare a side; ``short_rows`` says whether many rows of the other have fewer than d pairs."""
        n, d = vectors.shape
        bounds = np.linspace(0, n, RANGES + 1).astype(np.int64)
        parts = np.zeros((RANGES, d, d))

        def sum_part(first: int, last: int) -> None:
            add_gram(vectors, first, last, parts[np.searchsorted(bounds, first, "right") - 1])

        _run(sum_part, bounds, threads)
        gram = np.triu(parts.sum(axis=0)) + regularization * np.eye(d)
        projected = np.empty((n if short_rows else 0, d), np.float32)
        if short_rows:
            inverse = invert_symmetric(gram)
            _run(lambda first, last: project(vectors, inverse, first, last, projected), bounds, threads)
        return cls(vectors, gram, projected)

    def solve_others(self, pairs: SessionItems, alpha: float, out: F32, threads: int = 1) -> None:
        """Write the vector of each row of ``pairs`` (rows of the other side, items of this one) to ``out``."""

        def work(first: int, last: int) -> None:
            solve_rows(
                first, last, pairs.offsets, pairs.items, pairs.weights, alpha,
                self.vectors, self.gram, self.projected, out,
            )  # fmt: skip

        cost = pairs.offsets + np.arange(pairs.offsets.size)
        bounds = np.searchsorted(cost, np.linspace(0, cost[-1], RANGES + 1)).astype(np.int64)
        _run(work, bounds, threads)


def _run(work: Callable[[int, int], None], bounds: I64, threads: int) -> None:
    """``work(first, last)`` for each range, on threads that pull them."""
    ranges = [(first, last) for first, last in pairwise(bounds.tolist()) if last > first]
    if threads == 1 or len(ranges) < 2:
        for first, last in ranges:
            work(first, last)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, first, last) for first, last in ranges]:
            done.result()


@kernel
def solve_rows(
    first: int, last: int, offsets: I64, items: I32, weights: F32, alpha: float,
    vectors: F32, gram: F64, projected: F32, out: F32,
) -> None:  # fmt: skip
    """Rows ``first:last`` of the other side: x = (G + Yᵀ C Y)⁻¹ Yᵀ (1 + c), with C = diag(c), c = alpha * weights.

    Y are the row's n items. With Z = Y G⁻¹ (``projected``) the same is x = Zᵀ (C⁻¹ + Z Yᵀ)⁻¹ C⁻¹ (1 + c), which has n
    equations: used up to n = d / 2. A row without items gets 0.
    """
    d = gram.shape[0]
    limit = d // 2 if projected.shape[0] > 0 else 0
    matrix, rhs = np.empty((d, d)), np.empty(d)
    for row in range(first, last):
        begin, n = offsets[row], offsets[row + 1] - offsets[row]
        if n == 0:
            out[row, :] = 0
        elif n <= limit:
            for i in range(n):
                z, confidence = projected[items[begin + i]], alpha * weights[begin + i]
                for j in range(i, n):
                    matrix[i, j] = inner_product(z, vectors[items[begin + j]])
                matrix[i, i] += 1.0 / confidence
                rhs[i] = (1.0 + confidence) / confidence
            solve_symmetric(matrix, rhs, n)
            for f in range(d):
                total = 0.0
                for i in range(n):
                    total += rhs[i] * projected[items[begin + i], f]
                out[row, f] = total
        else:
            matrix[:, :] = gram
            rhs[:] = 0.0
            for i in range(begin, begin + n):
                y, confidence = vectors[items[i]], alpha * weights[i]
                for f in range(d):
                    weighed = confidence * y[f]
                    for g in range(f, d):
                        matrix[f, g] += weighed * y[g]
                    rhs[f] += (1.0 + confidence) * y[f]
            solve_symmetric(matrix, rhs, d)
            for f in range(d):
                out[row, f] = rhs[f]
