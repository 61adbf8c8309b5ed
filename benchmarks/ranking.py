"""The product's ranker, its single retrievers and other people's recommenders on the same real rows.

``python -m benchmarks.ranking --data retailrocket|yoochoose [--models NAME …] [--validation]``

All items are ranked for every test row, repeats of the session's own allowed: recall@20, MRR@20, and CPU seconds of
the fit.

- ``ranker``, ``rules``, ``history``, ``popularity``: the stages with the committed config, run where they are not up
  to date; the ranker's seconds are those of all stages before the lists;
- the retrievers of the config, as ``python -m benchmarks.retrievers`` makes them and from its cache;
- peers (``benchmarks/peers``), in the environment that ``make peers`` builds; without it they are left out.

Figures of a peer are kept under ``.cache/ranking`` and made anew when its settings, its code or the rows change.
``--validation`` scores peers on the rows that the validation pass holds out of train, evenly thinned: this is how
their settings (``PEERS``) were chosen where their defaults are not taken. The last line is JSON.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import retrievers
from benchmarks.harness import machine
from benchmarks.peers.exchange import TOP, Answer, Rows
from events.columns import CLICKS, TARGETS
from events.compiled import ROOT
from events.errors import InputError
from events.files import read_json, write_json
from events.labels import LabelSet, take_labels
from events.lists import Lists
from events.passes import SUBMISSION, VALIDATION, PassData
from scripts.all_stages import STAGES
from scripts.cli import guarded, open_run
from scripts.pipeline import Run, run_stage
from scripts.resources import Meter
from submissions.metrics import count_hits
from submissions.report import table

PYTHON = ROOT / ".cache" / "peers" / "bin" / "python"
LOCK = ROOT / "benchmarks" / "peers.lock"
CACHE = ROOT / ".cache" / "ranking"
VALIDATION_ROWS = 15_000
"""As many as there are test rows."""

RUNGS: dict[str, tuple[str, ...]] = {
    "ranker": ("prepare", "covisit", "retrievers", "candidates", "features", "rank"),
    "rules": ("covisit",),
    "history": (),
    "popularity": (),
}
"""The product's own lists, and the stages that fit what they need."""

Cell = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Peer:
    """A module of ``benchmarks.peers``, its settings, and those that differ by data set."""

    module: str
    settings: Mapping[str, Any]
    by_data: Mapping[str, Mapping[str, Any]]

    def settings_for(self, data: str, threads: int, seed: int) -> dict[str, Any]:
        """All its settings on a data set."""
        return {**self.settings, **self.by_data.get(data, {}), "threads": threads, "seed": seed}


BM25 = {"K": 100, "K1": 0.5, "B": 0}

PEERS: dict[str, Peer] = {
    "implicit_bm25": Peer("implicit_lists", {"model": "bm25", "half_life": 1, **BM25}, {}),
    "implicit_als": Peer(
        "implicit_lists",
        {"model": "als", "half_life": 1, "regularization": 1},
        {
            "retailrocket": {"factors": 256, "alpha": 100, "iterations": 3},
            "yoochoose": {"factors": 128, "alpha": 20, "iterations": 10},
        },
    ),
    "implicit_bpr": Peer(
        "implicit_lists",
        {"model": "bpr", "half_life": 1, "factors": 127, "learning_rate": 0.1},
        {"retailrocket": {"iterations": 100}, "yoochoose": {"iterations": 300}},
    ),
    "rectools_sasrec": Peer(
        "rectools_sasrec",
        {},
        {
            "retailrocket": {
                "n_factors": 64,
                "session_max_len": 10,
                "loss": "sampled_softmax",
                "n_negatives": 64,
                "lr": 0.003,
                "epochs": 5,
            },
            "yoochoose": {"n_factors": 128, "session_max_len": 15, "epochs": 10},
        },
    ),
    "rectools_two_stage": Peer(
        "rectools_two_stage",
        {
            "sessions": 40_000,
            "candidates": 100,
            "negatives": 30,
            "knn": BM25,
            "ranker": {"learning_rate": 0.05, "min_child_samples": 50},
            "sasrec": None,
        },
        {"yoochoose": {"sasrec": {"n_factors": 128, "session_max_len": 15, "epochs": 5, "lr": 0.003}}},
    ),
}


def product(run: Run, names: Sequence[str]) -> dict[str, Cell]:
    """Figures of the product's own lists, from stages that are run if they must."""
    costs: dict[str, list[dict[str, Any]]] = {}
    for stage in STAGES:
        for name in stage.passes or ("",):
            if not stage.passes or run.has_pass(name):
                costs.setdefault(stage.name, []).append(run_stage(stage, run, name))
    scores = read_json(run.folder / SUBMISSION / "scores.json")
    cells = {}
    for name in names:
        fitted = [one for stage in RUNGS[name] for one in costs[stage]]
        cells[name] = {
            "recall@20": round(scores["ladder"][name][TARGETS[CLICKS]], 4),
            "mrr@20": round(scores["ladder"][name]["mrr"][TARGETS[CLICKS]], 4),
            "fit_cpu_s": round(sum(one["cpu_s"] for one in fitted), 1),
            "fit_wall_s": round(sum(one["wall_s"] for one in fitted), 1),
            "rows": scores["sessions"],
        }
    return cells


def rows_of(data: PassData, most: int | None = None) -> tuple[Rows, LabelSet]:
    """What peers see of a pass, and the next items of its rows; at most ``most`` rows, evenly thinned."""
    assert data.labels is not None
    train, asked, labels = data.log.slice(0, data.n_train), data.target_log, data.labels
    if most is not None and len(asked) > most:
        kept = np.linspace(0, len(asked) - 1, most).astype(np.int64)
        asked, labels = asked.take(kept), take_labels(labels, kept)
    return Rows(train.offsets, train.aids, asked.offsets, asked.aids, data.log.n_items), labels[TARGETS[CLICKS]]


def score(answer: Answer, labels: LabelSet) -> Cell:
    """A peer's figures."""
    offsets = np.arange(len(labels) + 1, dtype=np.int64) * TOP
    aids = answer.lists.ravel()
    hits = count_hits(Lists(offsets, aids, np.zeros(aids.size, np.float32)), labels, TOP)
    assert hits.recall is not None
    assert hits.mrr is not None
    return {
        "recall@20": round(hits.recall, 4),
        "mrr@20": round(hits.mrr, 4),
        "fit_cpu_s": round(answer.fit_cpu_s, 1),
        "fit_wall_s": round(answer.fit_wall_s, 1),
        "score_wall_s": round(answer.score_wall_s, 1),
        "rows": len(hits),
    }


def ask(python: Path, module: str, settings: Mapping[str, Any], rows: Rows, folder: Path) -> Answer:
    """A peer's lists for these rows; its two files lie in ``folder`` meanwhile.

    Raises
    ------
    InputError
        If it fails, or its lists have another shape.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source, target = folder / f"rows-{os.getpid()}.npz", folder / f"lists-{os.getpid()}.npz"
    remedy = "see above; build its environment anew (make peers), or leave it out (--models)"
    try:
        rows.save(source)
        # One thread pool at a time: implicit has its own beside OpenBLAS's.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        command = [str(python), "-m", module, str(source), str(target), json.dumps(dict(settings))]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False, stdout=sys.stderr)
        if done.returncode != 0:
            raise InputError(module, None, f"the peer failed, exit code {done.returncode}", remedy)
        try:
            return Answer.load(target, rows.n_test)
        except (OSError, KeyError, ValueError) as error:
            raise InputError(module, None, f"the peer's answer cannot be used: {error}", remedy) from None
    finally:
        source.unlink(missing_ok=True)
        target.unlink(missing_ok=True)


def peer_cell(name: str, settings: Mapping[str, Any], rows: Rows, labels: LabelSet, folder: Path) -> Cell:
    """Figures of a peer, from the cache if nothing that they depend on has changed."""
    digest = hashlib.blake2b(digest_size=8)
    for array in (rows.offsets, rows.items, rows.test_offsets, rows.test_items, labels.offsets, labels.aids):
        digest.update(np.ascontiguousarray(array))
    module = PEERS[name].module
    library = module.split("_")[0]
    for source in (LOCK, LOCK.parent / "peers" / "exchange.py", *sorted(LOCK.parent.glob(f"peers/{library}_*.py"))):
        digest.update(source.read_bytes())
    digest.update(json.dumps([dict(settings), rows.n_items], sort_keys=True).encode())
    path = folder / f"{name}-{digest.hexdigest()}.json"
    if path.exists():
        kept: Cell = read_json(path)
        return kept
    print(f"{name} …", flush=True)
    with Meter() as meter:
        answer = ask(PYTHON, f"benchmarks.peers.{module}", settings, rows, folder)
    made = {**score(answer, labels), "peak_gib": round(meter.peak_gib, 2)}
    write_json(path, made)
    return made


def choose(asked: Sequence[str] | None, own: Sequence[str], validation: bool) -> list[str]:
    """The names to run, in the order of the benchmark.

    Raises
    ------
    InputError
        If a name is unknown, or has no figures on the validation pass.
    """
    known = list(PEERS) if validation else [*RUNGS, *own, *PEERS]
    unknown = [name for name in asked or () if name not in known]
    if unknown:
        raise InputError("--models", None, f"no such model: {', '.join(unknown)}", f"choose of {', '.join(known)}")
    return [name for name in known if asked is None or name in asked]


def compare(run: Run, data_name: str, asked: Sequence[str] | None, validation: bool) -> dict[str, Cell]:
    """Figures by model, each printed when it is there."""
    names = choose(asked, list(run.settings.models.retrievers), validation)
    cells: dict[str, Cell] = {}
    rungs = [name for name in names if name in RUNGS]
    if rungs:
        cells |= product(run, rungs)
    own, peers = ([name for name in names if name in some] for some in (run.settings.models.retrievers, PEERS))
    if peers and not PYTHON.exists():
        print(f"left out, for want of their environment (make peers builds it): {', '.join(peers)}", flush=True)
        peers = []
    if not own and not peers:
        return cells
    data = retrievers.open_data(run)
    for name in own:
        cells[name] = retrievers.cell(run, data, name)
        print(f"{name}: {cells[name]}", flush=True)
    if validation:
        data = PassData.load(run.prepared / VALIDATION)
    rows, labels = rows_of(data, VALIDATION_ROWS if validation else None)
    for name in peers:
        settings = PEERS[name].settings_for(data_name, run.settings.n_threads, run.settings.models.seed)
        cells[name] = peer_cell(name, settings, rows, labels, CACHE / run.folder.name)
        print(f"{name}: {cells[name]}", flush=True)
    return cells


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    made = argparse.ArgumentParser(description="The product and its peers on real data, all items ranked.")
    made.add_argument("--data", choices=tuple(retrievers.CONFIGS), required=True)
    made.add_argument("--models", nargs="+", metavar="NAME", help="only these; default: all")
    made.add_argument("--validation", action="store_true", help="peers on rows held out of train instead")
    arguments = made.parse_args(argv)

    def work() -> None:
        run = open_run(ROOT / "configs" / f"{retrievers.CONFIGS[arguments.data]}.toml", [])
        cells = compare(run, arguments.data, arguments.models, arguments.validation)
        columns = list(dict.fromkeys(key for one in cells.values() for key in one))
        lines = [[name, *(str(one.get(key, "")) for key in columns)] for name, one in cells.items()]
        print(f"{arguments.data}{', rows held out of train' if arguments.validation else ''}, {machine()}")
        print(table(["model", *columns], lines))
        print(json.dumps({"data": arguments.data, "models": cells}))

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
