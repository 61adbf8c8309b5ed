"""How long one recommendation takes: ``python -m benchmarks.latency [--run runs/shop] [--items 1855603]``.

Asks the run of ``make rehearse`` if it is there, else one on a shop of so many items that is made for it (with few
training sessions: how long the answer takes depends on the trees, not on what they were trained on). On one core:
single sessions with their reasons, explanations, and 1,000 sessions in one call; start-up includes the imports. The
last line is one JSON object. CPU times are given beside those of the clock, as other work on the machine spoils these.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from events.compiled import ROOT
from events.errors import InputError
from events.shop.settings import FULL_ITEMS
from rankers.opening import latest_pass, open_rankers
from scripts import all_stages as stages
from scripts.cli import guarded
from submissions.report import table

CONFIG = ROOT / "configs" / "shop.toml"
LIKE_THE_REHEARSAL = ("models.defaults=false", "rankers.folds=1", "rankers.submission=mean_of_folds")


def make(folder: Path, items: int, sessions: int, more: list[str]) -> Path:
    """The run on a shop of ``items`` items; stages that are up to date are skipped.

    Raises
    ------
    InputError
        If a stage failed.
    """
    chosen = [f"runs={json.dumps(str(folder))}", f"shop.n_items={items}", f"shop.train_sessions={sessions}"]
    chosen += [*LIKE_THE_REHEARSAL, "rankers.max_work=2e10", *more]
    options = [part for one in chosen for part in ("--set", one)]
    if stages.run_all(["--config", str(CONFIG), "--until", "rank", *options]) != 0:
        raise InputError(CONFIG, None, "a stage failed", "see the line above")
    return folder / CONFIG.stem


def is_ready(run: Path) -> bool:
    """Whether a run can be asked."""
    try:
        latest_pass(run)
        open_rankers(run)
    except InputError:
        return False
    return True


def ask(run: Path, sessions: int) -> dict[str, Any]:
    """What asking costs, measured in a process of its own.

    Raises
    ------
    InputError
        If that process failed.
    """
    command = [sys.executable, "-m", "benchmarks.asking", str(run.resolve()), str(sessions)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise InputError(run, None, f"it cannot be asked ({last})", "run its stages again")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main(argv: list[str] | None = None) -> int:
    """Print the table and the JSON line."""
    parser = argparse.ArgumentParser(
        description="How long one recommendation takes.", epilog="example: python -m benchmarks.latency --run runs/shop"
    )
    parser.add_argument("--run", type=Path, help="ask this run")
    parser.add_argument("--items", type=int, default=FULL_ITEMS, help="items of the shop that is made otherwise")
    parser.add_argument("--sessions", type=int, default=1_000_000, help="its train sessions")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "latency", help="where it is made")
    parser.add_argument("--asked", type=int, default=1_000, help="sessions that are asked for one by one")
    parser.add_argument("--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args(argv)

    def work() -> None:
        rehearsal = ROOT / "runs" / "rehearsal"
        run = arguments.run
        if run is None and arguments.items == FULL_ITEMS and is_ready(rehearsal):
            run = rehearsal
        if run is None:
            run = make(arguments.folder.resolve(), arguments.items, arguments.sessions, arguments.assignments)
        if arguments.asked < 1:
            raise InputError("--asked", None, "nobody is asked for", "give a number from 1")
        figures = ask(run, arguments.asked)
        print(f"{run}, {figures['items']:,} items, {machine()}")
        rows = [
            ["one session", f"{figures['p50_ms']:.2f}", f"{figures['p99_ms']:.2f}", f"{figures['cpu_p99_ms']:.2f}"],
            ["one explanation", f"{figures['explain_p50_ms']:.2f}", f"{figures['explain_p99_ms']:.2f}", ""],
        ]
        print(table(["one core", "p50 ms", "p99 ms", "p99 CPU ms"], rows))
        print(f"start-up {figures['load_s']:.2f} s, 1,000 sessions in one call {figures['batch_1000_s']:.2f} s")
        print(json.dumps(figures | {"run": str(run), "machine": machine()}))

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
