"""Prediction: scores of several models by the walker and by LightGBM, bit by bit the same.

``python -m benchmarks.prediction [--events 2e5] [--trees 300] [--leaves 15] [--models 3] [--alone]``

A row stands for an event (a test session of OTTO has 8 events and about 100 candidates). Rows come in blocks of a
million, as the product scores them; the models are LambdaRank models with the product's parameters.
"""

import hashlib
import sys
from dataclasses import dataclass
from os import sched_getaffinity
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from benchmarks.harness import Contender, events_parser, measure, show
from rankers.fitting import parameters
from rankers.predict import Predictor
from rankers.settings import RankersSettings

FEATURES = 100
POOL = 100
"""Candidates a session."""
TRAIN_ROWS = 50_000
BLOCK = 1_000_000


@dataclass(frozen=True, slots=True)
class Inputs:
    """Features of one block, float32[R, F]; it is scored until ``rows`` rows are done."""

    texts: tuple[str, ...]
    features: npt.NDArray[np.float32]
    rows: int
    predictor: Predictor | None


def features_of(rows: int, seed: int) -> npt.NDArray[np.float32]:
    """float32[R, F]: places in lists and z-scores, both NaN half the time; counts; other values."""
    rng = np.random.default_rng(seed)
    out = np.empty((rows, FEATURES), np.float32)
    for f in range(FEATURES):
        column = rng.standard_normal(rows, np.float32)
        match f % 4:
            case 0:
                column = np.floor(np.abs(column) * 30)
            case 2:
                column = np.floor(np.abs(column))
        if f % 4 < 2:
            column[rng.random(rows, np.float32) < 0.5] = np.nan
        out[:, f] = column
    return out


def train(models: int, trees: int, leaves: int) -> tuple[str, ...]:
    """Model texts."""
    features = features_of(TRAIN_ROWS, seed=0)
    known = np.nan_to_num(features)
    settings = RankersSettings()
    chosen = {**parameters(settings, 1), "num_leaves": leaves, "min_data_in_leaf": 20}
    texts = []
    for m in range(models):
        noise = np.random.default_rng(m).standard_normal(TRAIN_ROWS)
        score = known[:, m + 3] * known[:, 7] + known[:, 11] - known[:, 1] + np.isnan(features[:, 0]) + noise
        labels = (score > np.quantile(score, 0.95)).astype(np.int8)
        groups = np.full(TRAIN_ROWS // POOL, POOL)
        texts.append(lgb.train(chosen, lgb.Dataset(features, labels, group=groups), trees).model_to_string())
    return tuple(texts)


def set_up(texts: tuple[str, ...], rows: int, walker: bool) -> Inputs:
    """The block and what scores it; the kernels are compiled."""
    features = features_of(min(rows, BLOCK), seed=1)
    predictor = Predictor.of(texts) if walker else None
    if predictor is not None:
        if predictor.layout is None:
            raise ValueError(predictor.reason)
        predictor.scores(features[:1])
    return Inputs(texts, features, rows, predictor)


def _score(inputs: Inputs, scores: Any) -> str:
    models = len(inputs.texts)
    buffer = np.empty(models * inputs.features.shape[0])
    digest = hashlib.blake2b(digest_size=8)
    for start in range(0, inputs.rows, BLOCK):
        rows = min(BLOCK, inputs.rows - start)
        out = buffer[: models * rows].reshape(models, rows)
        scores(inputs.features[:rows], out)
        digest.update(out.data)
    return digest.hexdigest()


def walk(inputs: Inputs) -> str:
    """All models in one pass; the digest of the scores."""
    predictor = inputs.predictor
    assert predictor is not None
    return _score(inputs, lambda features, out: predictor.scores(features, len(sched_getaffinity(0)), out))


def by_lightgbm(inputs: Inputs) -> str:
    """Model after model; the digest of the scores."""
    boosters = [lgb.Booster(model_str=text) for text in inputs.texts]

    def scores(features: npt.NDArray[np.float32], out: npt.NDArray[np.float64]) -> None:
        for booster, of_model in zip(boosters, out, strict=True):
            of_model[:] = booster.predict(features, raw_score=True, num_threads=len(sched_getaffinity(0)))

    return _score(inputs, scores)


def main(argv: list[str] | None = None) -> int:
    """Train, score by both, compare."""
    parser = events_parser("The walker against LightGBM's own prediction.", 200_000)
    parser.add_argument("--trees", type=int, default=300, help="trees of each model")
    parser.add_argument("--leaves", type=int, default=15, help="leaves of each tree")
    parser.add_argument("--models", type=int, default=3, help="models")
    parser.add_argument("--alone", action="store_true", help="without LightGBM, for sizes that it takes hours for")
    arguments = parser.parse_args(argv)
    rows = int(arguments.events)
    texts = train(arguments.models, arguments.trees, arguments.leaves)
    ours, found = measure(Contender(set_up, walk, (texts, rows, True)))
    costs = {}
    if not arguments.alone:
        costs["lightgbm"], expected = measure(Contender(set_up, by_lightgbm, (texts, rows, False)))
        if found != expected:
            raise RuntimeError("the scores differ")
        print("the scores are equal to the last bit")
    row_trees = rows * arguments.trees * arguments.models
    ns = {name: round(cost.cpu_s / row_trees * 1e9, 2) for name, cost in {"cartograph": ours, **costs}.items()}
    print("CPU ns a row and tree:", ", ".join(f"{name} {each}" for name, each in ns.items()))
    sizes = {key: getattr(arguments, key) for key in ("trees", "leaves", "models")}
    show("prediction", rows, ours, costs, features=FEATURES, **sizes, cpu_ns_per_row_tree=ns)
    return 0


if __name__ == "__main__":
    sys.exit(main())
