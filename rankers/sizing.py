"""How many sessions fit: the training sample is sized from the machine's memory unless the settings say a number."""

import os
from pathlib import Path
from typing import Final

CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
SHARE: Final = 0.2
"""Of the memory, for the candidates of the sampled sessions (training needs fewer of them, and as much again)."""


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
