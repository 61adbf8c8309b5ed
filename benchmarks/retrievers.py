"""Every retriever with its committed settings, on real sessions, ranking all items: recall, MRR, seconds, tokens/s.

``python -m benchmarks.retrievers --data retailrocket|yoochoose|movielens [--models NAME …]``

Trained on the train sessions; settings were chosen on the last tenth of *them*. Scored once on every test row, repeats
of the session's own items allowed. Each model's figures are kept under ``.cache/retrievers``: a run that was stopped
goes on, a model whose settings or code changed is trained anew. MovieLens has ratings, and protocols of its own.
"""

import argparse
import hashlib
import json
from typing import Any

from benchmarks import movielens
from events.compiled import ROOT, source_digest
from events.files import read_json, write_json
from events.passes import SUBMISSION, PassData
from models.building import Conditions, build_retriever
from models.exact import rank_hits
from scripts import prepare
from scripts.cli import open_run
from scripts.pipeline import Run, run_stage
from scripts.resources import Meter
from submissions.report import table

CONFIGS = {"retailrocket": "retailrocket_sequences", "yoochoose": "yoochoose"}
TOP = 20
CLICKS = "clicks"

Cell = dict[str, Any]


def open_data(run: Run) -> PassData:
    """Train sessions and test rows of a shop, prepared if they are not yet."""
    run_stage(prepare.STAGE, run, "")
    return PassData.load(run.prepared / SUBMISSION)


def train(run: Run, data: PassData, name: str) -> Cell:
    """Fit a retriever on the train sessions and score it on every test row."""
    threads = run.settings.n_threads
    conditions = Conditions(run.settings.models.seed, threads, progress=True)
    retriever = build_retriever(name, run.settings.models.retrievers[name], conditions)
    with Meter() as fit:
        retriever.fit(data.log.slice(0, data.n_train))
    with Meter() as scoring:
        assert data.labels is not None
        target = CLICKS if retriever.targets else None
        hits = rank_hits(retriever, data.target_log, data.labels[CLICKS], TOP, target)
    assert hits.recall is not None
    assert hits.mrr is not None
    history = getattr(retriever, "history", [])
    tokens = sum(epoch.tokens for epoch in history)
    return {
        "recall@20": round(hits.recall, 4),
        "mrr@20": round(hits.mrr, 4),
        "fit_cpu_s": round(fit.cpu_s, 1),
        "fit_wall_s": round(fit.wall_s, 1),
        "score_wall_s": round(scoring.wall_s, 1),
        "peak_gib": round(fit.peak_gib, 2),
        "tokens_per_s": round(tokens / max(sum(epoch.seconds for epoch in history), 1e-9)) if history else None,
        "rows": len(hits),
    }


def cell(run: Run, data: PassData, name: str) -> Cell:
    """What :func:`train` gives, from the cache if settings and code are those of before."""
    settings = run.settings.models.retrievers[name].model_dump(mode="json")
    text = json.dumps([settings, run.settings.models.seed, source_digest(("events", "models"))], sort_keys=True)
    identity = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    path = ROOT / ".cache" / "retrievers" / run.folder.name / f"{name}-{identity}.json"
    if path.exists():
        kept: Cell = read_json(path)
        return kept
    made = train(run, data, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, made)
    return made


def main(argv: list[str] | None = None) -> None:
    """Command line."""
    made = argparse.ArgumentParser(description="Train and score every retriever on real data.")
    made.add_argument("--data", choices=(*CONFIGS, "movielens"), required=True)
    made.add_argument("--models", nargs="+", metavar="NAME", help="only these; default: all that the config has")
    arguments = made.parse_args(argv)
    if arguments.data == "movielens":
        cells = movielens.run(arguments.models)
    else:
        run = open_run(ROOT / "configs" / f"{CONFIGS[arguments.data]}.toml", [])
        data = open_data(run)
        names = arguments.models or list(run.settings.models.retrievers)
        cells = {}
        for name in names:
            cells[name] = cell(run, data, name)
            print(f"{name}: {cells[name]}", flush=True)
    columns = list(dict.fromkeys(key for one in cells.values() for key in one))
    rows = [[name, *(str(one.get(key, "")) for key in columns)] for name, one in cells.items()]
    print(table(["model", *columns], rows))
    print(json.dumps({"data": arguments.data, "models": cells}))


if __name__ == "__main__":
    main()
