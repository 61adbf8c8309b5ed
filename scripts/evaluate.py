"""Stage ``evaluate``: the ladder, the recall of the candidates, and the features that drift between the passes."""

import sys
from pathlib import Path
from typing import Any

from events.files import need_array, write_json
from events.lists import Lists
from features.drift import Summary, drift
from scripts.artifacts import open_pass, open_sources
from scripts.cli import stage_main
from scripts.ladder import HELPERS, HITS, PARTS, evaluate, show
from scripts.pipeline import Run, Stage
from scripts.settings import Settings


def _settings(settings: Settings) -> Any:
    return settings.model_dump(mode="json", include=PARTS)


def _inputs(run: Run, pass_name: str) -> list[Path]:
    stages = ("covisit", "retrievers", "candidates", "rank")
    other = run.stage_folder("submission", "features") / "drift"
    items = run.prepared / "items.parquet"
    return [run.prepared / pass_name, items, *(run.need(pass_name, stage) for stage in stages), other]


def _drift(run: Run) -> list[tuple[str, float]]:
    folders = [run.stage_folder(name, "features") / "drift" for name in ("validation", "submission")]
    if not all(folder.is_dir() for folder in folders):
        return []
    return drift(*(Summary.load(folder) for folder in folders))


def _work(run: Run, pass_name: str, folder: Path) -> dict[str, Any]:
    data = open_pass(run, pass_name)
    rank = run.need(pass_name, "rank")
    lists = rank / "lists"
    ranked = {target: Lists.load(lists / target) for target in data.targets if (lists / target).is_dir()}
    scores = evaluate(run, data, open_sources(run, data), ranked, folder / HITS, need_array(rank, "reported"))
    scores["drift"] = dict(_drift(run))
    write_json(folder / "scores.json", scores)
    return {"rows": len(data.target_log)}


STAGE = Stage(
    "evaluate",
    ("validation",),
    _settings,
    _inputs,
    _work,
    floors=("events", "models", "candidates", "features", "rankers", "submissions"),
    helpers=HELPERS,
    publish=("scores.json",),
)


def main(argv: list[str] | None = None) -> int:
    """Command line of the stage."""
    return stage_main(STAGE, "Print the ladder and the candidate recall.", argv, show)


if __name__ == "__main__":
    sys.exit(main())
