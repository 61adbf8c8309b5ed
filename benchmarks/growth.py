"""Cost against size: ``python -m benchmarks.growth`` draws ``results/growth.png`` from saved results.

Points are the JSON lines of the jobs in ``results/*.txt`` and the rehearsals ``results/rehearsal*.json`` (all stages
together, and the dearest ones). Only what was measured at four sizes or more is drawn; dashed: linear growth.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).resolve().parent / "results"
SIZES = 4
SHOWN_STAGES = 4

Points = dict[int, tuple[float, float]]
"""Events to wall seconds and peak GiB."""


def jobs(folder: Path) -> dict[str, Points]:
    """What the benchmarks printed; of a size measured twice, the later one."""
    found: dict[str, Points] = defaultdict(dict)
    for path in sorted(folder.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith('{"job"'):
                one = json.loads(line)
                if "ours" in one and "events" in one:
                    found[one["job"]][int(one["events"])] = (one["ours"]["wall_s"], one["ours"]["peak_gib"])
    return found


def stages(folder: Path) -> dict[str, Points]:
    """All stages of each rehearsal together (both passes), and those that take longest at the largest size."""
    found: dict[str, Points] = defaultdict(dict)
    for path in sorted(folder.glob("rehearsal*.json")):
        costs: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["stages"]
        events = max(one["rows"] for one in costs if one["stage"] == "covisit")
        for name in {one["stage"] for one in costs}:
            own = [one for one in costs if one["stage"] == name]
            found[f"stage {name}"][events] = (sum(one["wall_s"] for one in own), max(one["peak_gib"] for one in own))
        found["all stages"][events] = (
            sum(one["wall_s"] for one in costs),
            max(one["peak_gib"] for one in costs),
        )
    longest = sorted(found, key=lambda name: -found[name][max(found[name])][0])
    return {name: found[name] for name in longest[: SHOWN_STAGES + 1]}


def draw(series: dict[str, Points], out: Path) -> None:
    """Two log-log panels: wall seconds and peak memory."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for panel, value, label in zip(panels, (0, 1), ("wall seconds", "peak GiB (anonymous + shared)"), strict=True):
        for name, points in series.items():
            sizes = sorted(points)
            panel.plot(sizes, [points[size][value] for size in sizes], marker="o", label=name)
        ends = [min(min(points) for points in series.values()), max(max(points) for points in series.values())]
        top = max(points[max(points)][value] for points in series.values())
        panel.plot(ends, [top * ends[0] / ends[1], top], linestyle="--", color="grey", label="linear")
        panel.set(xscale="log", yscale="log", xlabel="events", ylabel=label)
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=8)
    figure.savefig(out, dpi=110)
    plt.close(figure)


def main(folder: Path = RESULTS) -> int:
    """Draw, and print what is in the plot."""
    series = {name: points for name, points in (jobs(folder) | stages(folder)).items() if len(points) >= SIZES}
    if not series:
        print(f"no job has been measured at {SIZES} sizes: save what the benchmarks print in {folder.name}/<job>.txt")
        return 2
    for name, points in series.items():
        per_million = ", ".join(f"{size / 1e6:g} M: {points[size][0] / size * 1e6:.3g}" for size in sorted(points))
        print(f"{name}, wall seconds a million events: {per_million}")
    draw(series, folder / "growth.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
