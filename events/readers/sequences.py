"""Plain sequences (``1 2 1 1`` a line) and prefix/label pairs (``1 2 1<TAB>1`` a line): no times, no types."""

import gzip
import zlib
from pathlib import Path

import polars as pl

from events.columns import AID, SESSION
from events.errors import InputError
from events.raw import GROUP
from events.readers.report import BadLines, ReadReport
from events.readers.write import write_log
from events.settings import DataSettings

LINE = "line"


def read_sequences(path: Path, data: DataSettings, out: Path, skip: bool) -> ReadReport:
    """Read one session a line, items separated by spaces; its id is the line's number from 0. Blank lines are no
    sessions.

    Raises
    ------
    InputError
        If the file is missing or empty, or an item is not an id (with the line).
    """
    bad = BadLines(path, skip)
    lines = _lines(path).select(pl.col(SESSION), pl.col(LINE).str.split(" "))
    return write_log(_items(lines, data, bad), out, bad)


def read_prefix_labels(path: Path, data: DataSettings, out: Path, skip: bool) -> ReadReport:
    """Read one pair a line; the label becomes the session's last event, the session's id is the line's number from 0.

    Pairs expanded from one session follow each other: each is the one before without its last item, which is then
    the label. They get one group, the number of the first.

    Raises
    ------
    InputError
        If the file is missing or empty, a line is not a pair, or an item is not an id (with the line).
    """
    bad = BadLines(path, skip)
    lines = _lines(path)
    is_pair = pl.col(LINE).str.contains(r"^[^\t]*[^\t ][^\t]*\t *[^\t ]+ *$")
    wrong = lines.filter(~is_pair)
    if wrong.height:
        bad.add(wrong[SESSION][0] + 1, "not a pair", "write prefix<TAB>label, with one label", wrong.height)
    split = pl.col(LINE).str.replace("\t", " ").str.split(" ")
    frame = _items(lines.filter(is_pair).select(pl.col(SESSION), split), data, bad)
    return write_log(frame.join(_groups(frame), on=SESSION, how="left", maintain_order="left"), out, bad)


def _lines(path: Path) -> pl.DataFrame:
    """``session`` (number from 0) and ``line`` of each line that is not blank."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(path, line, "not UTF-8 text", "convert the file") from None
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(path, None, f"the file is damaged or cut off: {error}", "fetch it again") from None
    lines = pl.DataFrame({LINE: text.split("\n")}, schema={LINE: pl.String}).with_row_index(SESSION)
    return lines.select(pl.col(SESSION).cast(pl.Int64), pl.col(LINE).str.strip_chars("\r\n ")).filter(
        pl.col(LINE) != ""
    )


def _items(lines: pl.DataFrame, data: DataSettings, bad: BadLines) -> pl.DataFrame:
    """One row an item; sessions with a bad one are bad as a whole."""
    words = lines.explode(LINE).filter(pl.col(LINE) != "")
    if AID in data.text_ids:
        return words.rename({LINE: AID})
    number = pl.col(LINE).cast(pl.Int64, strict=False)
    items = words.with_columns(pl.when(number >= 0).then(number).alias(AID))
    wrong = items.filter(pl.col(AID).is_null())
    if wrong.height == 0:
        return items.drop(LINE)
    remedy = "separate integers by single spaces, or set data.text_ids=['aid'] if ids are text"
    sessions = wrong[SESSION].unique()
    bad.add(wrong[SESSION][0] + 1, f"{wrong[LINE][0]!r} is no item", remedy, len(sessions))
    return items.drop(LINE).filter(~pl.col(SESSION).is_in(sessions.implode()))


def _groups(frame: pl.DataFrame) -> pl.DataFrame:
    """The first of the siblings that each session belongs to."""
    rows = frame.group_by(SESSION, maintain_order=True).agg(AID)
    without_last = pl.col(AID).shift(1).list.head(pl.col(AID).shift(1).list.len() - 1)
    next_line = pl.col(SESSION) == pl.col(SESSION).shift(1) + 1
    sibling = (next_line & (pl.col(AID) == without_last)).fill_null(False)
    return rows.select(pl.col(SESSION), pl.when(~sibling).then(pl.col(SESSION)).forward_fill().alias(GROUP))
