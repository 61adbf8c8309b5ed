"""What a reader found, and what it does with a bad line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from events.errors import InputError

KEPT_REASONS = 5


@dataclass(frozen=True, slots=True)
class ReadReport:
    """Sessions and events read; lines skipped as bad, with the first reasons; what else the user should know."""

    sessions: int
    events: int
    skipped: int = 0
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class BadLines:
    """Bad lines of one file: the first raises, or all are counted.

    >>> bad = BadLines(Path("x.csv"), skip=True)
    >>> bad.add(3, "the item id is empty", "fill it in")
    >>> bad.skipped, bad.reasons
    (1, ['line 3: the item id is empty'])
    """

    def __init__(self, file: Path, skip: bool) -> None:
        self.file = file
        self.skip = skip
        self.skipped = 0
        self.reasons: list[str] = []
        self.commonest: tuple[int, str] = (0, "")
        self.notes: list[str] = []

    def add(self, line: int, problem: str, remedy: str, count: int = 1) -> None:
        """Note a bad line (1-based), standing for ``count`` of its kind.

        Raises
        ------
        InputError
            Unless bad lines are skipped.
        """
        if not self.skip:
            skip_remedy = f"{remedy}, or set events.on_bad_rows='skip'"
            raise InputError(self.file, line, problem, skip_remedy)
        self.skipped += count
        reason = f"line {line}: {problem}"
        self.commonest = max(self.commonest, (count, reason), key=lambda one: one[0])
        if len(self.reasons) < KEPT_REASONS:
            self.reasons.append(reason)

    def say(self, *notes: str) -> None:
        """Note what was found out or assumed."""
        self.notes += [note for note in notes if note not in self.notes]

    def report(self, sessions: int, events: int) -> ReadReport:
        """The report of the whole file.

        Raises
        ------
        InputError
            If nothing is left.
        """
        if sessions == 0:
            problem = "no usable session" if self.skipped else "no events: the file is empty"
            first = f" ({self.commonest[0]:,} lines as {self.commonest[1]})" if self.skipped else ""
            raise InputError(self.file, None, problem + first, "check the file and data.kind")
        return ReadReport(sessions, events, self.skipped, tuple(self.reasons), tuple(self.notes))


def merged(files: Sequence[BadLines]) -> BadLines:
    """What was found in several files of one log, as one; reasons and notes then name their file."""
    if len(files) == 1:
        return files[0]
    whole = BadLines(files[0].file.parent, files[0].skip)
    for one in files:
        whole.skipped += one.skipped
        named = (one.commonest[0], f"{one.file.name}, {one.commonest[1]}")
        whole.commonest = max(whole.commonest, named, key=lambda one: one[0])
        whole.reasons += [f"{one.file.name}, {reason}" for reason in one.reasons]
        whole.say(*(f"{one.file.name}: {note}" for note in one.notes))
    whole.reasons = whole.reasons[:KEPT_REASONS]
    return whole
