"""From the trees of several models to the arrays that the walker wants."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from events.arrays import F32, F64, I32, I64
from events.compiled import kernel
from rankers.trees import CATEGORICAL, DEFAULT_LEFT, MISSING_NAN, MISSING_ZERO, Trees, UnknownModelError
from rankers.walker import Columns, Nodes, Sets, Unsigned

MOST_LEAVES: Final = 64
"""A leaf is a bit of a word."""
KINDS: Final = 16
"""Different decisions."""


@dataclass(frozen=True, slots=True)
class Layout:
    """M models over the same ``features``, which are coded once for all of them."""

    features: int
    columns: Columns
    sets: Sets
    nodes: Nodes


@kernel
def order_leaves(
    first_node: I64, first_leaf: I64, left: I32, right: I32, value: F64, mask: npt.NDArray[np.uint64], ordered: F64
) -> bool:
    """The leaves of each tree from left to right, and for each node a mask without the leaves on its left.

    False if a child stands before its parent, which LightGBM never writes, or a tree has not its leaves.
    """
    under = np.empty(mask.size + 1, np.int64)
    start = np.empty(mask.size + 1, np.int64)
    for t in range(first_node.size - 1):
        node0, leaf0 = first_node[t], first_leaf[t]
        n = first_node[t + 1] - node0
        if n == 0:
            ordered[leaf0] = value[leaf0]
        for i in range(n - 1, -1, -1):
            under[i] = 0
            for child in (left[node0 + i], right[node0 + i]):
                if child >= n or ~child > n or (child >= 0 and child <= i):
                    return False
                under[i] += under[child] if child >= 0 else 1
        if n > 0 and under[0] != n + 1:
            return False
        start[0] = 0
        for i in range(n):
            child = left[node0 + i]
            on_left = under[child] if child >= 0 else 1
            ones = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - on_left)
            mask[node0 + i] = ~(ones << np.uint64(start[i]))
            for child, at in ((left[node0 + i], start[i]), (right[node0 + i], start[i] + on_left)):
                if child >= 0:
                    start[child] = at
                else:
                    ordered[leaf0 + at] = value[leaf0 + ~child]
    return True


def floor32(values: F64) -> F32:
    """The greatest float32 that is not greater: a float32 is at most one if and only if it is at most the other."""
    with np.errstate(over="ignore"):
        near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)


def _columns(feature: I32, decision: npt.NDArray[np.uint8], threshold: F64) -> tuple[Columns, I32, Unsigned]:
    """A column for each feature and treatment of missing values; the column and the rank of each node."""
    missing = decision & (MISSING_NAN | MISSING_ZERO)
    kind = np.where(missing > 0, decision, 0)  # without missing values the default direction says nothing
    keys, column = np.unique(feature.astype(np.int64) * KINDS + kind, return_inverse=True)
    used, first_column = np.unique(keys // KINDS, return_index=True)
    limits, rank = floor32(threshold), np.zeros(feature.size, np.int64)
    of_feature: list[F32] = []
    zero = np.zeros(keys.size, np.int64)
    for f in used:
        of_f = feature == f
        different, rank[of_f] = np.unique(limits[of_f], return_inverse=True)
        fill = np.full((1 << different.size.bit_length()) - 1 - different.size, np.inf, np.float32)
        of_feature.append(np.concatenate([different, fill]))
        zero[keys // KINDS == f] = np.searchsorted(different, 0.0)
    most = max((one.size for one in of_feature), default=1)
    if most > np.iinfo(np.uint16).max:
        raise UnknownModelError("a feature has too many thresholds")
    code = np.uint8 if most <= np.iinfo(np.uint8).max else np.uint16
    aside = np.where(keys & DEFAULT_LEFT, 0, np.iinfo(code).max)
    has_missing, zero_is_missing = (keys & (MISSING_NAN | MISSING_ZERO)) > 0, (keys & MISSING_ZERO) > 0
    columns = Columns(
        feature=used.astype(np.int32),
        first_threshold=np.cumsum([0, *(one.size for one in of_feature)]).astype(np.int64),
        threshold=np.concatenate([np.zeros(0, np.float32), *of_feature]),
        first_column=np.append(first_column, keys.size).astype(np.int64),
        nan=np.where(has_missing, aside, zero).astype(code),
        zero=np.where(zero_is_missing, aside, zero).astype(code),
    )
    return columns, column.astype(np.int32), rank.astype(code)


def _sets(models: Sequence[Trees]) -> tuple[Sets, I32]:
    """A column for each different bit set of a feature; the column of each categorical node."""
    places: dict[tuple[int, bytes], int] = {}
    of_node: list[int] = []
    for one in models:
        for node in np.flatnonzero(one.decision & CATEGORICAL):
            key = (int(one.feature[node]), one.sets[int(one.threshold[node])].tobytes())
            of_node.append(places.setdefault(key, len(places)))
    words = [np.frombuffer(key[1], np.uint32) for key in places]
    sets = Sets(
        feature=np.array([key[0] for key in places], np.int32),
        first=np.cumsum([0, *(word.size for word in words)]).astype(np.int64),
        words=np.concatenate([np.zeros(0, np.uint32), *words]),
    )
    return sets, np.array(of_node, np.int32)


def lay_out(models: Sequence[Trees]) -> Layout:
    """Lay out the models.

    Raises
    ------
    UnknownModelError
        If they are of different features, a tree has more leaves than a word has bits, or the nodes make no tree.
    """
    if len({one.features for one in models}) != 1:
        raise UnknownModelError("the models are not of the same features")
    leaves = np.concatenate([np.diff(one.first_leaf) for one in models])
    most = int(leaves.max(initial=1))
    if most > MOST_LEAVES:
        raise UnknownModelError(f"a tree has more than {MOST_LEAVES} leaves")
    first_leaf = np.concatenate([[0], np.cumsum(leaves)]).astype(np.int64)
    first_node = first_leaf - np.arange(first_leaf.size)
    feature = np.concatenate([one.feature for one in models])
    decision = np.concatenate([one.decision for one in models])
    threshold = np.concatenate([one.threshold for one in models])

    numeric = (decision & CATEGORICAL) == 0
    columns, of_numeric, ranks = _columns(feature[numeric], decision[numeric], threshold[numeric])
    sets, of_set = _sets(models)
    column, rank = np.empty(feature.size, np.int32), np.zeros(feature.size, ranks.dtype)
    column[numeric], rank[numeric] = of_numeric, ranks
    column[~numeric] = columns.nan.size + of_set
    masks, value = np.empty(feature.size, np.uint64), np.empty(first_leaf[-1], np.float64)
    left, right = (np.concatenate([getattr(one, side) for one in models]) for side in ("left", "right"))
    given = np.concatenate([one.value for one in models])
    if not order_leaves(first_node, first_leaf, left, right, given, masks, value):
        raise UnknownModelError("the nodes make no tree")
    nodes = Nodes(
        first_tree=np.cumsum([0, *(len(one) for one in models)]).astype(np.int64),
        first_node=first_node,
        first_leaf=first_leaf,
        column=column,
        rank=rank,
        mask=masks.astype(np.uint16 if most <= 16 else np.uint32 if most <= 32 else np.uint64),
        value=value,
    )
    return Layout(models[0].features, columns, sets, nodes)
