"""What each stage costs: ``python -m benchmarks.stages [--sessions 300000]``.

Runs the pipeline on a fresh synthetic shop and prints, for every stage and pass, wall and CPU seconds, peak memory
(anonymous + shared, over the process tree) and the CPU seconds per million events of the train log. The last line is
one JSON object.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from events.compiled import ROOT
from scripts.all_stages import STAGES
from scripts.pipeline import MANIFEST
from submissions.report import table


def _run(sessions: int, folder: Path) -> Path:
    config = ROOT / "configs" / "shop.toml"
    command = [sys.executable, "-m", "scripts.run", "--config", str(config)]
    command += ["--set", f"runs={folder}", "--set", f"shop.train_sessions={sessions}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return folder / config.stem


def stages_of(run: Path) -> list[dict[str, Any]]:
    """Cost of every stage and pass of a finished run, from its manifests, in order."""
    found = []
    for stage in STAGES:
        for pass_name in stage.passes or (None,):
            folder = run / "prepared" if pass_name is None else run / pass_name / stage.name
            if (folder / MANIFEST).exists():
                manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
                kept = {key: manifest.get(key) for key in ("stage", "pass", "wall_s", "cpu_s", "peak_gib", "rows")}
                found.append(kept | {"bytes": sum(size for size, _ in manifest["outputs"].values())})
    return found


def title(cost: dict[str, Any]) -> str:
    """A stage and its pass, in words."""
    return str(cost["stage"]) + (f" ({cost['pass']})" if cost["pass"] else "")


def main(argv: list[str] | None = None) -> int:
    """Run, print the table, then the JSON line."""
    parser = argparse.ArgumentParser(description="Cost of every stage on a synthetic shop.")
    parser.add_argument("--sessions", type=int, default=30_000, help="train sessions of the shop")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        run = _run(arguments.sessions, Path(folder))
        stages = stages_of(run)
        events = json.loads((run / "validation" / "covisit" / MANIFEST).read_text(encoding="utf-8"))["rows"]
    rows = [
        [
            title(one),
            f"{one['wall_s']:.1f}",
            f"{one['cpu_s']:.1f}",
            f"{one['cpu_s'] / events * 1e6:.2f}",
            f"{one['peak_gib']:.2f}",
            f"{one['bytes'] / 1e6:.1f}",
        ]
        for one in stages
    ]
    print(table(["stage", "wall s", "CPU s", "CPU s / M events", "peak GiB", "MB written"], rows))
    print(json.dumps({"job": "stages", "events": events, "machine": machine(), "stages": stages}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
