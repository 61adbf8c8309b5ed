from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from candidates.pool import Candidates
from events.errors import InputError
from events.labels import Labels, LabelSet
from events.lists import Lists
from events.log import SessionLog
from rankers.folds import TRAINED_ON, fold_of
from rankers.models import Rankers
from rankers.scoring import Scorer, score_log, score_sessions
from rankers.settings import RankersSettings
from rankers.topk import reciprocal_rank_scores, top_lists
from rankers.training import train_rankers
from tests.rankers.world import N_ITEMS, POOL, QUICK, World, log_of, recall, write_world

N = 500
LOG = log_of(N, per_group=2)
FOLDS = fold_of(LOG.groups, QUICK.folds, QUICK.seed)
WORLD = World.plain(empty=frozenset({3, 100, 101, 499}))


def trained(folder: Path, world: World, log: SessionLog, labels: Labels, settings: RankersSettings = QUICK) -> Rankers:
    matrix = write_world(folder / "m.parquet", world, log, labels)
    return train_rankers(matrix, settings, folder / "work", progress=False)


@pytest.fixture(scope="module")
def labels() -> Labels:
    return {"clicks": WORLD.planted(N, "clicks"), "carts": WORLD.planted(N, "carts"), "orders": LabelSet.of([[]] * N)}


@pytest.fixture(scope="module")
def rankers(tmp_path_factory: pytest.TempPathFactory, labels: Labels) -> Rankers:
    return trained(tmp_path_factory.mktemp("rankers"), WORLD, LOG, labels)


def same(a: dict[str, Lists], b: dict[str, Lists]) -> bool:
    return list(a) == list(b) and all(
        (a[t].offsets == b[t].offsets).all() and (a[t].aids == b[t].aids).all() and (a[t].scores == b[t].scores).all()
        for t in a
    )


def by_feature(world: World, log: SessionLog, value: Callable[[np.ndarray], np.ndarray]) -> Lists:
    """Lists ranked by a function of the features."""
    scorer_arena = Scorer(world, world, Rankers(world.names, (), 2, 0.2, 0, "refit", (), {})).arena
    pool = world.pool(log, scorer_arena)
    return top_lists(pool, value(world.build(log, pool, scorer_arena)).astype(np.float32), 20)


def test_the_ranker_beats_the_best_feature_out_of_fold(rankers: Rankers, labels: Labels) -> None:
    lists = score_log(LOG, Scorer(WORLD, WORLD, rankers), FOLDS, 64, progress=False)
    for target in ("clicks", "carts"):
        single = max(
            recall(by_feature(WORLD, LOG, lambda x, f=f, sign=sign: sign * x[:, f]), labels[target], 1)
            for f in range(len(WORLD.names))
            for sign in (1, -1)
        )
        assert recall(lists[target], labels[target], 1) > single + 0.1, target


def test_without_signal_out_of_fold_is_chance(tmp_path: Path) -> None:
    """The sessions of a group share features and label: folds by session would find it, folds by group cannot."""

    class Siblings(World):
        def items(self, session: int) -> np.ndarray:
            return super().items(session // 4)

        def value(self, feature: int, sessions: np.ndarray, items: np.ndarray) -> np.ndarray:
            return super().value(feature, sessions // 4, items)

    world = Siblings.plain()
    n = 1_600
    log = log_of(n, per_group=4)
    labels = world.random(n, per_group=4)
    # Early stopping leaves a tree or two of noise; deep ones learn the training sessions by heart all the same.
    deep = QUICK.lambdarank.model_copy(update={"num_leaves": 63, "min_data_in_leaf": 4, "feature_fraction": 1.0})
    rankers = trained(tmp_path, world, log, {"clicks": labels}, QUICK.model_copy(update={"lambdarank": deep}))
    chance, error = 5 / POOL, np.sqrt(5 / POOL * (1 - 5 / POOL) / (n / 4))
    folds = fold_of(log.groups, QUICK.folds, QUICK.seed)
    found = recall(score_log(log, Scorer(world, world, rankers), folds, progress=False)["clicks"], labels, 5)
    assert abs(found - chance) < 4 * error
    # The test can see a leak: the models know the sessions that they were trained on.
    known = recall(score_log(log, Scorer(world, world, rankers), None, progress=False)["clicks"], labels, 5)
    assert known > chance + 6 * error


def test_renaming_the_items_changes_nothing_that_matters(tmp_path: Path, rankers: Rankers, labels: Labels) -> None:
    renamed = replace(WORLD, relabel=np.random.default_rng(1).permutation(N_ITEMS).astype(np.int32))
    new_labels = {target: renamed.planted(N, target) for target in ("clicks", "carts")}
    other = trained(tmp_path, renamed, LOG, new_labels)
    before = score_log(LOG, Scorer(WORLD, WORLD, rankers), FOLDS, progress=False)
    after = score_log(LOG, Scorer(renamed, renamed, other), FOLDS, progress=False)
    for target in new_labels:
        difference = recall(before[target], labels[target], 3) - recall(after[target], new_labels[target], 3)
        assert abs(difference) < 0.06, target


@pytest.mark.parametrize("folds", [FOLDS, None], ids=["out of fold", "for others"])
def test_lists_do_not_depend_on_the_chunks(rankers: Rankers, folds: np.ndarray | None) -> None:
    whole = score_log(LOG, Scorer(WORLD, WORLD, rankers), folds, N, progress=False)
    assert {len(lists) for lists in whole.values()} == {N}
    assert whole["clicks"].lengths[3] == whole["orders"].lengths[499] == 0
    for chunk in (1, 7, 100):
        assert same(score_log(LOG, Scorer(WORLD, WORLD, rankers, num_threads=1), folds, chunk, progress=False), whole)
    reverse = np.arange(N)[::-1].copy()
    backwards = score_log(
        LOG.take(reverse), Scorer(WORLD, WORLD, rankers), None if folds is None else folds[reverse], progress=False
    )
    assert same({target: lists.take(reverse) for target, lists in backwards.items()}, whole)


def test_each_session_is_scored_by_the_model_that_never_saw_it(rankers: Rankers) -> None:
    scorer = Scorer(WORLD, WORLD, rankers)
    lists = score_sessions(LOG, scorer, FOLDS)
    pool = WORLD.pool(LOG, scorer.arena)
    features = WORLD.build(LOG, pool, scorer.arena)
    owner = pool.owner()
    for fold in range(QUICK.folds):
        (fit,) = rankers.of_fold("carts", fold)
        expected = top_lists(pool, rankers.booster(fit).predict(features, raw_score=True).astype(np.float32), 20)
        rows = np.flatnonzero(fold == FOLDS)
        assert same({"carts": lists["carts"].take(rows)}, {"carts": expected.take(rows)})
        assert not same({"carts": lists["carts"]}, {"carts": expected})
    assert owner.size == len(pool)


def test_sessions_outside_the_folds_get_the_refit_or_the_mean(rankers: Rankers) -> None:
    scorer = Scorer(WORLD, WORLD, rankers)
    pool = WORLD.pool(LOG, scorer.arena)
    features = WORLD.build(LOG, pool, scorer.arena).copy()
    boosters = {fit.fold: rankers.booster(fit) for fit in rankers.fits if fit.target == "clicks"}
    refit = top_lists(pool, boosters[-1].predict(features, raw_score=True).astype(np.float32), 20)
    mean = sum(boosters[fold].predict(features, raw_score=True) for fold in range(QUICK.folds)) / QUICK.folds
    averaged = top_lists(pool, mean.astype(np.float32), 20)
    without = replace(rankers, fits=tuple(fit for fit in rankers.fits if fit.fold >= 0))
    assert same({"": score_sessions(LOG, scorer)["clicks"]}, {"": refit})
    assert same({"": score_sessions(LOG, Scorer(WORLD, WORLD, without))["clicks"]}, {"": averaged})
    assert not same({"": refit}, {"": averaged})


def test_a_target_or_fold_without_a_model_is_ranked_by_the_sources(rankers: Rankers) -> None:
    scorer = Scorer(WORLD, WORLD, rankers)
    pool = WORLD.pool(LOG, scorer.arena)
    expected = top_lists(pool, reciprocal_rank_scores(pool, "orders"), 20)
    for folds in (None, FOLDS):
        assert same({"": score_sessions(LOG, scorer, folds)["orders"]}, {"": expected})
    assert expected.row(1)[1][0] == 1.0
    partial = replace(rankers, fits=tuple(fit for fit in rankers.fits if fit.fold != 1))
    lists = score_sessions(LOG, Scorer(WORLD, WORLD, partial), FOLDS)["clicks"]
    full = score_sessions(LOG, scorer, FOLDS)["clicks"]
    there, missing = np.flatnonzero(FOLDS != 1), np.flatnonzero(FOLDS == 1)
    assert same({"": lists.take(there)}, {"": full.take(there)})
    assert same({"": lists.take(missing)}, {"": expected.take(missing)})


def test_columns_of_other_targets_have_no_vote() -> None:
    ranks = np.array([[0, -1], [-1, 0], [1, 0]], np.int16)
    pool = Candidates(np.array([0, 2]), np.array([4, 9], np.int32), ("a", "b_carts", "b_orders"), ranks, ranks * 0.0)
    assert reciprocal_rank_scores(pool, "clicks").tolist() == [1.0, 0.0]
    assert reciprocal_rank_scores(pool, "carts").tolist() == [1.0, 1.0]
    assert reciprocal_rank_scores(pool, "orders").tolist() == [1.5, 1.0]
    named_so = Candidates(pool.offsets, pool.aids, ("near_clicks",), ranks[:1], ranks[:1] * 0.0)
    assert reciprocal_rank_scores(named_so, "orders").tolist() == [1.0, 0.0]


def test_pools_are_shown_once_each(rankers: Rankers) -> None:
    seen: list[tuple[int, int, int]] = []
    score_log(
        LOG,
        Scorer(WORLD, WORLD, rankers),
        None,
        200,
        progress=False,
        on_pool=lambda start, log, pool: seen.append((start, len(log), pool.n_sessions)),
    )
    assert seen == [(0, 200, 200), (200, 200, 200), (400, 100, 100)]


def test_equal_scores_rank_by_item_and_the_list_ends_at_k() -> None:
    pool = Candidates(
        np.array([0, 4, 4]),
        np.array([2, 5, 7, 9], np.int32),
        (),
        np.zeros((0, 4), np.int16),
        np.zeros((0, 4), np.float32),
    )
    lists = top_lists(pool, np.array([1, 3, 1, 3], np.float32), 3)
    assert lists.row(0)[0].tolist() == [5, 9, 2]
    assert lists.row(1)[0].tolist() == []


def test_sessions_that_every_model_has_seen_are_refused(rankers: Rankers) -> None:
    folds = np.full(N, TRAINED_ON, np.int64)
    with pytest.raises(ValueError, match="out of fold"):
        score_sessions(LOG, Scorer(WORLD, WORLD, rankers), folds)


def test_other_features_are_refused(rankers: Rankers) -> None:
    other = replace(WORLD, names=("x0", "x1", "noise0", "age"))
    with pytest.raises(InputError, match="age, noise1"):
        Scorer(WORLD, other, rankers)
    with pytest.raises(InputError, match="another order"):
        Scorer(WORLD, replace(WORLD, names=WORLD.names[::-1]), rankers)


def test_an_empty_log(rankers: Rankers) -> None:
    lists = score_log(LOG.slice(0, 0), Scorer(WORLD, WORLD, rankers), None, progress=False)
    assert [len(part) for part in lists.values()] == [0, 0, 0]
    nothing = LOG.take(np.array([3, 100]))
    assert [part.aids.size for part in score_sessions(nothing, Scorer(WORLD, WORLD, rankers)).values()] == [0, 0, 0]


def test_rankers_read_back(rankers: Rankers, tmp_path: Path) -> None:
    rankers.save(tmp_path / "r")
    again = Rankers.load(tmp_path / "r")
    assert again == rankers
    assert same(score_sessions(LOG, Scorer(WORLD, WORLD, again)), score_sessions(LOG, Scorer(WORLD, WORLD, rankers)))
    (tmp_path / "r" / "clicks_fold1.txt").unlink()
    with pytest.raises(InputError, match=r"clicks_fold1\.txt"):
        Rankers.load(tmp_path / "r")
    (tmp_path / "r" / "rankers.json").write_text('{"fits": [], "features": 3}')
    with pytest.raises(InputError, match="not an index of rankers"):
        Rankers.load(tmp_path / "r")
