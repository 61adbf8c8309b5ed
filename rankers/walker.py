"""Trees without branches: every row of a block at every node, by bit operations.

A leaf is a bit. A node that a row passes to the right strikes out the leaves on its left; when all nodes of a tree
were asked, in any order, the row's leaf is the first one left. Nodes compare small whole numbers, since a value is
first replaced by its place among all the thresholds of its feature, which decides every comparison exactly.

Source: Lucchese et al.: QuickScorer, a fast algorithm to rank documents with additive ensembles of regression trees,
SIGIR 2015 (here all nodes of a tree are asked, which lets the compiler do 16 to 64 rows at once).
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba.cpython.unsafe.numbers import trailing_zeros  # one instruction, for which numba has no public name

from events.arrays import F32, F64, I32, I64
from events.compiled import kernel

BLOCK: Final = 512
"""Rows at a time: their codes stay in the second-level cache, their bits in the first."""
ZERO: Final = np.float32(1e-35)
"""LightGBM takes a value that is not farther than this from 0 for 0."""

Unsigned = npt.NDArray[np.unsignedinteger]


class Columns(NamedTuple):
    """C columns of codes, made of E features: how many thresholds of the feature the value is not at most.

    feature         : int32[E]
    first_threshold : int64[E+1] those of the e-th feature are ``threshold[first_threshold[e]:first_threshold[e+1]]``,
                      ascending, filled up with inf to 2^k - 1
    threshold       : float32
    first_column    : int64[E+1] its columns, which differ in what they do with missing values
    nan, zero       : uint8[C] or uint16[C] codes of NaN and of 0; code 0 goes left everywhere, the greatest right
    """

    feature: I32
    first_threshold: I64
    threshold: F32
    first_column: I64
    nan: Unsigned
    zero: Unsigned


class Sets(NamedTuple):
    """D columns of codes: 0 if the value's whole part is in a bit set, else 1.

    feature : int32[D]
    first   : int64[D+1] the set of column d is ``words[first[d]:first[d+1]]``
    words   : uint32
    """

    feature: I32
    first: I64
    words: npt.NDArray[np.uint32]


class Nodes(NamedTuple):
    """M models with T trees, N nodes and L leaves in all.

    first_tree   : int64[M+1] trees of model m are ``first_tree[m]:first_tree[m+1]``
    first_node   : int64[T+1]
    first_leaf   : int64[T+1]
    column       : int32[N] column that a node looks at, the C first, then the D
    rank         : uint8[N] or uint16[N] a row goes right if its code is greater
    mask         : uint16[N], uint32[N] or uint64[N], as wide as the largest tree has leaves: without those on the left
    value        : float64[L] of the leaves of a tree, from left to right
    """

    first_tree: I64
    first_node: I64
    first_leaf: I64
    column: I32
    rank: Unsigned
    mask: Unsigned
    value: F64


@kernel
def code_columns(
    features: F32, start: int, n: int, columns: Columns, held: F32, place: npt.NDArray[np.uint32], codes: Unsigned
) -> None:
    """Codes of ``n`` rows from ``start`` in every column, into ``codes[:C]``; ``held`` and ``place`` are scratch."""
    for e in range(columns.feature.size):
        f = columns.feature[e]
        for r in range(n):
            held[r] = features[start + r, f]
            place[r] = 0
        first, last = columns.first_threshold[e], columns.first_threshold[e + 1]
        step = (last - first + 1) >> 1
        while step > 0:  # a binary search of all rows at once, ten times faster than one after the other
            middle = columns.threshold[first + step - 1 : last]
            for r in range(n):
                at = place[r]
                place[r] = at if held[r] <= middle[at] else at + step
            step >>= 1
        for c in range(columns.first_column[e], columns.first_column[e + 1]):
            nan, zero, out = columns.nan[c], columns.zero[c], codes[c]
            for r in range(n):
                x = held[r]
                code = zero if abs(x) <= ZERO else place[r]
                out[r] = nan if x != x else code


@kernel
def code_sets(features: F32, start: int, n: int, sets: Sets, codes: Unsigned) -> None:
    """Codes of ``n`` rows from ``start`` in every column of a set, into ``codes[:D]``."""
    for d in range(sets.feature.size):
        words = sets.words[sets.first[d] : sets.first[d + 1]]
        for r in range(n):
            x = features[start + r, sets.feature[d]]
            outside = 1
            if x > -1.0 and x < 32 * words.size:
                category = np.int64(x)
                outside = 1 - int((np.int64(words[category >> 5]) >> (category & 31)) & 1)
            codes[d, r] = outside


@kernel
def add_leaves(codes: Unsigned, n: int, nodes: Nodes, model: int, bits: Unsigned, out: F64) -> None:
    """Add to float64[n] ``out`` the leaves of a model's trees, in their order; ``bits`` is scratch."""
    for t in range(nodes.first_tree[model], nodes.first_tree[model + 1]):
        for r in range(n):
            bits[r] = ~np.uint64(0)
        for node in range(nodes.first_node[t], nodes.first_node[t + 1]):
            code, rank, mask = codes[nodes.column[node]], nodes.rank[node], nodes.mask[node]
            for r in range(n):
                bits[r] = bits[r] & mask if code[r] > rank else bits[r]
        leaf = nodes.first_leaf[t]
        for r in range(n):
            out[r] += nodes.value[leaf + np.int64(trailing_zeros(bits[r]))]  # type: ignore[call-arg]


@kernel
def walk(
    features: F32, start: int, stop: int, columns: Columns, sets: Sets, nodes: Nodes, held: F32,
    place: npt.NDArray[np.uint32], codes: Unsigned, bits: Unsigned, out: F64,
) -> None:  # fmt: skip
    """Scores of rows ``start:stop`` of float32[R, F] by every model, into float64[M, R] ``out``.

    held, place : float32[BLOCK], uint32[BLOCK] scratch
    codes, bits : [C+D, BLOCK] of the type of ranks, [BLOCK] of the type of masks, scratch
    """
    for begin in range(start, stop, BLOCK):
        n = min(BLOCK, stop - begin)
        code_columns(features, begin, n, columns, held, place, codes)
        code_sets(features, begin, n, sets, codes[columns.nan.size :])
        for model in range(out.shape[0]):
            scores = out[model, begin : begin + n]
            scores[:] = 0.0
            add_leaves(codes, n, nodes, model, bits, scores)
