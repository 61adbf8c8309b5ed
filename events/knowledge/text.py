"""Vectors of texts: hashed TF-IDF of words and pairs of words, brought down by a truncated SVD.

Weinberger et al., Feature hashing for large scale multitask learning (ICML 2009); Deerwester et al., Indexing by latent
semantic analysis (1990); the SVD as in Halko, Martinsson, Tropp, Finding structure with randomness (2011).

The weights and the singular vectors come from the fitted texts alone; any other text is projected on them.
"""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from events.arrays import F32, F64, Flags
from events.hashing import hash_ids

if TYPE_CHECKING:  # a run without texts is opened without it, a tenth of a second sooner
    from scipy.sparse import csr_array

BUCKETS = 1 << 18
HASH_STREAM = 11
OVERSAMPLED = 10
"""Columns of the subspace beyond those kept, and how often it is multiplied, as the paper advises."""
ROUNDS = 3


def text_vectors(texts: pl.Series, fitted: Flags, dim: int, seed: int = 0) -> F32:
    """float32[n, dim] of length 1; 0 for a text without a word that a fitted text has.

    texts  : String[n], null where there is none
    fitted : bool[n] texts that weights and singular vectors are learned from
    """
    from scipy.sparse import csr_array

    counts = hashed_counts(texts)
    known = (counts.data > 0) & np.repeat(fitted, np.diff(counts.indptr))
    n_fitted = max(1, int((fitted & (np.diff(counts.indptr) > 0)).sum()))
    holding = np.bincount(counts.indices[known], minlength=BUCKETS)
    kept = np.flatnonzero(holding)
    weights = np.zeros(BUCKETS)
    weights[kept] = np.log((1.0 + n_fitted) / (1.0 + holding[kept])) + 1.0
    counts.data[:] = (1.0 + np.log(counts.data)) * weights[counts.indices]
    matrix = csr_array(counts[:, kept])
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    matrix.data /= np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(matrix.indptr))
    vectors = np.zeros((len(texts), dim))
    axes = principal_axes(csr_array(matrix[np.flatnonzero(fitted)]), dim, seed)
    vectors[:, : axes.shape[1]] = matrix @ axes
    return unit_rows(vectors)


def hashed_counts(texts: pl.Series) -> "csr_array":
    """Sparse float64[n, BUCKETS]: how often each text has each word and each pair of words that follow each other."""
    from scipy.sparse import csr_array

    words = (
        pl.LazyFrame({"row": np.arange(len(texts), dtype=np.int64), "text": texts})
        .with_columns(pl.col("text").str.to_lowercase().str.extract_all(r"\w+").alias("word"))
        .explode("word")
        .filter(pl.col("word").is_not_null())
        .select("row", "word")
        .collect()
    )
    before, same = words["word"].shift(1), (words["row"] == words["row"].shift(1)).fill_null(False)
    pairs = words.with_columns((before + " " + words["word"]).alias("word")).filter(same)
    terms = pl.concat([words, pairs])
    buckets = (hash_ids(terms["word"], HASH_STREAM) & np.uint64(BUCKETS - 1)).astype(np.int32)
    ones = np.ones(terms.height)
    counts = csr_array((ones, (terms["row"].to_numpy(), buckets)), (len(texts), BUCKETS))
    counts.sum_duplicates()
    return counts


def principal_axes(matrix: "csr_array", dim: int, seed: int) -> F64:
    """float64[columns, at most dim]: the first right singular vectors, by iteration on a subspace."""
    rank = min(dim + OVERSAMPLED, *matrix.shape)
    if rank == 0:
        return np.zeros((matrix.shape[1], 0))
    basis = np.random.default_rng(seed).standard_normal((matrix.shape[1], rank))
    for _ in range(ROUNDS):
        basis = np.linalg.qr(matrix.T @ (matrix @ basis))[0]
    _, singular, turned = np.linalg.svd(matrix @ basis, full_matrices=False)
    there = singular > 1e-9 * max(float(singular[0]), 1e-300)
    axes: F64 = basis @ turned[there][:dim].T
    return axes


def unit_rows(vectors: F32 | F64) -> F32:
    """float32[n, d] of length 1; rows of (almost) no length become 0."""
    wide = vectors.astype(np.float64)
    lengths = np.sqrt((wide**2).sum(axis=1))
    small = lengths <= 1e-9
    unit: F32 = np.where(small[:, None], 0.0, wide / np.where(small, 1.0, lengths)[:, None]).astype(np.float32)
    return unit
