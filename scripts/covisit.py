"""Stage ``covisit``: the co-visitation matrices of a pass, all from one preparation of its log."""

import sys
from pathlib import Path
from typing import Any

from candidates.covisitation import fit_covisitation
from candidates.recipes import usable_recipes
from scripts.artifacts import open_pass, say_left_out
from scripts.cli import stage_main
from scripts.pipeline import FITTED, Run, Stage
from scripts.settings import Settings


def _settings(settings: Settings) -> Any:
    return settings.candidates.model_dump(mode="json", include={"recipes"})


def _inputs(run: Run, pass_name: str) -> list[Path]:
    return [run.prepared / pass_name]


def _work(run: Run, pass_name: str, folder: Path) -> dict[str, Any]:
    data = open_pass(run, pass_name)
    recipes, left_out = usable_recipes(run.settings.candidates.recipes, data.fit.has)
    say_left_out("matrix", left_out)
    matrices = fit_covisitation(data.fit, recipes, run.settings.n_threads, progress=True)
    for name, matrix in matrices.items():
        (folder / name).mkdir()
        matrix.save(folder / name)
    return {"rows": data.fit.n_events, "left_out": left_out}


STAGE = Stage("covisit", FITTED, _settings, _inputs, _work, floors=("events", "candidates"))


def main(argv: list[str] | None = None) -> int:
    """Command line of the stage."""
    return stage_main(STAGE, "Count the co-visitation matrices.", argv)


if __name__ == "__main__":
    sys.exit(main())
