"""What the settings of the rankers are worth: ``python -m benchmarks.rankers [--sessions 100000]``.

Runs the stages to ``features`` on a synthetic shop, trains the rankers of each variant on a sample of the validation
sessions, and compares them on the others: weighted recall@20 less that of the default settings, paired by session, with
95 % intervals. Every variant ranks the same candidates by the same features. The last line is one JSON object.
"""

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.ablation import (
    add,
    difference,
    joined,
    of_one_fit,
    outside_matrix,
    run_to_features,
    shop_parser,
    weighted,
)
from benchmarks.harness import machine
from candidates.pool import Arena, Candidates
from events.labels import take_labels
from events.log import SessionLog
from events.passes import PassData
from rankers.matrix import TrainingMatrix, read_matrix
from rankers.models import Rankers
from rankers.scoring import Scorer, chunks, score_sessions
from rankers.settings import RankersSettings
from rankers.training import train_rankers
from scripts.artifacts import open_builder, open_pass, open_sources
from scripts.pipeline import Run
from submissions.metrics import Hits
from submissions.report import spread, table

TOP: Final = 20
DEFAULT: Final = "default"
VARIANTS: Final[dict[str, dict[str, Any]]] = {
    DEFAULT: {},
    "stop_by=recall": {"stop_by": "recall"},
    "objective=recall": {"objective": "recall"},
    "objective=recall, softness=0": {"objective": "recall", "softness": 0.0},
    "objective=recall, softness=5": {"objective": "recall", "softness": 5.0},
    "objective=recall, stop_by=recall": {"objective": "recall", "stop_by": "recall"},
    "mode=multi_target": {"mode": "multi_target"},
    "mode=both": {"mode": "both"},
    "mode=both, objective=recall": {"mode": "both", "objective": "recall"},
    "seeds=3": {"seeds": 3},
    "stacking": {"stacking": True},
    "mode=both, seeds=3": {"mode": "both", "seeds": 3},
    "backend=xgboost": {"backend": "xgboost"},
    "backend=xgboost, device=cuda": {"backend": "xgboost", "device": "cuda"},
}


def can_run(variant: str) -> bool:
    """Whether this machine has the extra, and the GPU, that a variant needs."""
    return ("xgboost" not in variant or find_spec("xgboost") is not None) and (
        "cuda" not in variant or torch.cuda.is_available()
    )


@dataclass(frozen=True, slots=True)
class Ready:
    """A pool and its features, made before."""

    candidates: Candidates
    features: npt.NDArray[np.float32]
    names: tuple[str, ...]

    def pool(self, _log: SessionLog, _arena: Arena) -> Candidates:
        return self.candidates

    def build(self, _log: SessionLog, _candidates: Candidates, _arena: Arena) -> npt.NDArray[np.float32]:
        return self.features


def train(
    matrix: TrainingMatrix, settings: RankersSettings, kept: Mapping[str, dict[str, Any]], work: Path, threads: int
) -> tuple[dict[str, Rankers], dict[str, float]]:
    """Rankers of each variant, and the wall seconds they took; finished fits are kept in ``work``."""
    made, seconds = {}, {}
    for variant, update in kept.items():
        began = time.perf_counter()
        mine = RankersSettings.model_validate(settings.model_dump() | update)
        made[variant] = train_rankers(matrix, mine, work / variant.replace(" ", "_"), threads=threads)
        seconds[variant] = time.perf_counter() - began
    return made, seconds


def compare(
    run: Run, data: PassData, kept: Mapping[str, dict[str, Any]], sessions: int, work: Path
) -> tuple[list[list[str]], dict[str, Any]]:
    """Train, score and compare; at most ``sessions`` of those not trained on are scored."""
    assert data.labels is not None
    settings = of_one_fit(run.settings.rankers)
    matrix = read_matrix(run.need(data.name, "features") / "matrix.parquet")
    rankers, seconds = train(matrix, settings, kept, work, run.settings.n_threads)
    log = data.target_log
    rows = outside_matrix(log, matrix, sessions, settings.seed)
    sources = open_sources(run, data)
    builder = open_builder(run, data, sources)
    arena, scratch = Arena(), Arena()
    ranked: dict[str, dict[str, list[Hits]]] = {}
    for start, stop in chunks(rows.size, settings.chunk_sessions, "scoring"):
        part = rows[start:stop]
        chunk, labels = log.take(part), take_labels(data.labels, part)
        pool = sources.pool(chunk, arena)
        ready = Ready(pool, builder.build(chunk, pool, arena), builder.names)
        for variant, one in rankers.items():
            add(ranked, variant, score_sessions(chunk, Scorer(ready, ready, one, scratch, TOP)), labels, TOP)
    hits, groups = joined(ranked), log.groups[rows]
    lines, facts = [], {}
    for variant, by_target in hits.items():
        gap = difference(hits, variant, DEFAULT, groups)
        recalls = {target: one.recall for target, one in by_target.items()}
        trees = {fit.name: fit.trees for fit in rankers[variant].fits}
        facts[variant] = {"total": weighted(by_target), "recall": recalls, "minus_default": asdict(gap),
                          "fit_seconds": round(seconds[variant], 1), "trees": trees}  # fmt: skip
        shown = [f"{recalls[target] or 0.0:.4f}" for target in data.targets]
        total = f"{weighted(by_target):.4f}"
        lines.append([variant, *shown, total, spread(gap.low, gap.high), f"{seconds[variant]:.0f}"])
    return lines, {"scored": int(rows.size), "trained": matrix.n_sessions, "variants": facts}


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    made = shop_parser("What the settings of the rankers are worth.", sessions=100_000, trained=6_000)
    made.add_argument("--variant", action="append", choices=list(VARIANTS), help="compare only this one; repeatable")
    arguments = made.parse_args(argv)
    every = [one for one in VARIANTS if can_run(one)]
    kept = {one: VARIANTS[one] for one in dict.fromkeys([DEFAULT, *(arguments.variant or every)])}
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        run = run_to_features(arguments, folder)
        data = open_pass(run, "validation")
        lines, facts = compare(run, data, kept, arguments.scored, folder / "rankers")
    print(table(["settings", *data.targets, "total", "less the default, 95 %", "fits, s"], lines))
    print(json.dumps({"job": "rankers", "machine": machine(), **facts}))


if __name__ == "__main__":
    main()
