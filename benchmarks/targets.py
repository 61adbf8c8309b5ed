"""Hit rate@10 on the RetailRocket sequences: ``python -m benchmarks.targets``.

Popularity, item-item CF, ALS and SASRec with the settings of ``configs/retailrocket_sequences.toml``, fitted on the
train sequences and asked once for every test row: all items are ranked, repeats of the row's own items allowed, and
again without these (``unseen``: only rows whose next item is new to them count then). What has been fitted is kept in
the run's folder. The last line is one JSON object; the other targets stand in ``results/targets.txt``.
"""

import argparse
import json
import sys
from typing import Any

import numpy as np

from benchmarks.harness import machine
from candidates.source_set import SourceSet
from candidates.unseen import leave_out_seen
from events.compiled import ROOT
from events.labels import LabelSet
from events.passes import SUBMISSION
from scripts import covisit, prepare
from scripts.artifacts import open_pass
from scripts.baselines import baseline_lists
from scripts.cli import open_run
from scripts.pipeline import run_stage
from scripts.resources import Meter
from submissions.ranking_metrics import ranking_values
from submissions.report import number, table

MODELS = ("popularity", "item_cf", "als", "sasrec")
TOP, DEEP = 10, 400
"""Items that count, and items asked for so that enough are left without a row's own."""


def main(argv: list[str] | None = None) -> int:
    """Fit what is not fitted, ask, count."""
    parser = argparse.ArgumentParser(description="Hit rate of SASRec against simple baselines.")
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME", help="rungs of the ladder")
    parser.add_argument("--set", dest="assignments", action="append", default=[])
    arguments = parser.parse_args(argv)
    config = ROOT / "configs" / "retailrocket_sequences.toml"
    run = open_run(config, [*arguments.assignments, f"submissions.k={DEEP}"])
    run_stage(prepare.STAGE, run, "")
    run_stage(covisit.STAGE, run, SUBMISSION)
    data = open_pass(run, SUBMISSION)
    assert data.labels is not None
    log, labels = data.target_log, data.labels["clicks"]
    new = unseen_rows(log.offsets, log.aids, labels)
    rows, found = [], {}
    for name in arguments.models:
        with Meter() as meter:
            lists = baseline_lists(name, run, data, log, SourceSet.of(run.settings.candidates, log.has))["clicks"]
        every = ranking_values(lists, labels, TOP)["hit_rate"].mean
        kept = leave_out_seen(lists, log, TOP).take(new)
        unseen = ranking_values(kept, labels.take(new), TOP)["hit_rate"].mean
        rows.append([name, number(every), number(unseen), f"{meter.cpu_s:.0f}"])
        found[name] = {"hit_rate@10": every, "unseen": unseen, "cpu_s": round(meter.cpu_s, 1)}
        print(f"{name}: {found[name]}", flush=True)
    print(f"RetailRocket sequences, {len(log):,} rows, {new.size:,} of them unseen, {machine()}")
    print(table(["model", "hit rate@10", "unseen", "CPU s"], rows))
    print(json.dumps({"job": "targets", "rows": len(log), "found": found, "machine": machine()}))
    return 0


def unseen_rows(offsets: np.ndarray[Any, Any], aids: np.ndarray[Any, Any], labels: LabelSet) -> np.ndarray[Any, Any]:
    """int64[m] rows none of whose labels is one of their own items."""
    width = int(max(aids.max(initial=0), labels.aids.max(initial=0))) + 2
    owner = np.repeat(np.arange(len(labels)), np.diff(offsets)) * width
    wanted = np.repeat(np.arange(len(labels)), np.diff(labels.offsets))
    seen = np.isin(wanted * width + labels.aids, owner + aids)
    return np.setdiff1d(np.unique(wanted), wanted[seen])


if __name__ == "__main__":
    sys.exit(main())
