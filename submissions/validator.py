"""Is a submission file what it should be, and if not, what is wrong and in which line?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from events.columns import TARGETS
from events.errors import InputError
from events.index import IdIndex
from submissions import defects
from submissions.defects import Checked, check_rows, describe
from submissions.identifiers import Known
from submissions.rows import HEADER, LINE_FEED, Rows, line_chunks, read_bytes, split_rows

LIMIT = 10
"""Lines that are listed for each kind of problem; the rest is counted."""

KINDS = {
    defects.BLANK: "blank line",
    defects.COLUMNS: "columns",
    defects.ROW_ID: "row id",
    defects.TYPE: "unknown type",
    defects.SESSION: "unknown session",
    defects.DUPLICATE: "duplicate row",
    defects.TOO_LONG: "too many items",
    defects.REPEATED: "repeated item",
    defects.NOT_AN_INTEGER: "not an integer",
    defects.UNKNOWN_ITEM: "unknown item",
    defects.EMPTY: "empty row",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file.

    line    : from 1; ``None`` if it is not in one line
    kind    : ``header``, ``encoding``, ``cut``, ``missing rows``, ``empty file`` or one of ``KINDS``
    warning : the file may be submitted all the same

    >>> str(Problem(3, "unknown type", "unknown type 'views'"))
    "error in line 3: unknown type 'views'"
    """

    line: int | None
    kind: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        where = "" if self.line is None else f" in line {self.line}"
        return f"{'warning' if self.warning else 'error'}{where}: {self.message}"


@dataclass(slots=True)
class _Listing:
    """Problems by kind: the first ``LIMIT`` in full, the others counted."""

    found: dict[str, list[Problem]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def room(self, kind: str) -> int:
        return LIMIT - len(self.found.get(kind, []))

    def add(self, problem: Problem, count: int = 1) -> None:
        self.found.setdefault(problem.kind, []).append(problem)
        self.counts[problem.kind] = self.counts.get(problem.kind, 0) + count

    def all(self) -> list[Problem]:
        listed = [problem for problems in self.found.values() for problem in problems]
        for kind, problems in self.found.items():
            more = self.counts[kind] - len(problems)
            if more:
                listed.append(Problem(None, kind, f"{kind}: {more} more", problems[0].warning))
        return sorted(listed, key=lambda problem: (problem.warning, problem.line is None, problem.line or 0))


def validate_submission(
    path: Path,
    session_ids: pl.Series,
    targets: Sequence[str] = TARGETS,
    items: IdIndex | None = None,
    k: int = 20,
    header: str = HEADER,
) -> list[Problem]:
    """Everything that is wrong with a submission file, errors first and by line; an empty list for a perfect one.

    session_ids : the sessions that must have a row for each target, integers or strings
    items       : the items that may be named; ``None``: any integer
    header      : the first line; another than OTTO's says that row ids are sessions, without a target (give one target)

    The row ids, their completeness and the items are checked; of each kind ten problems are listed and the others
    counted. Repeats are looked for among the first ``k`` items. An empty row is a warning.

    Raises
    ------
    InputError
        If the file is missing or cannot be read at all.
    """
    data = read_bytes(path)
    if data.size == 0:
        return [Problem(None, "empty file", "the file is empty")]
    if header != HEADER and len(targets) != 1:
        raise ValueError("rows that name no target are of one")
    listing = _Listing()
    index = IdIndex.of(session_ids)
    sessions, known = Known.of(index), Known.of(items)
    seen = np.zeros(len(index) * len(targets), np.int64)
    first_line = 1
    for begin, end in line_chunks(path, data):
        _check_encoding(data, begin, end, first_line, listing)
        if first_line == 1:
            begin = _check_header(data, begin, end, listing, header)
            first_line = 2
        rows = split_rows(data, begin, end, targets, named=header == HEADER)
        checked = check_rows(
            data, rows, sessions, known,
            any_integer=items is None, k=k, n_targets=len(targets), first_line=first_line, seen=seen,
        )  # fmt: skip
        _list_defects(data, rows, checked, first_line, k, listing)
        first_line += len(rows)
    if data[-1] != LINE_FEED:
        listing.add(Problem(first_line - 1, "cut", "the last line has no line break: the file seems to be cut off"))
    _check_missing(seen, index, targets if header == HEADER else None, listing)
    return listing.all()


def require_valid(
    path: Path,
    session_ids: pl.Series,
    targets: Sequence[str] = TARGETS,
    items: IdIndex | None = None,
    k: int = 20,
    header: str = HEADER,
) -> list[Problem]:
    """As :func:`validate_submission`, but the first error is raised; returns the warnings.

    Raises
    ------
    InputError
        If the file has an error.
    """
    problems = validate_submission(path, session_ids, targets, items, k, header)
    errors = [problem for problem in problems if not problem.warning]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise InputError(path, errors[0].line, errors[0].message + more, "write the submission again")
    return problems


def _check_encoding(data: npt.NDArray[np.uint8], begin: int, end: int, first_line: int, listing: _Listing) -> None:
    try:
        data[begin:end].tobytes().decode("utf-8")  # whole lines: no character is split
    except UnicodeDecodeError as error:
        line = first_line + int(np.count_nonzero(data[begin : begin + error.start] == LINE_FEED))
        if listing.room("encoding") > 0:
            listing.add(Problem(line, "encoding", f"not UTF-8: byte 0x{int(data[begin + error.start]):02x}"))


def _check_header(data: npt.NDArray[np.uint8], begin: int, end: int, listing: _Listing, expected: str) -> int:
    """Check the first line and return where the second begins."""
    breaks = np.flatnonzero(data[begin:end] == LINE_FEED)
    after = begin + int(breaks[0]) + 1 if breaks.size else end
    header = data[begin:after].tobytes().decode("utf-8", "replace").rstrip("\r\n")
    if header != expected:
        shown = repr(header if len(header) <= defects.SHOWN else header[: defects.SHOWN] + "…")
        listing.add(Problem(1, "header", f"the header is {shown} instead of {expected!r}"))
    return after


def _lines_with(flags: npt.NDArray[np.int32]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    union = int(np.bitwise_or.reduce(flags)) if flags.size else 0
    for defect in KINDS:
        if union & defect:
            yield defect, np.flatnonzero(flags & defect)


def _list_defects(
    data: npt.NDArray[np.uint8], rows: Rows, checked: Checked, first_line: int, k: int, listing: _Listing
) -> None:
    for defect, lines in _lines_with(checked.flags):
        kind = KINDS[defect]
        shown = lines[: max(listing.room(kind), 0)]
        for line in shown.tolist():
            message = describe(data, rows, checked, line, defect, k)
            listing.add(Problem(first_line + line, kind, message, defect == defects.EMPTY))
        listing.counts[kind] += lines.size - shown.size


def _check_missing(
    seen: npt.NDArray[np.int64], index: IdIndex, targets: Sequence[str] | None, listing: _Listing
) -> None:
    """Rows that no line holds; ``targets`` is ``None`` where rows do not name theirs."""
    missing = np.flatnonzero(seen == 0)
    if missing.size == 0:
        return
    first = missing[:LIMIT]
    if targets is None:
        names = [str(session) for session in index.take(first).to_list()]
    else:
        ids = index.take(first // len(targets)).to_list()
        names = [f"{session}_{targets[place]}" for session, place in zip(ids, first % len(targets), strict=True)]
    more = ", …" if missing.size > first.size else ""
    listing.add(
        Problem(None, "missing rows", f"{missing.size} of {seen.size} rows are missing: {', '.join(names)}{more}")
    )
