"""The last words of a run: where its results are, and what can be done with them."""

from events.columns import TARGETS
from events.files import read_json
from events.passes import VALIDATION
from scripts.pipeline import Run

SHOWN = (
    ("submission/submission.csv", "lists of the test sessions, to be uploaded"),
    ("validation/scores.json", "scores of the validation sessions"),
    ("submission/scores.json", "scores of the test sessions"),
    ("report.html", "everything to look at, in a browser"),
    ("validation/rank/out_of_fold.parquet", "lists of the validation sessions, by models that did not see them"),
    ("validation/rank/models/importances.csv", "what each feature gains"),
)
"""Files of a run that people look for."""


def _last_type(run: Run) -> str:
    """How an event of another type than a click is written, where the shop has such."""
    meta = run.prepared / VALIDATION / "meta.json"
    others = [name for name in read_json(meta)["targets"] if name != TARGETS[0]] if meta.exists() else []
    return f":{others[0]}" if others else ""


def where_things_are(run: Run) -> str:
    """One line a file that is there, and how to ask the run."""
    there = [(run.folder / name, what) for name, what in SHOWN if (run.folder / name).exists()]
    if not there:
        return f"everything is in {run.folder}"
    index = run.folder.parent / "index.csv"
    there += [(index, "one line a run")] if index.exists() else []
    width = max(len(str(path)) for path, _ in there)
    lines = [f"  {str(path).ljust(width)}  {what}" for path, what in there]
    if (run.folder / "validation" / "rank").is_dir():
        asked = f"'ITEM ITEM{_last_type(run)}'"
        lines.append(f"  ask it: python -m scripts.recommend --run {run.folder} --session {asked}")
    return "\n".join(lines)
