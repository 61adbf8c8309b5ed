"""What a finished run left behind, gathered for its report: plain values, ready for JSON."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from events.errors import InputError
from events.files import read_json
from events.passes import SUBMISSION, VALIDATION
from submissions.examples import examples
from submissions.proposals import PROPOSALS

MANIFEST = "manifest.json"
STAGES = ("prepare", "covisit", "retrievers", "candidates", "features", "rank", "evaluate", "submit")


def gather(run: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The report of a run as one value.

    run      : its folder, in which the stages from ``prepare`` to ``evaluate`` have run
    settings : dotted key to value

    What a run of an older code did not keep is ``None``: ``proposals``, ``groups``; ``test`` is, too, without scored
    test sessions.

    Raises
    ------
    InputError
        If a file is missing or damaged; it names the file.
    """
    validation = run / VALIDATION
    scores = read_json(validation / "evaluate" / "scores.json")
    rankers = read_json(validation / "rank" / "models" / "rankers.json")
    return {
        "name": run.name,
        "k": int(settings.get("submissions.k", 20)),
        "scores": scores,
        "test": _optional(run / SUBMISSION / "scores.json"),
        "proposals": _optional(validation / "evaluate" / PROPOSALS),
        "groups": _optional(validation / "features" / "groups.json"),
        "gains": _gains(validation / "rank" / "models" / "importances.csv"),
        "fits": rankers["fits"],
        "watched": rankers["settings"].get("stop_by", "ndcg"),
        "reasons": rankers["reasons"],
        "retrievers": _manifest(validation / "retrievers").get("retrievers", {}),
        "left_out": _left_out(validation),
        "costs": _costs(run),
        "settings": dict(settings),
        "inputs": _inputs(run),
        "code": {stage: _manifest(_folder(run, VALIDATION, stage)).get("code") for stage in STAGES[:-1]},
        "examples": examples(run, int(settings.get("submissions.k", 20))),
    }


def _optional(path: Path) -> Any:
    return read_json(path) if path.exists() else None


def _manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = _optional(folder / MANIFEST) or {}
    return found


def _folder(run: Path, pass_name: str, stage: str) -> Path:
    return run / "prepared" if stage == "prepare" else run / pass_name / stage


def _gains(path: Path) -> dict[str, dict[str, float]]:
    """Target to feature to its share of the gain, greatest first."""
    found: dict[str, dict[str, float]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["target"], {})[row["feature"]] = float(row["gain_share"])
    except (OSError, KeyError, ValueError) as error:
        raise InputError(path, None, f"cannot be read: {error}", "run the stage rank again") from None
    return found


def _left_out(validation: Path) -> dict[str, str]:
    """What the shop or its settings had the run do without, and why."""
    return {
        name: reason
        for stage in ("covisit", "retrievers", "candidates")
        for name, reason in _manifest(validation / stage).get("left_out", {}).items()
    }


def _costs(run: Path) -> list[dict[str, Any]]:
    costs = []
    for stage in STAGES:
        for pass_name in (VALIDATION,) if stage == "prepare" else (VALIDATION, SUBMISSION):
            manifest = _manifest(_folder(run, pass_name, stage))
            if "wall_s" in manifest:
                figures = {name: float(manifest[name]) for name in ("wall_s", "cpu_s", "peak_gib")}
                costs.append({"stage": stage, "pass": "both" if stage == "prepare" else pass_name, **figures})
    return costs


def _inputs(run: Path) -> list[dict[str, Any]]:
    """Files that decide the run: those that ``prepare`` read, and what it made of them."""
    read = _manifest(run / "prepared").get("inputs", {})
    found = [{"file": Path(path).name, "bytes": size, "digest": digest} for path, (size, _, digest) in read.items()]
    for pass_name in (VALIDATION, SUBMISSION):
        made = _manifest(run / pass_name / "covisit").get("inputs", {})
        for path, (size, _, digest) in made.items():
            name = "/".join(Path(path).parts[-3:])
            found.append({"file": name, "bytes": size, "digest": digest})
    return found
