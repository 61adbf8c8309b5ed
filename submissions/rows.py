"""The bytes of a submission file, cut into lines, row ids and items, in bounded memory."""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from events.compiled import kernel
from events.errors import InputError
from submissions.identifiers import IdBytes

HEADER = "session_type,labels"
"""The first line, where each session has a row a target."""
CHUNK = 1 << 21
LONGEST_LINE = 1 << 26
"""Bytes. A line beyond this is no line of a submission."""

COMMA, SPACE, UNDERSCORE, LINE_FEED, CARRIAGE_RETURN = 44, 32, 95, 10, 13


def read_bytes(path: Path) -> npt.NDArray[np.uint8]:
    """uint8[n] the whole file, mapped into memory read-only.

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return np.zeros(0, np.uint8)
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except FileNotFoundError:
        raise InputError(path, None, "no such file", "check the path") from None
    except OSError as error:
        raise InputError(path, None, f"cannot be read: {error.strerror}", "give a readable file") from None


def line_chunks(path: Path, data: npt.NDArray[np.uint8], size: int = CHUNK) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of pieces of whole lines, about ``size`` bytes each, the last one up to the end of the data.

    Raises
    ------
    InputError
        If a line is longer than 64 MiB.
    """
    begin = 0
    while begin < data.size:
        end, reach = begin, size
        while end == begin:
            stop = min(begin + reach, data.size)
            breaks = np.flatnonzero(data[begin:stop] == LINE_FEED)
            if stop == data.size:
                end = stop
            elif breaks.size:
                end = begin + int(breaks[-1]) + 1
            elif reach > LONGEST_LINE:
                raise InputError(path, None, f"the line at byte {begin} is longer than 64 MiB", "give a submission CSV")
            reach *= 2
        yield begin, end
        begin = end


@dataclass(frozen=True, slots=True)
class Rows:
    """L lines, of the form ``<session>_<target>,<item> <item> ...``, and their T items as places in the file's bytes.

    starts, stops : int64[L] the line, without line break and trailing blanks
    commas        : int64[L] place of the first comma, or the line's end if it has none
    n_commas      : int32[L]
    underscores   : int64[L] place of the last underscore before the comma, or the line's start if there is none
    targets       : int8[L] place of the target among the names asked for, -1 for another word
    offsets       : int64[L+1] items of line i are ``offsets[i]:offsets[i+1]``
    item_starts, item_stops : int64[T]
    """

    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]
    commas: npt.NDArray[np.int64]
    n_commas: npt.NDArray[np.int32]
    underscores: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int8]
    offsets: npt.NDArray[np.int64]
    item_starts: npt.NDArray[np.int64]
    item_stops: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Number of lines L."""
        return self.starts.size


@kernel
def _sizes(data: npt.NDArray[np.uint8], begin: int, end: int) -> tuple[int, int]:
    lines, spaces = 0, 0
    for place in range(begin, end):
        lines += data[place] == LINE_FEED
        spaces += data[place] == SPACE
    if end > begin and data[end - 1] != LINE_FEED:
        lines += 1
    return lines, spaces


@kernel
def _target_of(
    data: npt.NDArray[np.uint8],
    start: int,
    stop: int,
    names: npt.NDArray[np.uint8],
    name_offsets: npt.NDArray[np.int64],
) -> int:
    for code in range(name_offsets.size - 1):
        first = name_offsets[code]
        if name_offsets[code + 1] - first != stop - start:
            continue
        same = True
        for step in range(stop - start):
            same = same and data[start + step] == names[first + step]
        if same:
            return code
    return -1


@kernel
def _split(
    data: npt.NDArray[np.uint8],
    begin: int,
    end: int,
    names: npt.NDArray[np.uint8],
    name_offsets: npt.NDArray[np.int64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    commas: npt.NDArray[np.int64],
    n_commas: npt.NDArray[np.int32],
    underscores: npt.NDArray[np.int64],
    targets: npt.NDArray[np.int8],
    offsets: npt.NDArray[np.int64],
    item_starts: npt.NDArray[np.int64],
    item_stops: npt.NDArray[np.int64],
) -> int:
    """Fill the arrays of :class:`Rows` and return the number of items."""
    start, items = begin, 0
    for line in range(starts.size):
        comma, underscore, count, place = -1, -1, 0, start
        while place < end and data[place] != LINE_FEED:
            if data[place] == COMMA:
                count += 1
                if comma < 0:
                    comma = place
            elif data[place] == UNDERSCORE and comma < 0:
                underscore = place
            place += 1
        following = place + 1
        while place > start and (data[place - 1] == SPACE or data[place - 1] == CARRIAGE_RETURN):
            place -= 1
        starts[line], stops[line], n_commas[line] = start, place, count
        commas[line] = comma if comma >= 0 else place
        underscores[line] = underscore if underscore >= 0 else start
        targets[line] = -1
        if underscore >= 0:
            targets[line] = _target_of(data, underscore + 1, int(commas[line]), names, name_offsets)
        offsets[line] = items
        if comma >= 0 and place > comma + 1:
            item_starts[items] = comma + 1
            for step in range(comma + 1, place):
                if data[step] == SPACE:
                    item_stops[items] = step
                    items += 1
                    item_starts[items] = step + 1
            item_stops[items] = place
            items += 1
        start = following
    offsets[starts.size] = items
    return items


def split_rows(data: npt.NDArray[np.uint8], begin: int, end: int, targets: Sequence[str], named: bool = True) -> Rows:
    """Cut ``data[begin:end]``, which is whole lines, into row ids and items; nothing is judged here.

    named : whether row ids name the target; else they are the session alone, and all rows are of the first target
    """
    n_lines, n_spaces = _sizes(data, begin, end)
    names = IdBytes.of(pl.Series(targets, dtype=pl.String))
    longs = [np.empty(n_lines, np.int64) for _ in range(4)]
    starts, stops, commas, underscores = longs
    n_commas, codes = np.empty(n_lines, np.int32), np.empty(n_lines, np.int8)
    offsets = np.empty(n_lines + 1, np.int64)
    # Spaces separate items, so a line holds at most one item more than it has spaces.
    item_starts, item_stops = np.empty(n_lines + n_spaces, np.int64), np.empty(n_lines + n_spaces, np.int64)
    size = _split(
        data, begin, end, names.text, names.offsets, starts, stops, commas, n_commas, underscores, codes, offsets,
        item_starts, item_stops,
    )  # fmt: skip
    return Rows(
        starts=starts,
        stops=stops,
        commas=commas,
        n_commas=n_commas,
        underscores=underscores if named else commas,
        targets=codes if named else np.zeros(n_lines, np.int8),
        offsets=offsets,
        item_starts=item_starts[:size],
        item_stops=item_stops[:size],
    )
