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
        {"targets": {"views": {}}},
        {"targets": {"orders": {"leaves": 3}}},
        {"targets": {"orders": {"lambdarank": {"leaves": 3}}}},
        {"targets": {"orders": {"lambdarank": {"num_leaves": 1}}}},
        {"targets": {"orders": {"lambdarank": {"max_bin": 63}}}},
        {"targets": {"orders": {"negatives": 0}}},
        {"gains": {"clicks": 1, "carts": 2}},
        {"gains": {"clicks": 1, "carts": 3, "orders": 2}},
        {"gains": {"clicks": 0, "carts": 3, "orders": 6}},
        {"mode": "single"},
        {"objective": "ndcg"},
        {"seeds": 0},
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
    # Rows a session: 0.7 x 100 candidates x (0.9 x 0.1 + 0.1 x 0.4) in the fit of the split (0.8) and in the refit.
    assert one.training_sessions(70, labelled) == int(3.5e11 / (70 * 0.13 * 1.8 * 70 * trees))
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


def test_a_target_has_its_own_settings_in_place_of_the_common_ones() -> None:
    given = {
        "lambdarank": {"learning_rate": 0.2, "num_leaves": 9},
        "targets": {"orders": {"lambdarank": {"num_leaves": 31}, "negatives": 0.5}, "all": {"objective": "recall"}},
    }
    settings = RankersSettings.model_validate(given)
    orders = settings.of("orders")
    assert (orders.lambdarank.num_leaves, orders.lambdarank.learning_rate) == (31, 0.2)
    assert settings.of("clicks").lambdarank.num_leaves == 9
    assert (settings.negative_share("orders"), settings.negative_share("carts")) == (0.5, 0.4)
    assert (settings.of("all").objective, orders.objective) == ("recall", "lambdarank")
    slower = settings.model_copy(update={"lambdarank": settings.lambdarank.model_copy(update={"learning_rate": 0.1})})
    assert slower.of("orders").lambdarank.learning_rate == 0.1
    dumped = settings.model_dump(mode="json")
    assert dumped["targets"] == given["targets"]  # what is not given follows the common settings, written out or not
    assert RankersSettings.model_validate(dumped) == settings


def test_a_fit_depends_on_what_its_settings_come_to() -> None:
    plain = RankersSettings()
    spelt = RankersSettings.model_validate({"targets": {"orders": {"lambdarank": {"num_leaves": 15}}}})
    assert spelt.fit_settings("orders") == plain.fit_settings("orders")
    own = RankersSettings.model_validate({"targets": {"orders": {"lambdarank": {"num_leaves": 31}}}})
    assert own.fit_settings("orders") != plain.fit_settings("orders")
    assert own.fit_settings("clicks") == plain.fit_settings("clicks")
    common = RankersSettings.model_validate({"lambdarank": {"num_leaves": 31}})
    assert common.fit_settings("orders") == own.fit_settings("orders")


def test_more_models_leave_less_to_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankers.settings.memory_bytes", lambda: 2**50)
    labelled = {"clicks": 0.9, "orders": 0.1}
    plain = RankersSettings()
    for update in ({"seeds": 3}, {"mode": "both"}, {"stacking": True}):
        more = plain.model_copy(update=update)
        assert more.training_sessions(100, labelled) < plain.training_sessions(100, labelled)
        assert more.sampling() != plain.sampling()
