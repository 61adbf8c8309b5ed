"""Blends of runs and of submission files: the votes, the scores, and what is refused."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.columns import TARGETS
from events.index import IdIndex
from events.lists import Lists
from scripts import blend
from scripts.blend import VOTES, main
from submissions.kaggle_csv import write_submission
from submissions.metrics import score_lists
from submissions.reading import read_ids, read_submission
from tests.scripts.fake_runs import ITEMS, K, N, fake_run, labels, lists

CSV = "submission/submit/submission.csv"


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(one) for one in arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def by_hand(vote: str, rows: list[list[int]], weights: list[float], k: int) -> list[int]:
    """The obvious slow vote."""
    votes: dict[int, float] = {}
    for row, weight in zip(rows, weights, strict=True):
        for rank, item in enumerate(row, 1):
            votes[item] = votes.get(item, 0.0) + weight * (1 / (60 + rank) if vote == "reciprocal" else k + 1 - rank)
    return sorted(votes, key=lambda item: (-np.float32(votes[item]), item))[:k]


ROWS = st.lists(st.lists(st.integers(0, 9), unique=True, max_size=4), min_size=3, max_size=3)


@given(st.sampled_from(sorted(VOTES)), ROWS, ROWS)
def test_votes_are_those_made_by_hand(vote: str, first: list[list[int]], second: list[list[int]]) -> None:
    models = [{"clicks": Lists.of([[(item, 1.0) for item in row] for row in rows])} for rows in (first, second)]
    weights = [2.0, 1.0] if vote == "reciprocal" else [3.0, 1.0]  # exact in float32, as ties have to be
    found = blend._blend(models, weights, VOTES[vote])["clicks"]
    for s in range(3):
        mine = [value / 4 for value in weights] if vote == "borda" else weights
        wanted = by_hand(vote, [first[s], second[s]], mine, K)
        assert found.row(s)[0].tolist() == wanted


def test_the_chunks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = [lists(seed, labels(0), 0.3) for seed in (1, 2)]
    whole = blend._blend(models, [1.0, 1.0], VOTES["reciprocal"])
    monkeypatch.setattr(blend, "CHUNK", 7)
    cut = blend._blend(models, [1.0, 1.0], VOTES["reciprocal"])
    assert all((whole[target].aids == cut[target].aids).all() for target in TARGETS)


def test_runs_are_blended_and_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = fake_run(tmp_path / "a", seed=1, share=0.6), fake_run(tmp_path / "b", seed=2, reported=np.arange(10, N))
    out = tmp_path / "out" / "blend.csv"
    assert main([str(one) for one in (out, a, b, "--weights", 2, 1)]) == 0
    shown = capsys.readouterr().out
    line = json.loads(shown.splitlines()[-1])
    assert line["rows"] == 3 * N
    assert line["validation"]["sessions"] == N - 10
    rows = np.arange(10, N)
    truth = {target: one.take(rows) for target, one in labels(0).items()}
    models = [
        {target: one.take(rows) for target, one in lists(seed, labels(0), share).items()}
        for seed, share in ((1, 0.6), (2, 0.5))
    ]
    blended = blend._blend(models, [2.0, 1.0], VOTES["reciprocal"])
    ladder = line["validation"]["ladder"]
    assert ladder["blend"] == score_lists(blended, truth, K).as_json()
    assert ladder[str(a)]["total"] == score_lists(models[0], truth, K).total
    best = max((str(a), str(b)), key=lambda run: ladder[run]["total"])
    assert line["validation"]["best"] == best
    low, high = line["validation"]["blend_minus_best"]
    assert low <= ladder["blend"]["total"] - ladder[best]["total"] <= high
    assert f"blend minus {best}, total:" in shown
    # The files alone give the same file; there is nothing to score it by.
    again = tmp_path / "again.csv"
    assert main([str(one) for one in (again, a / CSV, b / CSV, "--weights", 2, 1)]) == 0
    assert "validation" not in json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again.read_bytes() == out.read_bytes()
    assert not list(tmp_path.rglob("*.partial"))


def test_one_input_is_itself_and_the_vote_matters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = fake_run(tmp_path / "a", seed=1), fake_run(tmp_path / "b", seed=2)
    assert main([str(tmp_path / "same.csv"), str(a / CSV)]) == 0
    assert (tmp_path / "same.csv").read_bytes() == (a / CSV).read_bytes()
    for vote in VOTES:
        assert main([str(tmp_path / f"{vote}.csv"), str(a / CSV), str(b / CSV), "--vote", vote]) == 0
    assert (tmp_path / "borda.csv").read_bytes() != (tmp_path / "reciprocal.csv").read_bytes()


def test_what_cannot_be_blended_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, out = fake_run(tmp_path / "a", seed=1), tmp_path / "out.csv"
    text = (a / CSV).read_text().splitlines()
    partial = tmp_path / "partial.csv"
    partial.write_text("\n".join(row for row in text if "_orders" not in row) + "\n")
    assert "60 of 180 rows are missing: 5_orders" in said(capsys, out, a / CSV, partial)
    assert "60 of 180 rows are missing: 5_orders" in said(capsys, out, partial, a / CSV)
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join([*text[:5], "5_views,100", *text[6:]]) + "\n")
    assert "broken.csv:6: unknown type 'views'" in said(capsys, out, a, broken)
    assert "out.csv: is an input as well" in said(capsys, a / CSV, a / CSV).replace(str(a / CSV), "out.csv")
    assert "no such file or folder" in said(capsys, out, tmp_path / "nothing.csv")
    assert "a folder stands there" in said(capsys, a, a / CSV)
    assert "an input stands twice" in said(capsys, out, a, a)
    assert "--weights: 1 2 for 1 inputs" in said(capsys, out, a, "--weights", 1, 2)
    assert "--weights: 0 for 1 inputs" in said(capsys, out, a, "--weights", 0)
    other = fake_run(tmp_path / "other", seed=1, truth=3)
    assert "its labels (submission) are not those of" in said(capsys, out, a, other)
    (a / "submission" / "submit" / "manifest.json").unlink()
    assert "stage submit has not run" in said(capsys, out, a)
    assert not out.exists()


def test_a_file_is_read_back_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("submissions.rows.CHUNK", 64)
    ids = pl.Series("id", np.random.default_rng(0).permutation(N) * 3)
    made = lists(3, labels(0), 0.4) | {"carts": Lists.of([[(s % 40, 1.0)] * (s % 2) for s in range(N)])}
    path = tmp_path / "s.csv"
    write_submission(path, ids, made, ITEMS)
    header, *rows = path.read_text().splitlines()
    sessions, targets, items = read_ids(path)
    assert sessions.equals(ids)
    assert targets == TARGETS
    assert set(items.ids) <= set(ITEMS.ids)
    path.write_text("\n".join([header, *np.random.default_rng(1).permutation(rows).tolist()]) + "\n")
    back = read_submission(path, ids, TARGETS, ITEMS)
    for target in TARGETS:
        assert (back[target].offsets == made[target].offsets).all()
        assert (back[target].aids == made[target].aids).all()


def test_ids_that_are_text_need_a_run(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    ids, items = pl.Series("id", ["b", "a"]), IdIndex.of(pl.Series(["x", "y"]))
    write_submission(path, ids, {"clicks": Lists.of([[(1, 1.0)], [(0, 1.0), (1, 0.5)]])}, items)
    back = read_submission(path, ids, ["clicks"], items)["clicks"]
    assert [back.row(s)[0].tolist() for s in range(2)] == [[1], [0, 1]]
    with pytest.raises(Exception, match="ids that are text are read where an input is the folder of a run"):
        read_ids(path)
