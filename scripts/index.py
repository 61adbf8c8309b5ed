"""``runs/index.csv``: one line a run, with room for a leaderboard score typed in by hand."""

import csv
from pathlib import Path
from typing import Any

from events.errors import InputError
from events.files import atomic_file, read_json
from scripts.pipeline import Run, digest_of

COLUMNS = (
    "run",
    "settings",
    "clicks",
    "carts",
    "orders",
    "total",
    "rules_total",
    "submission_total",
    "leaderboard",
)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames is None or not {"run", "settings", "leaderboard"} <= set(reader.fieldnames):
            raise InputError(path, 1, "not an index of runs", "move the file away; a new one is written")
        return [{name: row.get(name) or "" for name in COLUMNS} for row in reader]


def _cells(scores: dict[str, Any] | None, names: tuple[str, ...]) -> list[str]:
    values = [None if scores is None else scores.get(name) for name in names]
    return ["" if value is None else f"{value:.5f}" for value in values]


def record(run: Run) -> None:
    """Write or renew the line of this run and these settings; what was typed under ``leaderboard`` stays."""
    path = run.folder.parent / "index.csv"
    ladders: dict[str, dict[str, Any]] = {}
    for pass_name in ("validation", "submission"):
        scores = run.folder / pass_name / "scores.json"
        ladders[pass_name] = read_json(scores)["ladder"] if scores.exists() else {}
    if not ladders["validation"]:
        return
    targets = ("clicks", "carts", "orders", "total")
    values = [
        run.folder.name,
        digest_of(run.settings.model_dump(mode="json", exclude={"threads", "runs"})),
        *_cells(ladders["validation"].get("ranker"), targets),
        *_cells(ladders["validation"].get("rules"), ("total",)),
        *_cells(ladders["submission"].get("ranker"), ("total",)),
        "",
    ]
    line = dict(zip(COLUMNS, values, strict=True))
    rows = _rows(path)
    for row in rows:
        if row["run"] == line["run"] and row["settings"] == line["settings"]:
            line["leaderboard"] = row["leaderboard"]
    rows = [row for row in rows if (row["run"], row["settings"]) != (line["run"], line["settings"])]
    with atomic_file(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, line])
