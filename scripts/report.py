"""The report of a finished run, one self-contained HTML file: ``python -m scripts.report --run runs/shop``."""

import argparse
import sys
from pathlib import Path

from events.files import atomic_file
from events.passes import VALIDATION
from scripts.cli import guarded
from scripts.kept_runs import KeptRun
from submissions.gathering import STAGES, gather
from submissions.report_page import render

REPORT = "report.html"
"""File, in the folder of a run."""


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Gather what a run left and write its page; returns where it is.

    Raises
    ------
    InputError
        If there is no such run, or a stage up to ``evaluate`` has not run: it names the stage.
    """
    run = KeptRun(folder)
    for stage in STAGES[: STAGES.index("evaluate") + 1]:
        run.need(VALIDATION, stage)
    path = folder / REPORT if out is None else out
    text = render(gather(folder, run.settings()))
    with atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return path


def report_or_say_why(folder: Path) -> None:
    """:func:`write_report` at the end of a run, which no trouble with it may fail."""
    try:
        print(f"report: {write_report(folder)}")
    except Exception as error:  # whatever it is, the run is whole
        print(f"no report: {error}")


def main(argv: list[str] | None = None) -> int:
    """Command line."""

    def work() -> None:
        made = argparse.ArgumentParser(
            description="Write the report of a finished run, one HTML file that needs no network.",
            epilog="example: python -m scripts.report --run runs/shop",
        )
        made.add_argument("--run", type=Path, required=True, help="folder of the run")
        made.add_argument("--out", type=Path, help=f"file to write; default: {REPORT} in that folder")
        arguments = made.parse_args(argv)
        print(write_report(arguments.run, arguments.out))

    return guarded(work)


if __name__ == "__main__":
    sys.exit(main())
