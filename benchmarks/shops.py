"""Other shops end to end: ``python -m benchmarks.shops [--users 10000] [--shops hm amazon]``.

Makes up files in the format of H&M, Amazon Reviews 2023, Diginetica, REES46 and RetailRocket (``benchmarks.formats``),
runs every stage on each by its config, a process a shop, and prints one table: sessions to be scored, wall and CPU
seconds, peak memory (the process tree's anonymous and shared, the most of any stage), and the ladder with the ranker's
95 % interval. Scores are by the config's own validation and list length; recall is the official one, MAP as Kaggle
defines it. The last line is one JSON object.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.formats import SHOPS
from benchmarks.harness import machine
from benchmarks.stages import stages_of
from events.compiled import ROOT
from events.files import read_json
from submissions.report import number, table

RUNGS = ("popularity", "rules", "ranker")
MEASURES = {"hm": "map"}
"""The metric of a shop's competition, where that is not recall."""


def _call(command: list[str], log: Path) -> float:
    """Run a module of this project, its output into a file; CPU seconds of it and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("a", encoding="utf-8") as out:
        done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-5:])
        raise SystemExit(f"{' '.join(command)} failed, exit code {done.returncode}:\n{tail}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_shop(shop: str, users: int, folder: Path, assignments: list[str]) -> dict[str, Any]:
    """Make the files of a shop and run every stage on them; its figures."""
    data, runs = folder / "data" / shop, folder / "runs"
    log = folder / f"{shop}.log"
    log.unlink(missing_ok=True)
    _call(["benchmarks.formats", "--shop", shop, "--users", str(users), "--folder", str(data)], log)
    made = log.read_text(encoding="utf-8").splitlines()[-1].partition(": ")[2].partition(";")[0]
    given = [f"data.root={data.resolve()}", f"runs={runs.resolve()}", *assignments]
    command = ["scripts.run", "--config", str(ROOT / "configs" / f"{shop}.toml")]
    started = time.perf_counter()
    cpu = _call([*command, *(word for one in given for word in ("--set", one))], log)
    wall = time.perf_counter() - started
    run = runs / shop
    scores = read_json(run / "validation" / "scores.json")
    column = next(name for name in scores["metrics"]["ranker"] if name.startswith(f"{MEASURES.get(shop, 'recall')}@"))
    ladder = {rung: scores["metrics"][rung][column] for rung in RUNGS}
    return {
        "shop": shop,
        "made": made,
        "sessions": scores["sessions"],
        "wall_s": round(wall, 1),
        "cpu_s": round(cpu, 1),
        "peak_gib": max(one["peak_gib"] for one in stages_of(run)),
        "measure": column,
        "ladder": {rung: found["total"] for rung, found in ladder.items()},
        "intervals": {rung: found.get("interval") for rung, found in ladder.items()},
    }


def main(argv: list[str] | None = None) -> int:
    """Every shop, then the table and the JSON line."""
    parser = argparse.ArgumentParser(description="Made-up files of other shops through every stage.")
    parser.add_argument("--shops", nargs="+", choices=sorted(SHOPS), default=list(SHOPS))
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="keep files, runs and the stages' output here")
    parser.add_argument("--set", dest="assignments", action="append", default=[], help="setting for every run")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        found = [run_shop(shop, arguments.users, folder, arguments.assignments) for shop in arguments.shops]
    rows = []
    for one in found:
        low, high = one["intervals"]["ranker"] or (None, None)
        spread = "" if low is None else f"{low:.4f} to {high:.4f}"
        costs = [f"{one['wall_s']:.0f}", f"{one['cpu_s']:.0f}", f"{one['peak_gib']:.1f}"]
        scored = [one["measure"], *(number(one["ladder"][rung]) for rung in RUNGS), spread]
        rows.append([one["shop"], one["made"], f"{one['sessions']:,}", *costs, *scored])
    print(f"{machine()}; settings beside the configs': {' '.join(arguments.assignments) or 'none'}")
    head = ["shop", "made up", "scored", "wall s", "CPU s", "peak GiB", "measure", *RUNGS, "95 % interval"]
    print(table(head, rows, left=(0, 1, 6)))
    print(json.dumps({"job": "shops", "users": arguments.users, "machine": machine(), "found": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
