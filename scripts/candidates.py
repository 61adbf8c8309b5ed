"""Stage ``candidates``: fit the candidate sources of a pass."""

import sys
from pathlib import Path
from typing import Any

from scripts.artifacts import new_sources, open_matrices, open_pass, say_left_out
from scripts.cli import stage_main
from scripts.knowledge import tables
from scripts.pipeline import FITTED, Run, Stage
from scripts.settings import Settings


def _settings(settings: Settings) -> Any:
    return {**settings.candidates.model_dump(mode="json"), "knowledge": settings.knowledge.model_dump(mode="json")}


def _inputs(run: Run, pass_name: str) -> list[Path]:
    return [run.prepared / pass_name, run.need(pass_name, "covisit"), *tables(run, pass_name)]


def _work(run: Run, pass_name: str, folder: Path) -> dict[str, Any]:
    data = open_pass(run, pass_name)
    sources = new_sources(run, data)
    say_left_out("source", sources.left_out)
    sources.fit(data.fit, open_matrices(run, pass_name))
    sources.save(folder)
    return {"rows": data.fit.n_events, "left_out": sources.left_out}


STAGE = Stage("candidates", FITTED, _settings, _inputs, _work, floors=("events", "candidates"))


def main(argv: list[str] | None = None) -> int:
    """Command line of the stage."""
    return stage_main(STAGE, "Fit the candidate sources.", argv)


if __name__ == "__main__":
    sys.exit(main())
