"""Stage ``rank``: train the rankers on the training matrix and score every validation session out of fold."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from events.passes import EARLIER, MORE_CUTS
from rankers.folds import REPORTED, fold_of, sample_sessions
from rankers.matrix import TrainingMatrix, read_matrix, with_more
from rankers.models import Rankers
from rankers.oof import write_predictions
from rankers.scoring import score_log
from rankers.training import train_rankers
from scripts.artifacts import open_items, open_pass, open_scorer, say_left_out
from scripts.cli import stage_main
from scripts.pipeline import Run, Stage, work_folder
from scripts.settings import Settings


def _settings(settings: Settings) -> Any:
    parts = settings.model_dump(mode="json", include={"models", "candidates", "features", "rankers"})
    return {**parts, "list_length": settings.rerank.list_length(settings.submissions.k)}


def _inputs(run: Run, pass_name: str) -> list[Path]:
    stages = ("covisit", "retrievers", "candidates", "features")
    earlier = [run.need(name, "features") for name in EARLIER if run.has_pass(name)]
    return [run.prepared / pass_name, *(run.need(pass_name, stage) for stage in stages), *earlier]


def _matrix(features: Path) -> TrainingMatrix:
    """The training matrix of a pass, with other cuts of its sessions behind it where there are some."""
    more = features / f"{MORE_CUTS}.parquet"
    return with_more(read_matrix(features / "matrix.parquet"), [read_matrix(more)] if more.exists() else [], True)


def _work(run: Run, pass_name: str, folder: Path) -> dict[str, Any]:
    data = open_pass(run, pass_name)
    settings = run.settings.rankers
    weeks = [pass_name, *(name for name in EARLIER if run.has_pass(name))]
    matrix, *earlier = (_matrix(run.need(name, "features")) for name in weeks)
    matrix = with_more(matrix, earlier)
    rankers = train_rankers(
        matrix,
        settings,
        work_folder(run.stage_folder(pass_name, "rank")),
        targets=data.targets,
        threads=run.settings.n_threads,
    )
    # What has no model at all says so once, not for each of its folds.
    missing = {name for name in rankers.reasons if " " not in name}
    say_left_out("ranker", {k: v for k, v in rankers.reasons.items() if k in missing or k.split()[0] not in missing})
    rankers.save(folder / "models")
    scorer = open_scorer(run, data, Rankers.load(folder / "models"))
    log = data.target_log
    folds = fold_of(log.groups, settings.folds, settings.seed, settings.holdout_share)
    outside = np.flatnonzero(folds >= 0)  # all of them, unless there is a single split
    reported = outside[sample_sessions(log.groups[outside], settings.reported_sessions, settings.seed, REPORTED)]
    lists = score_log(log.take(reported), scorer, folds[reported], settings.chunk_sessions)
    np.save(folder / "reported.npy", reported)
    for target, ranked in lists.items():
        (folder / "lists" / target).mkdir(parents=True)
        ranked.save(folder / "lists" / target)
    k = run.settings.submissions.k
    write_predictions(folder / "out_of_fold.parquet", data.target_ids.gather(reported), open_items(run), lists, k)
    return {"rows": matrix.aids.size, "sessions": int(reported.size)}


STAGE = Stage(
    "rank", ("validation",), _settings, _inputs, _work, floors=("events", "models", "candidates", "features", "rankers")
)


def main(argv: list[str] | None = None) -> int:
    """Command line of the stage."""
    return stage_main(STAGE, "Train the rankers of every fold; score out of fold.", argv)


if __name__ == "__main__":
    sys.exit(main())
