"""A map of items: their vectors in two dimensions, coloured by cluster."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import svds

from events.lists import Lists

SHOWN = 2_500
"""Items on the map: those with most events."""

CLUSTERS = 8
ROUNDS = 25
RANK = 24
"""Dimensions that co-visitation is reduced to where there are no vectors."""

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ItemMap:
    """n items on a plane.

    rows      : int64[n] dense rows in the item index, most events first
    places    : float64[n, 2] first two principal components
    clusters  : int64[n] 0 to at most CLUSTERS - 1, by falling size
    explained : share of the variance that the two components hold
    """

    rows: I64
    places: F64
    clusters: I64
    explained: float


def busiest(items: I64, known: npt.NDArray[np.bool_] | None = None, most: int = SHOWN) -> I64:
    """int64[n] rows of the items with most events, most first; only known ones if told."""
    order = np.argsort(-items, kind="stable")
    keep = items[order] > 0
    if known is not None:
        keep &= known[order]
    return order[keep][:most]


def map_vectors(vectors: F32, rows: I64, seed: int = 0) -> ItemMap | None:
    """Principal components and k-means clusters of unit vectors; ``None`` for fewer than 3 items.

    vectors : float32[n, d] of the items ``rows`` (int64[n])
    """
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    rows, unit = rows[norms[:, 0] > 0], (vectors / np.maximum(norms, 1e-12))[norms[:, 0] > 0].astype(np.float64)
    if rows.size < 3:
        return None
    centred = unit - unit.mean(axis=0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(2), np.abs(axes[:2]).argmax(axis=1)])[:, None]
    whole = float((values**2).sum())
    explained = float((values[:2] ** 2).sum()) / whole if whole else 0.0
    return ItemMap(rows, centred @ axes.T, k_means(unit, min(CLUSTERS, rows.size), seed), explained)


def k_means(points: F64, clusters: int, seed: int = 0) -> I64:
    """int64[n] clusters by falling size: k-means++, then ``ROUNDS`` rounds of Lloyd's algorithm."""
    rng = np.random.default_rng(seed)
    centres = points[[int(rng.integers(len(points)))]]
    for _ in range(clusters - 1):
        distance = _distances(points, centres).min(axis=1)
        if distance.sum() <= 0:
            break
        centres = np.concatenate([centres, points[[int(rng.choice(len(points), p=distance / distance.sum()))]]])
    found = _distances(points, centres).argmin(axis=1)
    for _ in range(ROUNDS):
        sums = np.zeros_like(centres)
        np.add.at(sums, found, points)
        sizes = np.bincount(found, minlength=len(centres))
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
        found = _distances(points, centres).argmin(axis=1)
    order = np.argsort(-np.bincount(found, minlength=len(centres)), kind="stable")
    place = np.empty(order.size, np.int64)
    place[order] = np.arange(order.size)
    renamed: I64 = place[found]
    return renamed


def _distances(points: F64, centres: F64) -> F64:
    """float64[n, c] squared distances."""
    squares = (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)
    return np.asarray(np.maximum(squares, 0.0))


def covisitation_vectors(neighbours: Lists, rows: I64) -> F32:
    """float32[n, d] singular vectors of the co-visitation among these items, its rows and columns made comparable.

    neighbours : a co-visitation matrix, the lists of all items
    """
    held = neighbours.take(rows)
    place = np.full(len(neighbours), -1, np.int64)
    place[rows] = np.arange(rows.size)
    source, target = np.repeat(np.arange(rows.size), held.lengths), place[held.aids]
    inside = target >= 0
    shape = (rows.size, rows.size)
    matrix = sparse.csr_array((held.scores[inside].astype(np.float64), (source[inside], target[inside])), shape=shape)
    both = matrix + matrix.T
    degree = 1.0 / np.sqrt(np.maximum(both.sum(axis=1), 1e-12))
    scaled = sparse.diags_array(degree) @ both @ sparse.diags_array(degree)
    rank = min(RANK, rows.size - 1)
    left, values, _ = svds(scaled, k=rank, v0=np.ones(rows.size))
    return np.asarray(left * np.sqrt(values), np.float32)
