"""Two runs compared on the sessions that they share."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from events.labels import LabelSet
from scripts.compare import main
from submissions.metrics import score_lists
from tests.scripts.fake_runs import K, N, fake_run, labels, lists


def compared(capsys: pytest.CaptureFixture[str], *runs: object) -> tuple[dict[str, Any], str]:
    assert main([str(run) for run in runs]) == 0
    shown = capsys.readouterr().out
    return json.loads(shown.splitlines()[-1]), shown


def said(capsys: pytest.CaptureFixture[str], *runs: object) -> str:
    assert main([str(run) for run in runs]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_recall_difference_and_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse = fake_run(tmp_path / "worse", seed=1, share=0.2)
    better = fake_run(tmp_path / "better", seed=2, share=0.8, leaves=31)
    found, shown = compared(capsys, worse, better)
    for name, seeds in (("validation", (0, 0)), ("submission", (1, 1))):
        one = found["passes"][name]
        assert (one["sessions"], one["groups"], one["k"]) == (N, N // 2, K)
        truth = labels(seeds[0])
        for side, seed, share in (("a", 1, 0.2), ("b", 2, 0.8)):
            scores = score_lists(lists(seed + seeds[1], truth, share), truth, K)
            for target, value in {**scores.recall, "total": scores.total}.items():
                assert one["rungs"]["ranker"][target][side] == pytest.approx(value)
        total = one["rungs"]["ranker"]["total"]
        assert total["difference"] == pytest.approx(total["b"] - total["a"])
        assert 0 < total["interval"][0] < total["difference"] < total["interval"][1]
        assert one["rungs"]["rules"]["total"]["interval"] == [0.0, 0.0]
    assert found["settings"] == {"rankers.lambdarank.num_leaves": {"a": [15], "b": [31]}}
    for words in ("B - A", "ranker total", "rankers.lambdarank.num_leaves: 15 | 31", "test sessions: 60 sessions"):
        assert words in shown


def test_only_sessions_that_both_reported_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    even, late = np.arange(0, N, 2), np.arange(20, N)
    a = fake_run(tmp_path / "a", seed=1, reported=even)
    b = fake_run(tmp_path / "b", seed=2, reported=late)
    both = np.intersect1d(even, late)
    one = compared(capsys, a, b)[0]["passes"]["validation"]
    assert one["sessions"] == both.size == 20
    truth = {target: LabelSet.take(one_set, both) for target, one_set in labels(0).items()}
    ranked = {target: one_list.take(both) for target, one_list in lists(2, labels(0), 0.5).items()}
    assert one["rungs"]["ranker"]["total"]["b"] == pytest.approx(score_lists(ranked, truth, K).total)
    c = fake_run(tmp_path / "c", seed=2, reported=np.arange(1, N, 2))
    assert "shares no reported session" in said(capsys, a, c)


def test_several_runs_are_their_mean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [fake_run(tmp_path / str(seed), seed=seed) for seed in (1, 2, 3)]
    alone = [compared(capsys, run, runs[2])[0]["passes"]["validation"]["rungs"]["ranker"] for run in runs[:2]]
    together = compared(capsys, f"{runs[0]},{runs[1]}", runs[2])[0]["passes"]["validation"]["rungs"]["ranker"]
    for target in ("clicks", "orders", "total"):
        assert together[target]["a"] == pytest.approx(np.mean([one[target]["a"] for one in alone]))
    deviation = np.std([one["total"]["a"] for one in alone], ddof=1)
    assert together["total"]["a_deviation"] == pytest.approx(deviation)


def test_a_pass_that_one_run_lacks_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = fake_run(tmp_path / "a", seed=1), fake_run(tmp_path / "b", seed=2)
    shutil.rmtree(b / "submission" / "submit" / "hits")
    assert list(compared(capsys, a, b)[0]["passes"]) == ["validation"]


def test_other_data_and_missing_stages_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = fake_run(tmp_path / "a", seed=1)
    other = fake_run(tmp_path / "other", seed=1, truth=5)
    assert "other: its labels (validation) are not those of" in said(capsys, a, other)
    assert "no such run" in said(capsys, a, tmp_path / "nothing")
    (other / "validation" / "evaluate" / "manifest.json").unlink()
    shutil.copytree(a / "prepared", other / "prepared", dirs_exist_ok=True)
    error = said(capsys, a, other)
    assert "stage evaluate has not run" in error
    assert "python -m scripts.evaluate" in error
    ids = a / "prepared" / "validation" / "target_ids.parquet"
    b = fake_run(tmp_path / "b", seed=2)
    shutil.copy(a / "prepared" / "items.parquet", ids)
    assert "its target sessions (validation) are not those of" in said(capsys, b, a)
