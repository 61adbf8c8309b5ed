"""The trees of a LightGBM model as flat arrays, read from its text (format version 4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

CATEGORICAL: Final = 1
DEFAULT_LEFT: Final = 2
MISSING_ZERO: Final = 4
MISSING_NAN: Final = 8
"""Bits of a node's decision. Without a bit of missing values, NaN counts as 0."""

VERSION: Final = "v4"


class UnknownModelError(ValueError):
    """The model holds something that these arrays cannot say; LightGBM itself must walk it."""


@dataclass(frozen=True, slots=True)
class Trees:
    """T trees with N nodes and L leaves in all; the score of a row is the sum of one leaf a tree, in this order.

    features    : features of the model
    first_node  : int64[T+1] nodes of tree t are ``first_node[t]:first_node[t+1]``, the root first
    first_leaf  : int64[T+1]
    feature     : int32[N] the feature that a node looks at
    decision    : uint8[N] bits as above
    threshold   : float64[N] a row goes left where its value is at most this; of a categorical node, place in ``sets``
    left, right : int32[N] children, counted in the tree: a node, or ``~leaf``
    value       : float64[L]
    sets        : uint32 bit sets: the categories that go left
    """

    features: int
    first_node: npt.NDArray[np.int64]
    first_leaf: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int32]
    decision: npt.NDArray[np.uint8]
    threshold: npt.NDArray[np.float64]
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    sets: tuple[npt.NDArray[np.uint32], ...]

    def __len__(self) -> int:
        """Number of trees."""
        return self.first_node.size - 1


def _sections(text: str) -> Iterator[dict[str, str]]:
    """Keys and values of the header, then of each tree."""
    whole, end, _ = text.partition("\nend of trees")
    if not end:
        raise UnknownModelError("the model text does not end")
    for section in whole.split("\nTree="):
        pairs = (line.partition("=") for line in section.split("\n"))
        yield {key: value for key, sign, value in pairs if sign}


FIELDS: Final[dict[str, type[np.generic]]] = {
    "split_feature": np.int32,
    "decision_type": np.uint8,
    "threshold": np.float64,
    "left_child": np.int32,
    "right_child": np.int32,
    "leaf_value": np.float64,
}


def _array(section: dict[str, str], key: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
    # Python reads decimals exactly, as LightGBM does those of thresholds and leaves.
    return np.array([float(word) for word in section.get(key, "").split()], np.float64).astype(dtype)


def _read_tree(section: dict[str, str], sets: list[npt.NDArray[np.uint32]]) -> dict[str, npt.NDArray[Any]]:
    """The fields of one tree; its bit sets are appended."""
    if section.get("is_linear", "0") != "0":
        raise UnknownModelError("linear trees")
    tree = {key: _array(section, key, dtype) for key, dtype in FIELDS.items()}
    nodes = int(section.get("num_leaves", 0)) - 1
    if any(values.size != nodes + (key == "leaf_value") for key, values in tree.items()):
        raise UnknownModelError("a tree without all of its nodes")
    categorical = (tree["decision_type"] & CATEGORICAL) > 0
    if categorical.any():
        tree["threshold"] += np.where(categorical, len(sets), 0)
        sets += np.split(_array(section, "cat_threshold", np.uint32), _array(section, "cat_boundaries", np.int64)[1:-1])
    return tree


def read_trees(text: str) -> Trees:
    """The trees of a model text.

    Raises
    ------
    UnknownModelError
        For linear trees, several scores a row, averaged outputs, other versions and decisions that are not known.
    ValueError
        If what should be a number is none.
    """
    header, *sections = _sections(text)
    if header.get("version") != VERSION or header.get("num_tree_per_iteration") != "1":
        raise UnknownModelError("not one score a row in the known version of the format")
    if "\naverage_output\n" in text.partition("\nTree=")[0]:
        raise UnknownModelError("averaged trees")
    sets: list[npt.NDArray[np.uint32]] = []
    trees = [_read_tree(section, sets) for section in sections]
    flat = {key: np.concatenate([np.zeros(0, dtype), *(tree[key] for tree in trees)]) for key, dtype in FIELDS.items()}
    features = int(header.get("max_feature_idx", -1)) + 1
    decision, missing = flat["decision_type"], MISSING_ZERO | MISSING_NAN
    known = (decision <= (CATEGORICAL | DEFAULT_LEFT | missing)) & ((decision & missing) != missing)
    if not known.all() or np.isnan(flat["threshold"]).any():
        raise UnknownModelError("decisions of an unknown kind")
    if not ((flat["split_feature"] >= 0) & (flat["split_feature"] < features)).all():
        raise UnknownModelError("decisions about unknown features")
    if (flat["threshold"][(decision & CATEGORICAL) > 0] >= len(sets)).any():
        raise UnknownModelError("categories without a set")
    first_leaf = np.cumsum([0, *(tree["leaf_value"].size for tree in trees)]).astype(np.int64)
    return Trees(
        features=features,
        first_node=first_leaf - np.arange(first_leaf.size),
        first_leaf=first_leaf,
        feature=flat["split_feature"],
        decision=decision,
        threshold=flat["threshold"],
        left=flat["left_child"],
        right=flat["right_child"],
        value=flat["leaf_value"],
        sets=tuple(sets),
    )
