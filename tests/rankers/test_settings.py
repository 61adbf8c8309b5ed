from pathlib import Path

import pytest
from pydantic import ValidationError

from rankers.settings import RankersSettings
from rankers.sizing import memory_bytes, sessions_that_fit


def test_unknown_keys_and_wrong_shares_are_refused() -> None:
    for bad in (
        {"fold": 3},
        {"negatives": {"views": 0.1}},
        {"negatives": {"clicks": 0}},
        {"lambdarank": {"leaves": 3}},
    ):
        with pytest.raises(ValidationError):
            RankersSettings.model_validate(bad)


def test_unnamed_targets_keep_their_negatives() -> None:
    assert RankersSettings(negatives={"clicks": 0.1}).negative_share("orders") == 1.0


def test_the_sample_is_as_set_or_as_memory_and_work_allow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    labelled = {"clicks": 0.9, "orders": 0.1}
    assert RankersSettings(max_sessions=77).training_sessions(70, labelled) == 77
    monkeypatch.setattr("rankers.settings.memory_bytes", lambda: 2**33)
    plenty = RankersSettings(max_work=1e15)
    assert plenty.training_sessions(70, labelled) == sessions_that_fit(70, 100, 2**33)
    assert plenty.training_sessions(140, labelled) < plenty.training_sessions(70, labelled)
    monkeypatch.setattr("rankers.settings.memory_bytes", lambda: 2**50)
    one = RankersSettings(folds=1)
    trees = one.lambdarank.max_trees
    # Rows a session: 0.7 x 100 candidates x (0.9 x 0.25 + 0.1 x 0.8) in the fit of the split (0.8) and in the refit.
    assert one.training_sessions(70, labelled) == int(3.5e11 / (70 * 0.305 * 1.8 * 70 * trees))
    assert RankersSettings(folds=5).training_sessions(70, labelled) < one.training_sessions(70, labelled)
    (tmp_path / "max").write_text("max\n")
    whole = memory_bytes(tmp_path / "max")
    assert whole == memory_bytes(tmp_path / "missing") > 2**28
    (tmp_path / "max").write_text("1000000\n")
    assert memory_bytes(tmp_path / "max") == 1_000_000


def test_the_sample_depends_on_what_it_says() -> None:
    fixed = RankersSettings(max_sessions=5)
    assert fixed.sampling() == fixed.model_copy(update={"folds": 2, "max_work": 1.0}).sampling()
    sized = RankersSettings()
    for update in ({"folds": 1}, {"max_work": 1.0}, {"negatives": {}}, {"seed": 3}, {"holdout_share": 0.3}):
        assert sized.sampling() != sized.model_copy(update=update).sampling()


def test_a_target_has_settings_of_its_own() -> None:
    given = {"negatives": {"orders": 0.9}, "targets": {"orders": {"negatives": 0.5, "lambdarank": {"num_leaves": 31}}}}
    settings = RankersSettings.model_validate(given)
    own = settings.of("orders")
    assert (own.lambdarank.num_leaves, own.negative_share("orders")) == (31, 0.5)
    assert own.lambdarank.learning_rate == settings.lambdarank.learning_rate
    assert settings.of("carts") == settings
    assert settings.lambdarank.num_leaves != 31
    for wrong in ({"orders": {"lambdarank": {"max_bin": 63}}}, {"views": {}}, {"orders": {"negatives": 0.0}}):
        with pytest.raises(ValidationError):
            RankersSettings.model_validate({"targets": wrong})
