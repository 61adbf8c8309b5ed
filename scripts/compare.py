"""Compare finished runs, session by session, on the sessions that all of them reported.

python -m scripts.compare RUN_A RUN_B: folders such as runs/shop; RUN_A,RUN_A2 stands for the mean over several runs
(seeds). Recall of B minus A with its 95 % interval, a paired bootstrap over original sessions or users.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from events.errors import InputError
from events.passes import SUBMISSION, VALIDATION
from scripts.cli import bare_parser, guarded
from scripts.kept_runs import KeptRun, Rows, require_same_data, shared_rows, target_weights
from submissions.bootstrap import bootstrap_total
from submissions.metrics import Hits, Scores
from submissions.report import number, spread, table

RUNGS = ("rules", "ranker")
TOTAL = "total"
ABSENT = "-"

Found = Mapping[str, Hits]


def _mean(runs: Sequence[Found]) -> dict[str, Hits]:
    """Hits whose recall is the mean over the runs."""
    return {target: Hits.pooled([found[target] for found in runs]) for target in runs[0]}


def _lines(a: Sequence[Found], b: Sequence[Found], groups: Rows, weights: Mapping[str, float]) -> dict[str, Any]:
    """For each target and in total: both recalls, the difference and its interval."""
    sides = _mean(a), _mean(b)
    found: dict[str, dict[str, Any]] = {}
    for name in (*sides[0], TOTAL):
        of = weights if name == TOTAL else {name: 1.0}
        values = [Scores.of({t: side[t] for t in side if t in of}, of).total for side in sides]
        if values[0] is None or values[1] is None:
            found[name] = {"a": None, "b": None, "difference": None, "interval": None}
            continue
        gain = bootstrap_total(sides[1], groups, minus=sides[0], weights=of)
        interval = None if gain is None else [gain.low, gain.high]
        found[name] = {"a": values[0], "b": values[1], "difference": values[1] - values[0], "interval": interval}
    for side, runs in (("a_deviation", a), ("b_deviation", b)):
        if len(runs) > 1:
            totals = [Scores.of(one, weights).total for one in runs]
            found[TOTAL][side] = float(np.std(np.array(totals, np.float64), ddof=1))
    return found


def _require_same_depth(runs: Sequence[KeptRun], hits: Sequence[Found]) -> None:
    for run, found in zip(runs[1:], hits[1:], strict=True):
        same = found.keys() == hits[0].keys() and all(
            np.array_equal(one.denominators, found[target].denominators) for target, one in hits[0].items()
        )
        if not same:
            problem = f"its hits are counted to another depth than those of {runs[0]}"
            raise InputError(run.folder, None, problem, "set the same submissions.k, and run the stage evaluate again")


def _compare_pass(a: Sequence[KeptRun], b: Sequence[KeptRun], pass_name: str) -> dict[str, Any]:
    runs = [*a, *b]
    for run in runs[1:]:
        require_same_data(runs[0], run, pass_name)
    kept = [run.hits(pass_name, RUNGS) for run in runs]
    rows = shared_rows(runs, [one.rows for one in kept])
    taken = [one.take(rows).rungs for one in kept]
    settings = runs[0].settings()
    weights = target_weights(settings)
    groups = runs[0].data(pass_name).target_log.groups[rows]
    rungs = {}
    for rung in RUNGS:
        of_rung = [found[rung] for found in taken]
        _require_same_depth(runs, of_rung)
        rungs[rung] = _lines(of_rung[: len(a)], of_rung[len(a) :], groups, weights)
    counted = {"sessions": int(rows.size), "groups": int(np.unique(groups).size), "k": settings["submissions.k"]}
    return {**counted, "rungs": rungs}


def _settings(a: Sequence[KeptRun], b: Sequence[KeptRun]) -> dict[str, dict[str, list[Any]]]:
    """Settings that are not the same in all runs: the values on each side."""
    sides = [[run.settings() for run in side] for side in (a, b)]
    keys = dict.fromkeys(key for side in sides for one in side for key in one)
    differ = {}
    for key in keys:
        of_a, of_b = ([one.get(key, ABSENT) for one in side] for side in sides)
        if any(value != of_a[0] for value in (*of_a, *of_b)):
            differ[key] = {"a": _distinct(of_a), "b": _distinct(of_b)}
    return differ


def _distinct(values: Sequence[Any]) -> list[Any]:
    return [value for place, value in enumerate(values) if value not in values[:place]]


def _show(found: Mapping[str, Any], title: str) -> None:
    print(f"\n{title}: {found['sessions']:,} sessions of {found['groups']:,} groups, paired\n")
    rows = []
    for rung, lines in found["rungs"].items():
        for target, line in lines.items():
            gain, interval = line["difference"], line["interval"]
            around = spread(*interval) if interval else ""
            cells = [number(line["a"]), number(line["b"]), "" if gain is None else f"{gain:+.4f}", around]
            rows.append([f"{rung} {target}", *cells])
    print(table([f"recall@{found['k']}", "A", "B", "B - A", "95 % interval"], rows))
    for side in ("a_deviation", "b_deviation"):
        deviation = found["rungs"]["ranker"][TOTAL].get(side)
        if deviation is not None:
            print(f"ranker's total over the runs of {side[0].upper()}: standard deviation {deviation:.4f}")


def compare(a: Sequence[KeptRun], b: Sequence[KeptRun]) -> dict[str, Any]:
    """Everything that is said about two runs, or two sets of runs.

    Raises
    ------
    InputError
        If a stage has not run, or the runs are of different data.
    """
    found: dict[str, Any] = {"a": [str(run) for run in a], "b": [str(run) for run in b], "passes": {}}
    for pass_name in (VALIDATION, SUBMISSION):
        if pass_name == VALIDATION or all(run.has_hits(pass_name) for run in (*a, *b)):
            found["passes"][pass_name] = _compare_pass(a, b, pass_name)
    found["settings"] = _settings(a, b)
    found["same_code"] = len({run.code() for run in (*a, *b)}) == 1
    return found


def _runs(text: str) -> list[KeptRun]:
    return [KeptRun(Path(name)) for name in text.split(",")]


def main(argv: list[str] | None = None) -> int:
    """Command line: tables, and last one JSON line."""

    def work() -> None:
        made = bare_parser(__doc__ or "", "python -m scripts.compare runs/shop runs/other")
        made.add_argument("a", metavar="RUN_A", help="folder of a run, or several with commas between them: their mean")
        made.add_argument("b", metavar="RUN_B", help="the same; B minus A is shown")
        arguments = made.parse_args(argv)
        found = compare(_runs(arguments.a), _runs(arguments.b))
        print(f"A: {', '.join(found['a'])}\nB: {', '.join(found['b'])}")
        for key, one in found["settings"].items():
            print(f"  {key}: {', '.join(map(str, one['a']))} | {', '.join(map(str, one['b']))}")
        if not found["settings"]:
            print("  no setting differs")
        if not found["same_code"]:
            print("  their code differs")
        titles = {VALIDATION: "validation, out of fold", SUBMISSION: "test sessions"}
        for pass_name, one in found["passes"].items():
            _show(one, titles[pass_name])
        print()
        print(json.dumps(found))

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
