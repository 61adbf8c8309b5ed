"""The one exception for a user's mistake."""

from pathlib import Path


class InputError(Exception):
    """Something the user gave is wrong: says in one line which file, which line, what, and the remedy.

    A stage prints it without a traceback and exits with code 2.

    >>> str(InputError("train.jsonl", 7, "unknown event type 'view'", "use clicks, carts or orders"))
    "train.jsonl:7: unknown event type 'view'. Remedy: use clicks, carts or orders."
    >>> str(InputError("configs/x.toml", None, "unknown key 'sead'", "remove it"))
    "configs/x.toml: unknown key 'sead'. Remedy: remove it."
    """

    def __init__(self, file: str | Path, line: int | None, problem: str, remedy: str) -> None:
        self.file = str(file)
        self.line = line
        self.problem = problem
        self.remedy = remedy
        super().__init__(file, line, problem, remedy)

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.problem.rstrip('.')}. Remedy: {self.remedy.rstrip('.')}."
