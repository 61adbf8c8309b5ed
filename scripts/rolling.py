"""Rolling validation: the pipeline's validation pass on several consecutive weeks, each with a cut of its own.

python -m scripts.rolling --config configs/x.toml --weeks 3: a week is ``split.days`` long, the last one is the run's
own. For an earlier week nothing that happens after it is known. Each has a folder of its own, ``runs/<name>/rolling``.
"""

import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np

from events.errors import InputError
from events.files import read_json, write_json
from events.passes import SUBMISSION, VALIDATION
from events.split import DAY_MS
from scripts.all_stages import STAGES
from scripts.artifacts import open_pass
from scripts.cli import guarded, open_run, parser
from scripts.pipeline import Run, run_stage
from submissions.report import number, table

FOLDER = "rolling"
PERIODS = ("official", "dates", "last_days", "every_position")
"""Ways of validation that hold out a period."""


def _week(run: Run, week: int, cut_ms: int | None, length_ms: int) -> Run:
    """The run of a week, 0 for the last; ``cut_ms`` is the cut of the last week, known once that is prepared."""
    folder = run.folder / FOLDER / f"week_{week}"
    if week == 0 or cut_ms is None:
        return Run(run.settings, folder)
    split = run.settings.split
    moved = {
        "validation": "official" if split.validation == "dates" else split.validation,
        "start": None,
        "cut_ms": cut_ms - week * length_ms,
        "until": cut_ms - (week - 1) * length_ms,
    }
    if cut_ms - week * length_ms < 0:
        raise InputError("--weeks", None, "the log does not reach back so far", "ask for fewer weeks")
    settings = run.settings.model_copy(update={"split": split.model_copy(update=moved)})
    return Run(settings, folder)


def _length_ms(run: Run) -> int:
    split = run.settings.split
    if split.validation not in PERIODS:
        problem = f"validation {split.validation!r} holds out no period"
        raise InputError("split.validation", None, problem, f"set it to one of {', '.join(PERIODS)}")
    if split.cuts is not None:
        raise InputError("split.cuts", None, "a file of cuts belongs to one week", "do without it")
    if split.cut is not None and split.until is not None:
        return split.until - split.cut
    return int(split.days * DAY_MS)


def roll(run: Run, weeks: int) -> dict[str, Any]:
    """Run every stage of the validation pass on each week, the last one first; the totals of every rung.

    Returns ``{"weeks": ["2022-08-22T00:00:00+00:00", ...], "rungs": {rung: {"weeks": [...], "mean": ..., "deviation":
    ...}}}``: the cuts, and the totals in their order, the latest first. The deviation is None with fewer than two.

    Raises
    ------
    InputError
        If the shop has no time, the split holds out no period, or a week has no sessions.
    """
    length, cut_ms, cuts, ladders = _length_ms(run), None, [], []
    for week in range(weeks):
        one = _week(run, week, cut_ms, length)
        print(f"\nweek {week} before the end, in {one.folder}", flush=True)
        for stage in STAGES:
            for pass_name in stage.passes:  # weeks before it give further training rows, where they are asked for
                if pass_name != SUBMISSION and one.has_pass(pass_name):
                    run_stage(stage, one, pass_name)
            if not stage.passes:
                run_stage(stage, one, "")
                until = open_pass(one, VALIDATION).fit_until_ms
                if until is None:
                    raise InputError("split", None, "this log has no time, so no weeks", "validate on one split")
                cut_ms = until if cut_ms is None else cut_ms
                cuts.append(datetime.fromtimestamp(until / 1000, UTC).isoformat(timespec="seconds"))
        ladders.append(read_json(one.folder / VALIDATION / "scores.json")["ladder"])
    rungs = {}
    for rung in ladders[0]:
        totals = [ladder[rung]["total"] for ladder in ladders]
        known = [total for total in totals if total is not None]
        mean = float(np.mean(known)) if known else None
        deviation = float(np.std(known, ddof=1)) if len(known) > 1 else None
        rungs[rung] = {"weeks": totals, "mean": mean, "deviation": deviation}
    return {"weeks": cuts, "rungs": rungs}


def show(found: dict[str, Any], k: int) -> str:
    """One table: a line a rung, its total in each week, their mean and standard deviation."""
    rows = [
        [rung, *(number(total) for total in one["weeks"]), number(one["mean"]), number(one["deviation"])]
        for rung, one in found["rungs"].items()
    ]
    return table([f"recall@{k}, week from", *(cut[:10] for cut in found["weeks"]), "mean", "deviation"], rows)


def main(argv: list[str] | None = None) -> int:
    """Command line."""

    def work() -> None:
        made = parser(
            "Validate on several consecutive weeks.", "python -m scripts.rolling --config configs/shop.toml --weeks 3"
        )
        made.add_argument("--weeks", type=int, default=3, help="how many, back from the end of the log (3)")
        arguments = made.parse_args(argv)
        if arguments.weeks < 1:
            raise InputError("--weeks", None, f"{arguments.weeks} weeks", "give a number from 1")
        run = open_run(arguments.config, arguments.assignments)
        found = roll(run, arguments.weeks)
        path = run.folder / FOLDER / "rolling.json"
        write_json(path, found)
        print(f"\n{show(found, run.settings.submissions.k)}\n\nkept in {path}")

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
