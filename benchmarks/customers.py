"""1,000 customers against 105,000 articles: ``python -m benchmarks.customers [--items 105000]``.

Files in H&M's format are made up and prepared, with every article of the catalogue, two towers and the source of item
knowledge are fitted by the stages, and the lists of 1,000 customers are asked for: 100 articles each by the towers'
vectors and the exact index (vectors of the customers included), and by knowledge. Wall seconds, the best and the median
of twenty, and the least CPU seconds, which other jobs on the cores hardly change; for one thread and for two. The last
line is one JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import formats
from benchmarks.harness import Contender, machine, measure
from candidates.source import Source
from events.compiled import ROOT
from events.log import SessionLog
from events.passes import SUBMISSION
from scripts.artifacts import open_pass, open_sources
from scripts.cli import open_run
from submissions.report import table

CONFIG = ROOT / "configs" / "hm.toml"
CUSTOMERS, K, REPEATS = 1_000, 100, 20
ITEMS = """{join = true, files = [{name = "articles.csv", columns = {
    aid = "article_id", category = ["index_group_name", "product_group_name", "product_type_name"],
    brand = "department_name", text = ["prod_name", "colour_group_name", "detail_desc"]}}]}"""
SETTINGS = (
    "knowledge.cold=true",
    "models.defaults=false",
    'models.retrievers={two_tower={kind="two_tower", on=true, k=100}}',
    "candidates.defaults=false",
    'candidates.sources={like={kind="knowledge", k=100}}',
    f"data.items={' '.join(ITEMS.split())}",
)


def fit(folder: Path, users: int, items: int) -> list[str]:
    """Make up the files and run the stages up to ``candidates``; the settings of the run."""
    data = folder / "hm"
    formats.main(["--shop", "hm", "--users", str(users), "--items", str(items), "--folder", str(data)])
    given = [*SETTINGS, f"data.root={data.resolve()}", f"runs={(folder / 'runs').resolve()}"]
    command = [sys.executable, "-m", "scripts.run", "--config", str(CONFIG), "--until", "candidates"]
    command += [word for one in given for word in ("--set", one)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return given


def opened(given: list[str], name: str, threads: int) -> tuple[Source, SessionLog]:
    """A fitted source of the submission pass, and the log of its first customers; on so many cores from here on."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))
    run = open_run(CONFIG, given)
    data = open_pass(run, SUBMISSION)
    log = data.target_log.slice(0, CUSTOMERS)
    source = open_sources(run, data).sources[name]
    ask((source, log.slice(0, 2)))  # the kernels are compiled
    return source, log


def ask(inputs: tuple[Source, SessionLog]) -> dict[str, Any]:
    """Seconds of each repetition, and what came of it."""
    source, log = inputs
    target = source.targets[-1] if source.targets else None
    seconds, cpu = np.empty(REPEATS), np.empty(REPEATS)
    for i in range(REPEATS):
        started, before = time.perf_counter(), time.process_time()
        lists = source.recommend(log, K, target)
        seconds[i], cpu[i] = time.perf_counter() - started, time.process_time() - before
    figures = {"best_s": float(seconds.min()), "median_s": float(np.median(seconds)), "cpu_s": float(cpu.min())}
    return {**figures, "articles": float(lists.lengths.mean()), "items": log.n_items}


def main(argv: list[str] | None = None) -> int:
    """Make, fit, ask; the table and the JSON line."""
    parser = argparse.ArgumentParser(description="1,000 customers of an H&M-like shop against its catalogue.")
    parser.add_argument("--items", type=int, default=105_000)
    parser.add_argument("--users", type=int, default=10_000)
    arguments = parser.parse_args(argv)
    rows, found = [], []
    with tempfile.TemporaryDirectory() as folder:
        given = fit(Path(folder), arguments.users, arguments.items)
        for name, what in (("two_tower", "two towers, exact index"), ("like", "item knowledge")):
            for threads in (1, 2):
                os.environ["OPENBLAS_NUM_THREADS"] = str(threads)  # read by the process that is started
                _, one = measure(Contender(opened, ask, (given, name, threads)))
                found.append({"source": name, "threads": threads, **one})
                cells = [*(f"{one[key]:.3f}" for key in ("best_s", "median_s", "cpu_s")), f"{one['articles']:.0f}"]
                rows.append([what, str(threads), *cells])
    print(f"{CUSTOMERS:,} customers, {found[0]['items']:,} articles, {machine()}")
    print(table(["source", "threads", "best s", "median s", "CPU s", "articles each"], rows))
    print(json.dumps({"job": "customers", "machine": machine(), "found": found}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
