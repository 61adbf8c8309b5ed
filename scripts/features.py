"""Stage ``features``: fit the item table of a pass; write the training matrix, or a sample of rows for the drift.

In ``validation``, and in weeks before it, the matrix holds the sampled sessions with all their candidates, features and
labels; other cuts of the sessions, where they are asked for, get a matrix of their own.
In ``submission`` there is nothing to train on; a sample of its rows tells how far the features drift between
the passes.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from candidates.pool import Arena, Candidates
from candidates.source_set import SourceSet
from events.files import write_json
from events.labels import take_labels
from events.log import SessionLog
from events.passes import MORE_CUTS, SUBMISSION, TrainingRows
from features.assemble import FeatureBuilder
from features.drift import Summary, summary
from features.items import fit_items
from features.knowledge import fit_table
from rankers.folds import sample_sessions
from rankers.matrix import MatrixWriter
from rankers.opening import save_tables
from scripts.artifacts import open_builder, open_pass, open_sources, say_left_out
from scripts.cli import stage_main
from scripts.knowledge import tables
from scripts.pipeline import FITTED, Run, Stage
from scripts.settings import Settings

GROUPS = "groups.json"
"""In the folder of the stage: the group of each feature."""

DRIFT_SESSIONS = 4_000
"""Sessions of a pass without training whose candidates are looked at for the drift."""

Rows = npt.NDArray[np.int64]
Built = tuple[Rows, Candidates, npt.NDArray[np.float32]]
Watch = Callable[[Rows, Candidates, npt.NDArray[np.float32]], None]


def _settings(settings: Settings) -> Any:
    kept: dict[str, Any] = settings.model_dump(mode="json", include={"models", "candidates", "features", "knowledge"})
    return kept | {"rankers": settings.rankers.sampling(), "earlier_weeks": settings.split.earlier_weeks}


def _inputs(run: Run, pass_name: str) -> list[Path]:
    return [
        run.prepared / pass_name,
        *tables(run, pass_name),
        *(run.need(pass_name, stage) for stage in ("covisit", "retrievers", "candidates")),
    ]


def _built(log: SessionLog, rows: Rows, sources: SourceSet, builder: FeatureBuilder, chunk: int) -> Iterator[Built]:
    """Sessions ``rows`` of a log in chunks: their places, their candidates and the features, in one reused arena."""
    arena = Arena()
    with tqdm(total=rows.size, desc="features", unit="session", disable=None) as bar:
        for start in range(0, rows.size, chunk):
            part = rows[start : start + chunk]
            sessions = log.take(part)
            candidates = sources.pool(sessions, arena)
            yield part, candidates, builder.build(sessions, candidates, arena)
            bar.update(part.size)


def _write_matrix(
    path: Path, sessions: Rows, rows: TrainingRows, chunks: Iterable[Built], names: tuple[str, ...], watch: Watch
) -> None:
    """Write chunks of ``rows`` as a training matrix; ``watch`` sees each.

    sessions : int64[S] number of each session in the matrix, ascending
    """
    with MatrixWriter(path, names, tuple(rows.labels)) as writer:
        for part, candidates, matrix in chunks:
            labels = take_labels(rows.labels, part)
            writer.add(sessions[part], rows.log.groups[part], candidates, matrix, labels)
            watch(part, candidates, matrix)


def _work(run: Run, pass_name: str, folder: Path) -> dict[str, Any]:
    data = open_pass(run, pass_name)
    settings = run.settings
    sources = open_sources(run, data)
    items = fit_items(data.fit, settings.features, settings.n_threads)
    (folder / "items").mkdir()
    items.save(folder / "items")
    known = None
    if sources.knowledge is None:
        print("  without knowledge: the shop has no table of what its items or sessions are")
    else:
        known = fit_table(data.fit, sources.knowledge, settings.features)
        (folder / "knowledge").mkdir()
        known.save(folder / "knowledge")
    builder = open_builder(run, data, sources, items, known)
    write_json(folder / GROUPS, {feature.name: feature.group for feature in builder.features})
    save_tables(builder, folder)
    say_left_out("feature", {feature.name: feature.reason for feature in builder.left_out})
    log, more = data.target_log, data.more_cuts
    labelled = pass_name != SUBMISSION and data.labels is not None
    limit, share = DRIFT_SESSIONS, 1.0
    if labelled:
        assert data.labels is not None
        shares = {target: float((np.diff(data.labels[target].offsets) > 0).mean()) for target in data.targets}
        weeks = 1 + settings.split.earlier_weeks
        limit = settings.rankers.training_sessions(len(builder.names), shares) // weeks
        share = len(log) / (len(log) + (0 if more is None else len(more.log)))
    rows = sample_sessions(log.groups, int(limit * share), settings.rankers.seed)
    sample: Summary | None = None
    n_rows = 0

    def count(_part: Rows, candidates: Candidates, _matrix: npt.NDArray[np.float32]) -> None:
        nonlocal n_rows
        n_rows += len(candidates)

    def watch(part: Rows, candidates: Candidates, matrix: npt.NDArray[np.float32]) -> None:
        nonlocal sample
        count(part, candidates, matrix)
        found = summary(matrix, builder.names, log.take(part), candidates)
        sample = found if sample is None else sample.merge(found)

    chunk = settings.rankers.chunk_sessions
    chunks = _built(log, rows, sources, builder, chunk)
    if labelled:
        assert data.labels is not None
        scored = TrainingRows(log, data.labels)
        _write_matrix(folder / "matrix.parquet", log.sessions, scored, chunks, builder.names, watch)
        if more is not None:
            others = sample_sessions(more.log.groups, limit - rows.size, settings.rankers.seed)
            chunks = _built(more.log, others, sources, builder, chunk)
            numbers = np.arange(len(more.log))
            _write_matrix(folder / f"{MORE_CUTS}.parquet", numbers, more, chunks, builder.names, count)
    else:
        for part, candidates, matrix in chunks:
            watch(part, candidates, matrix)
    if sample is not None:
        (folder / "drift").mkdir()
        sample.save(folder / "drift")
    return {"rows": n_rows, "sessions": int(rows.size), "features": len(builder.names)}


STAGE = Stage(
    "features", FITTED, _settings, _inputs, _work, floors=("events", "models", "candidates", "features", "rankers")
)


def main(argv: list[str] | None = None) -> int:
    """Command line of the stage."""
    return stage_main(STAGE, "Fit the item features and write the training matrix.", argv)


if __name__ == "__main__":
    sys.exit(main())
