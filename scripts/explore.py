"""A shop's log on one page, before anything is fitted: ``python -m scripts.explore --config configs/shop.toml``.

It reads what ``prepare`` stored, and runs it first if need be. Where a retriever was fitted already, its vectors make
a map of the items; otherwise co-visitation does, if that stage has run.
"""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from events.columns import HOUR
from events.files import atomic_file
from events.passes import SUBMISSION, VALIDATION, PassData
from scripts import prepare
from scripts.artifacts import artifacts_of, open_items, open_matrices, open_pass
from scripts.cli import guarded, open_run, parser
from scripts.pipeline import MANIFEST, Run, run_stage
from submissions.explore_page import render
from submissions.exploring import explore
from submissions.item_map import ItemMap, busiest, covisitation_vectors, map_vectors
from submissions.log_statistics import count_log

EXPLORED = "explore.html"
"""File, in the folder of a run."""


def _map(run: Run, data: PassData, items: npt.NDArray[np.int64]) -> tuple[ItemMap | None, str]:
    """The map, and what it is made of; or none, and why.

    items : int64[n_items] events on each item
    """
    has = {stage: (run.stage_folder(data.name, stage) / MANIFEST).exists() for stage in ("retrievers", "covisit")}
    searchers = artifacts_of(run).searchers(data) if has["retrievers"] else {}
    matrices = open_matrices(run, data.name) if has["covisit"] else {}
    found, where = None, "neither retrievers nor covisit has run yet"
    if searchers:
        name, searcher = next(iter(searchers.items()))
        rows = busiest(items, searcher.retriever.known)
        vectors = searcher.retriever.item_vectors(next(iter(searcher.indices)))
        found, where = map_vectors(np.ascontiguousarray(vectors[rows]), rows), f"Item vectors of {name}"
    elif matrices:
        name, matrix = next(iter(matrices.items()))
        rows = busiest(items)
        if rows.size > 3:
            found = map_vectors(covisitation_vectors(matrix, rows), rows)
        where = f"Singular vectors of the co-visitation matrix {name}"
    if found is None and (searchers or matrices):
        where = "there are too few items with neighbours or vectors"
    return found, where


def write_page(run: Run) -> Path:
    """Count the log of a prepared run, and write its page; returns where it is."""
    pass_name, part = (SUBMISSION, "test") if run.has_pass(SUBMISSION) else (VALIDATION, VALIDATION)
    data = open_pass(run, pass_name)
    utc_offset = run.settings.features.utc_offset_hours
    train = count_log(data.log.slice(0, data.n_train), int(utc_offset * HOUR))
    target = count_log(data.target_log, int(utc_offset * HOUR))
    found, where = _map(run, data, train.items)
    explored = explore(train, target, open_items(run).ids, found)
    zone = f"UTC{utc_offset:+g} h" if utc_offset else "UTC"
    text = render(explored, run.folder.name, where, part, zone, no_map=where)
    with atomic_file(run.folder / EXPLORED) as beside:
        beside.write_text(text, encoding="utf-8")
    return run.folder / EXPLORED


def main(argv: list[str] | None = None) -> int:
    """Command line."""

    def work() -> None:
        made = parser("Show a shop's log on one page.", "python -m scripts.explore --config configs/shop.toml")
        arguments = made.parse_args(argv)
        run = open_run(arguments.config, arguments.assignments)
        run_stage(prepare.STAGE, run, "")
        print(write_page(run))

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
