from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from events.labels import Labels, LabelSet
from rankers import training
from rankers.binning import Binned, bin_rows
from rankers.fitting import fit_fold, parameters
from rankers.folds import fold_of
from rankers.matrix import TrainingMatrix
from rankers.models import Fit, Rankers
from rankers.predict import Predictor
from rankers.selection import ALL, Selection, select
from rankers.settings import LambdaRankOverrides, LambdaRankSettings, RankersSettings, TargetSettings
from rankers.training import train_rankers
from tests.rankers.world import POOL, QUICK, World, log_of, record_groups, write_world

N = 400
WORLD = World.plain(empty=frozenset({0, 5, 6, 399}))


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> TrainingMatrix:
    path = tmp_path_factory.mktemp("matrix") / "m.parquet"
    labels: Labels = {target: WORLD.planted(N, target) for target in ("clicks", "carts")}
    labels["orders"] = LabelSet.of([[]] * N)
    return write_world(path, WORLD, log_of(N, per_group=2), labels)


def test_every_fold_and_a_refit(matrix: TrainingMatrix, tmp_path: Path) -> None:
    rankers = train_rankers(matrix, QUICK, tmp_path, progress=False)
    assert [fit.name for fit in rankers.fits] == [
        f"{target}_{name}" for target in ("clicks", "carts") for name in ("fold0", "fold1", "fold2", "refit")
    ]
    assert rankers.targets == ("clicks", "carts", "orders")
    assert rankers.reasons["orders"] == "no fold could be trained"
    assert rankers.reasons["orders fold 1"].startswith("0 training sessions have a positive")
    for target in ("clicks", "carts"):
        folds = [fit for fit in rankers.fits if fit.target == target and fit.fold >= 0]
        (refit,) = rankers.for_others(target)
        assert refit.fold == ALL
        assert refit.trees == max(int(np.median([fit.trees for fit in folds])), 1)
        assert refit.sessions > max(fit.sessions for fit in folds)
        assert all(rankers.booster(fit).num_trees() == fit.trees for fit in (*folds, refit))
        assert refit.curve == ()
        for fit in folds:
            assert fit.curve[fit.trees - 1] == max(fit.curve) == pytest.approx(fit.score, abs=1e-6)
    rankers.save(tmp_path / "saved")
    assert Rankers.load(tmp_path / "saved").fits == rankers.fits
    table = rankers.importances()
    assert {row["feature"] for row in table[:2]} == {"x0", "x1"}
    assert {row["target"] for row in table} == {"clicks", "carts"}


def test_mean_of_folds_has_no_refit(matrix: TrainingMatrix, tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"submission": "mean_of_folds"})
    rankers = train_rankers(matrix, settings, tmp_path, targets=("carts",), progress=False)
    assert [fit.fold for fit in rankers.for_others("carts")] == [0, 1, 2]


def test_no_group_is_trained_on_stopped_by_and_reported_at_once(
    matrix: TrainingMatrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = record_groups(monkeypatch, matrix)
    rankers = train_rankers(matrix, QUICK, tmp_path, targets=("clicks",), threads=1, progress=False)
    fold = fold_of(matrix.groups, QUICK.folds, QUICK.seed)
    assert len(used) == 2 * QUICK.folds + 1
    for f in range(QUICK.folds):
        train, inner = used[2 * f], used[2 * f + 1]
        reported = set(matrix.groups[fold == f].tolist())
        assert train
        assert inner
        assert not train & reported
        assert not inner & reported
        assert not train & inner
        assert rankers.of_fold("clicks", f)[0].fold == f
    assert used[-1] == set(matrix.groups.tolist())


def test_without_early_stopping_every_session_outside_the_fold_is_trained_on(
    matrix: TrainingMatrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = record_groups(monkeypatch, matrix)
    never = TargetSettings(lambdarank=LambdaRankOverrides(early_stopping_rounds=0, max_trees=7))
    settings = QUICK.model_copy(update={"targets": {"clicks": never}})
    rankers = train_rankers(matrix, settings, tmp_path, targets=("clicks", "carts"), threads=1, progress=False)
    selection, fold = select(matrix, "clicks", settings), fold_of(matrix.groups, QUICK.folds, QUICK.seed)
    assert not selection.inner.any()
    assert select(matrix, "carts", settings).inner.any()
    for f in range(QUICK.folds):
        assert used[f] == set(matrix.groups[selection.usable & (fold != f)].tolist())
    fits = [fit for fit in rankers.fits if fit.target == "clicks"]
    assert [fit.trees for fit in fits] == [7] * (QUICK.folds + 1)
    assert {(fit.score, fit.curve) for fit in fits} == {(None, ())}
    assert rankers.reasons == {}
    saved = tmp_path / "rankers"
    rankers.save(saved)
    assert Rankers.load(saved).fits == rankers.fits


def test_only_training_rows_are_sampled(matrix: TrainingMatrix) -> None:
    selection = select(matrix, "clicks", QUICK)
    rows = np.bincount(selection.session, minlength=matrix.n_sessions)
    assert (rows[selection.inner] == POOL).all()
    others = rows[~selection.inner]
    assert others.max() < POOL
    assert abs(others.mean() - (1 + 0.5 * (POOL - 1))) < 0.5
    again = select(matrix, "clicks", QUICK)
    assert (again.session == selection.session).all()
    assert (again.trained == selection.trained).all()
    assert select(matrix, "carts", QUICK).session.size < selection.session.size


def test_one_and_two_threads_give_the_same_bytes(matrix: TrainingMatrix, tmp_path: Path) -> None:
    one = train_rankers(matrix, QUICK, tmp_path / "1", threads=1, progress=False)
    two = train_rankers(matrix, QUICK, tmp_path / "2", threads=2, progress=False)
    for a, b in zip(one.fits, two.fits, strict=True):
        assert a.text.split("\n") == b.text.split("\n"), a.name
    assert one == two
    one.save(tmp_path / "one")
    two.save(tmp_path / "two")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "rankers.json" in files
    assert "importances.csv" in files
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_seed_and_the_settings_change_the_models(matrix: TrainingMatrix) -> None:
    def outcome(settings: RankersSettings) -> tuple[str, float | None]:
        selection = select(matrix, "clicks", settings)
        binned = bin_rows(matrix, [selection.rows], parameters(settings, 0))
        fit = fit_fold(selection, binned, "clicks", 0, settings, settings.lambdarank.max_trees)
        return fit.text.split("end of trees")[0], fit.score  # what follows repeats the parameters

    plain = outcome(QUICK)
    others = LambdaRankSettings(
        learning_rate=0.1,
        num_leaves=5,
        min_data_in_leaf=40,
        max_bin=15,
        lambda_l2=9.0,
        feature_fraction=0.3,
        bagging_fraction=0.5,
        lambdarank_truncation_level=2,
        lambdarank_norm=False,
        max_trees=3,
        early_stopping_rounds=1,
        eval_at=1,
    )
    for name, value in others:
        changed = QUICK.model_copy(update={"lambdarank": QUICK.lambdarank.model_copy(update={name: value})})
        assert outcome(changed) != plain, name
    for update in (
        {"seed": 1},
        {"negatives": {"clicks": 0.4}},
        {"inner_share": 0.3},
        {"inner_sessions": 20},
        {"objective": "recall"},
        {"stop_by": "recall"},
    ):
        assert outcome(QUICK.model_copy(update=update)) != plain, update


def test_the_targets_share_their_thresholds(matrix: TrainingMatrix, tmp_path: Path) -> None:
    rankers = train_rankers(matrix, QUICK, tmp_path / "all", progress=False)
    alone = train_rankers(matrix, QUICK, tmp_path / "one", targets=("carts",), progress=False)
    assert [fit for fit in rankers.fits if fit.target == "carts"] == list(alone.fits)
    every = Predictor.of([fit.text for fit in rankers.fits]).layout
    assert every is not None
    bins = QUICK.lambdarank.max_bin
    assert (np.bincount(every.columns.feature) == 1).all()
    assert np.diff(every.columns.first_threshold).max() <= bins


def test_rows_are_binned_once_and_no_row_is_lost(matrix: TrainingMatrix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankers.binning.SAMPLE", 500)  # rows of the sample are binned along with those wanted
    selections = [select(matrix, target, QUICK) for target in ("clicks", "carts")]
    binned = bin_rows(matrix, [one.rows for one in selections], parameters(QUICK, 1))
    both = np.union1d(selections[0].rows, selections[1].rows)
    assert both.size < binned.data.num_data() < len(matrix)
    assert (np.diff(binned.place[both]) > 0).all()
    assert binned.place[both].max() < binned.data.num_data()
    one = selections[1]
    rows = one.training_rows(0)
    part = binned.take(one.rows[rows], one.labels[rows], one.session[rows])
    assert part.num_data() == rows.sum()
    assert (part.get_label() == one.labels[rows]).all()
    assert (part.get_group() == np.unique(one.session[rows], return_counts=True)[1]).all()


def test_settings_of_a_target_change_its_models_alone(matrix: TrainingMatrix, tmp_path: Path) -> None:
    plain = train_rankers(matrix, QUICK, tmp_path / "plain", progress=False)
    own = RankersSettings.model_validate({"targets": {"carts": {"lambdarank": {"num_leaves": 3}}}}).targets
    other = train_rankers(matrix, QUICK.model_copy(update={"targets": own}), tmp_path / "own", progress=False)
    same = {a.name for a, b in zip(plain.fits, other.fits, strict=True) if a.text == b.text}
    assert same == {fit.name for fit in plain.fits if fit.target == "clicks"}


def test_work_bounds_the_trees(matrix: TrainingMatrix, tmp_path: Path) -> None:
    def rankers(max_work: float) -> Rankers:
        settings = QUICK.model_copy(update={"max_work": max_work})
        return train_rankers(matrix, settings, tmp_path / f"{max_work:.0f}", progress=False)

    rows = sum(fit.rows for fit in rankers(1e15).fits)
    work = 3.5 * rows * len(matrix.names)
    bounded = rankers(work)
    assert max(fit.trees for fit in bounded.fits) == 3
    assert sum(fit.rows * fit.trees for fit in bounded.fits) * len(matrix.names) <= work
    assert {fit.trees for fit in rankers(1.0).fits} == {1}


class Killed(BaseException):
    """Stands for the end of the process."""


def interrupted(monkeypatch: pytest.MonkeyPatch, after: int) -> list[str]:
    """Let ``after`` fits pass, then die; the list records every fit begun."""
    begun: list[str] = []
    original = fit_fold

    def fit(selection: Selection, binned: Binned, target: str, fold: int, *rest: Any) -> Fit:
        if len(begun) == after:
            raise Killed
        begun.append(f"{target}{fold}")
        return original(selection, binned, target, fold, *rest)

    monkeypatch.setattr(training, "fit_fold", fit)
    return begun


def test_killed_and_resumed_training_gives_the_same_models(
    matrix: TrainingMatrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_rankers(matrix, QUICK, tmp_path / "whole", progress=False)
    work = tmp_path / "work"
    interrupted(monkeypatch, after=5)
    with pytest.raises(Killed):
        train_rankers(matrix, QUICK, work, threads=1, progress=False)
    (work / "carts_fold1.txt").write_text("a model whose mark was not written")
    (work / "clicks_fold0.txt").write_text("tree\n")  # damaged after it was done
    (work / "clicks_fold1.done.json").write_text("{")
    begun = interrupted(monkeypatch, after=99)
    assert train_rankers(matrix, QUICK, work, threads=1, progress=False) == whole
    assert begun == ["clicks0", "clicks1", "carts1", "carts2", "clicks-1", "carts-1"]
    begun = interrupted(monkeypatch, after=0)
    assert train_rankers(matrix, QUICK, work, threads=1, progress=False) == whole


@pytest.mark.parametrize("change", ["settings", "data"])
def test_fits_of_other_settings_or_data_are_not_kept(
    matrix: TrainingMatrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    train_rankers(matrix, QUICK, tmp_path, targets=("carts",), progress=False)
    begun = interrupted(monkeypatch, after=99)
    settings = QUICK.model_copy(update={"inner_share": 0.2}) if change == "settings" else QUICK
    other = replace(matrix, digest="other") if change == "data" else matrix
    train_rankers(other, settings, tmp_path, targets=("carts",), progress=False)
    assert len(begun) == 4


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Any]:
    def build(n: int, per_group: int, labels: Labels | None = None) -> TrainingMatrix:
        world = World.plain()
        labels = {"clicks": world.planted(n, "clicks")} if labels is None else labels
        return write_world(tmp_path / "tiny.parquet", world, log_of(n, per_group), labels)

    return build


def test_too_few_sessions_are_no_error(tiny: Any, tmp_path: Path) -> None:
    rankers = train_rankers(tiny(8, 1), RankersSettings(), tmp_path / "w", targets=("clicks", "carts"), progress=False)
    assert rankers.fits == ()
    assert rankers.reasons["carts"] == "the training matrix has no labels of this target"
    assert rankers.reasons["clicks"] == "no fold could be trained"


def test_one_group_only_is_no_error(tiny: Any, tmp_path: Path) -> None:
    rankers = train_rankers(tiny(60, 60), QUICK, tmp_path / "w", progress=False)
    assert rankers.fits == ()
    fold = int(fold_of(np.zeros(1, np.int64), 3, QUICK.seed)[0])
    assert "0 training sessions" in rankers.reasons[f"clicks fold {fold}"]
    assert rankers.reasons[f"clicks fold {(fold + 1) % 3}"] == "no session of the training matrix lies in this fold"


def test_fewer_groups_than_folds_train_the_folds_that_exist(tiny: Any, tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"folds": 20, "inner_share": 0.5})
    matrix = tiny(150, 10)
    rankers = train_rankers(matrix, settings, tmp_path / "w", progress=False)
    present = set(fold_of(matrix.groups, 20, settings.seed).tolist())
    assert {fit.fold for fit in rankers.fits} == {*present, ALL}
    assert len(rankers.reasons) == 20 - len(present)


def test_one_split_instead_of_folds(matrix: TrainingMatrix, tmp_path: Path) -> None:
    settings = QUICK.model_copy(update={"folds": 1})
    rankers = train_rankers(matrix, settings, tmp_path, targets=("clicks",), progress=False)
    assert [fit.fold for fit in rankers.fits] == [0, ALL]


def test_constant_features_are_no_error(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "value", lambda _self, _feature, sessions, _items: np.zeros(sessions.size))
    rankers = train_rankers(tiny(120, 1), QUICK, tmp_path / "w", progress=False)
    assert all(fit.trees >= 1 for fit in rankers.fits)
