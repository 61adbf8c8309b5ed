"""Asks a finished run for one session after the other, on one core: ``python -m benchmarks.asking RUN SESSIONS``.

What :mod:`benchmarks.latency` starts as a process of its own, so that its start-up counts. Prints one JSON line.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any


def _each(ask: Callable[[Any], Any], given: Sequence[Any]) -> tuple[list[float], list[float]]:
    """Wall and CPU milliseconds of each call."""
    wall, cpu = [], []
    for one in given:
        started, used = time.perf_counter(), time.process_time()
        ask(one)
        wall.append(1e3 * (time.perf_counter() - started))
        cpu.append(1e3 * (time.process_time() - used))
    return wall, cpu


def main(argv: list[str] | None = None) -> int:
    """Open, ask, print."""
    folder, sessions = (sys.argv[1:] if argv is None else argv)[:2]
    if argv is None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before NumPy starts its threads
    started = time.perf_counter()
    from rankers import Recommender

    asked = Recommender.load(folder, threads=1)
    load_s = time.perf_counter() - started

    import numpy as np

    ids = asked.session_ids(int(sessions))
    given = [asked.events_of(one) for one in ids]
    wall, cpu = _each(lambda events: asked.recommend(events).reasons, given)
    best = [(events, asked.recommend(events).items[0]) for events in given]
    asked.explain(*best[0])  # LightGBM reads its models
    explain, _ = _each(lambda pair: asked.explain(*pair), best)
    batch = (given * (1_000 // len(given) + 1))[:1_000]
    asked.recommend(batch)
    (batch_ms,), _ = _each(asked.recommend, [batch])
    figures = {
        "p50_ms": round(float(np.percentile(wall, 50)), 3),
        "p99_ms": round(float(np.percentile(wall, 99)), 3),
        "load_s": round(load_s, 3),
        "cpu_p50_ms": round(float(np.percentile(cpu, 50)), 3),
        "cpu_p99_ms": round(float(np.percentile(cpu, 99)), 3),
        "explain_p50_ms": round(float(np.percentile(explain, 50)), 3),
        "explain_p99_ms": round(float(np.percentile(explain, 99)), 3),
        "batch_1000_s": round(batch_ms / 1e3, 3),
        "items": asked.n_items,
        "sessions": len(given),
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
