"""Small dense symmetric systems inside kernels: no BLAS, whose results depend on its threads."""

import numpy as np

from events.arrays import F32, F64
from events.compiled import inline, kernel


@inline
def solve_symmetric(matrix: F64, rhs: F64, n: int) -> None:
    """Solve for the first ``n`` rows and columns; the solution replaces ``rhs``, the factors the matrix.

    Only the upper triangle is read, of a positive definite matrix: elimination without pivots (LDLᵀ), whose inner
    loop runs along rows.
    """
    for k in range(n):
        pivot = 1.0 / matrix[k, k]
        for i in range(k + 1, n):
            factor = matrix[k, i] * pivot
            for j in range(i, n):
                matrix[i, j] -= factor * matrix[k, j]
            rhs[i] -= factor * rhs[k]
    for k in range(n - 1, -1, -1):
        left = rhs[k]
        for j in range(k + 1, n):
            left -= matrix[k, j] * rhs[j]
        rhs[k] = left / matrix[k, k]


@kernel
def invert_symmetric(matrix: F64) -> F64:
    """Inverse float64[d, d] of a positive definite matrix."""
    d = matrix.shape[0]
    inverse, work, column = np.empty((d, d)), np.empty((d, d)), np.empty(d)
    for c in range(d):
        work[:, :] = matrix
        column[:] = 0.0
        column[c] = 1.0
        solve_symmetric(work, column, d)
        inverse[:, c] = column
    return inverse


@kernel
def add_gram(vectors: F32, first: int, last: int, gram: F64) -> None:
    """gram[f, g] += Σ over rows ``first:last`` of v_f v_g, for g >= f."""
    d = gram.shape[0]
    for row in range(first, last):
        for f in range(d):
            value = np.float64(vectors[row, f])
            for g in range(f, d):
                gram[f, g] += value * vectors[row, g]


@kernel
def project(vectors: F32, matrix: F64, first: int, last: int, out: F32) -> None:
    """Rows ``first:last`` of vectors @ matrix into ``out``."""
    d = matrix.shape[0]
    row = np.empty(d)
    for i in range(first, last):
        row[:] = 0.0
        for f in range(d):
            value = np.float64(vectors[i, f])
            for g in range(d):
                row[g] += value * matrix[f, g]
        for g in range(d):
            out[i, g] = row[g]
