"""Blend ranked lists of several runs, or of several submission files, into one submission file.

python -m scripts.blend OUT.csv INPUT [INPUT ...] [--weights W ...]: an input is a run's folder or a submission CSV.
Each votes for its items by their ranks; ties go by the item's id. Where all inputs are runs, their out-of-fold lists
are blended as well and scored on the validation sessions that all of them reported, against the best of them.
"""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from events.columns import TARGETS
from events.errors import InputError
from events.files import atomic_file
from events.index import IdIndex
from events.labels import take_labels
from events.lists import Lists
from events.passes import SUBMISSION, VALIDATION
from rankers.blending import blend_mean_rank, blend_reciprocal
from rankers.scoring import chunks
from scripts.cli import bare_parser, guarded
from scripts.kept_runs import KeptRun, require_same_data, shared_rows, target_weights
from submissions.bootstrap import bootstrap_total
from submissions.kaggle_csv import write_submission
from submissions.metrics import Scores, hits_by_target
from submissions.reading import read_ids, read_submission
from submissions.report import ladder_table, spread
from submissions.validator import require_valid

K = 20
"""Items of a row, at most."""
CHUNK = 50_000
"""Sessions blended at once."""

Vote = Callable[[Sequence[Lists], Sequence[float], int], Lists]


def _reciprocal(models: Sequence[Lists], weights: Sequence[float], k: int) -> Lists:
    return blend_reciprocal(models, weights, k)


def _borda(models: Sequence[Lists], weights: Sequence[float], k: int) -> Lists:
    return blend_mean_rank(models, weights, k, absent=k + 1)


VOTES: dict[str, Vote] = {"reciprocal": _reciprocal, "borda": _borda}
"""``reciprocal`` the sum of weight / (60 + rank); ``borda`` the sum of weight x (21 - rank)."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input: its submission file, and the run it belongs to, if it is one."""

    path: Path
    csv: Path
    run: KeptRun | None

    @classmethod
    def of(cls, text: str) -> "Input":
        """Of an argument of the command line."""
        path = Path(text)
        if not path.exists():
            raise InputError(path, None, "no such file or folder", "give folders of runs or submission files")
        if not path.is_dir():
            return cls(path, path, None)
        run = KeptRun(path)
        return cls(path, run.need(SUBMISSION, "submit") / "submission.csv", run)


def _blend(models: Sequence[Mapping[str, Lists]], weights: Sequence[float], vote: Vote) -> dict[str, Lists]:
    """The blend of each target's lists, some sessions at a time."""
    blended = {}
    for target, first in models[0].items():
        parts = [
            vote([one[target].slice(start, stop).top(K) for one in models], weights, K)
            for start, stop in chunks(len(first), CHUNK, f"blend {target}")
        ]
        blended[target] = Lists.concat(parts)
    return blended


def _identities(inputs: Sequence[Input]) -> tuple[pl.Series, tuple[str, ...], IdIndex]:
    """The sessions, targets and items of the inputs: as a run knows them, or all that the files name."""
    for one in inputs:
        if one.run is not None:
            data = one.run.data(SUBMISSION)
            return data.target_ids, data.targets, one.run.items()
    found = [read_ids(one.csv) for one in inputs]
    targets = tuple(target for target in TARGETS if any(target in one[1] for one in found))
    items = pl.concat([one[2].ids for one in found])
    return found[0][0], targets, IdIndex.of(items)


def _submission(out: Path, inputs: Sequence[Input], weights: Sequence[float], vote: Vote) -> int:
    """Write the blended file, valid or not at all; return its rows."""
    sessions, targets, items = _identities(inputs)
    models = []
    for one in inputs:
        require_valid(one.csv, sessions, targets, items, K)
        models.append(read_submission(one.csv, sessions, targets, items))
    with atomic_file(out) as beside:
        rows = write_submission(beside, sessions, _blend(models, weights, vote), items, K)
        require_valid(beside, sessions, targets, items, K)
    return rows


def _validation(runs: Sequence[KeptRun], weights: Sequence[float], vote: Vote) -> dict[str, Any]:
    """Scores of each run and of the blend on the sessions that all runs reported."""
    kept = [run.lists() for run in runs]
    rows = shared_rows(runs, [one[0] for one in kept])
    data = runs[0].data(VALIDATION)
    if data.labels is None:
        raise InputError(runs[0].folder, None, "its validation pass has no labels", "run prepare again")
    models = [
        {target: lists.take(np.searchsorted(reported, rows)) for target, lists in found.items()}
        for reported, found in kept
    ]
    labels, groups = take_labels(data.labels, rows), data.target_log.groups[rows]
    by_target = target_weights(runs[0].settings())
    lists = {str(run): model for run, model in zip(runs, models, strict=True)}
    lists["blend"] = _blend(models, weights, vote)
    hits = {name: hits_by_target(one, labels, K) for name, one in lists.items()}
    scores = {name: Scores.of(found, by_target) for name, found in hits.items()}
    best = max((name for name in lists if name != "blend"), key=lambda name: scores[name].total or 0.0)
    gain = bootstrap_total(hits["blend"], groups, minus=hits[best], weights=by_target)
    return {
        "sessions": int(rows.size),
        "ladder": {name: one.as_json() for name, one in scores.items()},
        "best": best,
        "blend_minus_best": None if gain is None else [gain.low, gain.high],
    }


def _checked(out: Path, inputs: Sequence[str], weights: Sequence[float] | None) -> tuple[list[Input], list[float]]:
    found = [Input.of(text) for text in inputs]
    if out.is_dir():
        raise InputError(out, None, "a folder stands there", "let the first argument be the file to write")
    if any(out.resolve() == one.csv.resolve() for one in found):
        raise InputError(out, None, "is an input as well", "write to another file")
    if len({str(one.path) for one in found}) < len(found):
        raise InputError("--weights", None, "an input stands twice", "give it a greater weight instead")
    chosen = [1.0] * len(found) if weights is None else list(weights)
    if len(chosen) != len(found) or not all(math.isfinite(one) and one > 0 for one in chosen):
        given = " ".join(f"{one:g}" for one in chosen)
        raise InputError("--weights", None, f"{given} for {len(found)} inputs", "give each a number above 0")
    return found, chosen


def main(argv: list[str] | None = None) -> int:
    """Command line: writes the file, prints the scores on validation, and last one JSON line."""

    def work() -> None:
        made = bare_parser(__doc__ or "", "python -m scripts.blend blend.csv runs/shop runs/other")
        made.add_argument("out", type=Path, metavar="OUT.csv", help="file to write")
        made.add_argument("inputs", nargs="+", metavar="INPUT", help="folder of a run, or a submission CSV")
        made.add_argument("--weights", nargs="+", type=float, help="one an input; default: equal")
        made.add_argument("--vote", choices=VOTES, default="reciprocal", help="how ranks count (reciprocal)")
        arguments = made.parse_args(argv)
        inputs, weights = _checked(arguments.out, arguments.inputs, arguments.weights)
        vote = VOTES[arguments.vote]
        runs = [one.run for one in inputs if one.run is not None]
        for run in runs[1:]:
            require_same_data(runs[0], run, SUBMISSION)
            require_same_data(runs[0], run, VALIDATION)
        line: dict[str, Any] = {"inputs": [str(one.path) for one in inputs], "weights": weights}
        line["rows"] = _submission(arguments.out, inputs, weights, vote)
        print(f"{arguments.out}: {line['rows']:,} rows, valid")
        if len(runs) == len(inputs):
            line["validation"] = found = _validation(runs, weights, vote)
            print(f"\nvalidation, out of fold: {found['sessions']:,} sessions\n")
            print(ladder_table(found["ladder"], K))
            if found["blend_minus_best"] is not None:
                low, high = found["blend_minus_best"]
                print(f"\nblend minus {found['best']}, total: {spread(low, high)} (95 % interval, paired)")
            print()
        print(json.dumps(line))

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
