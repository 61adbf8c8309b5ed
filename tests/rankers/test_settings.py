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


def test_the_sample_is_as_set_or_as_the_memory_allows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert RankersSettings(max_sessions=77).training_sessions(70) == 77
    monkeypatch.setattr("rankers.settings.memory_bytes", lambda: 2**33)
    assert RankersSettings().training_sessions(70) == sessions_that_fit(70, 100, 2**33)
    assert RankersSettings().training_sessions(140) < RankersSettings().training_sessions(70)
    (tmp_path / "max").write_text("max\n")
    whole = memory_bytes(tmp_path / "max")
    assert whole == memory_bytes(tmp_path / "missing") > 2**28
    (tmp_path / "max").write_text("1000000\n")
    assert memory_bytes(tmp_path / "max") == 1_000_000
