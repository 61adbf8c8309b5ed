"""The reports of a run and of a log, by their command lines."""

import json
from pathlib import Path

import numpy as np
import pytest

from scripts import explore, report
from submissions.metrics import hits_by_target
from tests.scripts.fake_runs import K, fake_run, labels, lists
from tests.submissions.pages import check

TINY = """
threads = 1
[data]
kind = "table"
root = "{root}"
train = "train.csv"
text_ids = ["aid"]
[data.columns]
session = "s"
aid = "i"
[split]
validation = "last_share"
transductive = false
"""


def finished(folder: Path) -> Path:
    """A fake run with what the stages leave for its report, as small as it goes."""
    fake_run(folder, seed=1)
    found = hits_by_target(lists(1, labels(0), 0.5), labels(0), K)
    recall = {target: one.recall for target, one in found.items()}
    total = sum(weight * recall[target] for target, weight in (("clicks", 0.1), ("carts", 0.3), ("orders", 0.6)))
    rung = {**recall, "total": total, "targets": list(recall), "mrr": {**recall, "total": total}}
    scores = {"ladder": {"rules": rung, "ranker": rung}, "candidate_recall": {}, "ranker_minus_rules": None,
              "sliced": "ranker", "slices": {}, "sessions": 60}  # fmt: skip
    (folder / "validation" / "evaluate" / "scores.json").write_text(json.dumps(scores))
    models = folder / "validation" / "rank" / "models"
    models.mkdir()
    (models / "importances.csv").write_text("target,feature,gain,gain_share,splits\nclicks,pair_ago,2.0,1.0,3.0\n")
    (models / "rankers.json").write_text(json.dumps({"fits": [], "settings": {}, "reasons": {}}))
    for stage in ("covisit", "retrievers", "candidates", "features"):
        (folder / "validation" / stage).mkdir()
        manifest = {"stage": stage, "wall_s": 1.5, "cpu_s": 2.0, "peak_gib": 0.25, "inputs": {"a/b.npy": [9, 1, "ff"]}}
        (folder / "validation" / stage / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_the_report_of_a_finished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished(tmp_path / "one")
    assert report.main(["--run", str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    page = check((folder / "report.html").read_text(encoding="utf-8"))
    truth, ranked = labels(0), lists(1, labels(0), 0.5)
    recall = hits_by_target(ranked, truth, K)["carts"].recall
    (ladder,) = page.table("", "clicks")
    assert [row[2] for row in ladder] == [f"{recall:.4f}"] * 2
    # Ten sessions, each with the hits that its lists really have; a session's number tells its row.
    shown = page.text.split("Session ")[1:]
    assert len(shown) == 10
    sessions = [int(text.partition("1 event")[0]) for text in shown]
    assert len(set(sessions)) == 10
    for session, text in zip(sessions, shown, strict=True):
        place = (session - 5) // 7
        hits = sum(np.isin(ranked[target].row(place)[0], truth[target].row(place)).sum() for target in truth)
        assert f"1 event seen, {hits} hit" in text


@pytest.mark.parametrize("stage", ["prepare", "covisit", "retrievers", "candidates", "features", "rank", "evaluate"])
def test_a_run_that_stopped_early_is_told_which_stage_to_run(
    stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished(tmp_path / "one")
    (folder / ("prepared" if stage == "prepare" else f"validation/{stage}") / "manifest.json").unlink()
    assert report.main(["--run", str(folder)]) == 2
    assert f"run it first: python -m scripts.{stage}." in capsys.readouterr().err
    assert not (folder / "report.html").exists()


def test_a_folder_that_is_no_run_and_damaged_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main(["--run", str(tmp_path / "none")]) == 2
    assert "no such run" in capsys.readouterr().err
    folder = finished(tmp_path / "one")
    (folder / "validation" / "rank" / "models" / "importances.csv").write_text("target,feature\nclicks,a\n")
    assert report.main(["--run", str(folder)]) == 2
    assert "run the stage rank again" in capsys.readouterr().err


def test_no_trouble_with_a_report_fails_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished(tmp_path / "one")
    report.report_or_say_why(folder)
    assert capsys.readouterr().out == f"report: {folder / 'report.html'}\n"
    (folder / "validation" / "evaluate" / "scores.json").write_text("[]")
    report.report_or_say_why(folder)
    assert capsys.readouterr().out.startswith("no report: ")


def test_the_log_of_a_shop_without_time_and_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    rows = [f"{s},<b>{item}" for s in range(60) for item in rng.integers(0, 20, 5)]
    (tmp_path / "train.csv").write_text("s,i\n" + "\n".join(rows) + "\n")
    config = tmp_path / "tiny.toml"
    config.write_text(TINY.format(root=tmp_path.as_posix()))
    assert explore.main(["--config", str(config), "--set", f"runs={tmp_path}/runs"]) == 0
    path = Path(capsys.readouterr().out.splitlines()[-1])
    page = check(path.read_text(encoding="utf-8"))
    for said in (
        "has no time",
        "has no event types",
        "neither retrievers nor covisit has run yet",
        "Train against validation",
    ):
        assert said in page.text
