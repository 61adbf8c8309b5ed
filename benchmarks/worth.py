"""What each part is worth: ``python -m benchmarks.worth [--sessions 1000000] [--part features] [--set KEY=VALUE]``.

A variant is the config with a few settings changed: a group of features or of sources left out, more or fewer
candidates, fewer training sessions, a fit without the visible events of the sessions to be scored, other seeds. For
each, the stages to ``features`` are run, one model a target is trained on a sample of the validation sessions, and the
others are ranked: weighted recall@20 less that of the unchanged config, paired by session, with 95 % intervals. The
sessions compared are those that no variant trains on. What is done is kept in ``--folder``, and not done again; the
last line is one JSON object.
"""

import argparse
import copy
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.ablation import ByTarget, add, difference, joined, of_one_fit, shop_parser, weighted
from benchmarks.harness import machine
from events.files import atomic_file
from events.labels import take_labels
from events.passes import VALIDATION
from features.registry import GROUPS
from rankers.folds import REPORTED, sample_sessions
from rankers.matrix import read_matrix
from rankers.scoring import Scorer, chunks, score_sessions
from rankers.training import train_rankers
from scripts import candidates, covisit, features, prepare, retrievers
from scripts.artifacts import open_builder, open_pass, open_sources
from scripts.cli import open_run
from scripts.pipeline import Run, digest_of, run_stage
from scripts.settings import Settings
from submissions.metrics import Hits
from submissions.report import spread, table

TOP: Final = 20
BASE: Final = "as it is"
SOURCES: Final[dict[str, tuple[str, ...]]] = {
    "history": ("history",),
    "popularity": ("popularity",),
    "co-visitation lists": ("near_clicks", "near_carts_orders", "near_buy2buy", "near_next"),
    "item kNN": ("item_knn",),
    "walks": ("walk_next",),
}
CANDIDATES: Final = (0.4, 0.7, 1.7, 2.8)
TRAINING: Final = (0.25, 0.5, 2.0, 4.0)
SEEDS: Final = (1, 2, 3, 4)

Tree = dict[str, Any]
Change = Callable[[Tree], None]


def without_features(group: str) -> Change:
    """Leave out a group of features."""

    def change(tree: Tree) -> None:
        tree["features"]["groups"] = [one for one in tree["features"]["groups"] if one != group]

    return change


def without_sources(names: tuple[str, ...]) -> Change:
    """Leave out sources; their matrices stay, as features look them up."""

    def change(tree: Tree) -> None:
        tree["candidates"]["defaults"] = False
        tree["candidates"]["sources"] = {k: v for k, v in tree["candidates"]["sources"].items() if k not in names}

    return change


def without_retrievers(tree: Tree) -> None:
    """Switch all retrievers off."""
    for one in tree["models"]["retrievers"].values():
        one["on"] = False


def with_candidates(factor: float) -> Change:
    """Let each source propose ``factor`` times as many."""

    def change(tree: Tree) -> None:
        for one in (*tree["candidates"]["sources"].values(), *tree["models"]["retrievers"].values()):
            one["k"] = max(round(factor * one["k"]), 1)

    return change


def trained_on(factor: float) -> Change:
    """Train on ``factor`` times as many sessions."""

    def change(tree: Tree) -> None:
        tree["rankers"]["max_sessions"] = round(factor * tree["rankers"]["max_sessions"])

    return change


def not_transductive(tree: Tree) -> None:
    """Fit without the visible events of the sessions to be scored."""
    tree["split"]["transductive"] = False


def with_seed(seed: int) -> Change:
    """Train on another sample of sessions and negatives, with another seed of LightGBM."""

    def change(tree: Tree) -> None:
        tree["rankers"]["seed"] = seed

    return change


PARTS: Final[dict[str, dict[str, Change]]] = {
    "features": {f"without features: {group}": without_features(group) for group in GROUPS if group != "knowledge"},
    "sources": {f"without source: {name}": without_sources(names) for name, names in SOURCES.items()}
    | {"without learned retrievers": without_retrievers},
    "candidates": {f"{factor:g} times the candidates": with_candidates(factor) for factor in CANDIDATES},
    "training": {f"{factor:g} times the training sessions": trained_on(factor) for factor in TRAINING},
    "seeds": {f"seed {seed}": with_seed(seed) for seed in SEEDS},
    "transductive": {"not transductive": not_transductive},
}


def variants(base: Settings, parts: list[str]) -> dict[str, Settings]:
    """The unchanged settings, and those of every variant of these parts that changes any."""
    found = {BASE: base}
    for part in parts:
        for name, change in PARTS[part].items():
            tree = copy.deepcopy(base.model_dump(mode="json"))
            change(tree)
            made = Settings.model_validate(tree)
            if made != base:
                found[name] = made
    return found


def run_to_features(run: Run) -> None:
    """Run the stages that lead to the training matrix, each unless it is up to date."""
    run_stage(prepare.STAGE, run, "")
    for module in (covisit, retrievers, candidates, features):
        run_stage(module.STAGE, run, VALIDATION)


def compared(run: Run, settings: Mapping[str, Settings], most: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """int64[n] rows of at most ``most`` validation sessions that no variant trains on."""
    groups = open_pass(run, VALIDATION).target_log.groups
    trained = np.zeros(groups.size, np.bool_)
    for one in settings.values():
        assert one.rankers.max_sessions is not None
        trained[sample_sessions(groups, one.rankers.max_sessions, one.rankers.seed)] = True
    rows = np.flatnonzero(~trained)
    return rows[sample_sessions(groups[rows], most, run.settings.rankers.seed, REPORTED)]


def rank(run: Run, rows: np.ndarray[Any, np.dtype[np.int64]], work: Path) -> tuple[ByTarget, dict[str, float]]:
    """Train, and rank the sessions ``rows``: how their lists met the labels, and what it took."""
    data, settings = open_pass(run, VALIDATION), of_one_fit(run.settings.rankers)
    assert data.labels is not None
    began = time.process_time()
    matrix = read_matrix(run.need(data.name, "features") / "matrix.parquet")
    rankers = train_rankers(matrix, settings, work, threads=run.settings.n_threads)
    trained = time.process_time()
    sources = open_sources(run, data)
    scorer = Scorer(sources, open_builder(run, data, sources), rankers, top=TOP, num_threads=run.settings.n_threads)
    found: dict[str, dict[str, list[Hits]]] = {}
    proposed = 0

    def count(_first: int, _log: Any, pool: Any) -> None:
        nonlocal proposed
        proposed += len(pool)

    for start, stop in chunks(rows.size, settings.chunk_sessions, "scoring"):
        part = rows[start:stop]
        lists = score_sessions(data.target_log.take(part), scorer, on_pool=count)
        add(found, BASE, lists, take_labels(data.labels, part), TOP)
    figures = {
        "candidates": proposed / rows.size,
        "features": len(matrix.names),
        "trained": matrix.n_sessions,
        "fit_cpu_s": trained - began,
        "score_cpu_s": time.process_time() - trained,
    }
    return joined(found)[BASE], figures


def ranked(run: Run, rows: np.ndarray[Any, np.dtype[np.int64]], folder: Path) -> tuple[ByTarget, dict[str, float]]:
    """The same, unless it is in ``folder`` from before."""
    names = {"settings": run.settings.model_dump(mode="json"), "rows": hashlib.sha256(rows.tobytes()).hexdigest()}
    path = folder / f"{digest_of(names)}.npz"
    if not path.exists():
        run_to_features(run)
        hits, figures = rank(run, rows, folder / "fits")
        columns = {f"{target} {key}": value for target, one in hits.items() for key, value in asdict(one).items()}
        with atomic_file(path) as beside, beside.open("wb") as file:
            np.savez_compressed(file, **columns, figures=json.dumps(figures))
    with np.load(path) as kept:
        targets = dict.fromkeys(name.split()[0] for name in kept.files if " " in name)
        found = {t: Hits(*(kept[f"{t} {key}"] for key in ("hits", "denominators", "ranks"))) for t in targets}
        return found, json.loads(str(kept["figures"]))


def compare(arguments: argparse.Namespace, folder: Path) -> tuple[list[list[str]], dict[str, Any]]:
    """Lines of the table, and the facts."""
    assignments = [f"runs={folder}", f"shop.train_sessions={arguments.sessions}"]
    base = open_run(
        arguments.config, [*assignments, f"rankers.max_sessions={arguments.trained}", *arguments.assignments]
    )
    settings = variants(base.settings, arguments.part or list(PARTS))
    run_stage(prepare.STAGE, base, "")
    rows = compared(base, settings, arguments.scored)
    groups = open_pass(base, VALIDATION).target_log.groups[rows]
    hits: dict[str, ByTarget] = {}
    lines, facts = [], {}
    (folder / "worth").mkdir(parents=True, exist_ok=True)
    for name, one in settings.items():
        print(f"{name} …", flush=True)
        hits[name], figures = ranked(Run(one, base.folder), rows, folder / "worth")
        gap = difference(hits, name, BASE, groups)
        recalls = {target: found.recall for target, found in hits[name].items()}
        facts[name] = {"total": weighted(hits[name]), "recall": recalls, "minus_base": asdict(gap), **figures}
        shown = [f"{recall or 0.0:.4f}" for recall in recalls.values()]
        sizes = [f"{figures['features']:.0f}", f"{figures['candidates']:.0f}", f"{figures['trained']:.0f}"]
        cost = f"{figures['fit_cpu_s'] + figures['score_cpu_s']:.0f}"
        lines.append([name, *sizes, *shown, f"{weighted(hits[name]):.4f}", spread(gap.low, gap.high), cost])
        print("  ".join(lines[-1]), flush=True)
    return lines, {"scored": int(rows.size), "variants": facts}


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    made = shop_parser("What each part is worth.", sessions=1_000_000, trained=10_000)
    made.add_argument("--part", action="append", choices=list(PARTS), help="only this part; repeatable")
    arguments = made.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        lines, facts = compare(arguments, arguments.folder or Path(temporary))
    header = ["variant", "features", "candidates", "trained on", "clicks", "carts", "orders", "total"]
    print(table([*header, "less the base, 95 %", "CPU s"], lines))
    print(json.dumps({"job": "worth", "machine": machine(), **facts}))


if __name__ == "__main__":
    main()
