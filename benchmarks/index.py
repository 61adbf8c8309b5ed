"""The index of item vectors: ``python -m benchmarks.index [--items 105e3 400e3] [--alone]``.

Vectors of 64 dimensions around 4,000 centres, some far more popular than others, with lengths that vary; sessions lie
near an item. For each size: seconds to build, recall@40 against the exact lists, 1,000 sessions in one call, and single
queries one after the other, all on one core. Baselines of the same 1,000 sessions on one core: FAISS's flat index, and
its IVF-PQ with refinement, searched as a batch. The last line is one JSON object.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import faiss
import numpy as np

from benchmarks.harness import Contender, machine, measure
from events.arrays import F32
from events.lists import Lists
from events.log import SessionLog
from models.index import IndexSettings, ItemIndex, share_found
from submissions.report import table

WIDTH = 64
CENTRES = 4_000
SESSIONS = 1_000
K = 40
NPROBE = 128


@dataclass(frozen=True, slots=True)
class Inputs:
    """Vectors, and the sessions that ask."""

    vectors: F32
    queries: F32
    log: SessionLog


def set_up(items: int) -> Inputs:
    """Draw; from here on there is one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CENTRES, WIDTH), np.float32)
    which = np.minimum((rng.pareto(1.0, items) * CENTRES / 20).astype(np.int64), CENTRES - 1)
    vectors = centres[which] + 0.7 * rng.standard_normal((items, WIDTH), np.float32)
    vectors *= rng.lognormal(0, 0.2, (items, 1)).astype(np.float32)
    near = vectors[rng.integers(0, items, SESSIONS)]
    queries = near + 0.3 * rng.standard_normal((SESSIONS, WIDTH), np.float32)
    visited = rng.integers(0, items, (SESSIONS, 3)).tolist()
    return Inputs(vectors.astype(np.float32), queries.astype(np.float32), SessionLog.of(visited, n_items=items))


def exact_lists(inputs: Inputs) -> Lists:
    """The lists that FAISS's baselines are held against."""
    known = np.ones(len(inputs.vectors), np.bool_)
    return ItemIndex(inputs.vectors, known).search(inputs.log, inputs.queries, K)


def ours(inputs: Inputs) -> dict[str, Any]:
    """Build, one call for all sessions, then each session by itself."""
    known = np.ones(len(inputs.vectors), np.bool_)
    started = time.perf_counter()
    index = ItemIndex.build(inputs.vectors, known, inputs.queries, K, IndexSettings())
    built = time.perf_counter() - started
    index.search(inputs.log.slice(0, 2), inputs.queries[:2], K)  # the kernels are compiled
    started = time.perf_counter()
    found = index.search(inputs.log, inputs.queries, K)
    batch = time.perf_counter() - started
    singles = np.empty(SESSIONS)
    for s in range(SESSIONS):
        one = inputs.log.slice(s, s + 1)
        started = time.perf_counter()
        index.search(one, inputs.queries[s : s + 1], K)
        singles[s] = time.perf_counter() - started
    p50, p99 = np.percentile(singles, [50, 99]) * 1e3
    return {
        "search": "exact scan" if index.is_exact else "inverted file",
        "build_s": built,
        "recall": share_found(exact_lists(inputs), found),
        "batch_s": batch,
        "single_p50_ms": p50,
        "single_p99_ms": p99,
    }


def by_faiss(inputs: Inputs, factory: str) -> dict[str, Any]:
    """A FAISS index, all sessions in one call."""
    started = time.perf_counter()
    index: Any = faiss.index_factory(WIDTH, factory, faiss.METRIC_INNER_PRODUCT)
    index.train(inputs.vectors)
    index.add(inputs.vectors)
    built = time.perf_counter() - started
    if factory != "Flat":
        index.k_factor = 4
        faiss.ParameterSpace().set_index_parameter(index, "nprobe", NPROBE)
    started = time.perf_counter()
    _, found = index.search(inputs.queries, K)
    batch = time.perf_counter() - started
    lists = Lists(np.arange(SESSIONS + 1) * K, found.astype(np.int32).ravel(), np.zeros(found.size, np.float32))
    return {"build_s": built, "recall": share_found(exact_lists(inputs), lists), "batch_s": batch}


def flat(inputs: Inputs) -> dict[str, Any]:
    """FAISS's brute force."""
    return by_faiss(inputs, "Flat")


def refined(inputs: Inputs) -> dict[str, Any]:
    """FAISS's quantised lists with its own refinement."""
    lists = 2 ** round(np.log2(1.5 * np.sqrt(len(inputs.vectors))))
    return by_faiss(inputs, f"IVF{lists},PQ{WIDTH // 2}x4fs,Refine(SQfp16)")


def main(argv: list[str] | None = None) -> int:
    """Each size and contender in a process of its own; a table, then the JSON line."""
    parser = argparse.ArgumentParser(description="The index of item vectors, beside FAISS's.")
    parser.add_argument("--items", type=float, nargs="+", default=[105e3, 400e3], help="sizes, such as 1.86e6")
    parser.add_argument("--alone", action="store_true", help="without the baselines")
    arguments = parser.parse_args(argv)
    contenders = {"cartograph": ours} | ({} if arguments.alone else {"faiss flat": flat, "faiss IVF-PQ": refined})
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read by the processes that are started from here
    rows, found = [], []
    for items in map(int, arguments.items):
        for name, work in contenders.items():
            cost, figures = measure(Contender(set_up, work, (items,)))
            found.append({"items": items, "contender": name, **figures, "cost": asdict(cost)})
            single = f"{figures['single_p50_ms']:.2f} / {figures['single_p99_ms']:.2f}" if work is ours else ""
            cells = [f"{figures['build_s']:.1f}", f"{figures['recall']:.4f}", f"{figures['batch_s']:.3f}", single]
            label = f"{name}, {figures['search']}" if work is ours else name
            rows.append([f"{items:,}", label, *cells, f"{cost.peak_gib:.2f}"])
    print(f"index, {WIDTH} dimensions, one core of {machine()}")
    head = ["items", "index", "build s", f"recall@{K}", f"{SESSIONS:,} sessions s", "single ms p50 / p99", "peak GiB"]
    print(table(head, rows))
    print(json.dumps({"job": "index", "machine": machine(), "found": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
