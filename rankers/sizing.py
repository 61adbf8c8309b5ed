"""How much to train on: as many sessions as memory and work allow, unless the settings say a number."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
SHARE: Final = 0.2
"""Of the memory, for the candidates of the sampled sessions (training needs fewer of them, and as much again)."""

FOUND: Final = 0.7
"""Share of the labelled sessions that have a positive among their candidates, about: the others are not trained on."""


def memory_bytes(cgroup_limit: Path = CGROUP_LIMIT) -> int:
    """Memory of this machine, or of the container if that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = cgroup_limit.read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def sessions_that_fit(n_features: int, pool_size: int, memory: int) -> int:
    """Sessions whose float32 features take a fixed share of ``memory`` bytes.

    >>> sessions_that_fit(n_features=70, pool_size=100, memory=8 * 2**30)
    61356
    """
    return max(int(memory * SHARE / (4 * n_features * pool_size)), 1)


def rows_per_session(
    labelled: Mapping[str, float], negatives: Mapping[str, float], fits: float, pool_size: int
) -> float:
    """Rows that a sampled session adds to all fits, about.

    labelled  : target to the share of sessions with a label
    negatives : target to the share of negatives that are trained on; all where it is not named
    fits      : fits of a target that hold the session

    >>> round(rows_per_session({"clicks": 1.0}, {"clicks": 0.25}, fits=1.8, pool_size=100), 1)
    31.5
    """
    kept = sum(share * negatives.get(target, 1.0) for target, share in labelled.items())
    return FOUND * kept * fits * pool_size


def sessions_within(work: float, rows: float, n_features: int, trees: int) -> int:
    """Sessions whose rows x features x trees, over all fits, stay within ``work``; each adds ``rows`` rows.

    >>> sessions_within(3.5e11, rows=54.0, n_features=100, trees=400)
    162037
    """
    return max(int(work / max(rows * n_features * trees, 1.0)), 1)


def trees_within(work: float, rows: int, n_features: int, max_trees: int) -> int:
    """Trees of each fit, ``max_trees`` at most, such that rows x features x trees stay within ``work``.

    >>> trees_within(3.5e11, rows=5_000_000, n_features=100, max_trees=1_000)
    700
    """
    return max(min(max_trees, int(work / max(rows * n_features, 1))), 1)
