"""All stages in order: what ``python -m scripts.run`` does."""

import time

from events.errors import InputError
from scripts import candidates, covisit, evaluate, features, prepare, rank, retrievers, submit
from scripts.cli import guarded, open_run, parser
from scripts.closing import where_things_are
from scripts.index import record
from scripts.ladder import show
from scripts.pipeline import PASSES, Stage, run_stage
from scripts.report import report_or_say_why

STAGES: tuple[Stage, ...] = tuple(
    module.STAGE for module in (prepare, covisit, retrievers, candidates, features, rank, evaluate, submit)
)


def _between(first: str, last: str) -> list[Stage]:
    names = [stage.name for stage in STAGES]
    start, stop = names.index(first), names.index(last)
    if start > stop:
        raise InputError("--from/--until", None, f"{first} comes after {last}", f"the order is {', '.join(names)}")
    return list(STAGES[start : stop + 1])


def run_all(argv: list[str] | None = None) -> int:
    """Command line: all stages, or those from one to another, in every pass the shop has."""

    def work() -> None:
        names = [stage.name for stage in STAGES]
        made = parser("Run the stages in order.", "python -m scripts.run --config configs/shop.toml --until evaluate")
        made.add_argument("--from", dest="first", choices=names, default=names[0], help="first stage")
        made.add_argument("--until", dest="last", choices=names, default=names[-1], help="last stage")
        arguments = made.parse_args(argv)
        run = open_run(arguments.config, arguments.assignments)
        started = time.perf_counter()
        for stage in _between(arguments.first, arguments.last):
            if not stage.passes:
                run_stage(stage, run, "")
                continue
            for pass_name in stage.passes:
                if run.has_pass(pass_name):
                    run_stage(stage, run, pass_name)
        if not run.has_pass("submission"):
            print("no test sessions (data.test is not set), so there is no submission")
        for pass_name in PASSES:
            show(run, pass_name)
        record(run)
        report_or_say_why(run.folder)
        print(f"done in {time.perf_counter() - started:.0f} s\n{where_things_are(run)}")

    return guarded(work)
