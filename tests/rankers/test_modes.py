"""Settings of single targets, the model of every target, several seeds, and stacking."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from candidates.pool import Arena
from events.labels import Labels, LabelSet
from events.lists import Lists
from rankers import training
from rankers.binning import Binned
from rankers.fitting import fit_fold
from rankers.folds import fold_of, half_of
from rankers.matrix import TrainingMatrix
from rankers.models import Fit, Rankers
from rankers.scoring import Scorer, score_log
from rankers.selection import ALL, Selection, labels_of
from rankers.settings import MULTI, RankersSettings
from rankers.topk import top_lists
from rankers.training import train_rankers
from tests.rankers.world import POOL, QUICK, World, log_of, recall, record_groups, write_world

N = 360
LOG = log_of(N, per_group=2)
WORLD = World.plain(empty=frozenset({3, 100}))
FOLDS = fold_of(LOG.groups, QUICK.folds, QUICK.seed)
LABELS: Labels = {target: WORLD.planted(N, target) for target in ("clicks", "carts")}


def changed(**update: Any) -> RankersSettings:
    return RankersSettings.model_validate(QUICK.model_dump() | update)


FULL = changed(mode="both", seeds=2, stacking=True, targets={"carts": {"objective": "recall", "stop_by": "recall"}})


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> TrainingMatrix:
    return write_world(tmp_path_factory.mktemp("modes") / "m.parquet", WORLD, LOG, LABELS)


@pytest.fixture(scope="module")
def full(matrix: TrainingMatrix, tmp_path_factory: pytest.TempPathFactory) -> Rankers:
    return train_rankers(matrix, FULL, tmp_path_factory.mktemp("full"), progress=False)


def scored(rankers: Rankers, folds: np.ndarray | None, chunk: int = 100, threads: int = 1) -> dict[str, Lists]:
    return score_log(LOG, Scorer(WORLD, WORLD, rankers, num_threads=threads), folds, chunk, progress=False)


def same(one: Lists, other: Lists) -> bool:
    return one.aids.tolist() == other.aids.tolist() and one.scores.tobytes() == other.scores.tobytes()


def standard(offsets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    out = np.zeros(scores.size)
    for first, last in pairwise(offsets.tolist()):
        part = scores[first:last]
        if part.size and part.std() > 0:
            out[first:last] = (part - part.mean()) / part.std()
    return out


def count_fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    begun: list[str] = []

    def fit(selection: Selection, binned: Binned, name: str, fold: int, *rest: Any) -> Fit:
        made = fit_fold(selection, binned, name, fold, *rest)
        begun.append(made.name)
        return made

    monkeypatch.setattr(training, "fit_fold", fit)
    return begun


def test_only_fits_that_a_setting_concerns_are_made_again(
    matrix: TrainingMatrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train_rankers(matrix, QUICK, tmp_path, threads=1, progress=False)
    begun = count_fits(monkeypatch)
    carts = ["carts_fold0", "carts_fold1", "carts_fold2", "carts_refit"]
    for own in ({"lambdarank": {"num_leaves": 3}}, {"negatives": 0.3}, {"objective": "recall"}):
        again = train_rankers(matrix, changed(targets={"carts": own}), tmp_path, threads=1, progress=False)
        assert begun == carts, own
        assert [a.text == b.text for a, b in zip(plain.fits, again.fits, strict=True)] == [True] * 4 + [False] * 4
        begun.clear()
    same_again = changed(targets={"carts": {"lambdarank": {"num_leaves": QUICK.lambdarank.num_leaves}}})
    train_rankers(matrix, same_again, tmp_path, threads=1, progress=False)
    assert begun == carts  # what counts is what a setting comes to, and the last fits were of another
    begun.clear()
    train_rankers(matrix, changed(seeds=2, mode="both"), tmp_path, threads=1, progress=False)
    assert {"_seed1" in name or name.startswith(MULTI) for name in begun} == {True}
    assert len(begun) == 4 * (3 * 2 - 2)


def test_grades_are_of_the_highest_target(matrix: TrainingMatrix) -> None:
    grades = labels_of(matrix, MULTI)
    carts, clicks = matrix.labels["carts"] > 0, matrix.labels["clicks"] > 0
    assert (grades[carts] == 2).all()
    assert (grades[clicks & ~carts] == 1).all()
    assert (grades[~clicks & ~carts] == 0).all()


@pytest.mark.parametrize("objective", ["lambdarank", "recall"])
def test_one_model_ranks_for_every_target(matrix: TrainingMatrix, tmp_path: Path, objective: str) -> None:
    settings = changed(mode="multi_target", objective=objective, submission="mean_of_folds",
                       lambdarank=QUICK.lambdarank.model_dump() | {"eval_at": 3})  # fmt: skip
    rankers = train_rankers(matrix, settings, tmp_path, progress=False)
    assert [fit.name for fit in rankers.fits] == ["all_fold0", "all_fold1", "all_fold2"]
    assert rankers.predictor(rankers.fits).layout is not None  # the walker's, whatever the objective
    for folds in (FOLDS, None):
        lists = scored(rankers, folds)
        assert same(lists["clicks"], lists["carts"])
        for target, labels in LABELS.items():
            assert recall(lists[target], labels, 3) > 1.5 * 3 / POOL, target
    assert {row["target"] for row in rankers.importances()} == {MULTI}


@pytest.mark.parametrize("objective", ["lambdarank", "recall"])
def test_gains_count(matrix: TrainingMatrix, tmp_path: Path, objective: str) -> None:
    found = []
    for gain in (1.0, 100.0):
        settings = changed(mode="multi_target", objective=objective, gains={"clicks": 1, "carts": gain, "orders": 200},
                           lambdarank=QUICK.lambdarank.model_dump() | {"eval_at": 2})  # fmt: skip
        rankers = train_rankers(matrix, settings, tmp_path, progress=False)
        lists = scored(rankers, FOLDS)
        found.append(recall(lists["carts"], LABELS["carts"], 1) - recall(lists["clicks"], LABELS["clicks"], 1))
    assert found[1] > found[0]


def test_seeds_and_kinds_are_blended_by_standard_scores(matrix: TrainingMatrix, tmp_path: Path) -> None:
    rankers = train_rankers(matrix, changed(mode="both", seeds=2), tmp_path, progress=False)
    fits = rankers.for_others("carts")
    assert [fit.name for fit in fits] == ["carts_refit", "carts_refit_seed1", "all_refit", "all_refit_seed1"]
    assert len({fit.text for fit in fits}) == 4
    pool = WORLD.pool(LOG, Arena())
    features = WORLD.build(LOG, pool, Arena())
    raw = [rankers.booster(fit).predict(features, raw_score=True) for fit in fits]
    mean = sum(standard(pool.offsets, scores) for scores in raw) / 4
    found, expected = scored(rankers, None)["carts"], top_lists(pool, mean.astype(np.float32), 20)
    assert np.allclose(found.scores, expected.scores, atol=1e-6)
    assert (found.aids == expected.aids).mean() > 0.99  # but for scores that are equal to the last digits


def test_threads_chunks_and_resuming_change_nothing(
    matrix: TrainingMatrix, full: Rankers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train_rankers(matrix, FULL, tmp_path / "two", threads=2, progress=False) == full
    for folds in (FOLDS, None):
        whole = scored(full, folds, N)
        for chunk, threads in ((7, 1), (100, 2)):
            again = scored(full, folds, chunk, threads)
            assert all(same(again[target], whole[target]) for target in whole)
    full.save(tmp_path / "saved")
    assert Rankers.load(tmp_path / "saved") == full
    for name in ("carts_fold1_half0", "carts_fold1_seed1", "all_refit"):
        (tmp_path / "two" / f"{name}.txt").unlink()
    begun = count_fits(monkeypatch)
    assert train_rankers(matrix, FULL, tmp_path / "two", progress=False) == full
    assert begun == ["carts_fold1_half0", "carts_fold1_seed1", "all_refit"]


def test_no_first_level_model_has_seen_what_it_describes(
    matrix: TrainingMatrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = record_groups(monkeypatch, matrix)
    settings = changed(stacking=True, submission="mean_of_folds")
    rankers = train_rankers(matrix, settings, tmp_path, threads=1, progress=False)
    fold, half = (dict(zip(matrix.groups.tolist(), found.tolist(), strict=True)) for found in (
        fold_of(matrix.groups, 3, QUICK.seed), half_of(matrix.groups, QUICK.seed)
    ))  # fmt: skip
    for fit, train, inner in zip(rankers.fits, used[::2], used[1::2], strict=True):
        assert train
        assert inner
        assert not train & inner
        assert {fold[group] for group in train | inner} == {0, 1, 2} - {fit.fold}
        assert {half[group] for group in train | inner} == ({0, 1} if fit.half is None else {fit.half})


def test_stacked_models_see_the_scores_of_the_other_half(full: Rankers) -> None:
    lists = scored(full, FOLDS)
    plain = replace(full, fits=tuple(fit for fit in full.fits if fit.target != "clicks" or fit.half is None))
    assert not same(scored(plain, FOLDS)["clicks"], lists["clicks"])
    pool = WORLD.pool(LOG, Arena())
    features = WORLD.build(LOG, pool, Arena())
    owner, halves = pool.owner(), half_of(LOG.groups, QUICK.seed)
    columns = []
    for target in ("clicks", "carts"):
        by_half = {fit.half: fit for fit in full.first_level(ALL) if fit.target == target}
        raw = {half: full.booster(fit).predict(features, raw_score=True) for half, fit in by_half.items()}
        scores = np.where(halves[owner] == 0, raw[1], raw[0])
        place = np.zeros(scores.size)
        for first, last in pairwise(pool.offsets.tolist()):
            place[first:last] = np.argsort(np.argsort(-scores[first:last], kind="stable"))
        columns += [standard(pool.offsets, scores), place]
    stacked = np.column_stack([features, *columns]).astype(np.float32)
    fits = full.for_others("clicks")
    mean = sum(standard(pool.offsets, full.booster(fit).predict(stacked, raw_score=True)) for fit in fits) / len(fits)
    expected = top_lists(pool, mean.astype(np.float32), 20)
    assert np.abs(scored(full, None)["clicks"].scores - expected.scores).mean() < 1e-3
    assert any("first_carts_standard" in str(row["feature"]) for row in full.importances())


def test_labels_of_the_reported_fold_change_no_score_of_it(full: Rankers, tmp_path: Path) -> None:
    def poisoned(labels: LabelSet, fold: int) -> LabelSet:
        rows = [labels.row(s).tolist() for s in range(N)]
        for s in np.flatnonzero(fold == FOLDS).tolist():
            rows[s] = sorted(int(aid) for aid in WORLD.items(s)[s % 5 :: 4])
        return LabelSet.of(rows)

    other = {target: poisoned(labels, 1) for target, labels in LABELS.items()}
    rankers = train_rankers(
        write_world(tmp_path / "m.parquet", WORLD, LOG, other), FULL, tmp_path / "work", progress=False
    )
    reported, others = np.flatnonzero(FOLDS == 1), np.flatnonzero(FOLDS != 1)
    before, after = scored(full, FOLDS), scored(rankers, FOLDS)
    for target in LABELS:
        assert same(before[target].take(reported), after[target].take(reported))
        assert not same(before[target].take(others), after[target].take(others))


def test_without_signal_stacking_is_at_chance(tmp_path: Path) -> None:
    n = 1_200
    log, world = log_of(n), World.plain()
    labels: Labels = {"clicks": world.random(n), "carts": world.random(n)}
    deep = QUICK.lambdarank.model_copy(update={"num_leaves": 63, "min_data_in_leaf": 4, "feature_fraction": 1.0})
    settings = QUICK.model_copy(update={"lambdarank": deep, "stacking": True, "submission": "mean_of_folds"})
    matrix = write_world(tmp_path / "m.parquet", world, log, labels)
    rankers = train_rankers(matrix, settings, tmp_path / "work", progress=False)
    folds = fold_of(log.groups, QUICK.folds, QUICK.seed)
    lists = score_log(log, Scorer(world, world, rankers), folds, progress=False)
    chance, error = 5 / POOL, np.sqrt(5 / POOL * (1 - 5 / POOL) / n)
    for target, truth in labels.items():
        assert abs(recall(lists[target], truth, 5) - chance) < 4 * error, target
    # Half of the columns are the first level's. Were a row described by the model that was trained on it, they would
    # carry four fifths of the gain.
    share = {row["feature"]: row["gain_share"] for row in rankers.importances() if row["target"] == "clicks"}
    assert sum(value for name, value in share.items() if name.startswith("first_")) < 0.6


def test_a_target_too_rare_for_the_first_level_is_no_error(matrix: TrainingMatrix, tmp_path: Path) -> None:
    rare = np.zeros(len(matrix), np.int8)
    rare[:: len(matrix) // 30] = 1
    settings = changed(stacking=True, min_sessions=25)
    fewer = replace(matrix, labels={"clicks": matrix.labels["clicks"], "orders": rare}, digest="rare")
    rankers = train_rankers(fewer, settings, tmp_path, progress=False)
    assert rankers.stacked == ("clicks", "orders")
    assert "orders fold 0 half 1" in rankers.reasons
    assert {fit.target for fit in rankers.fits} == {"clicks"}
    assert rankers.reasons["orders"] == "no fold could be trained"
    assert recall(scored(rankers, FOLDS)["clicks"], LABELS["clicks"], 1) > 2 / POOL
