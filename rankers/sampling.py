"""The training matrix of a sample of sessions, built chunk by chunk."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from candidates.pool import Arena
from events.labels import Labels, take_labels
from events.log import SessionLog
from rankers.folds import sample_sessions
from rankers.matrix import MatrixWriter
from rankers.scoring import FeatureBuilder, PoolBuilder, chunks
from rankers.settings import RankersSettings

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
MEMORY_SHARE = 0.25
"""Of the machine's memory, for the features of the sampled sessions."""


def memory_bytes() -> int:
    """Memory of this machine, or of the container if that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = CGROUP_LIMIT.read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def sample_size(settings: RankersSettings, n_features: int, pool_size: int = 100) -> int:
    """Training sessions to sample: as set, or so many that their features fill a quarter of the memory."""
    if settings.max_sessions is not None:
        return settings.max_sessions
    return max(int(memory_bytes() * MEMORY_SHARE / (4 * n_features * pool_size)), 1)


def build_matrix(
    path: Path,
    log: SessionLog,
    labels: Labels,
    sources: PoolBuilder,
    features: FeatureBuilder,
    settings: RankersSettings,
    targets: Sequence[str] | None = None,
    arena: Arena | None = None,
    progress: bool | None = None,
) -> npt.NDArray[np.int64]:
    """Sample sessions by their groups and write the matrix; return int64[n], the rows of the log that were sampled.

    log, labels : of the same S sessions; rows are brought into the order of ``log.sessions``
    targets     : those of the labels unless given
    """
    arena = Arena() if arena is None else arena
    targets = tuple(labels) if targets is None else targets
    rows = sample_sessions(log.groups, sample_size(settings, len(features.names)), settings.seed)
    rows = rows[np.argsort(log.sessions[rows], kind="stable")]
    with MatrixWriter(path, features.names, targets) as writer:
        for start, stop in chunks(rows.size, settings.chunk_sessions, "training matrix", progress):
            chunk = log.take(rows[start:stop])
            candidates = sources.pool(chunk, arena)
            values = features.build(chunk, candidates, arena)
            writer.add(chunk.sessions, chunk.groups, candidates, values, take_labels(labels, rows[start:stop]))
    return rows
