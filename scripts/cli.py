"""What every stage's command line shares: arguments, settings, and errors in one line."""

import argparse
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from events.errors import InputError
from scripts.pipeline import PASSES, Run, Stage, run_stage
from scripts.settings import load_settings

BAD_INPUT = 2
INTERRUPTED = 130


REMEDIES = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room on the disk",
    errno.EACCES: "give yourself the right to write there, or set runs to another folder",
    errno.EPERM: "give yourself the right to write there, or set runs to another folder",
    errno.EROFS: "set runs to a folder that can be written to",
}
"""What the machine may refuse, and what to do about it; any other error of the system is one of ours."""


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line, as all other mistakes are said."""

    def error(self, message: str) -> NoReturn:
        """Leave with the code of a user's mistake."""
        self.exit(BAD_INPUT, f"error: {message}. Remedy: see {self.prog} --help.\n")


def guarded(main: Callable[[], None]) -> int:
    """Run ``main``; a user's mistake is one line on standard error and exit code 2, an interrupt is 130.

    So is a full disk, a folder that must not be written to, or too little memory.
    """
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away; what was written is whole. Keep the interpreter's exit quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        remedy = "lower rankers.max_work or sample.sessions, or close other programs"
        print(f"error: the memory does not suffice. Remedy: {remedy}.", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        print(f"error: {error.filename}: {error.strerror}. Remedy: {REMEDIES[error.errno]}.", file=sys.stderr)
        return BAD_INPUT
    return 0


def bare_parser(description: str, example: str) -> Parser:
    """An argument parser whose help shows an example, a command line of ``python -m scripts.<name>``."""
    return Parser(
        prog=" ".join(example.split()[:3]),
        description=description,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def parser(description: str, example: str) -> Parser:
    """The same with ``--config`` and ``--set``."""
    made = bare_parser(description, example)
    made.add_argument("--config", type=Path, required=True, help="TOML file; its stem names the run")
    made.add_argument(
        "--set", dest="assignments", action="append", default=[], metavar="KEY=VALUE", help="override one setting"
    )
    return made


def open_run(config: Path, assignments: list[str]) -> Run:
    """The run that a config names."""
    settings = load_settings(config, assignments)
    return Run(settings, settings.runs / config.stem)


def stage_main(
    stage: Stage,
    description: str,
    argv: list[str] | None,
    show: Callable[[Run, str], None] | None = None,
    one_model: Callable[[Run, str, str], object] | None = None,
) -> int:
    """Command line of one stage; ``show`` prints what a pass came to, ``one_model`` does what ``--model`` asks for."""

    def work() -> None:
        made = parser(description, f"python -m scripts.{stage.name} --config configs/shop.toml")
        if stage.passes:
            made.add_argument("--pass", dest="pass_name", choices=stage.passes, help="default: every pass there is")
        if one_model is not None:
            made.add_argument("--model", help="this one alone; the stage takes it from there")
        arguments = made.parse_args(argv)
        run = open_run(arguments.config, arguments.assignments)
        if not stage.passes:
            run_stage(stage, run, "")
            return
        asked = getattr(arguments, "pass_name", None)
        run.need("", "prepare")
        for pass_name in stage.passes if asked is None else (asked,):
            if run.has_pass(pass_name):
                if one_model is not None and arguments.model is not None:
                    one_model(run, pass_name, arguments.model)
                    continue
                run_stage(stage, run, pass_name)
                if show is not None:
                    show(run, pass_name)
            elif asked is not None:
                raise InputError(
                    arguments.config, None, f"this shop has no {asked} pass", "name a test file: data.test"
                )

    return guarded(work)


__all__ = ["PASSES", "Parser", "bare_parser", "guarded", "open_run", "parser", "stage_main"]
