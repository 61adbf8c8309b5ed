"""Search settings of the rankers, or of one retriever, with Optuna; stop and go on whenever you like.

python -m scripts.tune --config configs/shop.toml --trials 60 [--targets orders …]
python -m scripts.tune --config configs/shop.toml --trials 60 --model gru4rec

The figures at the end are of sessions that no trial has seen. What was found is printed and written as
``runs/<name>/tuning/<target or model>.toml``, to be put into a config.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from events.columns import TARGETS
from events.errors import InputError
from events.files import atomic_file
from events.labels import LabelSet
from events.passes import VALIDATION
from models.study import Found
from rankers import tuning
from rankers.matrix import TrainingMatrix, read_matrix
from scripts.artifacts import open_pass, say_left_out
from scripts.cli import guarded, open_run, parser
from scripts.knowledge import open_knowledge
from scripts.pipeline import Run, digest_of, fingerprint
from submissions.bootstrap import bootstrap_total
from submissions.metrics import Hits, Scores
from submissions.report import number, spread, table

TOTAL = "total"


def toml(tree: Mapping[str, Any], prefix: str = "") -> str:
    """Nested tables of numbers, booleans and strings as TOML.

    >>> print(toml({"rankers": {"targets": {"orders": {"negatives": 0.5, "lambdarank": {"num_leaves": 31}}}}}))
    [rankers.targets.orders]
    negatives = 0.5
    <BLANKLINE>
    [rankers.targets.orders.lambdarank]
    num_leaves = 31
    """
    own = [f"{key} = {json.dumps(value)}" for key, value in tree.items() if not isinstance(value, Mapping)]
    blocks = ["\n".join([f"[{prefix}]", *own])] if own else []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            blocks.append(toml(value, f"{prefix}.{key}" if prefix else key))
    return "\n\n".join(blocks)


def _scores(
    before: Mapping[str, Hits], after: Mapping[str, Hits], groups: Any, weights: Mapping[str, float]
) -> dict[str, Any]:
    """Recall with the settings as they are and with those found, and the interval of the difference."""
    sides = [Scores.of(hits, weights).total for hits in (before, after)]
    gain = bootstrap_total(after, groups, minus=before, weights=weights)
    interval = None if gain is None else [gain.low, gain.high]
    return {"before": sides[0], "found": sides[1], "interval": interval}


def _write(run: Run, name: str, tree: Mapping[str, Any], found: Found, unseen: Mapping[str, Any]) -> None:
    """The settings found, as a fragment of a config."""
    text = f"# Found in {found.trials} trials. Recall@20 on sessions that no trial saw:\n"
    text += f"# {number(unseen['before'])} before, {number(unseen['found'])} with these settings"
    if unseen["interval"] is not None:
        low, high = unseen["interval"]
        text += f"; difference {spread(low, high)} (95 %, paired)"
    text += f".\n{toml(tree)}\n"
    path = run.folder / "tuning" / f"{name}.toml"
    with atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
    print(f"\n{path}:\n\n{text}", flush=True)


def _say(name: str, found: Found) -> None:
    kept = "the first, with the settings as they are" if found.number == 0 else f"number {found.number + 1}"
    print(
        f"{name}: {found.trials} trials, {found.pruned} stopped early; recall@20 to choose by {found.first:.4f} at "
        f"first, {found.value:.4f} at best ({kept})",
        flush=True,
    )


def _report(unseen: Mapping[str, Mapping[str, Any]], sessions: str) -> None:
    rows = []
    for name, one in unseen.items():
        interval = one["interval"]
        gain = spread(*interval) if interval else ""
        rows.append([name, number(one["before"]), number(one["found"]), gain])
    print(f"recall@20 on {sessions} that no trial saw\n")
    print(table(["", "as it is", "found", "difference, 95 %"], rows))
    print()


def _open(run: Run) -> tuple[TrainingMatrix, dict[str, LabelSet]]:
    """The training matrix, and the labels of its sessions, those outside the pool among them."""
    matrix = read_matrix(run.need(VALIDATION, "features") / "matrix.parquet")
    data = open_pass(run, VALIDATION)
    assert data.labels is not None
    return matrix, {target: one.take(matrix.sessions - data.n_train) for target, one in data.labels.items()}


def tune_rankers(run: Run, trials: int, targets: Sequence[str] | None) -> dict[str, Any]:
    """Search each target's settings; return what goes into the last line.

    A target with too little to search with is left out and said, unless it is asked for or the only one.

    Raises
    ------
    InputError
        If the stage features has not run, or there is too little to train on.
    """
    matrix, labels = _open(run)
    settings = run.settings
    unknown = [target for target in targets or () if target not in matrix.labels]
    if unknown:
        known = ", ".join(matrix.labels)
        raise InputError("--targets", None, f"the shop has no {unknown[0]}", f"give some of {known}")
    found, unseen = {}, {}
    before: dict[str, Hits] = {}
    after: dict[str, Hits] = {}
    groups = None
    searches = {
        target: tuning.RankerTuning(matrix, labels[target], target, settings.rankers, threads=settings.n_threads)
        for target in targets or matrix.labels
    }
    reasons = {} if targets else {target: search.why_not() for target, search in searches.items()}
    left_out = {target: reason for target, reason in reasons.items() if reason is not None}
    if len(left_out) < len(searches):
        say_left_out("tuning", left_out)
        searches = {target: search for target, search in searches.items() if target not in left_out}
    for target, search in searches.items():
        best = search.search(run.folder / "tuning" / f"{target}.jsonl", trials)
        _say(target, best)
        before[target], after[target] = search.compare(best.values)
        groups = matrix.groups[search.unseen]
        unseen[target] = _scores({target: before[target]}, {target: after[target]}, groups, {target: 1.0})
        _write(run, target, tuning.as_settings(target, best.values, search.rounds), best, unseen[target])
        found[target] = best.values
    if len(before) > 1:
        unseen[TOTAL] = _scores(before, after, groups, settings.submissions.weights.by_target())
    sessions = 0 if groups is None else groups.size
    _report(unseen, f"{sessions:,} sessions")
    return {"found": found, "unseen": unseen, "sessions": sessions, "trials": trials}


def tune_retriever(run: Run, trials: int, name: str) -> dict[str, Any]:
    """Search the settings of one retriever on the train sessions of the validation pass.

    Raises
    ------
    InputError
        If the settings do not name it, it is of a kind that is not tuned, or there are too few sessions.
    """
    from models import tuning as retrievers  # torch is not needed for the rankers
    from models.building import Conditions

    models = run.settings.models
    if name not in models.retrievers:
        known = ", ".join(models.retrievers) or "none"
        raise InputError(f"--model {name}", None, "no such retriever", f"the settings name {known}")
    data = open_pass(run, VALIDATION)
    conditions = Conditions(models.seed, run.settings.n_threads, knowledge=open_knowledge(run, VALIDATION))
    search = retrievers.RetrieverTuning(name, models.retrievers[name], data.log.slice(0, data.n_train), conditions)
    identity = digest_of(fingerprint([run.prepared / VALIDATION]))
    best = search.search(run.folder / "tuning" / f"{name}.jsonl", trials, identity)
    _say(name, best)
    before, after, groups = search.compare(best.values)
    unseen = _scores({TARGETS[0]: before}, {TARGETS[0]: after}, groups, {TARGETS[0]: 1.0})
    tree = retrievers.as_tree(best.values)
    _write(run, name, {"models": {"retrievers": {name: tree}}}, best, unseen)
    _report({name: unseen}, f"{len(before):,} positions")
    return {"found": {name: tree}, "unseen": {name: unseen}, "rows": len(before), "trials": trials}


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    made = parser(
        "Search settings of the rankers, or of one retriever.",
        "python -m scripts.tune --config configs/shop.toml --trials 60",
    )
    made.add_argument("--trials", type=int, required=True, help="trials in all, those of earlier calls among them")
    made.add_argument("--targets", nargs="+", metavar="TARGET", help="rankers of these targets only")
    made.add_argument("--model", metavar="NAME", help="this retriever of the settings, instead of the rankers")
    return made.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Command line: what was found, figures on unseen sessions, and last one JSON line."""

    def work() -> None:
        arguments = _arguments(argv)
        if arguments.trials < 1:
            raise InputError("--trials", None, f"{arguments.trials} trials find nothing", "give a number from 1")
        if arguments.model is not None and arguments.targets is not None:
            raise InputError("--targets", None, "a retriever has no settings by target", "leave --targets out")
        run = open_run(arguments.config, arguments.assignments)
        run.need("", "prepare")
        if arguments.model is None:
            line = tune_rankers(run, arguments.trials, arguments.targets)
        else:
            line = tune_retriever(run, arguments.trials, arguments.model)
        print(json.dumps(line))

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
