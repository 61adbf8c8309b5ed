"""The synthetic shop beside OTTO's log: ``python -m benchmarks.shop --sessions 12899779`` (the full size).

Draws the shop into a temporary folder and prints the cost, then each quantile, share and rate beside OTTO's (the data
set's published statistics; the labels are those of its last week). The last line is one JSON object.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from benchmarks.harness import Contender, machine, measure
from events.columns import TARGETS, WEEK
from events.passes import VALIDATION, PassData, build_passes
from events.settings import SampleSettings, SplitSettings
from events.shop.generate import generate
from events.shop.settings import ShopSettings
from submissions.report import table

LENGTHS = {"mean": 16.8, "std": 33.6, "min": 2, "p50": 6, "p75": 15, "p90": 39, "p95": 68, "max": 500}
ITEMS = {"mean": 116.8, "std": 729, "min": 3, "p50": 20, "p75": 56, "p90": 183, "p95": 398, "max": 129_004}
SHARES = {"clicks": 0.8985, "carts": 0.0780, "orders": 0.0235}
LABELS = {"clicks": 0.975, "carts": 0.320, "orders": 0.174}
LAST_WEEK = 0.14


def set_up(sessions: int, folder: str) -> tuple[int, str]:
    """Compile the kernels on a small shop."""
    with tempfile.TemporaryDirectory() as small:
        generate(ShopSettings(train_sessions=1_000), Path(small), progress=False)
    return sessions, folder


def draw(inputs: tuple[int, str]) -> None:
    """Draw the shop."""
    generate(ShopSettings(train_sessions=inputs[0]), Path(inputs[1]))


def quantiles(values: npt.NDArray[np.int64]) -> dict[str, float]:
    """Mean, standard deviation and quantiles, under OTTO's names."""
    at = np.quantile(values, [0.5, 0.75, 0.9, 0.95])
    named = dict(zip(("p50", "p75", "p90", "p95"), at.tolist(), strict=True))
    ends = {"min": float(values.min()), "max": float(values.max())}
    return {"mean": float(values.mean()), "std": float(values.std())} | named | ends


def statistics(folder: Path, settings: ShopSettings) -> dict[str, dict[str, float]]:
    """Session lengths, item popularity, shares of types and of the last week's sessions of a shop's train log."""
    items, types = np.zeros(settings.items, np.int64), np.zeros(len(TARGETS), np.int64)
    lengths, late = [], 0
    file = pq.ParquetFile(folder / "train.parquet")
    for group in range(file.num_row_groups):  # row groups hold whole sessions
        part = file.read_row_group(group, columns=["aid", "ts", "type", "event"])
        items += np.bincount(part["aid"].to_numpy(), minlength=items.size)
        types += np.bincount(part["type"].to_numpy(), minlength=types.size)
        first = np.flatnonzero(part["event"].to_numpy() == 0)
        lengths.append(np.diff(first, append=part.num_rows))
        late += int((part["ts"].to_numpy()[first] >= settings.train_end_ms - WEEK * 1000).sum())
    return {
        "events per session": quantiles(np.concatenate(lengths)),
        "events per item": quantiles(items[items > 0]),
        "share of events": dict(zip(TARGETS, (types / types.sum()).tolist(), strict=True)),
        "sessions": {"of the last week": late / settings.train_sessions},
    }


def label_rates(folder: Path, settings: SplitSettings) -> dict[str, float]:
    """Labels per session of the last week, cut by the official rules; at most 20 of a session and target count."""
    build_passes(folder / "train.parquet", None, None, settings, SampleSettings(), 42, folder)
    data = PassData.load(folder / VALIDATION)
    assert data.labels is not None
    return {t: float(np.minimum(np.diff(data.labels[t].offsets), 20).sum() / data.n_targets) for t in TARGETS}


def main(argv: list[str] | None = None) -> int:
    """Draw, print the tables, then the JSON line."""
    parser = argparse.ArgumentParser(description="The synthetic shop beside OTTO's log.")
    parser.add_argument("--sessions", type=int, default=ShopSettings().train_sessions, help="train sessions")
    sessions = parser.parse_args(argv).sessions
    settings = ShopSettings(train_sessions=sessions)
    with tempfile.TemporaryDirectory() as name:
        cost, _ = measure(Contender(set_up, draw, (sessions, name)))
        found = statistics(Path(name), settings)
        found["labels per session"] = label_rates(Path(name), SplitSettings(transductive=True))
    otto: dict[str, dict[str, Any]] = {
        "events per session": LENGTHS,
        "events per item": ITEMS,
        "share of events": SHARES,
        "sessions": {"of the last week": LAST_WEEK},
        "labels per session": LABELS,
    }
    rows = [
        [f"{kind}, {what}", f"{target:g}", f"{found[kind][what]:.4g}", f"{found[kind][what] / target:.3f}"]
        for kind, targets in otto.items()
        for what, target in targets.items()
    ]
    print(f"{sessions:,} train sessions: {cost.wall_s:.0f} s wall, {cost.cpu_s:.0f} s CPU, {cost.peak_gib:.2f} GiB")
    print(table(["", "OTTO", "shop", "ratio"], rows))
    print(json.dumps({"job": "shop", "sessions": sessions, "ours": asdict(cost), "found": found, "machine": machine()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
