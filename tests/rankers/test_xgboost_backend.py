"""XGBoost's trees as LightGBM's text; training itself only where XGBoost is installed."""

import json
import sys
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from events.errors import InputError
from rankers.folds import fold_of
from rankers.predict import Predictor
from rankers.scoring import Scorer, score_log
from rankers.settings import RankersSettings
from rankers.training import train_rankers
from rankers.xgboost_backend import model_text
from tests.rankers.world import POOL, QUICK, World, log_of, recall, write_world

NAMES = ("a", "b", "c")


def random_tree(rng: np.random.Generator, leaves: int) -> dict[str, list[Any]]:
    """Grown leaf by leaf in any order, as XGBoost numbers nodes."""
    tree: dict[str, list[Any]] = {key: [] for key in (
        "left_children", "right_children", "split_indices", "split_conditions", "default_left", "loss_changes",
        "sum_hessian",
    )}  # fmt: skip

    def add() -> None:
        values = (-1, -1, 0, float(np.float32(rng.normal())), 0, 1.0, 1.0)
        for column, value in zip(tree.values(), values, strict=True):
            column.append(value)

    add()
    while (n := len(tree["left_children"])) < 2 * leaves - 1:
        node = int(rng.choice([i for i in range(n) if tree["left_children"][i] < 0]))
        tree["left_children"][node], tree["right_children"][node] = n, n + 1
        tree["split_indices"][node] = int(rng.integers(len(NAMES)))
        tree["split_conditions"][node] = float(np.float32(rng.integers(-2, 3) / 2))
        tree["default_left"][node] = int(rng.integers(2))
        add()
        add()
    return tree


def leaf_of(tree: dict[str, list[Any]], x: np.ndarray) -> float:
    node = 0
    while tree["left_children"][node] >= 0:
        value, limit = x[tree["split_indices"][node]], np.float32(tree["split_conditions"][node])
        left = bool(tree["default_left"][node]) if np.isnan(value) else bool(value < limit)
        node = tree["left_children" if left else "right_children"][node]
    return float(np.float32(tree["split_conditions"][node]))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_the_text_says_the_same_as_the_trees(seed: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    trees = [random_tree(rng, leaves) for leaves in sizes]
    text = model_text({"learner": {"gradient_booster": {"model": {"trees": trees}}}}, NAMES)
    x = (rng.integers(-3, 4, (60, 3)) / 2).astype(np.float32)  # meets the thresholds
    x[rng.random(x.shape) < 0.2] = np.nan
    predictor = Predictor.of([text])
    assert predictor.layout is not None, predictor.reason
    found = predictor.scores(x, 1)[0]
    assert np.allclose(found, [sum(leaf_of(tree, row) for tree in trees) for row in x], atol=1e-12)
    booster = lgb.Booster(model_str=text)
    assert (booster.predict(x, raw_score=True, num_threads=1) == found).all()
    assert booster.feature_importance("split").sum() == sum(sizes) - len(sizes)


def test_a_missing_xgboost_is_said_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    world, log = World.plain(), log_of(90)
    matrix = write_world(tmp_path / "m.parquet", world, log, {"clicks": world.planted(90, "clicks")})
    with pytest.raises(InputError, match=r"XGBoost is not installed\. Remedy: pip install"):
        train_rankers(matrix, QUICK.model_copy(update={"backend": "xgboost"}), tmp_path / "w", progress=False)


def test_lightgbm_has_no_gpu() -> None:
    with pytest.raises(ValueError, match="LightGBM grows its trees on the CPU"):
        RankersSettings(device="cuda")


UPDATES: list[dict[str, Any]] = [{}, {"objective": "recall"}, {"mode": "both", "stacking": True}, {"device": "cuda"}]


@pytest.mark.parametrize("update", UPDATES, ids=str)
def test_trained_by_xgboost(update: dict[str, Any], tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    if "device" in update and not torch.cuda.is_available():
        pytest.skip("no GPU")
    world, log = World.plain(), log_of(300)
    labels = {target: world.planted(300, target) for target in ("clicks", "carts")}
    matrix = write_world(tmp_path / "m.parquet", world, log, labels)
    small = QUICK.lambdarank.model_dump() | {"eval_at": 3, "lambda_l2": 0.1}
    chosen = RankersSettings.model_validate(QUICK.model_dump() | {"backend": "xgboost", "lambdarank": small} | update)
    rankers = train_rankers(matrix, chosen, tmp_path / "w", threads=1, progress=False)
    assert train_rankers(matrix, chosen, tmp_path / "again", threads=1, progress=False) == rankers
    folds = fold_of(log.groups, QUICK.folds, QUICK.seed)
    lists = score_log(log, Scorer(world, world, rankers), folds, progress=False)
    for target, truth in labels.items():
        assert recall(lists[target], truth, 1) > 3 / POOL, target
    assert all(fit.trees == rankers.booster(fit).num_trees() for fit in rankers.fits)
    if not update:  # against XGBoost's own prediction
        x, y = matrix.features().copy(), matrix.labels["clicks"]
        booster = xgboost.train({"max_leaves": 7, "nthread": 1, "base_score": 0.0}, xgboost.DMatrix(x, y), 5)
        text = model_text(json.loads(bytes(booster.save_raw("json"))), matrix.names)
        own = booster.predict(xgboost.DMatrix(x), output_margin=True)
        assert np.abs(Predictor.of([text]).scores(np.ascontiguousarray(x), 1)[0] - own).max() < 1e-5
