"""The walker against LightGBM's own prediction: equal to the last bit, whatever the trees and the rows hold."""

import re
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankers.predict import RANGE, Predictor
from rankers.trees import UnknownModelError, read_trees
from rankers.walker import BLOCK

F = 5
ODD = np.array(
    [np.nan, np.inf, -np.inf, 0, -0.0, 1e-35, -1e-35, 9e-36, 1.1e-35, 1e-40, -1e-40, 3.4e38, -3.4e38, -0.5, 31, 32],
    np.float32,
)  # fmt: skip


def rows_of(rng: np.random.Generator, n: int) -> np.ndarray:
    """float32[n, F] coarse values, which meet the thresholds, and odd ones."""
    x = np.round(rng.normal(size=(n, F)) * 4).astype(np.float32) / 2
    x[:, 1] = rng.normal(size=n)
    x[:, 4] = rng.integers(-1, 40, n)
    odd = rng.random(x.shape) < 0.15
    x[odd] = rng.choice(ODD, int(odd.sum()))
    return x


def train(rng: np.random.Generator, n: int = 400, trees: int = 8, **parameters: Any) -> lgb.Booster:
    x = rows_of(rng, n)
    x[np.abs(x) > 1e9] = 7.0
    known = np.nan_to_num(x)
    y = known[:, 0] * known[:, 1] + np.isnan(x[:, 2]) + (known[:, 4] % 3 == 1) + rng.normal(size=n)
    categorical = parameters.pop("categorical", [])
    x[:, categorical] = np.abs(x[:, categorical])
    data = lgb.Dataset(x, y, categorical_feature=categorical, params={"verbosity": -1})
    base = {"objective": "l2", "num_leaves": 15, "min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1,
            "min_data_per_group": 5, "cat_smooth": 1.0, "max_cat_to_onehot": 2}  # fmt: skip
    return lgb.train({**base, **parameters}, data, trees)


def by_lightgbm(text: str, x: np.ndarray) -> np.ndarray:
    return lgb.Booster(model_str=text).predict(x, raw_score=True, num_threads=1)


def check(text: str, x: np.ndarray) -> None:
    predictor = Predictor.of([text])
    assert predictor.layout is not None, predictor.reason
    assert predictor.scores(x, 1)[0].tobytes() == by_lightgbm(text, x).tobytes()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32), st.sampled_from([3, 16, 17, 31, 64]), st.booleans(), st.booleans(),
    st.sampled_from([[], [4], [0, 4]]),
)  # fmt: skip
def test_trained_models(seed: int, leaves: int, missing: bool, zero: bool, categorical: list[int]) -> None:
    rng = np.random.default_rng(seed)
    booster = train(rng, num_leaves=leaves, use_missing=missing, zero_as_missing=zero, categorical=categorical)
    check(booster.model_to_string(), rows_of(rng, 700))


def mutated(rng: np.random.Generator, text: str) -> str:
    """Other thresholds and decisions at every node: any mix of what LightGBM can read, also on one feature."""
    lines = []
    for line in text.split("\n"):
        key, sign, values = line.partition("=")
        n = len(values.split())
        if key == "threshold":
            odd = [*ODD[1:].astype(np.float64), 1e300, -1e300, 1e-300, 0.1, 2.4999999, 2.5000001, 0.5]
            values = " ".join(repr(float(value)) for value in rng.choice(odd, n))
        elif key == "decision_type":
            values = " ".join(str(kind) for kind in rng.choice([0, 2, 4, 6, 8, 10], n))
        if key != "tree_sizes":  # they would be wrong; LightGBM reads without them
            lines.append(key + sign + values)
    return "\n".join(lines)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_any_decisions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    text = train(rng, n=200, trees=3, num_leaves=9).model_to_string()
    check(mutated(rng, text), rows_of(rng, 300))


def test_many_thresholds_take_wider_codes() -> None:
    rng = np.random.default_rng(0)
    texts = [train(rng, n=2_000, trees=40, num_leaves=31, max_bin=255).model_to_string() for _ in range(3)]
    predictor = Predictor.of(texts)
    assert predictor.layout is not None
    assert predictor.layout.nodes.rank.dtype == np.uint16
    x = rows_of(rng, 500)
    for text, scores in zip(texts, predictor.scores(x), strict=True):
        assert (scores == by_lightgbm(text, x)).all()


def test_blocks_ranges_and_threads_change_nothing() -> None:
    rng = np.random.default_rng(1)
    texts = [train(rng, categorical=[4]).model_to_string(), train(rng, num_leaves=4).model_to_string()]
    predictor = Predictor.of(texts)
    assert predictor.layout is not None
    x = rows_of(rng, 2 * RANGE + BLOCK + 3)
    expected = np.stack([by_lightgbm(text, x) for text in texts])
    for threads in (0, 1, 2, 3):
        out = np.full(expected.shape, np.nan)
        assert predictor.scores(x, threads, out) is out
        assert (out == expected).all()
    for n in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1):
        assert (predictor.scores(x[:n]) == expected[:, :n]).all()


def test_a_tree_of_one_leaf() -> None:
    rng = np.random.default_rng(2)
    text = train(rng, min_data_in_leaf=10_000, trees=2).model_to_string()
    assert "num_leaves=1\n" in text
    check(text, rows_of(rng, 10))


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"linear_tree": True}, "linear"),
        ({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "averaged"),
        ({"num_leaves": 65, "min_data_in_leaf": 1, "n": 2_000}, "64 leaves"),
    ],
)
def test_what_the_walker_does_not_know_is_left_to_lightgbm(parameters: dict[str, Any], reason: str) -> None:
    rng = np.random.default_rng(3)
    text = train(rng, **parameters).model_to_string()
    predictor = Predictor.of([text])
    assert predictor.layout is None
    assert reason in predictor.reason
    x = rows_of(rng, 50)
    assert predictor.scores(x, 1)[0].tobytes() == by_lightgbm(text, x).tobytes()
    assert predictor.scores(x[:0]).shape == (1, 0)


def test_damaged_or_strange_texts_are_unknown() -> None:
    rng = np.random.default_rng(4)
    text = train(rng).model_to_string()
    for bad in (
        text.partition("\nend of trees")[0],
        text.replace("version=v4", "version=v5"),
        text.replace("num_tree_per_iteration=1", "num_tree_per_iteration=2"),
        re.sub("decision_type=[0-9]+", "decision_type=16", text),
        re.sub("decision_type=[0-9]+", "decision_type=14", text),
        text.replace("leaf_value=", "leaf_value=1 "),
        re.sub("threshold=[^ ]+", "threshold=nan", text),
        text.replace("max_feature_idx=4", "max_feature_idx=1"),
        text.replace("num_leaves=", "leaves="),
        re.sub("decision_type=[0-9]+", "decision_type=1", text),
    ):
        assert bad != text
        with pytest.raises(UnknownModelError):
            read_trees(bad)
    loop = text.replace("left_child=1", "left_child=0")
    assert loop != text
    assert Predictor.of([loop]).reason == "the nodes make no tree"
    twice = re.sub("right_child=[-0-9]+ ", "right_child=-1 ", text)
    assert Predictor.of([twice]).reason == "the nodes make no tree"
    assert "float" in Predictor.of([text.replace("threshold=", "threshold=x")]).reason
    other = lgb.train({"verbosity": -1}, lgb.Dataset(np.zeros((50, 2)), np.arange(50.0)), 1).model_to_string()
    assert Predictor.of([text, other]).reason == "the models are not of the same features"


def test_features_of_another_kind_are_refused() -> None:
    rng = np.random.default_rng(5)
    predictor = Predictor.of([train(rng).model_to_string()])
    for bad in (np.zeros((2, F)), np.zeros((2, F + 1), np.float32)):
        with pytest.raises(ValueError, match="not float32"):
            predictor.scores(bad)
