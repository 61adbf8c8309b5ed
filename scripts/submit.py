"""Stage ``submit``: score the test sessions, write and validate ``submission.csv``; score it if labels are there."""

import sys
from pathlib import Path
from typing import Any

from events.files import write_json
from rankers.models import Rankers
from rankers.scoring import score_log
from scripts.artifacts import open_items, open_pass, open_scorer
from scripts.cli import stage_main
from scripts.ladder import HITS, evaluate, show
from scripts.pipeline import Run, Stage
from scripts.settings import Settings
from submissions.kaggle_csv import write_submission
from submissions.validator import require_valid

CSV = "submission.csv"


def _settings(settings: Settings) -> Any:
    return settings.model_dump(mode="json", include={"models", "candidates", "features", "rankers", "submissions"})


def _inputs(run: Run, pass_name: str) -> list[Path]:
    own = [run.need(pass_name, stage) for stage in ("covisit", "retrievers", "candidates", "features")]
    return [run.prepared / pass_name, *own, run.need("validation", "rank")]


def _work(run: Run, pass_name: str, folder: Path) -> dict[str, Any]:
    data = open_pass(run, pass_name)
    scorer = open_scorer(run, data, Rankers.load(run.need("validation", "rank") / "models"))
    lists = score_log(data.target_log, scorer, None, run.settings.rankers.chunk_sessions)
    items = open_items(run)
    k = run.settings.submissions.k
    rows = write_submission(folder / CSV, data.target_ids, lists, items, k)
    for warning in require_valid(folder / CSV, data.target_ids, tuple(lists), items, k):
        print(f"  {warning}")
    if data.labels is not None:
        write_json(folder / "scores.json", evaluate(run, data, lists, folder / HITS))
    return {"rows": rows, "sessions": len(data.target_log)}


STAGE = Stage(
    "submit",
    ("submission",),
    _settings,
    _inputs,
    _work,
    floors=("events", "models", "candidates", "features", "rankers", "submissions"),
    helpers=("artifacts", "knowledge", "ladder"),
    publish=(CSV, "scores.json"),
)


def main(argv: list[str] | None = None) -> int:
    """Command line of the stage."""
    return stage_main(STAGE, "Score the test sessions and write submission.csv.", argv, show)


if __name__ == "__main__":
    sys.exit(main())
