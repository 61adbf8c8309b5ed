"""The whole product at OTTO's full size, from JSONL to CSV: ``python -m benchmarks.rehearse [--sessions 1000000]``.

Draws the synthetic shop and writes it as OTTO's JSONL (reported, but no part of the hour), then runs every stage on
``configs/rehearsal.toml``, checks the CSV once more and writes what each stage took. Stopped, the same command goes on
where it was. The figures of the full size go to ``benchmarks/results/rehearsal.json``, others into the folder of runs.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from benchmarks.stages import stages_of, title
from events.compiled import ROOT
from events.errors import InputError
from events.files import atomic_folder, read_json, write_json
from events.passes import PassData
from events.shop.generate import generate
from events.shop.jsonl import write_jsonl
from events.shop.settings import FULL_TRAIN_SESSIONS, ShopSettings
from scripts import all_stages as stages
from scripts.artifacts import open_items
from scripts.cli import guarded, open_run
from scripts.resources import Meter
from submissions.report import table
from submissions.validator import require_valid

CONFIG = ROOT / "configs" / "rehearsal.toml"
RESULT = ROOT / "benchmarks" / "results" / "rehearsal.json"
DRAWN = "drawn.json"
FULL_DISK_BYTES = 35e9
SMALL_DISK_BYTES = 1e9
FILES = ("train", "test")

Figures = dict[str, Any]


def need_disk(folder: Path, sessions: int) -> None:
    """Stop before anything is written unless what a run of this size leaves on disk will fit.

    Raises
    ------
    InputError
        If the free space and what an interrupted run has left in ``folder`` are too little.
    """
    folder.mkdir(parents=True, exist_ok=True)
    needed = SMALL_DISK_BYTES + (FULL_DISK_BYTES - SMALL_DISK_BYTES) * sessions / FULL_TRAIN_SESSIONS
    there = shutil.disk_usage(folder).free + size_of(folder)
    if there < needed:
        problem = f"{there / 1e9:.1f} GB are free, {needed / 1e9:.1f} GB are needed"
        raise InputError(folder, None, problem, "make room, or name another folder with --folder")


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def draw(folder: Path, sessions: int) -> Figures:
    """``train.jsonl`` and ``test.jsonl`` of the shop, unless they are there; what that took."""
    settings = ShopSettings(train_sessions=sessions)
    shop = settings.model_dump(mode="json")
    if (folder / DRAWN).exists():
        drawn: Figures = read_json(folder / DRAWN)
        if drawn["shop"] == shop:
            return drawn
    print(f"drawing {sessions:,} sessions …", flush=True)
    with atomic_folder(folder) as beside:
        with Meter() as meter:
            generate(settings, beside)
            for name in FILES:
                write_jsonl(beside / f"{name}.parquet", beside / f"{name}.jsonl")
                (beside / f"{name}.parquet").unlink()
            (beside / "test_labels.parquet").unlink()  # the competition keeps them to itself
        figures = {"wall_s": round(meter.wall_s, 1), "cpu_s": round(meter.cpu_s, 1), "bytes": size_of(beside)}
        write_json(beside / DRAWN, figures | {"peak_gib": round(meter.peak_gib, 3), "shop": shop})
    return draw(folder, sessions)


def rehearse(folder: Path, sessions: int, assignments: list[str]) -> Figures:
    """Run everything in ``folder``; the machine, and the cost of the drawing and of each stage.

    Raises
    ------
    InputError
        If the disk is too small, a setting is wrong, or the CSV is not valid.
    """
    need_disk(folder, sessions)
    jsonl = folder / "rehearsal_jsonl"
    drawn = draw(jsonl, sessions)
    chosen = [f"runs={json.dumps(str(folder))}", f"data.root={json.dumps(str(jsonl))}", *assignments]
    options = [part for one in chosen for part in ("--set", one)]
    if stages.run_all(["--config", str(CONFIG), *options]) != 0:
        raise InputError(CONFIG, None, "a stage failed", "see the line above")
    run = open_run(CONFIG, chosen)
    data = PassData.load(run.prepared / "submission")
    csv = run.stage_folder("submission", "submit") / "submission.csv"
    require_valid(csv, data.target_ids, data.targets, open_items(run), run.settings.submissions.k)
    costs = stages_of(run.folder)
    return {
        "machine": machine(),
        "sessions": sessions,
        "drawn": {key: drawn[key] for key in ("wall_s", "cpu_s", "peak_gib", "bytes")},
        "wall_s": round(sum(one["wall_s"] for one in costs), 1),
        "peak_gib": max(one["peak_gib"] for one in costs),
        "bytes": size_of(jsonl) + size_of(run.folder),
        "stages": costs,
    }


def show(figures: Figures) -> None:
    """Print the table of the stages, with the sum."""
    rows = [
        [
            title(one),
            f"{one['wall_s']:.1f}",
            f"{one['cpu_s']:.1f}",
            f"{one['peak_gib']:.2f}",
            f"{one['rows'] or 0:,}",
            f"{one['bytes'] / 1e9:.2f}",
        ]
        for one in figures["stages"]
    ]
    cpu = sum(one["cpu_s"] for one in figures["stages"])
    total = ["all", f"{figures['wall_s']:.1f}", f"{cpu:.1f}", f"{figures['peak_gib']:.2f}", "", ""]
    print(f"{figures['sessions']:,} train sessions, {figures['machine']}")
    print(table(["stage", "wall s", "CPU s", "peak GiB", "rows", "GB written"], [*rows, total]))


def main(argv: list[str] | None = None) -> int:
    """Rehearse, print the table, write the JSON file."""
    parser = argparse.ArgumentParser(description="The whole product at full size on the synthetic shop.")
    parser.add_argument("--sessions", type=int, default=FULL_TRAIN_SESSIONS, help="train sessions of the shop")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs", help="folder of the JSONL files and the run")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args(argv)

    def work() -> None:
        figures = rehearse(arguments.folder.resolve(), arguments.sessions, arguments.assignments)
        show(figures)
        full = arguments.sessions == FULL_TRAIN_SESSIONS
        write_json(RESULT if full else arguments.folder / "rehearsal.json", figures)

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
