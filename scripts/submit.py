"""Stage ``submit``: score the test sessions, write and validate ``submission.csv``; score it if labels are there."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from candidates.popularity import Popularity
from events.attributes import ABSENT
from events.files import write_json
from events.index import IdIndex
from events.lists import Lists
from events.passes import PassData
from rankers.models import Rankers
from rankers.scoring import score_log
from scripts.artifacts import open_items, open_pass, open_scorer, open_sources
from scripts.cli import stage_main
from scripts.ladder import HELPERS, HITS, PARTS, evaluate, show
from scripts.pipeline import Run, Stage
from scripts.reranking import open_reranker
from scripts.settings import Settings
from submissions.kaggle_csv import write_lists, write_submission
from submissions.settings import SubmissionSettings
from submissions.validator import Problem, require_valid

CSV = "submission.csv"


def _settings(settings: Settings) -> Any:
    return settings.model_dump(mode="json", include=PARTS)


def _inputs(run: Run, pass_name: str) -> list[Path]:
    own = [run.need(pass_name, stage) for stage in ("covisit", "retrievers", "candidates", "features")]
    return [
        run.prepared / pass_name,
        run.prepared / "items.parquet",
        run.prepared / ABSENT,
        *own,
        run.need("validation", "rank"),
    ]


def write_valid(
    path: Path, ids: pl.Series, lists: Mapping[str, Lists], items: IdIndex, settings: SubmissionSettings
) -> tuple[int, list[Problem]]:
    """Write the submission in the form of the settings, and read it again; the number of rows, and warnings.

    Raises
    ------
    InputError
        If the file cannot be written, or has an error.
    """
    if settings.form == "otto":
        rows = write_submission(path, ids, lists, items, settings.k)
        return rows, require_valid(path, ids, tuple(lists), items, settings.k)
    target = settings.target if settings.target in lists else next(iter(lists))
    header = f"{settings.session_column},{settings.list_column}"
    rows = write_lists(path, ids, lists[target], items, settings.k, header)
    return rows, require_valid(path, ids, (target,), items, settings.k, header)


def _with_absent(run: Run, data: PassData, lists: Mapping[str, Lists]) -> tuple[pl.Series, Mapping[str, Lists]]:
    """The target sessions and their lists and, where every user is asked for (``split.test = "everyone"``), behind them
    the users without any event, who are given what is popular."""
    path = run.prepared / ABSENT
    if run.settings.split.test != "everyone" or not path.exists():
        return data.target_ids, lists
    absent = IdIndex.load(path).ids
    if len(absent) == 0:
        return data.target_ids, lists
    print(f"  {len(absent):,} users without an event are given what is popular")
    popular = Popularity().fit(data.fit)
    k, one = run.settings.submissions.k, data.target_log.slice(0, 1)
    whole = {
        target: Lists.concat([ranked, popular.recommend(one, k, target).take(np.zeros(len(absent), np.int64))])
        for target, ranked in lists.items()
    }
    return pl.concat([data.target_ids, absent.rename(data.target_ids.name)]), whole


def _work(run: Run, pass_name: str, folder: Path) -> dict[str, Any]:
    data = open_pass(run, pass_name)
    sources = open_sources(run, data)
    scorer = open_scorer(run, data, Rankers.load(run.need("validation", "rank") / "models"), sources)
    ranked = score_log(data.target_log, scorer, None, run.settings.rankers.chunk_sessions)
    items = open_items(run)
    reranker = open_reranker(run, sources)
    lists = ranked if reranker is None else reranker.apply_all(ranked, run.settings.submissions.k)
    ids, whole = _with_absent(run, data, lists)
    rows, warnings = write_valid(folder / CSV, ids, whole, items, run.settings.submissions)
    for warning in warnings:
        print(f"  {warning}")
    if data.labels is not None:
        write_json(folder / "scores.json", evaluate(run, data, sources, ranked, folder / HITS))
    return {"rows": rows, "sessions": len(data.target_log)}


STAGE = Stage(
    "submit",
    ("submission",),
    _settings,
    _inputs,
    _work,
    floors=("events", "models", "candidates", "features", "rankers", "submissions"),
    helpers=HELPERS,
    publish=(CSV, "scores.json"),
)


def main(argv: list[str] | None = None) -> int:
    """Command line of the stage."""
    return stage_main(STAGE, "Score the test sessions and write submission.csv.", argv, show)


if __name__ == "__main__":
    sys.exit(main())
