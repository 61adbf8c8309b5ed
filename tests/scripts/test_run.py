"""The whole pipeline on a small shop: what it writes, what it skips, and that a kill at any moment changes nothing."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.ceiling import CEILINGS
from events.columns import TARGETS
from events.index import IdIndex
from events.passes import EARLIER
from scripts.all_stages import STAGES
from scripts.pipeline import MANIFEST, Stage
from submissions.validator import validate_submission
from tests.scripts.commands import ROOT, SMALL, run, start
from tests.submissions.pages import check

RUNGS = ("popularity", "history", "rules", "ranker")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[Path, Path, str]:
    """Config, folder of runs, and what an undisturbed run printed."""
    folder = tmp_path_factory.mktemp("small")
    config = folder / "small.toml"
    config.write_text(SMALL)
    done = run("run", config, folder / "runs")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # bars are for terminals, and no library had a warning to give
    assert ":::" not in done.stdout
    return config, folder / "runs", done.stdout


def passes_of(stage: Stage) -> list[str]:
    """Passes that the small run has of a stage: weeks before validation are off."""
    return [name for name in stage.passes or ("",) if name not in EARLIER]


def test_scores_have_every_rung_target_and_source(small):
    scores = json.loads((small[1] / "small" / "validation" / "scores.json").read_text())
    assert tuple(scores["ladder"]) == RUNGS
    for rung in RUNGS:
        assert all(0 <= scores["ladder"][rung][target] <= 1 for target in (*TARGETS, "total"))
    totals = [scores["ladder"][rung]["total"] for rung in RUNGS]
    assert totals[0] < totals[1] < totals[2]
    pool = {t: values["at_pool"] for t, values in scores["candidate_recall"]["pool"]["targets"].items()}
    for source in ("history", "popularity", "near_clicks", "svd", "pool"):
        recall = scores["candidate_recall"][source]
        assert set(recall) == {"20", "50", "100", "200", "at_pool", "targets"}
        assert all(0 <= recall[depth] <= 1 for depth in ("20", "50", "100", "200", "at_pool"))
        assert all(recall["targets"][target]["at_pool"] <= pool[target] for target in TARGETS)
    assert all(scores["ladder"]["ranker"][target] <= pool[target] for target in TARGETS)
    low, high = scores["ladder"]["rules"]["interval"]
    assert low < totals[2] < high


def test_the_submission_is_valid_and_the_test_sessions_are_scored(small):
    folder = small[1] / "small"
    ids = pl.read_parquet(folder / "prepared" / "submission" / "target_ids.parquet")["id"]
    items = IdIndex.load(folder / "prepared" / "items.parquet")
    assert validate_submission(folder / "submission" / "submission.csv", ids, TARGETS, items) == []
    scores = json.loads((folder / "submission" / "scores.json").read_text())
    assert scores["ladder"]["ranker"]["total"] > scores["ladder"]["popularity"]["total"]


def test_the_output_shows_the_ladder_and_the_candidate_recall(small):
    for word in (*RUNGS, "recall@20", "MRR@20", "whole pool", "drift most", "validation:", "submission:"):
        assert word in small[2]


def test_rankers_train_on_the_week_before_and_on_other_cuts_too(small, tmp_path):
    folder = small[1] / "small"
    shutil.copytree(folder, tmp_path / "small")
    more = ("--set", "split.earlier_weeks=1", "--set", "split.more_cuts=1", "--until", "rank")
    done = run("run", small[0], tmp_path, *more)
    assert done.returncode == 0, done.stderr
    passes = [tmp_path / "small" / name / "features" for name in ("validation", "earlier_1")]
    keys = ["session", "group", "aid"]
    one, other = (pl.read_parquet(path / "matrix.parquet", columns=keys) for path in passes)
    assert other.height > 0.2 * one.height
    cuts, earlier_cuts = (pl.read_parquet(path / "more_cuts.parquet", columns=keys) for path in passes)
    assert set(cuts["group"]) <= set(one["group"])
    assert cuts.height > 0.2 * one.height
    assert earlier_cuts.height > 0.2 * other.height
    assert one.equals(pl.read_parquet(folder / "validation" / "features" / "matrix.parquet", columns=keys))
    alone, both = (
        pl.read_parquet(runs / "validation" / "rank" / "out_of_fold.parquet") for runs in (folder, tmp_path / "small")
    )
    assert alone["session"].unique().sort().equals(both["session"].unique().sort())
    assert not alone.equals(both)


def test_the_run_ends_with_its_report(small):
    folder = small[1] / "small"
    assert f"report: {folder / 'report.html'}\n" in small[2]
    page = check((folder / "report.html").read_text(encoding="utf-8"))
    scores = json.loads((folder / "validation" / "scores.json").read_text())
    (ladder, _) = page.table("", "clicks")
    assert ladder[-1][:5] == ["ranker", *(f"{scores['ladder']['ranker'][c]:.4f}" for c in (*TARGETS, "total"))]
    assert "run the stage" not in page.text  # no stage kept less than the report wants
    curves = {row[0]: row[-1] for row in next(page.table("source", "target")) if row[1] == "total"}
    assert curves == {name: f"{at['at_pool']:.4f}" for name, at in scores["candidate_recall"].items()}
    groups = json.loads((folder / "validation" / "features" / "groups.json").read_text())
    assert {row[0] for row in next(page.table("group, % of gain"))} <= set(groups.values())
    assert [row[0] for row in next(page.table("retriever", "items"))] == ["svd", "gru4rec"]
    assert next(page.table("retriever", "items"))[1][5] == "1"
    (costs,) = page.table("stage", "pass")
    assert [row[0] for row in costs] == [stage.name for stage in STAGES for _ in passes_of(stage)]
    drawn = page.text.count("list for orders")
    assert drawn == 10


def test_the_ceiling_is_above_the_ladder(small):
    words = [sys.executable, "-m", "benchmarks.ceiling", "--run", str(small[1] / "small"), "--continuations", "40"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = json.loads(done.stdout.splitlines()[-1])
    ladder = json.loads((small[1] / "small" / "validation" / "scores.json").read_text())["ladder"]
    for target in (*TARGETS, "total"):
        for rung in ("rules", "ranker"):
            assert found["targets"][target][rung] == pytest.approx(ladder[rung][target])
    total = found["targets"]["total"]
    assert min(total[name] for name in CEILINGS) > max(total["rules"], total["ranker"])


def test_predictions_out_of_fold_are_kept_with_the_source_ids(small):
    folder = small[1] / "small"
    table = pl.read_parquet(folder / "validation" / "rank" / "out_of_fold.parquet")
    ids = pl.read_parquet(folder / "prepared" / "validation" / "target_ids.parquet")["id"]
    assert set(table.columns) == {"target", "session", "aid", "rank", "score"}
    assert set(table["session"]) <= set(ids)
    assert table.group_by("target", "session").len()["len"].max() <= 20


def test_every_stage_leaves_its_cost(small):
    for stage in STAGES:
        for pass_name in passes_of(stage):
            folder = small[1] / "small" / (f"{pass_name}/{stage.name}" if stage.passes else "prepared")
            manifest = json.loads((folder / MANIFEST).read_text())
            assert manifest["wall_s"] > 0
            assert manifest["peak_gib"] > 0
            assert manifest["stage"] == stage.name


def read_index(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_second_run_does_nothing_and_keeps_a_leaderboard_score_typed_in(small):
    config, runs, _ = small
    index = runs / "index.csv"
    rows = read_index(index)
    assert [row["run"] for row in rows] == ["small"]
    rows[0]["leaderboard"] = "0.575"
    with index.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    before = (runs / "small" / "submission" / "submission.csv").stat().st_mtime_ns
    again = run("run", config, runs)
    assert again.stdout.count("up to date") == sum(len(passes_of(stage)) for stage in STAGES)
    assert (runs / "small" / "submission" / "submission.csv").stat().st_mtime_ns == before
    assert [row["leaderboard"] for row in read_index(index)] == ["0.575"]


def test_a_sample_of_sessions_is_ranked_and_the_rules_are_scored_on_all(small, tmp_path):
    config, runs, _ = small
    shutil.copytree(runs, tmp_path / "runs")
    sample = ("--set", "rankers.reported_sessions=100")
    done = run("run", config, tmp_path / "runs", *sample, "--from", "rank", "--until", "evaluate")
    assert done.returncode == 0, done.stderr
    before, after = (
        json.loads((folder / "small" / "validation" / "scores.json").read_text())
        for folder in (runs, tmp_path / "runs")
    )
    assert "all_sessions" not in before
    assert after["sessions"] == 100
    assert after["all_sessions"]["sessions"] == before["sessions"] > 100
    assert after["all_sessions"]["ladder"] == {rung: before["ladder"][rung] for rung in RUNGS[:3]}
    assert tuple(after["ladder"]) == RUNGS
    reported = np.load(tmp_path / "runs" / "small" / "validation" / "rank" / "reported.npy")
    assert (np.diff(reported) > 0).all()
    low, high = after["ladder"]["rules"]["interval"]
    assert low < after["ladder"]["rules"]["total"] < high


def test_killed_at_any_moment_and_run_again_gives_the_same_file(small, tmp_path):
    """One kill in each stage and pass, a random moment after it began; the last run is undisturbed."""
    config, runs, _ = small
    copy = tmp_path / "small.toml"
    copy.write_text(config.read_text())
    moments, struck = random.Random(7), 0
    steps = [f"{stage.name} ({name})" if name else stage.name for stage in STAGES for name in passes_of(stage)]
    for step in steps:
        process = start("run", copy, tmp_path / "runs")
        assert process.stdout is not None
        said = next(line for line in process.stdout if line.startswith(step))
        if said.startswith(f"{step} …"):  # else the kill before it came late, when this one was done as well
            struck += 1
            time.sleep(moments.uniform(0.0, 0.6))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
        process.stdout.close()
    assert struck > len(steps) / 2
    assert run("run", copy, tmp_path / "runs").returncode == 0
    for name in ("submission/submission.csv", "validation/scores.json", "submission/scores.json"):
        assert (tmp_path / "runs" / "small" / name).read_bytes() == (runs / "small" / name).read_bytes(), name
    leftovers = [path for path in (tmp_path / "runs").rglob("*") if path.name.endswith((".partial", ".work"))]
    assert leftovers == []


def test_stages_can_be_run_one_by_one_and_say_what_is_missing(small, tmp_path):
    config, runs, _ = small
    early = run("covisit", config, tmp_path / "runs")
    assert early.returncode == 2
    assert "stage prepare has not run" in early.stderr
    assert "Remedy: run it first: python -m scripts.prepare" in early.stderr
    assert run("covisit", config, runs, "--pass", "validation").stdout == "covisit (validation): up to date\n"
    shown = run("evaluate", config, runs).stdout
    assert "evaluate (validation): up to date" in shown
    assert "recall@20" in shown
    part = run("run", config, runs, "--from", "covisit", "--until", "candidates")
    assert part.stdout.count("up to date") == 6
    wrong = run("run", config, runs, "--from", "rank", "--until", "covisit")
    assert wrong.returncode == 2
    assert "rank comes after covisit" in wrong.stderr
