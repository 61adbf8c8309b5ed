"""Truncated SVD of the matrix of sessions and items: the plain factor model that others are held against.

Source: Sarwar et al., Application of dimensionality reduction in recommender systems (2000); as a recommender that
needs no factor for the user, PureSVD of Cremonesi, Koren, Turrin (RecSys 2010); the subspace iteration as in Halko,
Martinsson, Tropp (2011).

A session has a 1 for each of its items; a column is divided by a power of the item's number of sessions. With the first
right singular vectors V an item's vector is its row of V, and a session that was not fitted, as any other, has the sum
of its last items' rows, weighted by recency.

Differences to the paper: PureSVD takes ratings and sums all items of a user with equal weight; here entries are 1, the
columns are scaled by popularity, and recent items weigh more. The singular vectors are found by iteration, not to full
precision.
"""

from pathlib import Path
from typing import Self

import numpy as np
from scipy.sparse import csr_array

from events.arrays import F32, F64, I32, I64, Flags
from events.compiled import kernel
from events.errors import InputError
from events.files import need_array, save_arrays
from events.log import SessionLog
from models.compact import KnownItems
from models.svd_settings import SvdSettings

OVERSAMPLED = 10
"""Columns of the subspace beyond those kept, as the paper advises."""
SESSIONS_AT_ONCE = 1_000_000
"""Rows of the matrix that are multiplied at a time, which bounds the memory of their product."""


class Svd:
    """Items by the inner product of their singular vectors and the sum of those of the session's last items."""

    def __init__(self, name: str = "svd", settings: SvdSettings | None = None, seed: int = 0) -> None:
        self.name = name
        self.settings = settings or SvdSettings()
        self.targets: tuple[str, ...] = ()
        self.needs = self.settings.needs
        self._seed = seed
        self._vectors: F32 = np.zeros((0, self.settings.dim), np.float32)
        self._known: Flags = np.zeros(0, np.bool_)

    @property
    def known(self) -> Flags:
        """bool[n_items] items that a fitted session holds."""
        return self._known

    def fit(self, log: SessionLog) -> Self:
        """Find the singular vectors; the memory is that of the matrix and of two float64[n_items, dim + 10]."""
        items = KnownItems.of(log)
        log, self._known = items.renumber(log), items.known
        shape = (len(log), log.n_items)
        ones = csr_array((np.ones(log.n_events, np.float32), log.aids, log.offsets), shape, copy=True)
        ones.sum_duplicates()
        ones.data[:] = 1
        sessions_of = np.bincount(ones.indices, minlength=log.n_items)
        scale = np.maximum(sessions_of, 1).astype(np.float64) ** -self.settings.popularity_power
        vectors = np.zeros((log.n_items, self.settings.dim), np.float32)
        found = right_vectors(ones, scale, self.settings.dim, self.settings.iterations, self._seed)
        vectors[:, : found.shape[1]] = found
        self._vectors = items.spread(vectors)
        return self

    def item_vectors(self, target: str | None = None) -> F32:  # noqa: ARG002  (one set serves all targets)
        """float32[n_items, dim]."""
        return self._vectors

    def session_vectors(self, log: SessionLog, target: str | None = None) -> F32:  # noqa: ARG002
        """float32[S, dim] weighted sums of the last items' vectors."""
        out = np.zeros((len(log), self.settings.dim), np.float32)
        sum_tails(log.offsets, log.aids, self._vectors, self.settings.tail, self.settings.decay, out)
        return out

    def revisits(self, log: SessionLog, target: str | None = None) -> F32 | None:  # noqa: ARG002
        """None: an item's own vector speaks for it."""
        return None

    def save(self, folder: Path) -> None:
        """Write the vectors."""
        save_arrays(folder, vectors=self._vectors, known=self._known)

    def load(self, folder: Path) -> Self:
        """Open the vectors, memory-mapped."""
        vectors, known = need_array(folder, "vectors"), need_array(folder, "known")
        if vectors.shape != (known.size, self.settings.dim):
            raise InputError(folder, None, f"holds vectors of shape {vectors.shape}", "run the stage retrievers again")
        self._vectors, self._known = vectors, known
        return self


def right_vectors(ones: csr_array, scale: F64, dim: int, iterations: int, seed: int) -> F64:
    """float64[n_items, dim] first right singular vectors of ``ones`` with its columns scaled (fewer, if it has fewer).

    The subspace is multiplied by the items' Gram matrix, which is never made, and made orthogonal, again and again.
    """
    n_items = ones.shape[1]
    width = min(dim + OVERSAMPLED, n_items)
    basis = np.random.default_rng(seed).standard_normal((n_items, width))
    for _ in range(iterations):
        basis, _ = np.linalg.qr(gram_times(ones, scale, basis))
    _, turn = np.linalg.eigh(basis.T @ gram_times(ones, scale, basis))
    return np.ascontiguousarray((basis @ turn)[:, ::-1][:, :dim])


def gram_times(ones: csr_array, scale: F64, basis: F64) -> F64:
    """The Gram matrix of the scaled columns, times float64[n_items, width]."""
    scaled, out = basis * scale[:, None], np.zeros_like(basis)
    for start in range(0, ones.shape[0], SESSIONS_AT_ONCE):
        part = ones[start : start + SESSIONS_AT_ONCE]
        out += part.T @ (part @ scaled)
    return out * scale[:, None]


@kernel
def sum_tails(offsets: I64, aids: I32, vectors: F32, tail: int, decay: float, out: F32) -> None:
    """Add up the vectors of each session's last ``tail`` events, newest first, into float32[S, d] zeros."""
    total = np.zeros(vectors.shape[1])
    for s in range(offsets.size - 1):
        total[:] = 0.0
        weight = 1.0
        for event in range(offsets[s + 1] - 1, max(offsets[s], offsets[s + 1] - tail) - 1, -1):
            for i in range(total.size):
                total[i] += weight * vectors[aids[event], i]
            weight *= decay
        for i in range(total.size):
            out[s, i] = np.float32(total[i])
