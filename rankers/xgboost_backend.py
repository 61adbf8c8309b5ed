"""XGBoost in LightGBM's place: trained by it, on the CPU or a GPU, and kept as a LightGBM model text.

Whatever reads, walks or blends models knows one format, and a machine that only predicts needs no XGBoost. XGBoost adds
its leaves in float32, the walker in float64: scores agree to about six digits.

Differences to the LightGBM rankers: ``min_data_in_leaf`` has no counterpart and is not used; rows are binned by each
fit. On the CPU results are the same for equal thread counts, on a GPU for equal devices.
"""

import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from events.errors import InputError
from rankers.matrix import TrainingMatrix
from rankers.settings import RankersSettings
from rankers.trees import DEFAULT_LEFT, MISSING_NAN

REMEDY: Final = 'pip install "xgboost>=3.2", or set rankers.backend = "lightgbm"'

Gradients = Callable[[npt.NDArray[np.float64], Any], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]
Measure = Callable[[npt.NDArray[np.float64], Any], tuple[str, float, bool]]


def _xgboost() -> Any:
    try:
        import xgboost  # an extra that only this backend needs
    except ImportError:
        raise InputError("rankers.backend", None, "XGBoost is not installed", REMEDY) from None
    return xgboost


def version() -> str:
    """XGBoost's version.

    Raises
    ------
    InputError
        If it is not installed.
    """
    return str(_xgboost().__version__)


@dataclass(frozen=True, slots=True)
class Held:
    """Rows of a training matrix, as they are.

    features : float32[n, F]
    names    : the F features
    place    : int32[R] row in ``features`` of each row of the matrix; means nothing for rows that are not in it
    """

    features: npt.NDArray[np.float32]
    names: tuple[str, ...]
    place: npt.NDArray[np.int32]

    def take(self, rows: npt.NDArray[np.int64], labels: npt.NDArray[np.int8], session: npt.NDArray[np.int64]) -> Any:
        """A DMatrix of some rows (int64[m], ascending) of the matrix, of their labels and sessions (ascending)."""
        sizes = np.unique(session, return_counts=True)[1]
        data = np.ascontiguousarray(self.features[self.place[rows]])
        return _xgboost().DMatrix(data, labels.astype(np.float32), group=sizes, feature_names=list(self.names))


def hold_rows(
    matrix: TrainingMatrix,
    rows: Iterable[npt.NDArray[np.int64]],
    more: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> Held:
    """The union of these rows (each int64[m]); ``more`` as in ``binning.bin_rows``."""
    more = more or {}
    wanted = np.zeros(len(matrix), np.bool_)
    for part in rows:
        wanted[part] = True
    features = matrix.features(wanted, tuple(more.values()))
    return Held(features, (*matrix.names, *more), (np.cumsum(wanted) - 1).astype(np.int32))


def boost(
    settings: RankersSettings,
    train: Any,
    trees: int,
    threads: int,
    seed: int,
    gains: npt.NDArray[np.float64],
    gradients: Gradients | None = None,
    inner: Any = None,
    measure: Measure | None = None,
) -> tuple[str, int, float | None]:
    """Train; the model text, its trees and what ``measure`` said of them.

    gradients    : an objective of our own, in place of NDCG
    inner        : what early stopping watches; without it all ``trees`` are grown

    Raises
    ------
    InputError
        If XGBoost, or the GPU that the settings ask for, is not there.
    """
    xgboost, model = _xgboost(), settings.lambdarank
    _check_device(xgboost, settings.device)
    parameters = {
        "objective": "rank:ndcg",
        "disable_default_eval_metric": 1,
        "lambdarank_pair_method": "topk",
        "lambdarank_num_pair_per_sample": model.lambdarank_truncation_level,
        "lambdarank_normalization": model.lambdarank_norm,
        "ndcg_exp_gain": False,  # labels are gains themselves
        "base_score": 0.0,
        "tree_method": "hist",
        "device": settings.device,
        "grow_policy": "lossguide",
        "max_leaves": model.num_leaves,
        "max_depth": 0,
        "max_bin": model.max_bin,
        "eta": model.learning_rate,
        "reg_lambda": model.lambda_l2,
        "colsample_bytree": model.feature_fraction,
        "subsample": model.bagging_fraction,
        "seed": settings.seed + seed,
        "nthread": threads,
    }
    given: dict[str, Any] = {}
    if gradients is not None:
        given["obj"] = lambda scores, _: gradients(scores.astype(np.float64), None)
    else:
        train.set_label(gains[train.get_label().astype(np.int64)])
    if inner is not None and measure is not None:

        def watch(scores: npt.NDArray[np.float32], _: Any) -> tuple[str, float]:
            name, value, _higher = measure(scores.astype(np.float64), None)
            return name, value

        given |= {"evals": [(inner, "inner")], "custom_metric": watch, "maximize": True,
                  "early_stopping_rounds": model.early_stopping_rounds}  # fmt: skip
    booster = xgboost.train(parameters, train, trees, verbose_eval=False, **given)
    best, score = trees, None
    if inner is not None:
        best, score = booster.best_iteration + 1, float(booster.best_score)
    return model_text(json.loads(bytes(booster[:best].save_raw("json"))), train.feature_names), best, score


def _check_device(xgboost: Any, device: str) -> None:
    """XGBoost goes on without a GPU where there is none: whoever asked for one should know."""
    if device == "cpu":
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        probe = xgboost.train({"device": device}, xgboost.DMatrix(np.zeros((2, 1)), np.zeros(2)), 1)
    used = json.loads(probe.save_config())["learner"]["generic_param"]["device"]
    if not used.startswith(device):
        raise InputError("rankers.device", None, "XGBoost finds no GPU", 'set rankers.device = "cpu"')


def model_text(model: Mapping[str, Any], names: Sequence[str]) -> str:
    """LightGBM's text (format version 4) of an XGBoost model, as its JSON says it.

    XGBoost sends x to the left where x < t, LightGBM where x <= t: t becomes the float32 before it.
    """
    trees = model["learner"]["gradient_booster"]["model"]["trees"]
    header = [
        "tree",
        "version=v4",
        "num_class=1",
        "num_tree_per_iteration=1",
        "label_index=0",
        f"max_feature_idx={len(names) - 1}",
        "objective=lambdarank",
        "feature_names=" + " ".join(names),
        "feature_infos=" + " ".join(["[-inf:inf]"] * len(names)),
        "",
    ]
    parts = ["\n".join(header), *(f"Tree={t}\n{_tree_text(tree)}\n" for t, tree in enumerate(trees))]
    return "\n".join(parts) + "\nend of trees\n"


def _tree_text(tree: Mapping[str, Any]) -> str:
    left, right = tree["left_children"], tree["right_children"]
    order, leaves = [0], list[int]()  # parents first
    place: dict[int, int] = {}
    for node in order:  # grows as it is walked
        if left[node] < 0:
            place[node] = ~len(leaves)
            leaves.append(node)
        else:
            place[node] = len(place) - len(leaves)
            order += [left[node], right[node]]
    inner = [node for node in order if left[node] >= 0]
    conditions = np.array(tree["split_conditions"], np.float32)
    below = np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64)
    rows: dict[str, Iterable[Any]] = {
        "split_feature": (tree["split_indices"][node] for node in inner),
        "split_gain": (tree["loss_changes"][node] for node in inner),
        "threshold": (repr(float(below[node])) for node in inner),
        "decision_type": (MISSING_NAN | (DEFAULT_LEFT if tree["default_left"][node] else 0) for node in inner),
        "left_child": (place[left[node]] for node in inner),
        "right_child": (place[right[node]] for node in inner),
        "leaf_value": (repr(float(conditions[node])) for node in leaves),
        "leaf_weight": (tree["sum_hessian"][node] for node in leaves),
        "leaf_count": (0 for _ in leaves),
        "internal_value": (0 for _ in inner),
        "internal_weight": (tree["sum_hessian"][node] for node in inner),
        "internal_count": (0 for _ in inner),
    }
    lines = [f"num_leaves={len(leaves)}", "num_cat=0"]
    lines += [f"{key}=" + " ".join(map(str, values)) for key, values in rows.items()]
    return "\n".join([*lines, "is_linear=0", "shrinkage=1", ""])
